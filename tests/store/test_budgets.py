"""The shared books in a real database, with several processes' views of them in one loop."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from marketdata.core.budget import ExchangeBudget, Role
from marketdata.core.clock import SystemClock
from marketdata.core.errors import DatabaseUnavailable, UpstreamBanned, UpstreamRateLimited
from marketdata.core.exchanges import get_adapter
from marketdata.core.models import ExchangeId
from marketdata.store.budgets import SharedBudgets, open_budgets
from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.migrate import migrate
from tests.store.test_engine import at_most, hung, processes

HYPERLIQUID = ExchangeId("hyperliquid")
CLOCK = SystemClock()


def make(pool: SharedBudgets, role: Role = "api", exchange: str = "hyperliquid") -> ExchangeBudget:
    adapter = get_adapter(exchange)
    return ExchangeBudget(adapter.exchange, adapter.capabilities.budget, CLOCK, pool=pool, role=role)


@pytest.fixture
async def pools(postgres_url: str) -> AsyncIterator[Callable[[], Awaitable[SharedBudgets]]]:
    """Makes one more process of the installation."""
    async with AsyncExitStack() as opened:
        yield lambda: opened.enter_async_context(open_budgets(postgres_url, CLOCK))


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def weights(url: str) -> list[tuple[str, int]]:
    return [
        (str(role), int(str(weight)))
        for role, weight in rows(url, "SELECT role, weight FROM budget_bookings ORDER BY id")
    ]


async def until(condition: Callable[[], bool], patience_s: float = 20) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


Pools = Callable[[], Awaitable[SharedBudgets]]


async def test_a_lease_is_a_row_and_what_is_left_of_it_is_given_back(pools: Pools, postgres_url: str) -> None:
    budget = make(await pools())
    await budget.spend(22)
    await budget.spend(5)
    assert weights(postgres_url) == [("api", 48)]
    assert budget.used == 48
    await until(lambda: budget.used == 27)
    assert weights(postgres_url) == [("api", 27)]
    ((left,),) = rows(postgres_url, "SELECT extract(epoch FROM counts_until - clock_timestamp()) FROM budget_bookings")
    assert 50 < float(str(left)) <= 66


async def test_processes_never_hold_more_than_the_allowance(pools: Pools, postgres_url: str) -> None:
    budgets = [make(await pools()) for _ in range(3)]
    waits: list[float] = []

    async def greedy(budget: ExchangeBudget) -> int:
        spent = 0
        while True:
            try:
                await budget.spend(7)
            except UpstreamRateLimited as refused:
                waits.append(refused.retry_after_s or 0)
                return spent
            spent += 7

    spent = await asyncio.gather(*map(greedy, budgets))
    assert 800 < sum(spent) <= 864
    assert all(0 < wait_s <= 67 for wait_s in waits)
    assert min(spent) > 0
    syncer = make(await pools(), "syncer")
    assert await greedy(syncer) >= 91
    ((held,),) = rows(postgres_url, "SELECT sum(weight) FROM budget_bookings")
    assert 900 < int(str(held)) <= 960


async def test_bookings_outlive_their_process(postgres_url: str) -> None:
    async with open_budgets(postgres_url, CLOCK) as pool:
        await make(pool).spend(800)
    async with open_budgets(postgres_url, CLOCK) as pool:
        with pytest.raises(UpstreamRateLimited):
            await make(pool).spend(65)
        await make(pool).spend(64)


async def test_a_process_that_ends_gives_back_what_it_has_not_spent(postgres_url: str) -> None:
    async with open_budgets(postgres_url, CLOCK) as pool:
        await make(pool).spend(2)
    assert weights(postgres_url) == [("api", 2)]


async def test_what_has_ended_is_removed(pools: Pools, postgres_url: str) -> None:
    budget = make(await pools(), exchange="coinbase")
    await budget.spend(3)
    assert weights(postgres_url) == [("api", 3)]
    await until(lambda: weights(postgres_url) == [])


async def test_nothing_is_written_while_nothing_is_asked(
    pools: Pools, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketdata.store.budgets.LOOK_S", 0.1)
    budget = make(await pools())
    await budget.spend(1)
    await until(lambda: budget.used == 1)

    async def writes() -> int:
        """Transactions that wrote during a few looks, beside this question's own."""
        numbers = []
        for _ in range(2):
            numbers.append(int(str(rows(postgres_url, "SELECT pg_current_xact_id()::text")[0][0])))
            await asyncio.sleep(0.5)
        return numbers[1] - numbers[0] - 1

    # once is enough: now and then the server itself writes, but whoever wrote at each look would do so every time
    assert 0 in [await writes() for _ in range(2)]


async def test_a_ban_is_known_to_the_others_at_once_and_to_those_that_come_later(pools: Pools) -> None:
    one, other = make(await pools()), make(await pools())
    await other.spend(1)
    await one.silence(UpstreamBanned(HYPERLIQUID, None))
    await until(lambda: other.banned_until_ms is not None, patience_s=0.9)  # sooner than it would look by itself
    with pytest.raises(UpstreamBanned):
        await other.spend(1)
    later = make(await pools())
    with pytest.raises(UpstreamBanned) as caught:
        await later.spend(1)
    assert caught.value.until_ms == pytest.approx(CLOCK.now_ms() + 120_000, abs=10_000)


async def test_a_shorter_silence_leaves_a_longer_one_of_others(pools: Pools, postgres_url: str) -> None:
    one, other = await pools(), await pools()
    await make(one).silence(UpstreamRateLimited(HYPERLIQUID, 60))
    await ExchangeBudget(HYPERLIQUID, get_adapter("hyperliquid").capabilities.budget, CLOCK, pool=other).silence(
        UpstreamRateLimited(HYPERLIQUID, 3)
    )
    assert rows(postgres_url, "SELECT kind, length_ms FROM budget_silences") == [("limited", 60_000)]


async def test_processes_are_counted_while_they_live(
    pools: Pools, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketdata.store.budgets._PRESENCE_LOOKS", 2)
    monkeypatch.setattr("marketdata.store.budgets.LOOK_S", 0.1)
    one = await pools()
    async with open_budgets(postgres_url, CLOCK) as other:
        await until(lambda: one.processes == 2)
        assert other.processes == 2
    await until(lambda: one.processes == 1)


async def test_a_report_beyond_the_books_counts_for_all(pools: Pools, postgres_url: str) -> None:
    one, other = make(await pools(), exchange="binance_futures"), make(await pools(), exchange="binance_futures")
    now_ms = 1767225600000 + 10_000
    one.exchange_time = other.exchange_time = lambda: now_ms
    await one.spend(96)
    one.reported(1000, sent_at=CLOCK.monotonic())
    await until(lambda: weights(postgres_url) == [("api", 96), ("foreign", 904)])
    await until(lambda: other.used == 1000)
    with pytest.raises(UpstreamRateLimited) as caught:
        await other.spend(921)
    assert caught.value.retry_after_s == pytest.approx(50, abs=5)
    one.reported(1000, sent_at=CLOCK.monotonic())
    await one.spend(96)
    assert weights(postgres_url) == [("api", 96), ("foreign", 904), ("api", 96)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server that may be hurt."""
    folder = tmp_path_factory.mktemp("hurt")
    with EmbeddedPostgres(folder, ["fsync=off"]).use() as url:
        migrate(url)
        yield url, folder / "postgres"


class TestWithoutTheDatabase:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("UNSURE_S", "GRACE_S"):
            monkeypatch.setattr(f"marketdata.store.budgets.{name}", 1.0)

    async def test_a_server_that_hangs_costs_a_caller_little_and_then_there_are_shares(
        self, server: tuple[str, Path]
    ) -> None:
        async with open_budgets(server[0], CLOCK) as one, open_budgets(server[0], CLOCK) as other:
            await until(lambda: one.processes == other.processes == 2)
            budget = make(one)
            await budget.spend(1)
            with hung(server[1]):
                with at_most(5):
                    await budget.spend(60)
                assert CLOCK.monotonic() > one.shares_from
                with at_most(1):
                    for _ in range(34):
                        await budget.spend(10)
                with pytest.raises(UpstreamRateLimited) as caught:
                    await budget.spend(20)
                assert caught.value.retry_after_s is not None
                assert caught.value.retry_after_s > 40
                await budget.silence(UpstreamBanned(HYPERLIQUID, None))
            # all that it learnt meanwhile is written when the server is back
            await until(lambda: make(other).banned_until_ms is not None)
            await until(lambda: make(other).used >= 401)
            await until(lambda: one.is_reachable and other.is_reachable)

    async def test_a_server_that_is_killed_and_comes_back_costs_no_more_than_that(
        self, server: tuple[str, Path]
    ) -> None:
        async with open_budgets(server[0], CLOCK) as pool:
            budget = make(pool, exchange="binance_futures")
            await budget.spend(1)
            os.kill(processes(server[1])[0], signal.SIGKILL)
            await until(lambda: not pool.is_reachable)
            await until(lambda: pool.is_reachable)
            await budget.spend(100)
        booked = "SELECT sum(weight) FROM budget_bookings WHERE exchange = 'binance_futures'"
        assert rows(server[0], booked) == [(101,)]

    async def test_a_service_starts_without_the_server_and_asks_nothing_until_it_is_there(self, tmp_path: Path) -> None:
        async with open_budgets(f"postgresql://someone@/nothing?host={tmp_path}", CLOCK) as pool:
            with pytest.raises(DatabaseUnavailable):
                await make(pool).spend(1)
