"""What was known at past moments, and pages that begin before a sync and end after it."""

import itertools

import pytest
from sqlalchemy import event

from marketdata.api.instruments import Instruments
from marketdata.api.moments import Moments
from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.models import ListedInstrument, Status
from marketdata.store.engine import Database
from marketdata.store.syncs import get_reading
from tests.api.conftest import NOW_MS, Api, problem
from tests.api.worlds import BINANCE, COINBASE, HOUR_MS, sync
from tests.listings import instrument

BTC = instrument()
ETH = instrument("ETHUSDT", "ETH")
FINER = instrument(tick_size="0.01")
OTHER_BTC = instrument("BTCUSDT", "XBT")  # the exchange symbol means another instrument


async def names(api: Api, query: str = "") -> list[str]:
    return [one["symbol"] for one in (await api.get(f"/v1/symbols?{query}")).json()["data"]]


async def test_the_world_as_it_was_known_then(empty_api: Api) -> None:
    api = empty_api
    first = await sync(api, 0, BTC)
    second = await sync(api, 1, FINER, ETH)
    third = await sync(api, 2, ETH)
    assert await names(api) == ["BTC-USDT-PERP", "ETH-USDT-PERP"]
    assert await names(api, f"as_of={first}") == ["BTC-USDT-PERP"]
    assert await names(api, f"as_of={second - 1}") == ["BTC-USDT-PERP"]
    assert await names(api, f"as_of={second}") == ["BTC-USDT-PERP", "ETH-USDT-PERP"]
    path = "/v1/symbols/binance_futures/BTC-USDT-PERP"
    told = {at: (await api.get(f"{path}?as_of={at}")).json() for at in (first, second, third)}
    assert [one["tick_size"] for one in told.values()] == ["0.10", "0.01", "0.01"]
    assert [one["last_seen_at"] for one in told.values()] == [first, second, second]
    assert [one["delisted_at"] for one in told.values()] == [None, None, third]
    assert told[third] == (await api.get(path)).json()
    as_text = (await api.get(f"{path}?as_of=2026-01-01T00:30:00Z")).json()
    assert as_text == told[first]
    assert await names(api, f"as_of={third}&status=delisted") == ["BTC-USDT-PERP"]
    assert await names(api, f"as_of={second}&status=delisted") == []


async def test_names_mean_what_they_meant_then(empty_api: Api) -> None:
    api = empty_api
    first = await sync(api, 0, BTC)
    await sync(api, 1, OTHER_BTC)
    path = "/v1/symbols/binance_futures/BTCUSDT"
    assert (await api.get(path)).json()["symbol"] == "XBT-USDT-PERP"
    assert (await api.get(f"{path}?as_of={first}")).json()["symbol"] == "BTC-USDT-PERP"
    now = (await api.get("/v1/resolve?name=BTCUSDT")).json()["data"]
    then = (await api.get(f"/v1/resolve?name=BTCUSDT&as_of={first}")).json()["data"]
    assert [one["symbol"] for one in now] == ["BTC-USDT-PERP~260101", "XBT-USDT-PERP"]
    assert [one["symbol"] for one in then] == ["BTC-USDT-PERP"]
    refusal = problem(await api.get(f"/v1/symbols/binance_futures/XBT-USDT-PERP?as_of={first}"))
    assert refusal["code"] == "unknown-symbol"
    assert problem(await api.get(f"/v1/intervals?symbol=XBT-USDT-PERP&as_of={first}"))["code"] == "unknown-symbol"
    found = (await api.get(f"/v1/intervals?symbol=BTC-USDT-PERP&as_of={first}")).json()["data"]
    assert {one["exchange"] for one in found} == {"binance_futures"}


async def test_what_changed_since_a_time_as_is_known_now_and_as_was_known_then(empty_api: Api) -> None:
    api = empty_api
    first = await sync(api, 0, BTC, ETH)
    second = await sync(api, 1, FINER, ETH)
    third = await sync(api, 2, FINER)
    assert await names(api, f"updated_since={first}") == ["BTC-USDT-PERP", "ETH-USDT-PERP"]
    assert await names(api, f"updated_since={first + 1}") == ["BTC-USDT-PERP", "ETH-USDT-PERP"]
    assert await names(api, f"updated_since={second + 1}") == ["ETH-USDT-PERP"]
    assert await names(api, f"updated_since={third + 1}") == []
    assert await names(api, f"as_of={second}&updated_since={second}") == ["BTC-USDT-PERP"]
    assert await names(api, f"as_of={first}&updated_since={first}") == ["BTC-USDT-PERP", "ETH-USDT-PERP"]
    assert await names(api, f"as_of={first}&updated_since={first + 1}") == []


async def test_before_the_first_sync_nothing_is_known(empty_api: Api) -> None:
    api = empty_api
    first = await sync(api, 1, BTC)
    later = await sync(api, 2, ETH, exchange=COINBASE)
    refusal = {
        "status": 404,
        "code": "as-of-before-history",
        "detail": "What binance_futures had is known here from 2026-01-01T01:00:00Z on, the first sync.",
        "parameter": "as_of",
        "history_from": first,
    }
    for path in ("symbols?exchange=binance_futures&", "intervals?exchange=binance_futures&"):
        assert problem(await api.get(f"/v1/{path}as_of={first - 1}")) == refusal
    assert problem(await api.get(f"/v1/symbols/binance_futures/BTCUSDT?as_of={first - 1}")) == refusal
    every = problem(await api.get(f"/v1/resolve?name=BTCUSDT&as_of={first - 1}"))
    assert (every["code"], every["history_from"]) == ("as-of-before-history", first)
    for path in ("symbols?", "resolve?name=ETHUSDT&", "intervals?"):
        early = (await api.get(f"/v1/{path}as_of={later - 1}")).json()
        late = (await api.get(f"/v1/{path}as_of={later}&exchange=coinbase")).json()
        assert "coinbase" not in {one["exchange"] for one in early["data"]}
        assert {one["exchange"] for one in late["data"]} == {"coinbase"}
        assert (early["page"]["complete"], late["page"]["complete"]) == (False, True)
    never = problem(await api.get(f"/v1/symbols?exchange=hyperliquid&as_of={later}"))
    assert never["code"] == "metadata-not-ready"


@pytest.mark.parametrize("path", ["symbols?", "symbols/binance_futures/BTCUSDT?", "intervals?", "resolve?name=BTC&"])
async def test_a_moment_that_cannot_be_asked_for(empty_api: Api, path: str) -> None:
    now_ms = await sync(empty_api, 1, BTC)
    assert problem(await empty_api.get(f"/v1/{path}as_of={now_ms + 1}")) == {
        "status": 400,
        "code": "invalid-parameter",
        "detail": "`as_of` is in the future: nobody knows what is then.",
        "parameter": "as_of",
    }
    assert problem(await empty_api.get(f"/v1/{path}as_of=2026-01-01T00:00:00"))["code"] == "naive-timestamp"
    assert problem(await empty_api.get(f"/v1/{path}as_of=1767225600"))["code"] == "invalid-parameter"
    assert (await empty_api.get(f"/v1/{path}as_of={now_ms}")).status_code == 200


async def test_intervals_as_they_were_offered(empty_api: Api) -> None:
    api = empty_api
    first = await sync(api, 0, BTC)
    adapter = api.services.fetchers[BINANCE].adapter
    fewer = adapter.capabilities.model_copy(update={"intervals": adapter.capabilities.intervals[1:]})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(adapter), "capabilities", fewer)
        second = await sync(api, 1, BTC)
        now = (await api.get("/v1/intervals?exchange=binance_futures")).json()["data"]
    then = (await api.get(f"/v1/intervals?exchange=binance_futures&as_of={second - 1}")).json()["data"]
    late = (await api.get(f"/v1/intervals?exchange=binance_futures&as_of={second}")).json()["data"]
    assert [one["interval"] for one in then] == ["1m", *(one["interval"] for one in now)]
    assert late == now
    assert (await api.get(f"/v1/intervals?exchange=binance_futures&as_of={first}")).json()["data"] == then


LISTINGS: list[list[ListedInstrument]] = [
    [instrument(f"A{number}USDT", f"A{number}") for number in range(5)],
    # one renamed, one gone, one new in front, one changed
    [
        instrument("A0USDT", "Z0"),
        instrument("A2USDT", "A2", tick_size="9"),
        *(instrument(f"A{number}USDT", f"A{number}") for number in (3, 4)),
        instrument("AAUSDT", "A"),
    ],
]


async def read_pages(api: Api, query: str) -> list[dict[str, object]]:
    """All that a list holds, two at a time, while a sync changes much between the first page and the second."""
    rows: list[dict[str, object]] = []
    answer = await api.get(f"/v1/symbols?limit=2&{query}")
    for number in itertools.count():
        body = answer.json()
        rows += body["data"]
        if body["page"]["next"] is None:
            return rows
        if number == 0:
            await sync(api, 2, *LISTINGS[1])
        answer = await api.get(body["page"]["next"])
        assert answer.status_code == 200, answer.text
        assert answer.headers["marketdata-generation"] == "binance_futures=1"
    raise AssertionError


@pytest.mark.parametrize("query", ["", "q=usdt", "exchange=binance_futures&updated_since=1972-01-01T00:00:00Z"])
async def test_pages_that_began_before_a_sync_end_as_one_world(empty_api: Api, query: str) -> None:
    api = empty_api
    await sync(api, 1, *LISTINGS[0])
    whole = (await api.get(f"/v1/symbols?{query}")).json()["data"]
    assert await read_pages(api, query) == whole
    assert [one["symbol"] for one in whole] == [f"A{number}-USDT-PERP" for number in range(5)]
    assert (await api.get(f"/v1/symbols?{query}")).json()["data"] != whole


async def test_pages_as_of_a_moment_end_as_one_world_too(empty_api: Api) -> None:
    api = empty_api
    first = await sync(api, 1, *LISTINGS[0])
    whole = (await api.get(f"/v1/symbols?as_of={first}")).json()["data"]
    assert await read_pages(api, f"as_of={first}") == whole


async def test_a_page_after_a_sync_that_changed_nothing_is_of_the_same_time(empty_api: Api) -> None:
    api = empty_api
    first = await sync(api, 1, *LISTINGS[0])
    following = (await api.get("/v1/symbols?limit=2")).json()["page"]["next"]
    await sync(api, 2, *LISTINGS[0])
    await sync(api, 3, *LISTINGS[0])
    assert {one["last_seen_at"] for one in (await api.get(following)).json()["data"]} == {first}


async def test_what_was_read_once_is_kept(empty_api: Api) -> None:
    api = empty_api
    first = await sync(api, 0, BTC)
    await sync(api, 1, BTC)
    await sync(api, 2, ETH)
    kept = api.services.moments._kept
    for at_ms in (first, first + 1, first + HOUR_MS - 1):
        await names(api, f"as_of={at_ms}")
    assert [*kept] == [(BINANCE, first)]
    await names(api, f"as_of={first + HOUR_MS}")  # the same instruments, seen later
    assert [*kept] == [(BINANCE, first), (BINANCE, first + HOUR_MS)]
    await names(api, f"as_of={first + 2 * HOUR_MS}")  # what is held anyway
    assert len(kept) == 2
    following = (await api.get(f"/v1/symbols?limit=1&as_of={first + HOUR_MS}")).json()["page"]["next"]
    assert following is None


async def test_no_more_is_kept_than_there_is_room_for(empty_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketdata.api.moments._MOST_INSTRUMENTS", 3)
    instants = [await sync(empty_api, hours, instrument(tick_size=f"{hours + 1}")) for hours in range(5)]
    kept = empty_api.services.moments._kept
    for at_ms in (*instants[:4], instants[1]):
        await names(empty_api, f"as_of={at_ms}")
    assert [at_ms for _, at_ms in kept] == [instants[2], instants[3], instants[1]]
    monkeypatch.setattr("marketdata.api.moments._MOST_INSTRUMENTS", 0)
    await names(empty_api, f"as_of={instants[0]}")
    assert [at_ms for _, at_ms in kept] == [instants[0]]


async def test_a_kept_moment_is_paged_without_the_database(empty_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await sync(empty_api, 0, *LISTINGS[0])
    await sync(empty_api, 1, ETH)
    following = (await empty_api.get(f"/v1/symbols?limit=2&as_of={first}")).json()["page"]["next"]

    def fail(*_: object, **__: object) -> object:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(Database, "transaction", fail)
    assert (await empty_api.get(following)).status_code == 200
    assert problem(await empty_api.get(f"/v1/symbols?as_of={first}"))["code"] == "database-unavailable"
    assert (await empty_api.get("/v1/symbols")).status_code == 200


async def test_a_cursor_of_an_exchange_that_is_no_longer_served(empty_api: Api) -> None:
    api = empty_api
    await sync(api, 0, *LISTINGS[0])
    following = (await api.get("/v1/symbols?limit=2")).json()["page"]["next"]
    api.services.catalogue.exchanges = (COINBASE,)
    assert problem(await api.get(following))["code"] == "unknown-exchange"


async def test_every_answer_says_which_generation_it_is_of_and_how_old(empty_api: Api) -> None:
    api = empty_api
    first = await sync(api, 0, BTC)
    await sync(api, 1, BTC, ETH)
    await sync(api, 2, ETH, exchange=COINBASE)
    api.clock.advance(10_500)
    both = "binance_futures=2, coinbase=1"
    for path, generations, age_s in (
        ("symbols", both, 3610),
        ("symbols?exchange=coinbase", "coinbase=1", 10),
        ("symbols?limit=1", both, 3610),
        (f"symbols?as_of={first}", "binance_futures=1", 7210),
        ("symbols/coinbase/ETHUSDT", "coinbase=1", 10),
        ("symbols/binance_futures/ETHUSDT", "binance_futures=2", 3610),
        ("resolve?name=ETHUSDT", both, 3610),
    ):
        answer = await api.get(f"/v1/{path}")
        assert (answer.headers["marketdata-generation"], answer.headers["age"]) == (generations, str(age_s)), path


async def test_memory_tells_what_the_versions_tell(empty_api: Api) -> None:
    """What is held is the same, to the letter, as what is read of its moment from the versions."""
    api = empty_api
    await sync(api, 0, BTC, instrument("OLDUSDT", "OLD", status=Status.HALTED))
    await sync(api, 1, OTHER_BTC, ETH)
    held = api.services.catalogue.of(BINANCE)
    async with api.services.database.transaction() as connection:
        reading = await get_reading(connection, BINANCE, NOW_MS + HOUR_MS)
    assert reading is not None
    empty_handed = Moments(api.services.database, type(api.services.catalogue)((BINANCE,)), api.clock)
    read: Instruments = (await empty_handed.reopen(None, {BINANCE: reading})).known[BINANCE].instruments
    assert read.encoded == held.encoded
    assert [row.changed_at for row in read.rows] == [row.changed_at for row in held.rows]


async def test_a_moment_that_is_held_costs_a_look_for_its_reading_and_no_more(empty_api: Api) -> None:
    api = empty_api
    first = await sync(api, 0, BTC)
    statements: list[str] = []

    def note(*args: object) -> None:
        statements.append(str(args[2]))

    engine = api.services.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        await names(api)
        assert statements == []
        await names(api, f"as_of={first}&exchange=binance_futures")
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len([one for one in statements if one.startswith("SELECT")]) == 1
