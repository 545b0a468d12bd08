import asyncio

import pytest

from marketdata.core.errors import UpstreamFailure
from marketdata.core.fetch.flight import Flights
from marketdata.core.models import ExchangeId


class Calls:
    """Calls that end when the test says so."""

    def __init__(self) -> None:
        self.made = 0
        self.cancelled = 0
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def call(self) -> str:
        self.made += 1
        try:
            return await asyncio.shield(self.outcome)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def test_those_who_want_the_same_share_one_call() -> None:
    flights: Flights[str, str] = Flights()
    calls = Calls()
    waiting = [asyncio.create_task(flights.join("a", calls.call)) for _ in range(10)]
    other = asyncio.create_task(flights.join("b", calls.call))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert calls.made == 2
    calls.outcome.set_result("done")
    assert await asyncio.gather(*waiting, other) == ["done"] * 11


async def test_after_it_has_landed_the_next_one_makes_a_call_of_its_own() -> None:
    flights: Flights[str, str] = Flights()
    calls = Calls()
    calls.outcome.set_result("done")
    assert [await flights.join("a", calls.call) for _ in range(3)] == ["done"] * 3
    assert calls.made == 3


async def test_a_failure_is_everyone_s_and_is_not_kept() -> None:
    flights: Flights[str, str] = Flights()
    calls = Calls()
    waiting = [asyncio.create_task(flights.join("a", calls.call)) for _ in range(10)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    failure = UpstreamFailure(ExchangeId("x"), 400)
    calls.outcome.set_exception(failure)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(outcome is failure for outcome in outcomes)
    assert calls.made == 1
    with pytest.raises(UpstreamFailure):
        await flights.join("a", calls.call)
    assert calls.made == 2


@pytest.mark.parametrize("many,leaving", [(10, 0), (10, 1), (10, 9), (2, 0), (2, 1)])
async def test_one_who_leaves_does_not_take_the_call_along(many: int, leaving: int) -> None:
    flights: Flights[str, str] = Flights()
    calls = Calls()
    waiting = [asyncio.create_task(flights.join("a", calls.call)) for _ in range(many)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting[leaving].cancel()
    await asyncio.sleep(0)
    calls.outcome.set_result("done")
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome != "done"] == [outcomes[leaving]]
    assert isinstance(outcomes[leaving], asyncio.CancelledError)
    assert (calls.made, calls.cancelled) == (1, 0)


async def test_the_last_one_to_leave_ends_the_call_and_the_next_begins_anew() -> None:
    flights: Flights[str, str] = Flights()
    calls = Calls()
    waiting = [asyncio.create_task(flights.join("a", calls.call)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    fresh = asyncio.create_task(flights.join("a", calls.call))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (calls.made, calls.cancelled) == (2, 1)
    calls.outcome.set_result("done")
    assert await fresh == "done"


async def test_a_shared_failure_does_not_gather_the_traces_of_all() -> None:
    flights: Flights[str, str] = Flights()
    calls = Calls()
    waiting = [asyncio.create_task(flights.join("a", calls.call)) for _ in range(50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calls.outcome.set_exception(UpstreamFailure(ExchangeId("x"), 400))
    outcome, *_ = await asyncio.gather(*waiting, return_exceptions=True)
    depth, trace = 0, outcome.__traceback__ if isinstance(outcome, BaseException) else None
    while trace is not None:
        depth, trace = depth + 1, trace.tb_next
    assert 0 < depth < 10
