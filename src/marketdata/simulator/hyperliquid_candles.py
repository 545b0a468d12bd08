"""How Hyperliquid writes candles and prices, and where its candles open.

The shapes are those of recorded answers (mainnet 2023 to 2026-07).
"""

from collections.abc import Mapping

import msgspec

from marketdata.simulator.answers import json_body
from marketdata.simulator.bars import Bar
from marketdata.simulator.decimals import one_decimal, significant
from marketdata.simulator.grids import DAILY, DAY_MS, Grid, Months, Steps
from marketdata.simulator.market import Instrument
from marketdata.simulator.scenario import Scenario

_SIGNIFICANT_DIGITS = 5


def grids(scenario: Scenario) -> Mapping[str, Grid]:
    """Where the candles of each interval open."""
    return {
        **{interval: grid for interval, grid in DAILY.items() if interval != "6h"},
        # Raw division from the epoch, so weeks begin on Thursday.
        "1w": Steps(7 * DAY_MS),
        "1M": Months() if scenario.calendar_months else Steps(30 * DAY_MS),
    }


def candle(instrument: Instrument, interval: str, open_ms: int, next_ms: int, bar: Bar) -> bytes:
    """A candle; `T` is its last millisecond."""
    opened, high, low, closed = (price_text(instrument, ticks) for ticks in bar[:4])
    size = one_decimal(bar.size, instrument.size_scale)
    return (
        f'{{"t":{open_ms},"T":{next_ms - 1},"s":"{instrument.symbol}","i":"{interval}","o":"{opened}","c":"{closed}"'
        f',"h":"{high}","l":"{low}","v":"{size}","n":{bar.trades}}}'
    ).encode()


def old_candle(instrument: Instrument, interval: str, open_ms: int, next_ms: int, bar: Bar) -> bytes:
    """A candle with its keys in the order of the alphabet, capitals first, as until 2023."""
    keys: dict[str, object] = msgspec.json.decode(candle(instrument, interval, open_ms, next_ms, bar))
    return json_body({key: keys[key] for key in sorted(keys)})


def price_text(instrument: Instrument, ticks: int) -> str:
    """A price of five significant digits; rounding keeps the order of prices, so candles still agree."""
    scale = instrument.price_scale
    return one_decimal(significant(ticks * instrument.tick, scale, _SIGNIFICANT_DIGITS), scale)
