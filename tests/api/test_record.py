"""Where the time of a request goes, on a clock that the test moves."""

import pytest

from marketdata.api.record import RequestRecord, record_of, recording, waiting_for
from marketdata.core.clock import ManualClock
from tests.api.conftest import Api


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000)


def test_what_is_no_waiting_is_the_applications_own(clock: ManualClock) -> None:
    record = RequestRecord("r", clock)
    clock.advance(5)
    with record.waiting("upstream"):
        clock.advance(70)
    with record.waiting("db"):
        clock.advance(20)
    with record.waiting("upstream"):
        clock.advance(30)
    clock.advance(3)
    assert record.server_timing() == b"upstream;dur=100.00, db;dur=20.00, app;dur=8.00"
    assert record.duration_ms == pytest.approx(128)


def test_what_is_waited_for_side_by_side_counts_once(clock: ManualClock) -> None:
    record = RequestRecord("r", clock)
    first, second, third = record.waiting("db"), record.waiting("db"), record.waiting("upstream")
    first.__enter__()
    clock.advance(10)
    second.__enter__()
    clock.advance(10)
    first.__exit__(None, None, None)
    third.__enter__()
    clock.advance(10)
    second.__exit__(None, None, None)
    clock.advance(10)
    third.__exit__(None, None, None)
    clock.advance(1)
    assert record.server_timing() == b"db;dur=30.00, upstream;dur=20.00, app;dur=1.00"


def test_waiting_ends_with_a_failure(clock: ManualClock) -> None:
    record = RequestRecord("r", clock)
    waiting = record.waiting("db")
    waiting.__enter__()
    clock.advance(7)
    assert not waiting.__exit__(ValueError, ValueError("no"), None)
    clock.advance(2)
    assert record.server_timing() == b"db;dur=7.00, app;dur=2.00"


def test_waiting_counts_for_the_request_that_is_being_answered(clock: ManualClock) -> None:
    outer, inner = RequestRecord("outer", clock), RequestRecord("inner", clock)
    with waiting_for("db"):  # of no request at all
        clock.advance(50)
    scope: dict[str, object] = {}
    with recording(scope, outer):
        assert record_of(scope) is outer
        with recording({}, inner), waiting_for("db"):
            clock.advance(10)
        with waiting_for("upstream"):
            clock.advance(3)
    assert outer.waits.keys() == {"upstream"}
    assert inner.waits["db"].total_s == pytest.approx(0.01)


async def test_each_answer_says_where_its_time_went(api: Api) -> None:
    for path, parts in (
        ("/v1/exchanges", ["app"]),
        ("/v1/events", ["db", "app"]),
        ("/v1/candles/coinbase/BTC-USD/1h", ["upstream", "app"]),
        ("/v1/nothing", ["app"]),
    ):
        answer = await api.get(path)
        timing = answer.headers["server-timing"]
        assert [part.partition(";")[0] for part in timing.split(", ")] == parts, path
        assert all(float(part.partition("dur=")[2]) >= 0 for part in timing.split(", "))
