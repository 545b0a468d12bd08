"""The rule by which an answer is true.

The exchange is asked in several calls, each at a moment of its own, and between them it goes on. So an answer is the
truth of a moment between the beginning and the end of its request, and where a candle differed at the moments at which
the exchange was asked (it formed, was late, was still corrected, or slid out of what the exchange keeps), it may be as
it was at any of them. A candle that is said to be closed is as it was at a moment after its close. All others must be
there, exactly. Our idea of the exchange's time may be behind by as long as the call for it took, on Hyperliquid by a
second more, as it tells whole seconds only: so long ago a candle that has closed since may still be left out or said
to be forming. It is never ahead.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from marketdata.core.models import Candle, Interval
from marketdata.simulator.sources import Sources
from marketdata.simulator.truth import truth
from tests.e2e.truth.asked import Asked

COLUMNS = [name for name in Candle.__struct_fields__ if name != "is_closed"]

type Row = tuple[Any, ...]


class Moments(NamedTuple):
    """When a page was asked for; all by the exchange's time, epoch ms."""

    sure_ms: int
    """What had closed by then is told as closed; of a first page, whose range the later ones keep."""
    ended_ms: int
    """When that first page came."""
    calls_ms: Sequence[int]
    """When the exchange was asked for candles, for this page."""


class Slot(NamedTuple):
    """One candle that may be in an answer."""

    open_ms: int
    close_ms: int
    seen: frozenset[tuple[int, Row]]
    """What it was, and when."""
    always: bool
    """Whether it was there at all the moments."""

    def is_due(self, asked: Asked, moments: Moments) -> bool:
        """Whether it must be in the answer."""
        return self.always and (self.open_ms if asked.include_partial else self.close_ms) <= moments.sure_ms

    def complaint(self, row: dict[str, Any], asked: Asked, moments: Moments) -> str | None:
        """What is wrong with `row`, which has its open time."""
        values = tuple(row[name] for name in COLUMNS)
        after = self.close_ms if row["is_closed"] else 0
        if not any(values == was and at_ms >= after for at_ms, was in self.seen):
            return f"{row} is not what it was: {sorted(self.seen)}"
        if not row["is_closed"] and (not asked.include_partial or self.close_ms <= moments.sure_ms):
            return f"{row} had closed"
        return None


def slots(sources: Sources, asked: Asked, start_ms: int, end_ms: int, moments: Moments) -> list[Slot]:
    """All that may be in an answer about `start_ms ≤ open_time < end_ms`, ascending."""
    calls = sorted(set(moments.calls_ms))
    if not calls:
        return []
    scenario, interval = sources.scenario, asked.interval

    def at(first_ms: int, until_ms: int, now_ms: int) -> list[Candle]:
        return truth(
            sources,
            asked.exchange,
            asked.symbol,
            interval,
            max(first_ms, start_ms),
            min(until_ms, end_ms),
            now_ms,
            prelisting=asked.include_prelisting,
        )

    # candles that open before it were final at the first moment
    tail_ms = calls[0] - max(scenario.late_flat_ms, scenario.corrected_ms) - interval.max_duration_ms
    settled = at(start_ms, tail_ms, calls[0])
    changing = {now_ms: at(tail_ms, end_ms, now_ms) for now_ms in calls}
    kept_ms = calls[-1] - 5000 * interval.min_duration_ms
    is_forgetful = asked.exchange == "hyperliquid" and interval is not Interval.MONTH_1
    found = [
        Slot(
            candle.open_time,
            candle.close_time,
            frozenset({(calls[-1], _row(candle))}),
            always=not is_forgetful or candle.open_time > kept_ms,
        )
        for candle in settled
    ]
    for open_ms in sorted({candle.open_time for candles in changing.values() for candle in candles}):
        seen = [(now, one) for now, candles in changing.items() for one in candles if one.open_time == open_ms]
        values = frozenset((now, _row(one)) for now, one in seen)
        found.append(Slot(open_ms, seen[0][1].close_time, values, always=len(seen) == len(calls)))
    return found


def match(
    rows: Sequence[dict[str, Any]], expected: Sequence[Slot], asked: Asked, moments: Moments, *, is_whole: bool
) -> str | None:
    """What is wrong with the rows of a page, if anything; both in the order in which they were looked for.

    `is_whole`: nothing that must be there may come after the last row.
    """
    left = list(reversed(expected))
    for row in rows:
        while left and left[-1].open_ms != row["open_time"]:
            passed = left.pop()
            if passed.is_due(asked, moments):
                return f"{passed} is missing before {row}"
        if not left:
            return f"{row} is not there"
        if wrong := left.pop().complaint(row, asked, moments):
            return wrong
    due = [slot for slot in left if slot.is_due(asked, moments)]
    return f"{due[-1]} is missing at the end" if due and is_whole else None


def _row(candle: Candle) -> Row:
    return tuple(getattr(candle, name) for name in COLUMNS)
