"""Whatever is asked, by however many processes: no exchange ever counts more than the allowance in a window."""

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.core.budget import ExchangeBudget, rule
from marketdata.core.budget.rule import Rule
from marketdata.core.clock import ManualClock
from marketdata.core.errors import UpstreamRateLimited
from marketdata.core.models import Budget, ExchangeId
from tests.built_in import ADAPTERS
from tests.core.budget.books import Books
from tests.core.budget.exchanges import most_counted

T0 = 1767225600000
CALL_S = 5.0
REAL = [(exchange, adapter.capabilities.budget) for exchange, adapter in ADAPTERS.items()]
SLIDING = (REAL[0][0], Budget(limit=100, window_s=60, window="sliding"))
FIXED = (REAL[0][0], Budget(limit=100, window_s=60, window="fixed"))


class Event(NamedTuple):
    """After a while, one of the processes asks for something, which is under way for a while."""

    pause_ms: int
    process: int
    weight: int
    under_way: float
    """As a part of the longest that a call may take."""


EVENTS = st.lists(
    st.builds(Event, st.integers(0, 4000), st.integers(0, 2), st.integers(1, 12), st.floats(0, 1)), max_size=80
)


async def run(
    budget: tuple[ExchangeId, Budget],
    events: list[Event],
    *,
    clock_error_ms: int,
    knows_time: bool = True,
    outages: frozenset[int] = frozenset(),
) -> float:
    """The most that the exchange counted. `outages`: at which events the books come and go."""
    name, limits = budget
    clock = ManualClock(T0)
    books = Books(clock)
    processes = [
        ExchangeBudget(name, limits, clock, pool=books.process(), role=role) for role in ("api", "api", "syncer")
    ]
    for process in processes:
        process.exchange_time = lambda: clock.now_ms() + clock_error_ms if knows_time else None
    arrivals = []
    for number, event in enumerate(events):
        if number in outages:
            for pool in books.processes:
                pool.look()
            books.is_up = not books.is_up
            for pool in books.processes * 2:
                pool.look()
        clock.advance(event.pause_ms)
        weight = min(event.weight, limits.limit // 4)
        try:
            await processes[event.process].spend(weight)
        except UpstreamRateLimited:
            continue
        late_s = 0.0 if limits.window == "bucket" else event.under_way * CALL_S
        arrivals.append((clock.now_ms() / 1000 + late_s, weight))
        if number % 7 == 0:
            books.processes[event.process].look()
    return most_counted(limits, arrivals)


@settings(deadline=None)
@given(
    st.sampled_from([*REAL, SLIDING, FIXED]),
    EVENTS,
    st.integers(-500, 500),
    st.booleans(),
    st.frozensets(st.integers(0, 79), max_size=4),
)
async def test_no_window_ever_holds_more_than_the_allowance(
    budget: tuple[ExchangeId, Budget],
    events: list[Event],
    clock_error_ms: int,
    knows_time: bool,  # noqa: FBT001
    outages: frozenset[int],
) -> None:
    counted = await run(budget, events, clock_error_ms=clock_error_ms, knows_time=knows_time, outages=outages)
    assert counted <= Rule(budget[1]).limit


HEAVY = [Event(500, number % 3, 12, number * 7 % 10 / 9) for number in range(400)]


@pytest.mark.parametrize("budget", [SLIDING, FIXED])
@pytest.mark.parametrize("outages", [frozenset[int](), frozenset({50, 120, 150, 300})])
async def test_under_a_heavy_load_the_allowance_is_used(
    budget: tuple[ExchangeId, Budget], outages: frozenset[int]
) -> None:
    counted = await run(budget, HEAVY, clock_error_ms=300, outages=outages)
    assert 60 <= counted <= 80


@pytest.mark.parametrize("budget", [SLIDING, FIXED])
@pytest.mark.parametrize("name,wrong", [("SHARE", 1.0), ("ARRIVAL_S", 0.0)])
async def test_a_wrong_rule_is_seen(
    budget: tuple[ExchangeId, Budget], name: str, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule, name, wrong)
    late = [Event(55_000, 2, 12, 1.0), *(Event(0, 2, 12, 1.0) for _ in range(8))]
    soon = [Event(61_000, 2, 12, 0.0), *(Event(0, 2, 12, 0.0) for _ in range(8))]
    assert await run(budget, [*late, *soon], clock_error_ms=0) > 80
