import random

import pytest

from marketdata.core.clock import ManualClock
from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamBlocked,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from marketdata.core.fetch.breaker import FAILURES_TO_OPEN, FIRST_REST_S, LONGEST_REST_S, Breaker
from marketdata.core.models import ExchangeId

X = ExchangeId("x")
DOWN = UpstreamUnavailable(X, "nothing listens there")


class Middle(random.Random):
    """No jitter."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1767225600000)


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker(X, clock, Middle())


def fail(breaker: Breaker, error: UpstreamError = DOWN, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(type(error)) as caught, breaker.watch():
            raise error
        assert caught.value is error


def is_refused(breaker: Breaker) -> float | None:
    """The seconds until the next probe; None when the call is let through (and then succeeds)."""
    call = breaker.watch()
    try:
        call.__enter__()
    except UpstreamUnavailable as error:
        return error.retry_after_s
    call.__exit__(None, None, None)
    return None


@pytest.mark.parametrize("error", [DOWN, UpstreamTimeout(X, 5), UpstreamBlocked(X, 403)])
def test_failures_in_a_row_open_it(breaker: Breaker, error: UpstreamError) -> None:
    fail(breaker, error, FAILURES_TO_OPEN - 1)
    was_open = breaker.is_open
    fail(breaker, error)
    assert (was_open, breaker.is_open) == (False, True)
    with pytest.raises(UpstreamError) as caught, breaker.watch():
        pytest.fail("let through")
    assert caught.value is not error


def test_a_good_answer_between_them_begins_the_count_anew(breaker: Breaker) -> None:
    for _ in range(3):
        fail(breaker, times=FAILURES_TO_OPEN - 1)
        assert is_refused(breaker) is None
    fail(breaker, times=FAILURES_TO_OPEN - 1)
    with pytest.raises(UpstreamRefused), breaker.watch():
        raise UpstreamRefused(X, "unknown coin")  # an answer, too
    fail(breaker, times=FAILURES_TO_OPEN - 1)
    was_open = breaker.is_open
    fail(breaker)
    assert (was_open, breaker.is_open) == (False, True)


def test_the_rest_begins_with_the_failure_that_opens_it(breaker: Breaker, clock: ManualClock) -> None:
    for _ in range(FAILURES_TO_OPEN):
        clock.advance(4000)
        fail(breaker)
    assert is_refused(breaker) == FIRST_REST_S == 5.0
    clock.advance(60_000)  # nobody asked for long: the next one is the probe
    assert is_refused(breaker) is None


@pytest.mark.parametrize("error", [UpstreamBadData(X, "bad"), UpstreamRateLimited(X, 1)])
def test_what_says_nothing_about_health_changes_nothing(breaker: Breaker, error: UpstreamError) -> None:
    fail(breaker, error, 2 * FAILURES_TO_OPEN)
    assert not breaker.is_open
    fail(breaker, times=FAILURES_TO_OPEN - 1)
    fail(breaker, error)
    fail(breaker)
    assert breaker.is_open


def test_a_probe_that_brings_bad_data_begins_the_rest_anew(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, times=FAILURES_TO_OPEN)
    clock.advance(5000)
    fail(breaker, UpstreamBadData(X, "a page in its place"))
    assert is_refused(breaker) == 10.0
    clock.advance(10_000)
    fail(breaker, UpstreamRateLimited(X, 1))  # nothing was asked
    with pytest.raises(UpstreamRefused), breaker.watch():
        raise UpstreamRefused(X, "unknown coin")
    assert not breaker.is_open


def test_looking_whether_calls_may_be_made_takes_no_probe(breaker: Breaker, clock: ManualClock) -> None:
    breaker.check()
    fail(breaker, times=FAILURES_TO_OPEN)
    with pytest.raises(UpstreamUnavailable):
        breaker.check()
    clock.advance(5000)
    breaker.check()
    with breaker.watch(), pytest.raises(UpstreamUnavailable):
        breaker.check()
    breaker.check()


def test_what_does_not_prove_health_does_not_close_it(breaker: Breaker) -> None:
    fail(breaker, times=FAILURES_TO_OPEN - 1)
    with breaker.watch(proves_health=False):
        pass
    fail(breaker)
    assert breaker.is_open


def test_open_it_says_when_and_why(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, times=FAILURES_TO_OPEN)
    clock.advance(2000)
    with pytest.raises(UpstreamUnavailable) as caught, breaker.watch():
        pytest.fail("let through")
    assert caught.value.retry_after_s == FIRST_REST_S - 2
    assert str(caught.value) == (
        "x: has failed 5 times in a row and is left alone for a moment; the last time: nothing listens there"
    )


def test_a_block_is_told_as_a_block(breaker: Breaker) -> None:
    fail(breaker, UpstreamBlocked(X, 451), FAILURES_TO_OPEN)
    with pytest.raises(UpstreamBlocked, match="451"), breaker.watch():
        pytest.fail("let through")


def test_after_the_rest_one_probe_is_let_through_and_closes_it(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, times=FAILURES_TO_OPEN)
    clock.advance(round(FIRST_REST_S * 1000) - 1)
    assert is_refused(breaker) == 1.0  # at least that long
    clock.advance(1)
    with breaker.watch():
        assert is_refused(breaker) == 1.0  # one at a time
    assert not breaker.is_open
    assert is_refused(breaker) is None


def test_rests_double_with_each_probe_that_fails(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, times=FAILURES_TO_OPEN)
    rests = [is_refused(breaker)]
    for _ in range(3):
        clock.advance(round((rests[-1] or 0) * 1000))
        fail(breaker)
        rests.append(is_refused(breaker))
    assert rests == [5, 10, 15, 15]
    clock.advance(round(LONGEST_REST_S * 1000))
    assert is_refused(breaker) is None
    fail(breaker, times=FAILURES_TO_OPEN)
    assert is_refused(breaker) == FIRST_REST_S  # a good answer has made it forget


def test_calls_that_were_on_their_way_when_it_opened_lengthen_no_rest(breaker: Breaker, clock: ManualClock) -> None:
    on_their_way = [breaker.watch() for _ in range(20)]
    for call in on_their_way:
        call.__enter__()
    for number, call in enumerate(on_their_way, 1):
        assert not call.__exit__(type(DOWN), DOWN, None)
        clock.advance(100 if number >= FAILURES_TO_OPEN else 0)
    assert is_refused(breaker) == pytest.approx(FIRST_REST_S - 1.6)
    clock.advance(round(FIRST_REST_S * 1000) - 1600)
    assert is_refused(breaker) is None


def test_a_probe_that_is_given_up_makes_room_for_the_next(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, times=FAILURES_TO_OPEN)
    clock.advance(round(FIRST_REST_S * 1000))
    with pytest.raises(KeyboardInterrupt), breaker.watch():
        raise KeyboardInterrupt
    assert breaker.is_open
    assert is_refused(breaker) is None


@pytest.mark.parametrize("end,rest_s", [(0, 0.8 * FIRST_REST_S), (1, 1.2 * FIRST_REST_S)])
def test_rests_differ_by_up_to_a_fifth(clock: ManualClock, end: int, rest_s: float) -> None:
    class Extreme(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return (a, b)[end]

    breaker = Breaker(X, clock, Extreme())
    fail(breaker, times=FAILURES_TO_OPEN)
    assert is_refused(breaker) == pytest.approx(rest_s)
