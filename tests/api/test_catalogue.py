import asyncio
import dataclasses

import psycopg
import pytest

from marketdata.api.app import create_app
from marketdata.api.instruments import Instruments
from marketdata.api.services import Services
from marketdata.core.clock import SystemClock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.models import ExchangeId, Source
from marketdata.store.engine import Database
from marketdata.store.exchanges import record_sync, tell_synced
from marketdata.store.symbols import StoredSymbol, list_stored, upsert_symbols
from tests.api.conftest import NOW_MS, SYMBOLS, Api, make_symbol, problem, store_symbols

COINBASE = ExchangeId("coinbase")


def instruments(*stored: StoredSymbol) -> Instruments:
    return Instruments(stored)


def test_the_exchange_s_own_symbol_goes_first_then_ours_then_a_former_one() -> None:
    ours = make_symbol("coinbase", "A-B", "C-D", "A", "B", aliases=("E-F", "X-Y"))
    theirs = make_symbol("coinbase", "C-D", "A-B", "C", "D")
    former = make_symbol("coinbase", "X-Y", "x-y", "X", "Y")
    known = instruments(
        *(StoredSymbol(symbol, symbol.base_asset, "", listed=True) for symbol in (ours, theirs, former))
    )
    assert known.find("A-B") == theirs
    assert known.find("a-b") == ours
    assert known.find("e-f") == ours
    assert known.find("X-Y") == former
    assert known.find("nothing") is None


def test_a_decomposed_name_is_the_same_name() -> None:
    symbol = make_symbol("coinbase", "CAF\u00c9-USD", "caf", "CAF\u00c9", "USD")
    assert instruments(StoredSymbol(symbol, symbol.base_asset, "", listed=True)).find("cafe\u0301-usd") == symbol


@pytest.mark.parametrize(
    "symbol, base, base_asset, dex, unit",
    [
        ("CRV-USDT-PERP", "CRV", "TRB", None, "CRV"),  # the exchange's asset field names another asset
        ("1000SHIB-USDT-PERP", "1000SHIB", "SHIB", None, "1000SHIB"),
        ("XYZ.1000PEPE-USDC-PERP", "XYZ.1000PEPE", "PEPE", "xyz", "1000PEPE"),
    ],
)
def test_volume_counts_the_base_that_the_symbol_spells(
    symbol: str, base: str, base_asset: str, dex: str | None, unit: str
) -> None:
    listed = make_symbol("somewhere", symbol, "ABC", base_asset, "USDT", dex=dex)
    assert instruments(StoredSymbol(listed, base, "", listed=True)).volume_unit(listed) == unit


def test_a_replaced_instrument_keeps_its_own_name_only() -> None:
    old = make_symbol("coinbase", "A-USD~260101", "A-USD", "A", "USD")
    new = make_symbol("coinbase", "A-USD", "A-USD", "A", "USD")
    known = instruments(
        StoredSymbol(old, old.base_asset, "1", listed=False, replaced_at=NOW_MS),
        StoredSymbol(new, new.base_asset, "2", listed=True),
    )
    assert known.find("A-USD") == new
    assert known.find("a-usd~260101") == old
    assert known.matches("A-USD") == [new, old]
    assert known.is_replaced(old)
    assert not known.is_replaced(new)


def test_a_former_name_means_its_current_holder_and_without_one_the_last() -> None:
    first = make_symbol("coinbase", "A-USD~260101", "A-USD", "A", "USD", aliases=("A-USD",))
    second = make_symbol("coinbase", "A-USD~260102", "A-USD", "A", "USD", aliases=("A-USD",))
    third = make_symbol("coinbase", "A-USD", "1", "A", "USD")
    former = [
        StoredSymbol(second, "A", "2", listed=False, replaced_at=NOW_MS + 1),
        StoredSymbol(first, "A", "1", listed=False, replaced_at=NOW_MS),
    ]
    assert instruments(*former).find("A-USD") == second
    known = instruments(StoredSymbol(third, "A", "3", listed=True), *former)
    assert known.find("A-USD") == third
    assert known.matches("A-USD") == [third, first, second]
    renamed = make_symbol("coinbase", "A-USDC", "1", "A", "USDC", aliases=("A-USD",))
    assert instruments(*former, StoredSymbol(renamed, "A", "3", listed=True)).find("A-USD") == renamed


async def test_candles_of_a_replaced_instrument_are_never_those_of_its_successor(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def source(*_: object) -> Source:
        return Source.SIMULATED

    monkeypatch.setattr("marketdata.core.fetch.Fetcher.source", source)
    old = make_symbol("coinbase", "BTC-USD~260101", "BTC-USD", "BTC", "USD")
    held = api.services.catalogue.snapshot
    replaced = instruments(StoredSymbol(old, old.base_asset, "1", listed=False, replaced_at=NOW_MS))
    api.services.catalogue.snapshot = dataclasses.replace(
        held, instruments={**held.instruments, COINBASE: replaced}, source=Source.SIMULATED
    )
    body = (await api.get("/v1/candles/coinbase/BTC-USD~260101/1h")).json()
    assert (body["data"], body["page"]["complete"]) == ([], False)
    assert [warning["code"] for warning in body["warnings"]] == ["not-served-by-exchange"]
    api.services.catalogue.snapshot = dataclasses.replace(api.services.catalogue.snapshot, source=Source.LIVE)
    assert problem(await api.get("/v1/candles/coinbase/BTC-USD~260101/1h")) == {
        "status": 503,
        "code": "metadata-not-ready",
        "detail": "The instruments held are live and coinbase is simulated: nothing is mixed; see `/v1/status`.",
    }


async def test_a_new_generation_is_taken_over_whole(api: Api, database: Database) -> None:
    before = api.services.catalogue.snapshot
    async with database.transaction() as connection:
        stored = await list_stored(connection, COINBASE)
        renamed = dataclasses.replace(stored[0], symbol=stored[0].symbol.model_copy(update={"exchange_status": "new"}))
        await upsert_symbols(connection, COINBASE, [renamed], NOW_MS + 1, 2)
        await record_sync(connection, COINBASE, NOW_MS + 1, changed=True)
    await api.services.refresh()
    after = api.services.catalogue.snapshot
    assert api.services.catalogue.symbol("coinbase", "BTC-USD").exchange_status == "new"
    assert before.instruments[COINBASE].symbols[0].exchange_status == "TRADING"
    untouched = ExchangeId("hyperliquid")
    assert after.instruments[untouched] is before.instruments[untouched]


async def test_without_the_database_what_is_held_is_served_on(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Database) -> None:
        raise DatabaseUnavailable("away")

    held = api.services.catalogue.snapshot
    with monkeypatch.context() as patched:
        patched.setattr(api.services.catalogue, "refresh", fail)
        await api.services.refresh()
        await api.services.refresh()
    assert [record.getMessage() for record in caplog.records] == ["serving from memory: away"]
    assert api.services.catalogue.snapshot is held
    assert (await api.http.get("/health/ready")).json()["database"] == "unreachable"
    await api.services.refresh()
    assert (await api.http.get("/health/ready")).json()["database"] == "ok"


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_running_application_follows_the_database(
    empty_api: Api, database: Database, monkeypatch: pytest.MonkeyPatch, *, is_told: bool
) -> None:
    """It takes a sync over when it is told of it; if the telling is lost, when it next looks."""
    monkeypatch.setattr("marketdata.api.services.LOOK_S", 600 if is_told else 0.02)
    app = create_app(database, empty_api.services.fetchers, SystemClock(), empty_api.services.settings)
    services: Services = app.state.services
    async with app.router.lifespan_context(app), asyncio.timeout(30):
        assert not services.catalogue.is_ready
        await store_symbols(database, SYMBOLS, NOW_MS)
        while len(services.catalogue.snapshot.instruments) < 3:
            if is_told:
                async with database.transaction() as connection:
                    await tell_synced(connection, COINBASE)
            await asyncio.sleep(0.02)


async def test_it_listens_again_after_its_connection_was_lost(
    api: Api, database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketdata.api.services.LOOK_S", 600)
    monkeypatch.setattr("marketdata.api.services.RETRY_S", 0.02)
    app = create_app(database, api.services.fetchers, SystemClock(), api.services.settings)
    services: Services = app.state.services
    async with app.router.lifespan_context(app), asyncio.timeout(30):
        while not await end_listeners(postgres_url):
            await asyncio.sleep(0.02)
        async with database.transaction() as connection:
            await record_sync(connection, COINBASE, NOW_MS + 5, changed=True)
        while services.catalogue.snapshot.states[COINBASE].last_synced_at != NOW_MS + 5:
            await asyncio.sleep(0.02)


async def end_listeners(url: str) -> int:
    """End the connections that listen for syncs; how many they were."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        ended = await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query = 'LISTEN marketdata_syncs' AND datname = current_database()"
        )
        return len(await ended.fetchall())


async def test_a_sync_that_changed_nothing_is_taken_over_without_reading_it_all(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> list[StoredSymbol]:
        raise AssertionError("nothing of it has changed")

    async with database.transaction() as connection:
        await record_sync(connection, COINBASE, NOW_MS + 5, changed=False)
    with monkeypatch.context() as patched:
        patched.setattr("marketdata.api.catalogue.list_stored", never)
        await api.services.refresh()
    taken_over = api.services.catalogue.of("coinbase").rows
    async with database.transaction() as connection:
        assert taken_over == await list_stored(connection, COINBASE)
    assert {row.symbol.last_seen_at for row in taken_over} == {NOW_MS + 5}
