"""A sync from a real socket into a real database."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx2
import psycopg
import pytest
from sqlalchemy import event

from marketdata.core.clock import ManualClock
from marketdata.core.errors import AlreadyRunning
from marketdata.core.exchanges import get_adapter
from marketdata.core.exchanges.coinbase import Coinbase
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId, Listing, Source, Status
from marketdata.store.audit import AuditFilters, list_entries, newest_entry_id
from marketdata.store.engine import Database
from marketdata.store.events import list_changes
from marketdata.store.exchanges import ExchangeState, list_exchanges, list_intervals
from marketdata.store.installation import claim_source, get_source
from marketdata.store.symbols import StoredSymbol, list_stored
from marketdata.store.syncs import SyncRun, list_runs
from marketdata.syncer.sync import sync_exchange
from tests.fake_exchange import Answer, fake_exchange, http
from tests.syncer.conftest import NOW_MS
from tests.syncer.products import NOT_FOUND, Row, product, products, whole_sync

PREFIXES = {"binance_futures": "binance", "hyperliquid": "hyperliquid", "coinbase": "coinbase"}
COINBASE = ExchangeId("coinbase")
HOUR_MS = 3_600_000
YEAR_MS = 365 * 24 * HOUR_MS


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with open_http() as client:
        yield client


async def stored(database: Database, exchange: str = COINBASE) -> dict[str, StoredSymbol]:
    async with database.transaction() as connection:
        return {row.symbol.symbol: row for row in await list_stored(connection, ExchangeId(exchange))}


async def state(database: Database) -> ExchangeState:
    async with database.transaction() as connection:
        return (await list_exchanges(connection))[0]


async def runs(database: Database) -> list[SyncRun]:
    """Oldest first."""
    async with database.transaction() as connection:
        return (await list_runs(connection, limit=100))[::-1]


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is sent to the database meanwhile."""
    sent: list[str] = []

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def row_versions(url: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return set(connection.execute("SELECT id, xmin::text, ctid::text FROM symbols").fetchall())


@pytest.mark.parametrize("exchange", PREFIXES)
async def test_the_first_sync_stores_all(
    exchange: str, database: Database, clock: ManualClock, client: httpx2.AsyncClient, simulator_url: str
) -> None:
    url = f"{simulator_url}/{PREFIXES[exchange]}"
    fetcher = Fetcher(get_adapter(exchange), client, clock, url)
    run = await sync_exchange(database, fetcher, clock)
    assert (run.outcome, run.generation, run.error_code, run.listed) == ("succeeded", 1, None, run.added)
    assert run.listed >= {"binance_futures": 600, "hyperliquid": 400, "coinbase": 500}[exchange]
    assert await runs(database) == [run]
    assert await state(database) == ExchangeState(ExchangeId(exchange), url, 1, 1, NOW_MS, NOW_MS)
    rows = await stored(database, exchange)
    assert len(rows) == run.listed
    assert all(row.listed and row.symbol.first_seen_at == NOW_MS for row in rows.values())
    async with database.transaction() as connection:
        assert await get_source(connection) is Source.SIMULATED
        intervals = await list_intervals(connection, ExchangeId(exchange))
    assert set(intervals) == set(fetcher.adapter.capabilities.intervals)


async def test_an_unchanged_listing_costs_a_handful_of_statements_and_writes_no_symbol(
    database: Database, postgres_url: str, clock: ManualClock, client: httpx2.AsyncClient
) -> None:
    listing = products(product(f"A{number}") for number in range(2000))
    async with fake_exchange(NOT_FOUND, listing) as exchange:
        fetcher = Fetcher(get_adapter("coinbase"), client, clock, exchange.url)
        with statements(database) as sent:
            first = await sync_exchange(database, fetcher, clock)
        assert (first.added, len(sent)) == (2000, 24), sent
        before = row_versions(postgres_url)
        clock.advance(HOUR_MS)
        with statements(database) as sent:
            second = await sync_exchange(database, fetcher, clock)
    assert len(sent) == 16, sent
    assert row_versions(postgres_url) == before
    assert (second.outcome, second.generation, second.added, second.changed) == ("succeeded", 1, 0, 0)
    assert (await state(database)).last_synced_at == NOW_MS + HOUR_MS
    assert (await stored(database))["A1-USD"].symbol.last_seen_at == NOW_MS + HOUR_MS


@pytest.mark.parametrize("exchange", PREFIXES)
async def test_syncs_follow_an_exchange_through_the_years(
    exchange: str, database: Database, clock: ManualClock, client: httpx2.AsyncClient, simulator_url: str
) -> None:
    fetcher = Fetcher(get_adapter(exchange), client, clock, f"{simulator_url}/{PREFIXES[exchange]}")
    clock.set(NOW_MS - 3 * YEAR_MS)
    first = await sync_exchange(database, fetcher, clock)
    before = list((await stored(database, exchange)).values())
    clock.set(NOW_MS)
    second = await sync_exchange(database, fetcher, clock)
    assert second.outcome == ("succeeded" if exchange == "binance_futures" else "quarantined"), "so much at once"
    if second.outcome == "quarantined":
        assert list((await stored(database, exchange)).values()) == before
        accepted = second
        second = await sync_exchange(database, fetcher, clock, accepted=accepted)
        assert (second.outcome, second.accepted_run) == ("succeeded", accepted.id)
        async with database.transaction() as connection:
            up_to = await newest_entry_id(connection)
            (line,) = await list_entries(connection, AuditFilters(), up_to_id=up_to, limit=9)
        assert (line.action, line.actor, line.subject) == ("guard.overridden", "operator", fetcher.adapter.exchange)
        assert line.details == {"accepted_run": accepted.id, "run": second.id}
    rows = await stored(database, exchange)
    assert second.added > 0
    assert len(rows) == first.added + second.added
    assert sum(row.listed for row in rows.values()) == second.listed
    gone = [name for name, row in rows.items() if not row.listed]
    assert all(rows[name].symbol.status is not Status.DELISTED for name in gone if not rows[name].symbol.delisted_at)
    clock.advance(HOUR_MS // 2)
    await sync_exchange(database, fetcher, clock)
    clock.advance(1)
    last = await sync_exchange(database, fetcher, clock)
    rows = await stored(database, exchange)
    left = [rows[name].symbol for name in gone if rows[name].symbol.delisted_at == NOW_MS]
    assert last.delisted == len(left) == second.missing
    assert all((symbol.status, symbol.delisted_at_source) == ("delisted", "observed") for symbol in left)
    assert all(rows[name].symbol.last_seen_at == NOW_MS - 3 * YEAR_MS for name in gone)


async def test_what_changed_is_stored_and_told(
    database: Database, clock: ManualClock, client: httpx2.AsyncClient
) -> None:
    first = [product("BTC"), product("ETH"), product("OLD"), product("LONG", base_currency="OTHER")]
    second: list[Row] = [product("BTC", quote_increment="0.010"), product("ETH"), product("NEW"), {"id": "BAD-USD"}]
    async with fake_exchange(*whole_sync(first), *whole_sync(second)) as coinbase:
        fetcher = Fetcher(get_adapter("coinbase"), client, clock, coinbase.url)
        run = await sync_exchange(database, fetcher, clock)
        assert run.report.base_mismatches == ("LONG-USD",)
        clock.advance(HOUR_MS)
        run = await sync_exchange(database, fetcher, clock)
    assert (run.listed, run.added, run.changed, run.missing, run.refused, run.generation) == (3, 1, 1, 2, 1, 2)
    async with database.transaction() as connection:
        told = await list_changes(connection, COINBASE, NOW_MS + HOUR_MS)
    assert [(one.type, one.symbol, one.field, one.old, one.new, one.initial) for one in told] == [
        ("field_changed", "BTC-USD", "tick_size", "0.01", "0.010", False),
        ("listed", "NEW-USD", None, None, "trading", False),
    ]
    assert run.report.refused[0].exchange_symbol == "BAD-USD"
    assert (await runs(database))[-1] == run
    rows = await stored(database)
    assert (rows["BTC-USD"].symbol.tick_size, rows["OLD-USD"].symbol.last_seen_at) == ("0.010", NOW_MS)
    old = rows["OLD-USD"]
    assert (old.symbol.delisted_at, old.listed, old.missing_since) == (None, False, NOW_MS + HOUR_MS)


@pytest.mark.parametrize(
    "listing, detail",
    [
        ([], "the listing is empty"),
        ([{"id": "BTC-USD"}], "none of the listing's 1 rows could be read, the first because: "),
    ],
)
async def test_an_empty_listing_is_quarantined(
    listing: list[Row], detail: str, database: Database, clock: ManualClock, client: httpx2.AsyncClient
) -> None:
    async with fake_exchange(*whole_sync([product("BTC")]), *whole_sync(listing)) as coinbase:
        fetcher = Fetcher(get_adapter("coinbase"), client, clock, coinbase.url)
        await sync_exchange(database, fetcher, clock)
        before = (await state(database), await stored(database))
        clock.advance(HOUR_MS)
        run = await sync_exchange(database, fetcher, clock)
    assert (run.outcome, run.error_code, run.generation) == ("quarantined", "listing-quarantined", 1)
    assert (run.error_detail or "").startswith(detail)
    assert (await state(database), await stored(database)) == before
    assert (await runs(database))[-1] == run


@pytest.mark.parametrize(
    "answer, code",
    [
        (http(b"[]", "503 Service Unavailable"), "upstream-unavailable"),
        (http(b"[]", "429 Too Many Requests"), "upstream-rate-limited"),
        (http(b"[]", "403 Forbidden"), "upstream-blocked"),
        (http(b"[]", "400 Bad Request"), "upstream-error"),
        (http(b"not JSON"), "upstream-bad-data"),
    ],
)
async def test_a_failure_is_recorded_by_name(
    answer: Answer, code: str, database: Database, clock: ManualClock, client: httpx2.AsyncClient
) -> None:

    async with fake_exchange(NOT_FOUND, answer) as coinbase:
        run = await sync_exchange(database, Fetcher(get_adapter("coinbase"), client, clock, coinbase.url), clock)
    assert (run.outcome, run.error_code, run.generation, run.listed) == ("failed", code, 0, 0)
    assert await runs(database) == [run]
    assert await stored(database) == {}
    assert (await state(database)).last_synced_at is None


async def test_another_source_is_refused_and_nothing_changed(
    database: Database, clock: ManualClock, client: httpx2.AsyncClient, simulator_url: str
) -> None:
    async with database.transaction() as connection:
        await claim_source(connection, Source.LIVE, NOW_MS)
    fetcher = Fetcher(get_adapter("coinbase"), client, clock, f"{simulator_url}/coinbase")
    run = await sync_exchange(database, fetcher, clock)
    assert (run.outcome, run.error_code) == ("failed", "source-mismatch")
    assert await stored(database) == {}
    async with database.transaction() as connection:
        assert await get_source(connection) is Source.LIVE


async def test_a_listing_of_which_nobody_knows_whose_it_is_is_refused(
    database: Database, clock: ManualClock, client: httpx2.AsyncClient
) -> None:
    """While it was asked, another server took the place."""
    simulated, recorded = http(b'{"source":"simulated"}'), http(b'{"source":"recorded"}')
    async with fake_exchange(simulated, products([product("BTC")]), recorded) as coinbase:
        run = await sync_exchange(database, Fetcher(get_adapter("coinbase"), client, clock, coinbase.url), clock)
    assert (run.outcome, run.error_code) == ("failed", "source-mismatch")
    assert await stored(database) == {}
    async with database.transaction() as connection:
        assert await get_source(connection) is None


async def test_a_run_ends_when_all_is_written(
    database: Database, clock: ManualClock, client: httpx2.AsyncClient
) -> None:
    def take_time(*arguments: object) -> None:
        if "INSERT INTO symbols" in str(arguments[2]):
            clock.advance(1234)

    event.listen(database._engine.sync_engine, "after_cursor_execute", take_time)
    async with fake_exchange(*whole_sync([product("BTC")])) as coinbase:
        run = await sync_exchange(database, Fetcher(get_adapter("coinbase"), client, clock, coinbase.url), clock)
    assert (run.outcome, run.started_at, run.finished_at) == ("succeeded", NOW_MS, NOW_MS + 1234)
    assert await runs(database) == [run]
    assert (await state(database)).last_synced_at == NOW_MS


async def test_of_two_syncs_at_once_one_stands_back(
    database: Database, clock: ManualClock, client: httpx2.AsyncClient, simulator_url: str
) -> None:
    fetchers = [Fetcher(get_adapter("coinbase"), client, clock, f"{simulator_url}/coinbase") for _ in range(3)]
    outcomes = await asyncio.gather(
        *(sync_exchange(database, fetcher, clock) for fetcher in fetchers), return_exceptions=True
    )
    succeeded = [outcome for outcome in outcomes if isinstance(outcome, SyncRun)]
    assert [run.outcome for run in succeeded] == ["succeeded"]
    assert sum(isinstance(outcome, AlreadyRunning) for outcome in outcomes) == 2
    assert await runs(database) == succeeded


async def test_different_exchanges_are_synced_at_once(
    database: Database, clock: ManualClock, client: httpx2.AsyncClient, simulator_url: str
) -> None:
    fetchers = [Fetcher(get_adapter(one), client, clock, f"{simulator_url}/{PREFIXES[one]}") for one in PREFIXES]
    outcomes = await asyncio.gather(*(sync_exchange(database, fetcher, clock) for fetcher in fetchers))
    assert [run.outcome for run in outcomes] == ["succeeded"] * 3


async def test_a_defect_is_recorded_and_logged(
    database: Database, clock: ManualClock, client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    class Defective(Coinbase):
        def parse_listing(self, *_: object) -> Listing:
            raise KeyError("secret")

    async with fake_exchange(NOT_FOUND, http(b"[]")) as coinbase:
        run = await sync_exchange(database, Fetcher(Defective(), client, clock, coinbase.url), clock)
    assert (run.outcome, run.error_code) == ("failed", "internal-error")
    assert run.error_detail == "a defect of the platform: KeyError; its log has the details"
    assert "defect while syncing coinbase" in caplog.text
