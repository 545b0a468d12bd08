"""When an exchange's matching engine was off: then nothing was traded, and no candle says so.

Seen on all three exchanges: rows of such a time are missing, not flat, and longer candles have the rest.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import msgspec

from marketdata.simulator.grids import MINUTE_MS, Grid, ceiling


class Outage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One exchange off, from a whole minute until another."""

    exchange: str
    """The exchange's id."""
    from_ms: int = msgspec.field(name="from")
    """Epoch ms."""
    until_ms: int = msgspec.field(name="until")
    """Epoch ms, itself excluded."""

    def __post_init__(self) -> None:
        """Raises ValueError where it is no span of whole minutes."""
        if self.from_ms >= self.until_ms or self.from_ms % MINUTE_MS or self.until_ms % MINUTE_MS:
            raise ValueError("an outage is from a whole minute until a later one")


class Outages:
    """The outages of a market; they may be announced and taken back while it is served."""

    def __init__(self, outages: Iterable[Outage] = ()) -> None:
        """These."""
        self._all: list[Outage] = []
        self._gaps: dict[str, list[tuple[int, int]]] = {}
        for outage in outages:
            self.add(outage)

    def __iter__(self) -> Iterator[Outage]:
        """All of them, as they were added."""
        return iter(self._all)

    def add(self, outage: Outage) -> None:
        """One more."""
        self._all.append(outage)
        gaps = self._gaps.setdefault(outage.exchange, [])
        gaps.append((outage.from_ms, outage.until_ms))
        gaps[:] = _merged(gaps)

    def clear(self) -> None:
        """None any more."""
        self._all.clear()
        self._gaps.clear()

    def on(self, exchange: str, start_ms: int, end_ms: int) -> list[tuple[int, int]]:
        """The parts of a span in which the engine was on."""
        parts = []
        for from_ms, until_ms in self._gaps.get(exchange, ()):
            if from_ms < end_ms and until_ms > start_ms:
                if from_ms > start_ms:
                    parts.append((start_ms, from_ms))
                start_ms = until_ms
        return [*parts, (start_ms, end_ms)] if start_ms < end_ms else parts

    def runs(self, exchange: str, grid: Grid, first: int, last: int) -> list[range]:
        """The numbers of the candles from `first` to `last` that may exist; those that are cut stand alone."""
        gaps = self._gaps.get(exchange, ())
        borders = {first, last + 1}
        off: list[range] = []
        for from_ms, until_ms in gaps:
            off.append(range(ceiling(grid, from_ms), grid.index(until_ms)))
            for at_ms in (from_ms, until_ms):
                cut = grid.index(at_ms)
                borders |= {cut, cut if grid.open_ms(cut) == at_ms else cut + 1}
        edges = sorted(border for border in borders if first <= border <= last + 1)
        return [range(a, b) for a, b in pairwise(edges) if not any(a in gone for gone in off)]


def _merged(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same times, in order and apart."""
    merged: list[tuple[int, int]] = []
    for from_ms, until_ms in sorted(gaps):
        if merged and from_ms <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(until_ms, merged[-1][1]))
        else:
            merged.append((from_ms, until_ms))
    return merged
