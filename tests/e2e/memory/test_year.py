"""The drawn year is one that a simulator can play, and has what a year has."""

from collections import Counter

import pytest

from marketdata.core.models import DAY_MS, HOUR_MS
from marketdata.simulator.faults import Faults
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import simulated
from tests.e2e.memory.year import BAD_LISTINGS, EXCHANGES, Numbers, listing_year

START_MS = 1_773_578_096_789
EVERY_MS = 6 * HOUR_MS


@pytest.mark.parametrize("seed", range(5))
def test_a_simulator_can_play_it(seed: int) -> None:
    year = listing_year(seed, START_MS)
    sources = simulated(scenario=Scenario(listing_changes=year.changes))
    assert sources.listings is not None
    assert tuple(sources.listings) == year.changes
    assert [fault.fault.kind for fault in Faults(year.faults)].count("status") == Numbers().outages
    assert {change.exchange for change in year.changes} == set(EXCHANGES)


def test_equal_seeds_draw_equal_years() -> None:
    assert listing_year(1, START_MS) == listing_year(1, START_MS) != listing_year(2, START_MS)


def test_all_of_it_is_in_that_year() -> None:
    year = listing_year(3, START_MS, days=100)
    assert year.end_ms == START_MS + 100 * DAY_MS
    assert all(START_MS <= change.from_ms < year.end_ms for change in year.changes)


def test_it_has_what_a_year_has() -> None:
    numbers, year = Numbers(), listing_year(4, START_MS, EVERY_MS)
    assert Counter(change.change for change in year.changes) == {
        "tick": numbers.ticks,
        "absent": numbers.short_absences + numbers.long_absences + numbers.returns + numbers.removals,
        "rename": numbers.renames,
        "replace": numbers.replacements,
        "status": numbers.statuses,
    }
    absences = [
        None if change.until_ms is None else change.until_ms - change.from_ms
        for change in year.changes
        if change.change == "absent"
    ]
    spans = [absence for absence in absences if absence is not None]
    assert absences.count(None) == numbers.removals
    assert sum(span <= 2 * EVERY_MS for span in spans) == numbers.short_absences
    assert sum(span >= 7 * DAY_MS for span in spans) >= numbers.returns
    assert len(spans) == numbers.short_absences + numbers.long_absences + numbers.returns
    assert {kind for kind in BAD_LISTINGS if any(fault.startswith(kind) for fault in year.faults)} == set(BAD_LISTINGS)
