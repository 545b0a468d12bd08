"""A second look at candles, made without the product's own rules: what is wrong with them, if anything."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from marketdata.core.models import Candle, IntervalSpec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_MONTH_MS = (28 * _UNIT_MS["d"], 31 * _UNIT_MS["d"])


def complaint(
    spec: IntervalSpec, candles: Sequence[Candle], start_ms: int = 0, end_ms: int | None = None
) -> str | None:
    """The first thing that is wrong with candles that were asked for from `start_ms` up to before `end_ms`."""
    previous: Candle | None = None
    for candle in candles:
        if wrong := _about_one(spec, candle):
            return f"{candle}: {wrong}"
        if candle.open_time < start_ms or (end_ms is not None and candle.open_time >= end_ms):
            return f"{candle}: outside"
        if previous is not None and candle.open_time < previous.close_time:
            return f"{candle}: not after {previous}"
        previous = candle
    return None


def _about_one(spec: IntervalSpec, candle: Candle) -> str | None:
    prices = [candle.open, candle.high, candle.low, candle.close]
    columns = [candle.volume, candle.quote_volume, candle.taker_buy_volume, candle.taker_buy_quote_volume]
    amounts = [text for text in columns if text is not None]
    if not all(_DECIMAL.fullmatch(text) for text in prices + amounts):
        return "no plain decimal"
    if any(text.startswith("-") for text in amounts) or (candle.trades or 0) < 0:
        return "negative"
    opened, high, low, close = map(Decimal, prices)
    if not (low <= opened <= high and low <= close <= high):
        return "prices out of order"
    return None if _is_in_its_place(spec, candle) else "off the grid, or not as long as its interval"


def _is_in_its_place(spec: IntervalSpec, candle: Candle) -> bool:
    shortest, longest = _lasts_ms(spec)
    if not shortest <= candle.close_time - candle.open_time <= longest:
        return False
    if spec.anchor == "month":
        return _is_month(candle.open_time) and _is_month(candle.close_time)
    return spec.anchor is None or (candle.open_time - (spec.offset_ms or 0)) % shortest == 0


def _lasts_ms(spec: IntervalSpec) -> tuple[int, int]:
    number, unit = int(spec.interval[:-1]), spec.interval[-1]
    return _MONTH_MS if unit == "M" else (number * _UNIT_MS[unit],) * 2


def _is_month(time_ms: int) -> bool:
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment == datetime(moment.year, moment.month, 1, tzinfo=UTC)
