"""A syncer that is killed leaves the old state or the new one, whenever that is."""

import math

import pytest

from tests.conftest import Postgres
from tests.e2e.memory.syncer import SUCCEEDED
from tests.e2e.memory.world import NOW_MS, PREFIXES, Ended, Syncers, copied, everything, running_syncers

LOCK_S = 2.0
"""A sync can be done again so soon after one was killed, its own time not counted."""


class Trials:
    """Syncs of one exchange from one state to the next, each killed somewhere."""

    def __init__(self, postgres: Postgres, syncers: Syncers, exchange: str, *, is_torn: bool = False) -> None:
        self._postgres, self._syncers, self._exchange, self._is_torn = postgres, syncers, exchange, is_torn
        self.statements = 0
        self.seconds = 0.0
        self.killed = 0
        self.half_applied = 0
        self.applied = 0
        self.slowest_s = 0.0

    async def prepare(self, *, is_first: bool = False) -> None:
        """Make the old state, and the new one to compare with."""
        self._base = self._postgres.make_database()
        if not is_first:
            ended = await self._syncers.sync(self._syncers.order(self._base, self._exchange))
            assert ended.status == SUCCEEDED
        self._old = everything(self._base)
        self._syncers.clock.set(NOW_MS)
        url = copied(self._postgres, self._base)
        ended = await self._syncers.sync(self._syncers.order(url, self._exchange, is_torn=self._is_torn))
        assert (ended.status, ended.statements is None) == (SUCCEEDED, False)
        self.statements, self.seconds = ended.statements or 0, ended.seconds
        self._new = everything(url)
        assert len(self._new["events"]) > len(self._old["events"]), "something has to change"
        self._postgres.drop_database(url)

    async def try_one(
        self, *, before: int | None = None, after: int | None = None, after_s: float | None = None
    ) -> Ended:
        """Kill a sync, see what is left, and sync again."""
        url = copied(self._postgres, self._base)
        order = self._syncers.order(url, self._exchange, kill_before=before, kill_after=after, is_torn=self._is_torn)
        ended = await self._syncers.sync(order, after_s)
        left = everything(url)
        self.killed += ended.status == -9
        self.half_applied += left not in (self._old, self._new)
        self.applied += left == self._new
        if not self._is_torn:
            again_s = await self._syncers.sync_again(url, self._exchange)
            self.slowest_s = max(self.slowest_s, again_s - self.seconds)
            synced = everything(url)
            assert {table: synced[table] for table in ("symbols", "versions", "events", "intervals")} == {
                table: self._new[table] for table in ("symbols", "versions", "events", "intervals")
            }
        self._postgres.drop_database(url)
        return ended

    async def try_statements(self, step: int = 1) -> None:
        """Kill one before and one after each statement, or each `step`-th, the last one among them."""
        for number in range(self.statements, 0, -step):
            assert (await self.try_one(before=number)).status == -9
            assert (await self.try_one(after=number)).status == -9

    async def try_instants(self, number: int) -> None:
        """Kill so many at random instants."""
        for _ in range(number):
            await self.try_one(after_s=self._syncers.chance.uniform(0, self.seconds))

    def __str__(self) -> str:
        return (
            f"{self._exchange}: {self.statements} statements, {self.killed} killed, {self.applied} found applied,"
            f" {self.half_applied} half applied; the next one waited {max(0.0, self.slowest_s):.2f} s at most"
        )


@pytest.mark.parametrize("exchange", PREFIXES)
async def test_a_killed_sync_leaves_the_old_or_the_new_state(postgres: Postgres, exchange: str) -> None:
    async with running_syncers() as syncers:
        trials = Trials(postgres, syncers, exchange)
        await trials.prepare()
        await trials.try_statements(step=7)
        await trials.try_instants(3)
    assert trials.half_applied == 0, trials
    assert 0 < trials.applied < trials.killed, trials
    assert trials.slowest_s < LOCK_S, trials


async def test_a_first_sync_that_is_killed_leaves_nothing_or_all(postgres: Postgres) -> None:
    async with running_syncers() as syncers:
        trials = Trials(postgres, syncers, "coinbase")
        await trials.prepare(is_first=True)
        await trials.try_statements(step=6)
    assert (trials.half_applied, trials.applied > 0) == (0, True), trials


async def test_a_syncer_without_transactions_is_seen(postgres: Postgres) -> None:
    async with running_syncers() as syncers:
        trials = Trials(postgres, syncers, "coinbase", is_torn=True)
        await trials.prepare()
        await trials.try_statements(step=4)
    assert trials.half_applied > trials.killed / 4, trials


@pytest.mark.long
@pytest.mark.parametrize("exchange", PREFIXES)
async def test_200_random_instants_and_every_statement(postgres: Postgres, exchange: str) -> None:
    async with running_syncers() as syncers:
        trials = Trials(postgres, syncers, exchange)
        await trials.prepare()
        await trials.try_statements()
        await trials.try_instants(math.ceil(200 / len(PREFIXES)))
    print(trials)
    assert trials.half_applied == 0, trials
    assert trials.slowest_s < LOCK_S, trials
