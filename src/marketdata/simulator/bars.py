"""Bars of exact integers, and the ways to cut one into shorter ones that add up to it again, digit for digit.

A price is counted in ticks, a size in steps, a turnover in ticks × steps. A bar is always cut the same way, by random
words that belong to its place in time, so that an hour made alone equals the hour made of its minutes.
Prices are continuous: a bar opens where the one before closed. A bar without trades is flat and has no size.
"""

from collections.abc import Sequence
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
    """Cut `bar` into `parts` that add up to it. `words` are at least 6 × parts random 16-bit numbers."""
    trades = _shares(bar.trades, [1 << 14 | word for word in words[:parts]], words[parts])
    busy = [part for part in range(parts) if trades[part]]
    if not busy:
        return [flat(bar.open)] * parts
    if len(busy) == 1:
        return [flat(bar.open)] * busy[0] + [bar] + [flat(bar.close)] * (parts - busy[0] - 1)
    count = len(busy)
    counts = [trades[part] for part in busy]
    bought, sold = _sizes(bar, counts, words[parts + 1 :])
    turns = _turns(bar, count, words[2 * parts + 1 :])
    highs, lows = _extremes(bar, turns, words[3 * parts :])
    bought_quote = _turnover(bar.high, bar.low, highs, lows, bought, bar.bought_quote)
    sold_quote = _turnover(bar.high, bar.low, highs, lows, sold, bar.sold_quote)
    made = map(Bar, turns, highs, lows, turns[1:], counts, bought, bought_quote, sold, sold_quote)
    if count == parts:
        return list(made)
    result, price, following = [], bar.open, iter(made)
    for part in range(parts):
        piece = next(following) if trades[part] else flat(price)
        price = piece.close
        result.append(piece)
    return result


def _shares(total: int, weights: Sequence[int], word: int) -> list[int]:
    """`total` in whole numbers, by weight; what rounding leaves goes around from a random place."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    for turn in range(total - sum(shares)):
        shares[(word + turn) % len(shares)] += 1
    return shares


def _sizes(bar: Bar, counts: Sequence[int], words: Sequence[int]) -> tuple[list[int], list[int]]:
    """Bought and sold sizes of each part: at least a step for each trade."""
    weights = [count * (1 << 15 | word) for count, word in zip(counts, words, strict=False)]
    extra = _shares(bar.size - bar.trades, weights, words[0])
    sizes = [count + more for count, more in zip(counts, extra, strict=True)]
    bought = []
    left_bought, left = bar.bought, bar.size
    for size, word in zip(sizes, words, strict=False):
        fair = left_bought * size // left
        swing = fair * ((word & 0xFF) - 128) >> 9
        left -= size
        part = min(max(fair + swing, left_bought - left, 0), left_bought, size)
        left_bought -= part
        bought.append(part)
    return bought, [size - part for size, part in zip(sizes, bought, strict=True)]


def _turns(bar: Bar, count: int, words: Sequence[int]) -> list[int]:
    """The prices at the borders of the parts: a bridge from open to close, bent towards the mean price, shaken."""
    mean = bar.quote // bar.size
    bend = mean - (bar.open + bar.close) // 2
    span = bar.high - bar.low
    turns = [bar.open]
    for border in range(1, count):
        arch = border * (count - border)
        price = bar.open + (bar.close - bar.open) * border // count + 6 * arch * bend // (count * count - 1)
        price += 18 * (words[border - 1] - 32768) * span * arch // (count * count << 18)
        if price > bar.high:
            price = max(2 * bar.high - price, bar.low)
        elif price < bar.low:
            price = min(2 * bar.low - price, bar.high)
        turns.append(price)
    turns.append(bar.close)
    return turns


def _extremes(bar: Bar, turns: Sequence[int], words: Sequence[int]) -> tuple[list[int], list[int]]:
    """Each part's high and low; one part next to the highest border has the whole bar's high, and so the low."""
    span = bar.high - bar.low
    highs, lows = [], []
    for place in range(len(turns) - 1):
        first, last = turns[place], turns[place + 1]
        upper, lower = (first, last) if first > last else (last, first)
        reach = span * words[place]
        highs.append(min(bar.high, upper + (reach >> 19)))
        lows.append(max(bar.low, lower - (span * (words[place] ^ 0x5A5A) >> 19)))
    step = words[0] & 1
    peak, trough = turns.index(max(turns)) - step, turns.index(min(turns)) - (1 - step)
    last = len(highs) - 1
    highs[min(max(peak, 0), last)] = bar.high
    lows[min(max(trough, 0), last)] = bar.low
    return highs, lows


def _turnover(high: int, low: int, highs: list[int], lows: list[int], sizes: Sequence[int], total: int) -> list[int]:
    """Each part's turnover, within its low and high, together `total`; where that cannot be, parts are widened."""
    quotes = [size * (top + bottom) >> 1 for size, top, bottom in zip(sizes, highs, lows, strict=True)]
    missing = total - sum(quotes)
    sign = 1 if missing > 0 else -1
    bounds, limit = (highs, high) if missing > 0 else (lows, low)
    missing *= sign
    rooms = [sign * (size * bound - quote) for size, bound, quote in zip(sizes, bounds, quotes, strict=True)]
    room = sum(rooms)
    wanted, left = 2 * missing - room, sum(sizes)
    for part, size in enumerate(sizes):
        if wanted <= 0 or not left:
            break
        reach = min(sign * (limit - bounds[part]), wanted // left + 1)
        bounds[part] += sign * reach
        rooms[part] += reach * size
        room += reach * size
        wanted -= reach * size
        left -= size
    for part, size in enumerate(sizes):
        if room >= missing:
            break
        reach = sign * (limit - bounds[part])
        bounds[part] = limit
        rooms[part] += reach * size
        room += reach * size
    if not missing:
        return quotes
    given = [part * missing // room for part in rooms]
    left = missing - sum(given)
    for part, most in enumerate(rooms):
        if not left:
            break
        more = min(left, most - given[part])
        given[part] += more
        left -= more
    return [quote + sign * more for quote, more in zip(quotes, given, strict=True)]


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
