"""The exchange's time as it is carried on: fresh samples are taken, and dull ones do not replace sharp ones."""

import asyncio

import pytest

from marketdata.core.clock import ManualClock
from marketdata.core.errors import UpstreamTimeout
from marketdata.core.fetch.exchange_time import VALID_S, ExchangeTime
from marketdata.core.models import ExchangeId

T0 = 1767225600000
VALID_MS = round(VALID_S * 1000)
RETRY_MS = 60_000


class Exchange:
    """One whose clock is `ahead_ms` ahead of ours, and whose answers take `takes_s` on their way to us."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.ahead_ms = 0
        self.takes_s = 0.0
        self.is_down = False
        self.asked = 0

    async def ask(self) -> int:
        self.asked += 1
        if self.is_down:
            raise UpstreamTimeout(ExchangeId("x"), 5.0)
        told_ms = self.clock.now_ms() + self.ahead_ms
        await self.clock.sleep(self.takes_s)
        return told_ms


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
def exchange(clock: ManualClock) -> Exchange:
    return Exchange(clock)


async def refresh(time: ExchangeTime, exchange: Exchange) -> int:
    """Ask once and let the sample that is due be taken; how often that asked the exchange."""
    before = exchange.asked
    await time.now_ms()
    for _ in range(9):
        await asyncio.sleep(0)
    return exchange.asked - before


async def test_a_slow_answer_does_not_set_the_time_back(clock: ManualClock, exchange: Exchange) -> None:
    time = ExchangeTime(clock, exchange.ask)
    assert await time.now_ms() == clock.now_ms()
    clock.advance(VALID_MS)
    exchange.takes_s = 4.0
    assert await refresh(time, exchange) == 1
    assert (await time.now_ms(), time.known_ms()) == (clock.now_ms(), clock.now_ms())
    clock.advance(RETRY_MS - 1)
    assert await refresh(time, exchange) == 0
    clock.advance(1)
    exchange.takes_s = 0.5  # sharp enough again
    assert await refresh(time, exchange) == 1
    assert await time.now_ms() == clock.now_ms() - 500
    clock.advance(VALID_MS - 1)
    assert await refresh(time, exchange) == 0


async def test_a_slow_answer_replaces_one_that_was_slower(clock: ManualClock, exchange: Exchange) -> None:
    exchange.takes_s = 4.0
    time = ExchangeTime(clock, exchange.ask)
    assert await time.now_ms() == clock.now_ms() - 4000
    for takes_s, behind_ms in ((5.0, 4000), (4.0, 4000), (2.0, 2000), (3.0, 2000)):
        clock.advance(VALID_MS)
        exchange.takes_s = takes_s
        assert await refresh(time, exchange) == 1
        assert await time.now_ms() == clock.now_ms() - behind_ms


@pytest.mark.parametrize("ahead_ms", [-10_000, 10_000])
async def test_a_slow_answer_is_believed_where_the_time_was_wrong(
    clock: ManualClock, exchange: Exchange, ahead_ms: int
) -> None:
    time = ExchangeTime(clock, exchange.ask)
    await time.now_ms()
    clock.advance(VALID_MS)
    exchange.takes_s, exchange.ahead_ms = 4.0, ahead_ms  # it has set its clock
    assert await refresh(time, exchange) == 1
    assert await time.now_ms() == clock.now_ms() + ahead_ms - 4000


class SetClock(ManualClock):
    """A clock whose wall time somebody sets."""

    by_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.by_ms


async def test_a_slow_answer_is_believed_after_our_clock_was_set() -> None:
    ours = SetClock(T0)
    exchange = Exchange(ours)
    time = ExchangeTime(ours, exchange.ask)
    await time.now_ms()
    ours.by_ms = 3_600_000
    exchange.takes_s, exchange.ahead_ms = 4.0, -3_600_000
    assert time.known_ms() is None
    assert await time.now_ms() == ours.now_ms() - 3_600_000 - 4000
    assert exchange.asked == 2


async def test_a_failed_sample_is_not_taken_again_at_once(clock: ManualClock, exchange: Exchange) -> None:
    time = ExchangeTime(clock, exchange.ask)
    await time.now_ms()
    clock.advance(VALID_MS - 1)
    assert await refresh(time, exchange) == 0
    clock.advance(1)
    exchange.is_down = True
    assert [await refresh(time, exchange) for _ in range(3)] == [1, 0, 0]
    clock.advance(RETRY_MS - 1)
    assert await refresh(time, exchange) == 0
    clock.advance(1)
    assert [await refresh(time, exchange) for _ in range(3)] == [1, 0, 0]
