"""What syncs cost that change nothing, or a little: statements, rows, and how far the tables grow."""

import time
from collections import Counter
from statistics import median

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event

from marketdata.core.clock import ManualClock
from marketdata.core.exchanges import get_adapter
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId
from marketdata.store.engine import Database
from marketdata.store.symbols import list_stored
from marketdata.syncer.sync import sync_exchange
from tests.e2e.memory.world import NOW_MS
from tests.fake_exchange import fake_exchange
from tests.syncer.products import NOT_FOUND, Row, product, products, whole_sync

COINBASE = ExchangeId("coinbase")
TABLES = ("exchanges", "symbols", "symbol_versions", "intervals", "events", "sync_runs")


def sizes(url: str) -> dict[str, tuple[int, int]]:
    """Rows and bytes on disk of each table, its indexes and long values included."""
    query = sql.SQL("SELECT count(*), pg_total_relation_size({}) FROM {}")
    with psycopg.connect(url) as connection:
        found = {
            table: connection.execute(query.format(table, sql.Identifier(table))).fetchone() or (0, 0)
            for table in TABLES
        }
    return {table: (rows, size) for table, (rows, size) in found.items()}


def written(url: str) -> dict[str, int]:
    """Rows inserted, updated and deleted in each table since ever."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = ANY(%s)",
            (list(TABLES),),
        )
        return dict(rows.fetchall())


async def sync_again_and_again(database: Database, times: int) -> None:
    """The first sync of a small exchange and so many that find the same."""
    clock = ManualClock(NOW_MS)
    async with open_http() as http, fake_exchange(NOT_FOUND, products(product(f"A{n}") for n in range(30))) as exchange:
        fetcher = Fetcher(get_adapter("coinbase"), http, clock, exchange.url)
        assert (await sync_exchange(database, fetcher, clock)).added == 30
        for _ in range(times - 1):
            clock.advance(300_000)
            await sync_exchange(database, fetcher, clock)
        clock.advance(300_000)
        run = await sync_exchange(database, fetcher, clock)
    assert (run.outcome, run.generation, run.runs) == ("succeeded", 1, times)
    assert (run.first_read_at, run.read_at) == (NOW_MS + 300_000, NOW_MS + times * 300_000)
    async with database.transaction() as connection:
        stored = await list_stored(connection, COINBASE)
    assert {row.symbol.last_seen_at for row in stored} == {run.read_at}


async def test_unchanged_syncs_add_no_rows(database: Database, postgres_url: str) -> None:
    await sync_again_and_again(database, 100)
    assert {table: rows for table, (rows, _) in sizes(postgres_url).items()} == {
        "exchanges": 1,
        "symbols": 30,
        "symbol_versions": 30,
        "intervals": 6,
        "events": 30,
        "sync_runs": 2,
    }


@pytest.mark.long
async def test_10000_unchanged_syncs_grow_no_table(database: Database, postgres_url: str) -> None:
    await sync_again_and_again(database, 100)
    before = sizes(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("TRUNCATE events, symbol_versions, coverage, sync_runs, intervals, symbols, exchanges")
    began = time.monotonic()
    await sync_again_and_again(database, 10_000)
    after = sizes(postgres_url)
    print(f"10,000 syncs in {time.monotonic() - began:.0f} s: {before} → {after}")
    assert {table: rows for table, (rows, _) in after.items()} == {table: rows for table, (rows, _) in before.items()}
    for table, (_, size) in after.items():
        assert size <= before[table][1] + 65_536, table


class Listings:
    """A listing of many, of which a part changes with each sync."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._bodies: list[Row] = [product(f"A{n}") for n in range(number)]
        self._turn = 0

    def unchanged(self) -> list[Row]:
        return self._bodies

    def changed(self, share: float) -> list[Row]:
        self._turn += 1
        for n in range(round(self._number * share)):
            at = (n * 97 + self._turn) % self._number
            self._bodies[at] = product(f"A{at}", quote_increment=f"0.{'0' * (self._turn % 7)}1")
        return self._bodies


async def measure(database: Database, url: str, number: int, share: float, trials: int) -> tuple[str, Counter[str]]:
    """Syncs of a listing of which a part changes each time: the figures in words, and the rows that one writes."""
    clock, listings = ManualClock(NOW_MS), Listings(number)
    statements: list[str] = []
    event.listen(
        database._engine.sync_engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2])
    )
    adapter = get_adapter("coinbase")
    spent = []
    rows: Counter[str] = Counter()
    answers = [
        answer
        for turn in range(trials + 2)
        for answer in whole_sync(listings.changed(share) if share and turn else listings.unchanged())
    ]
    async with open_http() as http, fake_exchange(*answers) as exchange:
        fetcher = Fetcher(adapter, http, clock, exchange.url)
        for _ in range(trials + 2):
            clock.advance(300_000)
            before = written(url)
            statements.clear()
            began = time.process_time()
            run = await sync_exchange(database, fetcher, clock)
            spent.append(time.process_time() - began)
            assert run.outcome == "succeeded", run.error_detail
            await database.dispose()  # a connection tells its counts at the latest when it ends
            rows = Counter({table: now - before.get(table, 0) for table, now in written(url).items()})
    what = (
        f"{number} listed, {share:.0%} changed: {len(statements)} statements, {median(spent[2:]) * 1000:.0f} ms of CPU"
    )
    return f"{what}, rows {dict(+rows)}", rows


async def test_what_a_sync_writes(database: Database, postgres_url: str) -> None:
    told, rows = await measure(database, postgres_url, 500, 0, 1)
    assert +rows == {"exchanges": 1, "sync_runs": 1}, told


async def test_what_a_sync_writes_that_changes_a_hundredth(database: Database, postgres_url: str) -> None:
    told, rows = await measure(database, postgres_url, 500, 0.01, 1)
    assert +rows == {"exchanges": 1, "sync_runs": 1, "symbols": 5, "symbol_versions": 10, "events": 5}, told


@pytest.mark.long
@pytest.mark.parametrize("share", [0, 0.01])
async def test_what_a_sync_of_2500_costs(database: Database, postgres_url: str, share: float) -> None:
    told, rows = await measure(database, postgres_url, 2500, share, 5)
    print(told)
    assert rows["symbols"] == 2500 * share
