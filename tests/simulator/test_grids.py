"""Where candles open."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.simulator.grids import DAY_MS, Grid, Months, Steps, ceiling

MONDAYS = Steps(7 * DAY_MS, 4 * DAY_MS)


def at_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    "grid, moment, opened",
    [
        (Steps(3_600_000), "2026-03-15T12:34", "2026-03-15T12:00"),
        (MONDAYS, "2024-06-16T23:59", "2024-06-10"),
        (Steps(7 * DAY_MS), "2024-06-16", "2024-06-13"),
        (Months(), "2024-02-29T12:00", "2024-02-01"),
        (Months(), "2024-12-31T23:59", "2024-12-01"),
    ],
)
def test_a_moment_belongs_to_the_candle_that_opened_before_it(grid: Grid, moment: str, opened: str) -> None:
    assert grid.open_ms(grid.index(at_ms(moment))) == at_ms(opened)


@given(st.sampled_from([Steps(60_000), MONDAYS, Months()]), st.integers(0, 4 * 10**12))
def test_indexes_and_opens_fit(grid: Grid, moment_ms: int) -> None:
    index = grid.index(moment_ms)
    assert grid.open_ms(index) <= moment_ms < grid.open_ms(index + 1)
    assert grid.open_ms(ceiling(grid, moment_ms)) >= moment_ms
    assert grid.open_ms(ceiling(grid, moment_ms) - 1) < moment_ms
