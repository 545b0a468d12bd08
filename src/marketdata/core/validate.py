"""The rules that every candle keeps before it may leave: a bad one fails the answer and names itself.

The order of prices is first compared as floats, which is cheap, and exactly only where floats tie or disagree.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from marketdata.core.errors import UpstreamBadData
from marketdata.core.models import Candle, Capabilities, ExchangeId, IntervalSpec
from marketdata.core.paging import is_aligned

_PRICES = re.compile(r"(?:[0-9]{1,100}(?:\.[0-9]{1,400})?,){4}")
_AMOUNTS = tuple(re.compile(rf"(?:[0-9]{{1,100}}(?:\.[0-9]{{1,400}})?,){{{count}}}") for count in range(5))
"""One look at all of a candle's numbers, by how many of them there are: a comma in one would make one more."""

_NO_TIME_MS = 4_102_444_800_000
"""2100-01-01: what opens then or later is a wrong number, for which there may be no calendar."""


def check_candles(exchange: ExchangeId, spec: IntervalSpec, candles: Sequence[Candle]) -> None:
    """Raise UpstreamBadData, naming candle and rule, unless all candles of one answer are sound.

    Finite decimals in plain notation; low ≤ open, close ≤ high; amounts not negative; aligned where the alignment is
    verified; as long as the interval; ascending, unique and not overlapping by the exchange's own times.
    """
    shortest_ms, longest_ms = spec.interval.min_duration_ms, spec.interval.max_duration_ms
    previous_close = 0
    for candle in candles:
        if not _is_decimal(candle):
            raise UpstreamBadData(exchange, "a number is missing, not finite or of the wrong sign", candle.open_time)
        if not _is_ordered(candle):
            raise UpstreamBadData(exchange, "low ≤ open, close ≤ high does not hold", candle.open_time)
        if not 0 <= candle.open_time < _NO_TIME_MS or not is_aligned(spec, candle.open_time):
            raise UpstreamBadData(exchange, "the open time is not on the interval's grid", candle.open_time)
        if candle.open_time < previous_close:
            raise UpstreamBadData(exchange, "open times repeat, step back or overlap", candle.open_time)
        lasts_ms = candle.close_time - candle.open_time
        if not shortest_ms <= lasts_ms <= longest_ms or (
            spec.anchor == "month" and not is_aligned(spec, candle.close_time)
        ):
            raise UpstreamBadData(exchange, "it does not last as long as its interval", candle.open_time)
        previous_close = candle.close_time


def check_range(
    exchange: ExchangeId, capabilities: Capabilities, candles: Sequence[Candle], start_ms: int, end_ms: int
) -> None:
    """Raise UpstreamBadData for an answer to another question: what is left of it would look like a range without any.

    Around `start_ms ≤ open_time < end_ms` there may be: before it what overlaps it, where wide ranges are rejected
    (Coinbase) whatever precedes it; after it what an exchange sends that takes no end of a range.
    """
    if not candles:
        return
    first, last, wide = candles[0], candles[-1], capabilities.wide_range
    is_before = first.open_time < start_ms if wide == "oldest" else wide == "newest" and last.close_time <= start_ms
    if is_before or (wide != "newest" and last.open_time >= end_ms):
        outside = first if is_before else last
        raise UpstreamBadData(exchange, "it is outside the range that was asked for", outside.open_time)


def _is_decimal(candle: Candle) -> bool:
    columns = (candle.volume, candle.quote_volume, candle.taker_buy_volume, candle.taker_buy_quote_volume)
    amounts = [amount for amount in columns if amount is not None]
    return (
        _PRICES.fullmatch(f"{candle.open},{candle.high},{candle.low},{candle.close},") is not None
        and _AMOUNTS[len(amounts)].fullmatch(",".join((*amounts, ""))) is not None
        and (candle.trades is None or candle.trades >= 0)
    )


def _is_ordered(candle: Candle) -> bool:
    low, high = float(candle.low), float(candle.high)
    if low < float(candle.open) < high and low < float(candle.close) < high:
        return True
    exact_low, exact_high = Decimal(candle.low), Decimal(candle.high)
    return exact_low <= Decimal(candle.open) <= exact_high and exact_low <= Decimal(candle.close) <= exact_high
