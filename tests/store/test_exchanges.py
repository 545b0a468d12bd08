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
    upsert_exchange,
    upsert_intervals,
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
            ExchangeState(COINBASE, "http://other", 2, 1767225600003),
            ExchangeState(HYPERLIQUID, "http://h", 0, None),
        ]


async def test_one_sync_of_an_exchange_at_a_time(database: Database) -> None:
    async with database.transaction() as first:
        await lock_exchange(first, COINBASE)
        async with database.transaction() as second:
            await lock_exchange(second, HYPERLIQUID)
            with pytest.raises(AlreadyRunning, match="another sync of coinbase"):
                await lock_exchange(second, COINBASE)
    async with database.transaction() as third:
        await lock_exchange(third, COINBASE)


async def test_intervals_become_what_is_given(database: Database) -> None:
    async with database.transaction() as connection:
        await upsert_exchange(connection, COINBASE, "http://c")
        await upsert_exchange(connection, HYPERLIQUID, "http://h")
        assert await upsert_intervals(connection, HYPERLIQUID, [MONTH])
        assert await upsert_intervals(connection, COINBASE, [MONTH, WEEK])
        assert not await upsert_intervals(connection, COINBASE, [WEEK, MONTH])
        changed = WEEK.model_copy(update={"anchor": None, "offset_ms": None})
        assert await upsert_intervals(connection, COINBASE, [changed, MINUTE])
        assert await list_intervals(connection, COINBASE) == [MINUTE, changed]
        assert await list_intervals(connection, HYPERLIQUID) == [MONTH]
        assert await upsert_intervals(connection, COINBASE, [])
        assert await list_intervals(connection, COINBASE) == []


async def test_exchanges_are_first_seen_by_two_at_once(database: Database) -> None:
    async def see() -> None:
        async with database.transaction() as connection:
            await upsert_exchange(connection, COINBASE, "http://c")

    await asyncio.gather(*(see() for _ in range(5)))
