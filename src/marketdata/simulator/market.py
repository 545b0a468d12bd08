"""The seeded market: what any instrument did in any span of time, computed when asked and never stored.

The day is the seeded block. Its open and close lie on the price path of its assets, which is noise of several
octaves; the rest of it is drawn from its own random words. Shorter bars are cut from the day top-down, longer ones
are days joined, so that an answer costs what its rows cost and all intervals agree exactly.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import pairwise
from math import floor, ldexp

from marketdata.simulator.bars import Bar, begun, cut, join
from marketdata.simulator.grids import DAY_MS, MINUTE_MS
from marketdata.simulator.outages import Outages

BLOCKS = (1440, 480, 120, 60, 15, 5, 1)
"""Minutes of the blocks that each day is cut into, one out of the other."""

_MINUTES = len(BLOCKS) - 1
_DAY_PLACE = 0xFFFF
_OCTAVES = (1, 2, 4, 8, 16, 32)
"""Square roots of the octaves' days, in proportion to which each sways."""
_TRADE_DOLLARS = 1500.0
_WORDS = struct.Struct("<32H")
_PLACE = struct.Struct("<HiH")


@dataclass(frozen=True, eq=False, slots=True)
class Asset:
    """Something that has a price in US dollars."""

    name: str
    dollars: float
    """Around which its price moves."""
    swing: float
    """How much it moves: doublings in a day; a coin about 0.045, a stablecoin next to nothing."""
    follows: str = ""
    """Whose price it follows: the same noise moves both."""

    def times(self, factor: int, name: str) -> "Asset":
        """So many of it as one, under a name of its own."""
        return Asset(name, self.dollars * factor, self.swing, self.follows or self.name)


@dataclass(frozen=True, slots=True)
class Life:
    """When an instrument appears, trades and ends, epoch ms."""

    announced_ms: int
    """In the listing from here on, without candles."""
    listed_ms: int
    """The first trade."""
    ended_ms: int | None = None
    """The end of trading."""


@dataclass(frozen=True, eq=False)
class Instrument:
    """What can be traded at one exchange, and in which units its numbers count."""

    exchange: str
    symbol: str
    base: Asset
    quote: Asset
    price_scale: int
    """Decimals of a price."""
    tick: int
    """The price step, in units of the last decimal."""
    size_scale: int
    """Decimals of a size; the size step is one of the last decimal."""
    trades_a_day: int
    life: Life
    announced_as: str = ""
    """The symbol that it had before it was renamed."""

    @property
    def first_symbol(self) -> str:
        """The symbol that it was announced under."""
        return self.announced_as or self.symbol

    @cached_property
    def name(self) -> bytes:
        """What no other instrument is called, and this one for ever."""
        return f"{self.exchange}/{self.first_symbol}".encode()

    def renamed(self, symbol: str) -> "Instrument":
        """The same under another symbol."""
        return replace(self, symbol=symbol, announced_as=self.first_symbol)

    def last_ms(self, now_ms: int) -> int:
        """The last moment with a candle at `now_ms`."""
        return now_ms if self.life.ended_ms is None else min(now_ms, self.life.ended_ms - 1)


class Market:
    """All prices and trades there ever were and will be, from one seed."""

    def __init__(self, seed: int, outages: Outages | None = None, corrected_ms: int = 0) -> None:
        """A market; equal seeds make equal markets.

        `outages`: when exchanges are off. `corrected_ms`: for how long after its close a candle may still change.
        """
        self.seed = seed
        self.outages = Outages() if outages is None else outages
        self.corrected_ms = corrected_ms
        self._seed = (seed % (1 << 64)).to_bytes(8, "big")
        self._knot = lru_cache(1 << 16)(self._make_knot)
        self._dollars = lru_cache(1 << 15)(self._make_dollars)
        self._day = lru_cache(1 << 13)(self._make_day)
        self._parts = lru_cache(1 << 13)(self._make_parts)

    def bars(self, instrument: Instrument, edges: Sequence[int], now_ms: int) -> list[Bar]:
        """One bar for each span between neighbouring `edges`, which lie on a grid, as far as it is over at `now_ms`.

        Raises ValueError when a span has nothing of the instrument's life in it.
        """
        whole = len(edges) - 1
        leading = [self.bar(instrument, edges[0], edges[1], now_ms)] if edges[0] < instrument.life.listed_ms else []
        trailing = []
        if whole > len(leading) and edges[-1] > instrument.last_ms(now_ms) + 1:
            whole -= 1
            trailing.append(self.bar(instrument, edges[-2], edges[-1], now_ms))
        return [*leading, *self._whole(instrument, edges[len(leading) : whole + 1]), *trailing]

    def bar(self, instrument: Instrument, start_ms: int, end_ms: int, now_ms: int) -> Bar:
        """What happened from `start_ms` to `end_ms` (whole minutes) within the instrument's life and until `now_ms`.

        Raises ValueError when that is nothing at all.
        """
        start_ms = max(start_ms, instrument.life.listed_ms)
        end_ms = min(end_ms, instrument.last_ms(now_ms) + 1)
        if start_ms >= end_ms:
            raise ValueError(f"{instrument.symbol} has not traded in that time")
        minute_ms = end_ms - end_ms % MINUTE_MS
        pieces = list(self._pieces(instrument, start_ms, minute_ms))
        if minute_ms < end_ms:
            day, minute = divmod(minute_ms // MINUTE_MS, BLOCKS[0])
            pieces.append(begun(self._block(instrument, day, minute, _MINUTES), end_ms - minute_ms, MINUTE_MS))
        return join(pieces)

    def lived(self, instrument: Instrument, start_ms: int, end_ms: int, now_ms: int) -> Bar | None:
        """As `bar`, without the time in which the exchange was off; None where that leaves nothing."""
        start_ms = max(start_ms, instrument.life.listed_ms)
        end_ms = min(end_ms, instrument.last_ms(now_ms) + 1)
        spans = self.outages.on(instrument.exchange, start_ms, end_ms)
        return join([self.bar(instrument, *span, now_ms) for span in spans]) if spans else None

    def _whole(self, instrument: Instrument, edges: Sequence[int]) -> list[Bar]:
        """The bars between edges that are all in the past."""
        if len(edges) < 2:
            return []
        span_ms = edges[1] - edges[0]
        if span_ms > DAY_MS:
            days = [self._day(instrument, day) for day in range(edges[0] // DAY_MS, edges[-1] // DAY_MS)]
            firsts = [(edge - edges[0]) // DAY_MS for edge in edges]
            return [join(days[first:last]) for first, last in pairwise(firsts)]
        minutes = span_ms // MINUTE_MS
        block = next(block for block in BLOCKS if minutes % block == 0)
        blocks = self._blocks(instrument, block, edges[0], edges[-1])
        if block == minutes:
            return blocks
        each = minutes // block
        return [join(blocks[first : first + each]) for first in range(0, len(blocks), each)]

    def _blocks(self, instrument: Instrument, minutes: int, start_ms: int, end_ms: int) -> list[Bar]:
        """The blocks of so many minutes from `start_ms` to `end_ms`, both between two of them."""
        result = []
        for day in range(start_ms // DAY_MS, -(-end_ms // DAY_MS)):
            first, last = (start_ms - day * DAY_MS) // MINUTE_MS, (end_ms - day * DAY_MS) // MINUTE_MS
            nodes = [(0, self._day(instrument, day))]
            for level in range(BLOCKS.index(minutes)):
                reach = first - BLOCKS[level + 1]
                nodes = [
                    node
                    for start, bar in nodes
                    for node in self._cut(instrument, day, start, bar, level)
                    if reach < node[0] < last
                ]
            result += [bar for _, bar in nodes]
        return result

    def _pieces(self, instrument: Instrument, start_ms: int, end_ms: int) -> Iterator[Bar]:
        """The fewest blocks that make up the time from `start_ms` to `end_ms`, whole minutes both."""
        if start_ms == end_ms:
            return
        for day in range(start_ms // DAY_MS, -(-end_ms // DAY_MS)):
            first, last = (start_ms - day * DAY_MS) // MINUTE_MS, (end_ms - day * DAY_MS) // MINUTE_MS
            open_nodes = [(0, self._day(instrument, day), 0)]
            while open_nodes:
                start, bar, level = open_nodes.pop()
                if first <= start and start + BLOCKS[level] <= last:
                    yield bar
                elif start < last and start + BLOCKS[level] > first:
                    pieces = self._parts(instrument, day, start, level)
                    open_nodes += [(minute, piece, level + 1) for minute, piece in reversed(pieces)]

    def _cut(self, instrument: Instrument, day: int, start: int, bar: Bar, level: int) -> list[tuple[int, Bar]]:
        """The blocks that the block at minute `start` of a day is cut into, with their own first minutes."""
        whole, block = BLOCKS[level], BLOCKS[level + 1]
        if bar.trades:
            pieces = cut(bar, whole // block, self._words(instrument.name, day, level << 11 | start))
        else:
            pieces = [bar] * (whole // block)
        return list(zip(range(start, start + whole, block), pieces, strict=True))

    def _block(self, instrument: Instrument, day: int, start: int, level: int) -> Bar:
        """The block of a level at minute `start` of a day."""
        if level == 0:
            return self._day(instrument, day)
        place = start % BLOCKS[level - 1]
        return self._parts(instrument, day, start - place, level - 1)[place // BLOCKS[level]][1]

    def _make_parts(self, instrument: Instrument, day: int, start: int, level: int) -> list[tuple[int, Bar]]:
        """The blocks that a block is cut into: those on the way to the present moment are asked for again and again."""
        return self._cut(instrument, day, start, self._block(instrument, day, start, level), level)

    def _make_day(self, instrument: Instrument, day: int) -> Bar:
        words = self._words(instrument.name, day, _DAY_PLACE)
        first, last = self._ticks(instrument, day), self._ticks(instrument, day + 1)
        sway = (instrument.base.swing + instrument.quote.swing) / (1 << 17)
        high = max(first, last) + int(max(first, last) * sway * words[0])
        low = max(1, min(first, last) - int(min(first, last) * sway * words[1]))
        trades = max(1, instrument.trades_a_day * ((1 << 15) + words[2]) >> 16)
        steps: int = 10**instrument.size_scale
        size = max(trades, int(trades * _TRADE_DOLLARS * steps / self._dollars(instrument.base, day)) * words[3] >> 15)
        bought = size * ((3 << 14) + words[4]) // (5 << 15)
        sold = size - bought
        mean = first + last + high + low
        return Bar(first, high, low, last, trades, bought, bought * mean >> 2, sold, sold * mean >> 2)

    def _ticks(self, instrument: Instrument, day: int) -> int:
        """The price at the beginning of a day."""
        price = self._dollars(instrument.base, day) / self._dollars(instrument.quote, day)
        ones: int = 10**instrument.price_scale
        return max(1, round(price * ones / instrument.tick))

    def _make_dollars(self, asset: Asset, day: int) -> float:
        """The price of an asset at the beginning of a day.

        Only arithmetic that is equal on every machine: 2^x is drawn as straight lines between whole powers.
        """
        source = asset.follows or asset.name
        doublings = 0.0
        for octave in _OCTAVES:
            knot, rest = divmod(day, octave * octave)
            along = rest / (octave * octave)
            doublings += octave * (
                self._knot(source, octave, knot) * (1 - along) + self._knot(source, octave, knot + 1) * along
            )
        doublings *= asset.swing
        whole = floor(doublings)
        return asset.dollars * ldexp(1 + doublings - whole, whole)

    def _make_knot(self, source: str, octave: int, knot: int) -> float:
        """A random number from -1 to 1."""
        return self._words(source.encode(), knot, octave)[0] / 32767.5 - 1

    def _words(self, name: bytes, when: int, place: int) -> tuple[int, ...]:
        """32 random 16-bit numbers that belong to one place in the time of one thing."""
        return _WORDS.unpack(blake2b(self._seed + _PLACE.pack(len(name), when, place) + name).digest())
