"""One request and its following pages, held against the truth page by page."""

from itertools import pairwise
from typing import Any

import httpx2

from marketdata.core.candles import MAX_CALLS, MAX_GAPS
from marketdata.core.clock import ManualClock
from marketdata.core.exchanges import get_adapter
from marketdata.core.models import Interval
from marketdata.simulator.sources import Sources
from marketdata.simulator.truth import _source, first_traded_day_ms, truth
from tests.e2e.markets import market
from tests.e2e.platform import Platform
from tests.e2e.truth.asked import Asked
from tests.e2e.truth.expected import Moments, match, slots
from tests.e2e.truth.world import World, controls_of

SEED = 7
MAX_PAGES = 4
_STATUSES = {
    "upstream-error": 502,
    "upstream-bad-data": 502,
    "upstream-rate-limited": 503,
    "upstream-banned": 503,
    "upstream-blocked": 503,
    "upstream-unavailable": 503,
    "upstream-timeout": 504,
}
_HARMLESS = {"gaps-truncated", "prelisting-omitted"}


async def check(platform: Platform, clock: ManualClock, world: World, asked: Asked) -> None:
    """Ask in `world`, and once more when all of it is over."""
    sources, controls = market(SEED, world.scenario), controls_of(world, clock)
    clock.set(world.now_ms)
    platform.stage(sources, controls)
    await _Walk(platform, sources, world, asked, world.problems).run()
    controls.faults.clear()
    clock.advance(180_000)  # longer than a breaker rests, or anybody keeps silent who was not told for how long
    await _Walk(platform, sources, world, asked, frozenset()).run()


class _Walk:
    def __init__(
        self, platform: Platform, sources: Sources, world: World, asked: Asked, problems: frozenset[str]
    ) -> None:
        self._platform = platform
        self._sources = sources
        self._asked = asked
        self._problems = problems
        self._has_faults = bool(list(platform.controls.faults))
        self._skew_ms = world.scenario.skew_ms
        self._doubt_ms = world.doubt_ms + 1000 * (asked.exchange == "hyperliquid")
        self._journal = platform.controls.journal
        self._is_served = True
        self._edge: dict[str, Any] | None = None  # the last row of the pages before

    async def run(self) -> None:
        """Page after page, to the end or to a problem."""
        sure_ms = self._now_ms() - self._doubt_ms
        seen = self._journal.last_id
        response = await self._platform.get(self._asked.path, **self._asked.params)
        ended_ms = self._now_ms()
        start_ms, end_ms = self._asked.start, min(self._asked.end or ended_ms + 1, ended_ms + 1)
        for page in range(1, MAX_PAGES + 1):
            entries = self._journal.entries(exchange=self._asked.exchange, route="candles", since=seen)
            assert len(entries) <= 2 * (MAX_CALLS + 1)
            if response.status_code != 200:
                self._check_problem(response)
                return
            document = response.json()
            moments = Moments(sure_ms, ended_ms, [entry.time_ms for entry in entries])
            self._check_warnings(document, moments, is_first=page == 1)
            if not self._is_served:
                return
            start_ms, end_ms = self._check_rows(document, start_ms, end_ms, moments)
            self._check_gaps(document)
            following = document["page"]["next"]
            if following is None or (start_ms or 0) >= end_ms:
                return
            seen = self._journal.last_id
            response = await self._platform.get(following)

    def _now_ms(self) -> int:
        return self._platform.clock.now_ms() + self._skew_ms

    def _is_listed(self) -> bool:
        """Whether the exchange answers candles of it at all."""
        try:
            _source(self._sources, self._asked.exchange).instrument(self._asked.symbol, self._now_ms())
        except LookupError:
            return False
        return True

    @property
    def _missing_ms(self) -> int:
        """The most that may be missing in all."""
        scenario, exchange = self._sources.scenario, self._asked.exchange
        off_ms = sum(one.until_ms - one.from_ms for one in scenario.outages if one.exchange == exchange)
        return scenario.late_flat_ms + off_ms

    @property
    def _ends_ms(self) -> int:
        """When trading ends; far away if it is to go on."""
        life = _source(self._sources, self._asked.exchange).instrument(self._asked.symbol, self._now_ms()).life
        return life.ended_ms or 1 << 62

    def _check_rows(self, document: Any, start_ms: int | None, end_ms: int, moments: Moments) -> tuple[int | None, int]:
        """The range that is left for the next page."""
        asked, rows, page = self._asked, list(document["data"]), document["page"]
        spent = len(moments.calls_ms) >= MAX_CALLS
        assert len(rows) <= asked.limit == page["limit"]
        assert len(rows) == asked.limit or page["next"] is None or spent
        floor_ms = start_ms
        if floor_ms is None:
            # where buckets without a trade are left out or late, or the exchange was off, they reach further back
            spare = 30 * asked.limit if get_adapter(asked.exchange).capabilities.omits_empty else 2
            reach_ms = (asked.limit + spare) * asked.interval.max_duration_ms + self._missing_ms
            floor_ms = max(0, min(end_ms, self._ends_ms) - reach_ms)
        expected = slots(self._sources, asked, floor_ms, min(end_ms, self._ends_ms), moments)
        is_whole = page["next"] is None
        if not asked.is_upward:
            expected.reverse()
        if asked.order == "asc" and asked.start is None:
            rows.reverse()
            is_whole = len(rows) < asked.limit and "search-bounded" not in _codes(document)
        wrong = match(rows, expected, asked, moments, is_whole=is_whole)
        assert wrong is None, wrong
        if rows and asked.is_upward:
            return rows[-1]["close_time"], end_ms
        return start_ms, rows[-1]["open_time"] if rows else end_ms

    def _check_warnings(self, document: Any, moments: Moments, *, is_first: bool) -> None:
        asked, codes = self._asked, _codes(document)
        assert document["page"]["complete"] is (codes <= _HARMLESS)
        self._is_served = self._is_listed()
        assert ("not-served-by-exchange" in codes) is (not self._is_served and bool(moments.calls_ms))
        assert self._is_served or not document["data"]
        if "search-bounded" in codes:
            assert asked.exchange == "coinbase" or self._problems
            assert len(moments.calls_ms) >= MAX_CALLS
        if self._is_served and asked.exchange == "hyperliquid":
            self._check_prelisting(document, moments, is_first=is_first)
        else:
            assert "prelisting-omitted" not in codes

    def _check_prelisting(self, document: Any, moments: Moments, *, is_first: bool) -> None:
        """What was left out was made up; and where it lies in the part that must have been looked at, it is told."""
        asked = self._asked
        told = [warning for warning in document["warnings"] if warning["code"] == "prelisting-omitted"]
        if asked.include_prelisting or not moments.calls_ms:
            assert not told
            return
        end_ms = min(asked.end or moments.ended_ms + 1, moments.ended_ms + 1)
        first_ms = first_traded_day_ms(self._sources, asked.exchange, asked.symbol, moments.calls_ms[-1])
        made_up_until_ms = end_ms if first_ms is None else min(first_ms, end_ms)
        made_up = [
            row
            for row in truth(
                self._sources,
                asked.exchange,
                asked.symbol,
                asked.interval,
                asked.start or max(0, made_up_until_ms - (asked.limit + 2) * asked.interval.max_duration_ms),
                made_up_until_ms,
                moments.calls_ms[-1],
            )
            if first_ms is None or row.close_time <= first_ms
        ]
        for warning in told:
            assert warning["count"] > 0
            assert first_ms is None or warning["end"] <= first_ms
            assert made_up
            assert warning["end"] <= made_up[-1].close_time
        if made_up and is_first and made_up[0].close_time <= moments.sure_ms:
            is_short = document["page"]["count"] < asked.limit and document["page"]["next"] is None
            assert told or not (asked.is_upward or is_short)

    def _check_gaps(self, document: Any) -> None:
        """What is missing between rows, also between those of two pages, is told."""
        asked, rows = self._asked, list(document["data"])
        if asked.order == "desc":
            rows.reverse()
        edge = [self._edge] if self._edge is not None else []
        rows = [*edge, *rows] if asked.order == "asc" else [*rows, *edge]
        gaps = [(one["close_time"], two["open_time"]) for one, two in pairwise(rows)]
        gaps = [(start, end) for start, end in gaps if start != end] if document["data"] else []
        told = document["meta"]["gaps"]
        assert [(gap["start"], gap["end"]) for gap in told] == gaps[:MAX_GAPS]
        assert ("gaps-truncated" in _codes(document)) is (len(gaps) > MAX_GAPS)
        if asked.interval is not Interval.MONTH_1:
            step_ms = asked.interval.min_duration_ms
            assert all(gap["missing"] * step_ms == gap["end"] - gap["start"] for gap in told)
        if document["data"]:
            self._edge = document["data"][-1]

    def _check_problem(self, response: httpx2.Response) -> None:
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        # a refusal is known by its status, also when its body is broken
        refused = {"upstream-error"} if self._has_faults and not self._is_listed() else set()
        assert problem["code"] in self._problems | refused, problem
        assert response.status_code == _STATUSES[problem["code"]]
        if problem["code"] in {"upstream-rate-limited", "upstream-banned"}:
            assert 1 <= int(response.headers["retry-after"]) == problem["retry_after"]


def _codes(document: Any) -> set[str]:
    return {warning["code"] for warning in document["warnings"]}
