"""What a search found, as the page that the user gets."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from marketdata.core.candles.answer import CandlePage, CandleRange, CandleWarning, Gap
from marketdata.core.candles.search import MAX_CALLS, Search
from marketdata.core.models import Candle
from marketdata.core.paging import count_opens

MAX_GAPS = 1000


def to_page(search: Search) -> CandlePage:
    """The page that was found."""
    return _Page(search).page()


class _Page:
    """What is said of the candles that are kept."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._asked = search.asked
        self._spec = search.spec
        self._capabilities = search.fetcher.adapter.capabilities

    def page(self) -> CandlePage:
        """The page that was found."""
        found = self._search.found
        if not self._asked.include_partial:
            found = [candle for candle in found if candle.is_closed]
        if self._search.is_upward:
            kept = found[: self._asked.limit]
            following = self._page_above(kept, is_cut=len(kept) < len(found))
        else:
            kept = found[-self._asked.limit :]
            following = self._page_below(kept, is_cut=len(kept) < len(found))
        warnings = [*self._not_served(kept), *self._search_bounded(kept), *self._prelisting_omitted()]
        gaps = self._gaps(kept)
        if len(gaps) > MAX_GAPS:
            left_out = gaps[MAX_GAPS:]
            gaps = gaps[:MAX_GAPS]
            warnings.append(
                CandleWarning(
                    "gaps-truncated",
                    f"only the first {MAX_GAPS} gaps are listed",
                    left_out[0].start,
                    left_out[-1].end,
                    len(left_out),
                )
            )
        is_complete = all(warning.code in {"gaps-truncated", "prelisting-omitted"} for warning in warnings)
        return CandlePage(
            kept if self._asked.order == "asc" else kept[::-1],
            is_complete,
            following,
            gaps,
            warnings,
            self._search.calls,
            self._search.joined_calls,
        )

    def _page_above(self, kept: Sequence[Candle], *, is_cut: bool) -> CandleRange | None:
        if self._search.is_exhausted and not is_cut:
            return None
        is_full = len(kept) == self._asked.limit
        start_ms = kept[-1].close_time if is_full else self._search.reached_ms
        edge_ms = kept[-1].close_time if kept else self._asked.edge_ms
        return self._following(start_ms, self._search.end_ms, edge_ms)

    def _page_below(self, kept: Sequence[Candle], *, is_cut: bool) -> CandleRange | None:
        if self._asked.order == "asc":
            return None  # the newest N are whole in themselves
        if self._search.is_exhausted and not is_cut:
            return None
        is_full = len(kept) == self._asked.limit
        end_ms = kept[0].open_time if is_full else self._search.reached_ms
        edge_ms = kept[0].open_time if kept else self._asked.edge_ms
        return self._following(self._asked.start_ms, end_ms, edge_ms)

    def _following(self, start_ms: int | None, end_ms: int, edge_ms: int | None) -> CandleRange:
        return msgspec.structs.replace(self._asked, start_ms=start_ms, end_ms=end_ms, edge_ms=edge_ms, is_next=True)

    def _not_served(self, kept: Sequence[Candle]) -> list[CandleWarning]:
        """Whether an exchange that forgets has forgotten a part of what was asked for.

        Its answer tells: it begins later than asked and holds all that such an exchange keeps, or it is empty though
        the range reaches back to what none keeps.
        """
        look_back = self._capabilities.look_back_rows
        if look_back is None or (len(kept) == self._asked.limit and not self._search.is_upward):
            return []
        if kept or self._search.made_up:
            first_ms = (self._search.made_up or kept)[0].open_time
            is_all_it_keeps = self._search.is_first_lost
        else:
            first_ms = min(self._search.end_ms, self._search.now_ms - look_back * self._spec.interval.min_duration_ms)
            is_all_it_keeps = self._search.is_exhausted
        if first_ms <= self._search.start_ms or not is_all_it_keeps:
            return []
        detail = f"{self._search.fetcher.adapter.exchange} keeps about the newest {look_back} candles of an interval"
        return [
            CandleWarning(
                "no-longer-served", f"{detail}; older ones it no longer serves", self._asked.start_ms, first_ms
            )
        ]

    def _search_bounded(self, kept: Sequence[Candle]) -> list[CandleWarning]:
        is_newest = self._asked.order == "asc" and not self._search.is_upward
        if not is_newest or self._search.is_exhausted or len(kept) >= self._asked.limit:
            return []
        detail = f"{MAX_CALLS} calls to the exchange found fewer candles than asked; older ones were not looked for"
        return [CandleWarning("search-bounded", detail, end=self._search.reached_ms)]

    def _prelisting_omitted(self) -> list[CandleWarning]:
        if not self._search.made_up:
            return []
        exchange = self._search.fetcher.adapter.exchange
        detail = (
            f"{exchange} makes up candles for the time before an instrument's first traded day;"
            " include_prelisting=true gives them"
        )
        first_ms, end_ms = self._search.made_up[0].open_time, self._search.made_up[-1].close_time
        return [CandleWarning("prelisting-omitted", detail, first_ms, end_ms, len(self._search.made_up))]

    def _gaps(self, kept: Sequence[Candle]) -> list[Gap]:
        """Between the first and the last candle served, and towards the page before; joined, ascending."""
        edge_ms = self._asked.edge_ms
        is_upward = self._asked.order == "asc"
        gaps = []
        previous_close = edge_ms if is_upward else None
        for candle in kept:
            if previous_close is not None and candle.open_time > previous_close:
                gaps.append(self._gap(previous_close, candle.open_time))
            previous_close = candle.close_time
        if kept and not is_upward and edge_ms is not None and previous_close is not None and edge_ms > previous_close:
            gaps.append(self._gap(previous_close, edge_ms))
        return gaps

    def _gap(self, start_ms: int, end_ms: int) -> Gap:
        reason: Literal["no-trades-or-missing", "missing"] = (
            "no-trades-or-missing" if self._capabilities.omits_empty else "missing"
        )
        return Gap(start_ms, end_ms, count_opens(self._spec, start_ms, end_ms), reason)
