"""Bars of exact integers, and the ways to cut one into shorter ones that add up to it again, digit for digit.

A price is counted in ticks, a size in steps, a turnover in ticks × steps. A bar is always cut the same way, by random
words that belong to its place in time, so that an hour made alone equals the hour made of its minutes.
Prices are continuous: a bar opens where the one before closed. A bar without trades is flat and has no size.
"""

from collections.abc import Sequence
from operator import add, mul
from typing import NamedTuple


class Bar(NamedTuple):
    """What happened in some span of time; the takers' buys and sells are kept apart."""

    open: int
    high: int
    low: int
    close: int
    trades: int
    bought: int
    """Size that takers bought, in steps."""
    bought_quote: int
    """The same in ticks × steps; between `low × bought` and `high × bought`."""
    sold: int
    sold_quote: int

    @property
    def size(self) -> int:
        """All that was traded, in steps."""
        return self.bought + self.sold

    @property
    def quote(self) -> int:
        """All that was traded, in ticks × steps."""
        return self.bought_quote + self.sold_quote


def flat(price: int) -> Bar:
    """A span without trades."""
    return Bar(price, price, price, price, 0, 0, 0, 0, 0)


def join(bars: Sequence[Bar]) -> Bar:
    """The one bar that consecutive `bars` add up to."""
    if len(bars) == 1:
        return bars[0]
    _, highs, lows, _, trades, bought, bought_quote, sold, sold_quote = zip(*bars, strict=True)
    return Bar(
        bars[0].open,
        max(highs),
        min(lows),
        bars[-1].close,
        sum(trades),
        sum(bought),
        sum(bought_quote),
        sum(sold),
        sum(sold_quote),
    )


def cut(bar: Bar, parts: int, words: Sequence[int]) -> list[Bar]:
    """Cut `bar` into `parts` that add up to it. `words` are 32 random 16-bit numbers, `parts` at most 5."""
    trades = _shares(bar.trades, [1 << 14 | word for word in words[:parts]], words[5])
    busy = [count for count in trades if count]
    if not busy:
        return [bar] * parts
    turns = _turns(bar, len(busy), words[6:])
    path = _path(bar, turns, words[11:])
    buying = [count * (1 << 15 | word) for count, word in zip(busy, words[16:], strict=False)]
    selling = [count * (1 << 15 | word) for count, word in zip(busy, words[22:], strict=False)]
    bought_trades = _shares(bar.trades * bar.bought // bar.size, busy, words[21])
    sold_trades = [count - some for count, some in zip(busy, bought_trades, strict=True)]
    bought = _sizes(path, bar.bought, bar.bought_quote, bought_trades, buying)
    sold = _sizes(path, bar.sold, bar.sold_quote, sold_trades, selling)
    bought_quote = _quotes(path, bought, bar.bought_quote)
    sold_quote = _quotes(path, sold, bar.sold_quote)
    made = map(Bar, turns, path.highs, path.lows, turns[1:], busy, bought, bought_quote, sold, sold_quote)
    if len(busy) == parts:
        return list(made)
    result, price = [], bar.open
    for count in trades:
        piece = next(made) if count else flat(price)
        price = piece.close
        result.append(piece)
    return result


class _Path(NamedTuple):
    """The prices of the whole and of its parts; the parts' extremes may be widened, up to the whole's."""

    high: int
    low: int
    highs: list[int]
    lows: list[int]
    middles: list[int]
    """Twice the parts' middle prices."""


def _shares(total: int, weights: Sequence[int], word: int) -> list[int]:
    """`total` in whole numbers, by weight; what rounding leaves goes around from a random place."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    for turn in range(total - sum(shares)):
        shares[(word + turn) % len(shares)] += 1
    return shares


def _turns(bar: Bar, count: int, words: Sequence[int]) -> list[int]:
    """The prices at the borders of the parts: a bridge from open to close, bent towards the mean price, shaken."""
    bend = bar.quote // bar.size - (bar.open + bar.close) // 2
    span, squared = bar.high - bar.low, count * count
    turns = [bar.open]
    for border in range(1, count):
        arch = border * (count - border)
        price = bar.open + (bar.close - bar.open) * border // count + 5 * arch * bend // (squared - 1)
        price += 24 * (words[border] - 32768) * span * arch // (squared << 18)
        if price > bar.high:
            price = max(2 * bar.high - price, bar.low)
        elif price < bar.low:
            price = min(2 * bar.low - price, bar.high)
        turns.append(price)
    turns.append(bar.close)
    return turns


def _path(bar: Bar, turns: Sequence[int], words: Sequence[int]) -> _Path:
    """The parts' extremes; a part next to the highest border has the whole bar's high, and so with the low."""
    span = bar.high - bar.low
    highs, lows = [], []
    for first, last, word in zip(turns, turns[1:], words, strict=False):
        upper, lower = (first, last) if first > last else (last, first)
        highs.append(min(bar.high, upper + (span * word >> 18)))
        lows.append(max(bar.low, lower - (span * (word ^ 0x5A5A) >> 18)))
    before, end = words[0] & 1, len(highs) - 1
    highs[min(max(turns.index(max(turns)) - before, 0), end)] = bar.high
    lows[min(max(turns.index(min(turns)) - 1 + before, 0), end)] = bar.low
    return _Path(bar.high, bar.low, highs, lows, list(map(add, highs, lows)))


def _sizes(path: _Path, total: int, quote: int, trades: Sequence[int], weights: Sequence[int]) -> list[int]:
    """Sizes of the parts, a step at least for each trade.

    Some of it moves from the cheapest part to the dearest or back, as the turnover says.
    """
    sizes = list(map(add, _shares(total - sum(trades), weights, 0), trades))
    middles = path.middles
    dearest, cheapest = middles.index(max(middles)), middles.index(min(middles))
    gap = middles[dearest] - middles[cheapest]
    if gap:
        move = (2 * quote - sum(map(mul, sizes, middles))) // gap
        if move > 0:
            move = min(move, (sizes[cheapest] - trades[cheapest]) * 3 >> 2)
        else:
            move = max(move, -((sizes[dearest] - trades[dearest]) * 3 >> 2))
        sizes[dearest] += move
        sizes[cheapest] -= move
    return sizes


def _quotes(path: _Path, sizes: Sequence[int], total: int) -> list[int]:
    """Turnovers of the parts, within their lows and highs, together `total`."""
    quotes = [size * middle >> 1 for size, middle in zip(sizes, path.middles, strict=True)]
    missing = total - sum(quotes)
    if not missing:
        return quotes
    sign, bounds, limit = (1, path.highs, path.high) if missing > 0 else (-1, path.lows, path.low)
    missing *= sign
    rooms = [sign * (size * bound - quote) for size, bound, quote in zip(sizes, bounds, quotes, strict=True)]
    # Twice the room that is needed, so that no part is left with its mean at its edge.
    if sum(rooms) < 2 * missing:
        _widen(bounds, limit, sizes, rooms, 2 * missing, sum(sizes))
        _widen(bounds, limit, sizes, rooms, missing, 1)
    room = sum(rooms)
    given = [part * missing // room for part in rooms]
    left = missing - sum(given)
    for part, most in enumerate(rooms):
        more = min(left, most - given[part])
        given[part] += more
        left -= more
    return [quote + sign * more for quote, more in zip(quotes, given, strict=True)]


def _widen(bounds: list[int], limit: int, sizes: Sequence[int], rooms: list[int], wanted: int, spread: int) -> None:
    """Move the parts' highs, or lows, towards the whole's until the room is as wanted, by what a `spread`th needs."""
    for part, size in enumerate(sizes):
        lack = wanted - sum(rooms)
        if lack <= 0:
            return
        reach = min(abs(limit - bounds[part]), lack // spread + 1)
        bounds[part] += reach if limit > bounds[part] else -reach
        rooms[part] += reach * size


def begun(bar: Bar, elapsed_ms: int, whole_ms: int) -> Bar:
    """As much of `bar` as `elapsed_ms` of its `whole_ms` have shown: never more, and the more the later."""
    trades = bar.trades * elapsed_ms // whole_ms
    if not trades:
        return flat(bar.open)
    mean = bar.quote // bar.size
    extremes = (bar.high, bar.low) if mean >= bar.open else (bar.low, bar.high)
    path = (bar.open, *extremes, bar.close)
    leg, rest = divmod(3 * trades, bar.trades)
    price = path[leg] + (path[leg + 1] - path[leg]) * rest // bar.trades if rest else path[leg]
    seen = (*path[: leg + 1], price)
    high, low = max(seen), min(seen)
    mean = min(max(mean, low), high)
    size = bar.size * trades // bar.trades
    bought = bar.bought * size // bar.size
    sold = size - bought
    return Bar(bar.open, high, low, price, trades, bought, bought * mean, sold, sold * mean)
