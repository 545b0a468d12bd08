"""A client's requests, one by one, as the gate sees them; alone on a clock that stands still."""

import pytest

from marketdata.api.limits import Limits, Visit
from marketdata.api.problems import Problem
from marketdata.core.clock import ManualClock
from marketdata.core.limits import OwnRates
from marketdata.core.limits.limiter import BUSY_S


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1767225600000)


@pytest.fixture
def limits(clock: ManualClock) -> Limits:
    return Limits(OwnRates(clock), clock, lambda client_id: (4, 100) if client_id == "c" else (1, 1), 2)


def counts(limits: Limits) -> tuple[int, int, int]:
    counted = limits.usage.of("c")
    return counted.requests, counted.candles, counted.limited


async def enter(limits: Limits) -> Visit:
    visit = Visit(limits, "c")
    await visit.enter()
    return visit


async def test_one_visit(limits: Limits, clock: ManualClock) -> None:
    visit = await enter(limits)
    assert limits.at_once == {"c": 1}
    await visit.reserve_candles(60)
    clock.advance(1)
    assert visit.headers() == (
        (b"ratelimit-policy", b'"requests";q=4;w=60, "candles";q=100;w=60'),
        (b"ratelimit", b'"requests";r=3;t=60, "candles";r=40;t=60'),
    )
    visit.serve_candles(25)
    clock.advance(1_000)
    assert visit.headers()[1][1] == b'"requests";r=3;t=59, "candles";r=75;t=59'
    visit.leave()
    visit.leave()
    assert limits.at_once == {}
    assert counts(limits) == (1, 25, 0)
    clock.advance(60_000)
    assert visit.headers()[1][1].endswith(b"t=0")


async def test_so_many_at_once(limits: Limits) -> None:
    visits = [await enter(limits) for _ in range(2)]
    third = Visit(limits, "c")
    with pytest.raises(Problem) as refused:
        await third.enter()
    assert (refused.value.code, refused.value.members) == ("rate-limited", {"retry_after": 1})
    assert refused.value.detail.startswith("At most 2 requests")
    third.leave()
    assert limits.at_once == {"c": 2}
    other = Visit(limits, "d")
    await other.enter()
    visits[0].leave()
    assert limits.at_once == {"c": 1, "d": 1}
    await enter(limits)
    assert counts(limits) == (4, 0, 1)


async def test_so_many_in_a_minute(limits: Limits, clock: ManualClock) -> None:
    for _ in range(4):
        (await enter(limits)).leave()
    clock.advance(30_500)
    fifth = Visit(limits, "c")
    with pytest.raises(Problem) as refused:
        await fifth.enter()
    assert refused.value.members == {"retry_after": 30, "max": 0}
    assert limits.at_once == {"c": 1}  # it is still to be answered
    fifth.leave()
    assert counts(limits) == (5, 0, 1)


async def test_so_many_candles(limits: Limits) -> None:
    visit = await enter(limits)
    await visit.reserve_candles(60)
    other = await enter(limits)
    with pytest.raises(Problem) as refused:
        await other.reserve_candles(41)
    assert refused.value.members == {"retry_after": 60, "max": 40}
    assert "40 candles are left" in refused.value.detail
    other.leave()
    visit.leave()
    visit = await enter(limits)
    await visit.reserve_candles(100)
    visit.serve_candles(100)
    visit.leave()
    assert counts(limits) == (3, 100, 1)
    assert visit.headers()[1][1].startswith(b'"requests";r=1;t=60, "candles";r=0')


async def test_what_was_reserved_in_another_minute_is_not_given_back(limits: Limits, clock: ManualClock) -> None:
    visit = await enter(limits)
    await visit.reserve_candles(60)
    clock.advance(60_000)
    await (await enter(limits)).reserve_candles(1)
    visit.serve_candles(0)
    assert visit.headers()[1][1] == b'"requests";r=3;t=60, "candles";r=99;t=60'


async def test_when_nobody_can_say_it_is_said(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = await enter(limits)

    async def in_vain(*_: object) -> float:
        return BUSY_S

    monkeypatch.setattr(limits.limiter, "take", in_vain)
    with pytest.raises(Problem) as refused:
        await visit.reserve_candles(10)
    assert refused.value.members == {"retry_after": 1}
    visit._meter.go_on_credit(1000)
    with pytest.raises(Problem) as refused:
        await visit.reserve_candles(10)
    assert refused.value.members == {"retry_after": 1}
    assert "cannot be found out" in refused.value.detail
