import asyncio

import pytest

from marketdata.core.errors import AlreadyRunning
from marketdata.core.models import ExchangeId, Interval, IntervalSpec
from marketdata.store.engine import Database
from marketdata.store.exchanges import (
    ExchangeState,
    list_exchanges,
    list_intervals,
    lock_exchange,
    record_sync,
    replace_intervals,
    syncing,
    upsert_exchange,
)

COINBASE, HYPERLIQUID = ExchangeId("coinbase"), ExchangeId("hyperliquid")
MINUTE = IntervalSpec(interval=Interval.MIN_1, token="60", anchor="epoch", offset_ms=0)
WEEK = IntervalSpec(interval=Interval.WEEK_1, token="1w", anchor="epoch", offset_ms=345600000)
MONTH = IntervalSpec(interval=Interval.MONTH_1, token="1M", anchor="month", offset_ms=None)


async def test_generation_and_time_of_the_last_sync(database: Database) -> None:
    async with database.transaction() as connection:
        await upsert_exchange(connection, HYPERLIQUID, "http://h")
        await upsert_exchange(connection, COINBASE, "http://c")
        assert await record_sync(connection, COINBASE, 1767225600001, changed=True) == 1
        assert await record_sync(connection, COINBASE, 1767225600002, changed=False) == 1
        assert await record_sync(connection, COINBASE, 1767225600003, changed=True) == 2
        await upsert_exchange(connection, COINBASE, "http://other")
        assert await list_exchanges(connection) == [
            ExchangeState(COINBASE, "http://other", 2, 3, 1767225600001, 1767225600003),
            ExchangeState(HYPERLIQUID, "http://h", 0, 0, None, None),
        ]


async def test_one_sync_of_an_exchange_at_a_time(database: Database) -> None:
    async with syncing(database, COINBASE), syncing(database, HYPERLIQUID):
        with pytest.raises(AlreadyRunning, match="another sync of coinbase"):
            async with syncing(database, COINBASE):
                pytest.fail("two at once")
    async with syncing(database, COINBASE):
        pass


async def test_the_right_to_sync_ends_with_a_failure(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with syncing(database, COINBASE):
            raise RuntimeError
    async with asyncio.timeout(5):
        while True:
            try:
                async with syncing(database, COINBASE):
                    return
            except AlreadyRunning:
                await asyncio.sleep(0.01)


async def test_one_is_applied_at_a_time(database: Database) -> None:
    async with database.transaction() as first:
        await lock_exchange(first, COINBASE)
        async with database.transaction() as second:
            await lock_exchange(second, HYPERLIQUID)
            with pytest.raises(AlreadyRunning, match="another sync of coinbase"):
                await lock_exchange(second, COINBASE)
    async with database.transaction() as third:
        await lock_exchange(third, COINBASE)


async def test_intervals_come_go_and_change(database: Database) -> None:
    changed = WEEK.model_copy(update={"anchor": None, "offset_ms": None})
    async with database.transaction() as connection:
        await upsert_exchange(connection, COINBASE, "http://c")
        await upsert_exchange(connection, HYPERLIQUID, "http://h")
        await replace_intervals(connection, HYPERLIQUID, [], [MONTH], 1000)
        await replace_intervals(connection, COINBASE, [], [MONTH, WEEK], 1000)
        await replace_intervals(connection, COINBASE, [], [], 1500)
        await replace_intervals(connection, COINBASE, [WEEK, MONTH], [MINUTE, changed], 2000)
        await replace_intervals(connection, COINBASE, [MINUTE], [], 3000)
        assert await list_intervals(connection, COINBASE) == [changed]
        assert await list_intervals(connection, HYPERLIQUID) == [MONTH]
        known = {at: await list_intervals(connection, COINBASE, at) for at in (999, 1000, 1999, 2000, 2999, 3000)}
    assert known == {
        999: [],
        1000: [WEEK, MONTH],
        1999: [WEEK, MONTH],
        2000: [MINUTE, changed],
        2999: [MINUTE, changed],
        3000: [changed],
    }


async def test_exchanges_are_first_seen_by_two_at_once(database: Database) -> None:
    async def see() -> None:
        async with database.transaction() as connection:
            await upsert_exchange(connection, COINBASE, "http://c")

    await asyncio.gather(*(see() for _ in range(5)))
