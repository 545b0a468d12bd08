from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.core.errors import UpstreamBadData
from marketdata.core.exchanges import get_adapter
from marketdata.core.models import DAY_MS, HOUR_MS, Candle, ExchangeId, Interval, IntervalSpec
from marketdata.core.validate import check_candles, check_range

EXCHANGE = ExchangeId("binance_futures")
SPEC = get_adapter(EXCHANGE).capabilities.intervals[5]
T0 = 1767225600000


def candle(**changed: Any) -> Candle:
    fields: dict[str, Any] = {
        "open_time": T0,
        "close_time": T0 + HOUR_MS,
        "open": "2",
        "high": "3.10",
        "low": "1",
        "close": "2.5",
        "volume": "0",
        "trades": 0,
    }
    return Candle(**{**fields, **changed})


def test_the_interval_is_an_hour() -> None:
    assert SPEC.interval is Interval.HOUR_1


@pytest.mark.parametrize(
    "changed",
    [
        {"open": "NaN"},
        {"high": "Infinity"},
        {"low": "1e-3"},
        {"close": " 2"},
        {"close": "2_0"},
        {"close": "2,0"},
        {"close": ""},
        {"close": "٢"},
        {"volume": "-0.1"},
        {"volume": "None"},
        {"quote_volume": "x"},
        {"taker_buy_volume": "-1"},
        {"quote_volume": "1", "taker_buy_volume": "1", "taker_buy_quote_volume": "-1"},
        {"trades": -1},
        {"high": "2.4"},
        {"low": "2.1"},
        {"open": "3.11"},
        {"close": "0.9"},
        {"high": "3.1000000000000000000000001", "open": "3.1000000000000000000000002"},
        {"high": "3.1000000000000000000000001", "close": "3.1000000000000000000000002"},
        {"low": "1.0000000000000000000000002", "open": "1.0000000000000000000000001"},
        {"low": "1.0000000000000000000000002", "close": "1.0000000000000000000000001"},
        {"open_time": T0 + 1},
        {"open_time": -HOUR_MS},
        {"open_time": 4102444800000, "close_time": 4102444800000 + HOUR_MS},
        {"open_time": 10**17 * HOUR_MS, "close_time": 10**17 * HOUR_MS + HOUR_MS},
        {"close_time": T0},
        {"close_time": T0 + HOUR_MS - 1},
        {"close_time": T0 + 2 * HOUR_MS},
    ],
)
def test_a_bad_candle_names_itself(changed: dict[str, Any]) -> None:
    bad = candle(**changed)
    with pytest.raises(UpstreamBadData) as caught:
        check_candles(EXCHANGE, SPEC, [bad])
    assert caught.value.candle == bad.open_time
    assert caught.value.exchange == EXCHANGE


@pytest.mark.parametrize("second", [T0, T0 - HOUR_MS])
def test_repeated_and_reversed_candles_are_refused(second: int) -> None:
    follower = candle(open_time=second, close_time=second + HOUR_MS)
    with pytest.raises(UpstreamBadData, match="repeat"):
        check_candles(EXCHANGE, SPEC, [candle(), follower])


def test_without_an_alignment_overlaps_are_still_seen() -> None:
    spec = IntervalSpec(interval=Interval.DAY_3, token="3d", anchor=None, offset_ms=None)
    first = candle(open_time=T0 + 1, close_time=T0 + 1 + 3 * DAY_MS)
    check_candles(EXCHANGE, spec, [first])
    with pytest.raises(UpstreamBadData, match="overlap"):
        check_candles(EXCHANGE, spec, [first, candle(open_time=T0 + 3 * DAY_MS, close_time=T0 + 6 * DAY_MS)])


def test_a_month_ends_with_its_last_day() -> None:
    spec = IntervalSpec(interval=Interval.MONTH_1, token="1M", anchor="month", offset_ms=0)
    for opens, days in ((31, 28), (59, 31)):  # February and March of 1970
        check_candles(EXCHANGE, spec, [candle(open_time=opens * DAY_MS, close_time=(opens + days) * DAY_MS)])
    for opens, days in ((31, 29), (59, 28), (59, 30), (60, 30)):
        with pytest.raises(UpstreamBadData):
            check_candles(EXCHANGE, spec, [candle(open_time=opens * DAY_MS, close_time=(opens + days) * DAY_MS)])


@pytest.mark.parametrize(
    "exchange, opens, outside",
    [
        ("binance_futures", [], None),
        ("binance_futures", [10, 11, 12], None),
        ("binance_futures", [9, 10], 9),
        ("binance_futures", [12, 13], 13),
        ("binance_futures", [10, 11, 15], 15),
        ("binance_futures", [5, 20], 5),
        ("hyperliquid", [10, 12], None),
        ("hyperliquid", [9, 10], None),
        ("hyperliquid", [7, 8, 9], 7),
        ("hyperliquid", [3, 4, 5], 3),
        ("hyperliquid", [7, 8, 10], None),
        ("hyperliquid", [13, 14], None),
        ("coinbase", [10, 12], None),
        ("coinbase", [7, 8], None),
        ("coinbase", [12, 13], 13),
    ],
)
def test_an_answer_to_another_question_names_what_is_outside(
    exchange: str, opens: list[int], outside: int | None
) -> None:
    """Asked are the hours 10 to 12."""
    capabilities = get_adapter(exchange).capabilities
    candles = [candle(open_time=hour * HOUR_MS, close_time=(hour + 1) * HOUR_MS) for hour in opens]
    if outside is None:
        check_range(ExchangeId(exchange), capabilities, candles, 10 * HOUR_MS, 13 * HOUR_MS)
        return
    with pytest.raises(UpstreamBadData, match="outside the range") as caught:
        check_range(ExchangeId(exchange), capabilities, candles, 10 * HOUR_MS, 13 * HOUR_MS)
    assert caught.value.candle == outside * HOUR_MS


def test_sound_candles_pass() -> None:
    flat = {"open": "1.0", "high": "1", "low": "1.00", "close": "1"}
    check_candles(EXCHANGE, SPEC, [])
    check_candles(EXCHANGE, SPEC, [candle(), candle(open_time=T0 + 2 * HOUR_MS, close_time=T0 + 3 * HOUR_MS, **flat)])
    check_candles(
        EXCHANGE, SPEC, [candle(trades=7, quote_volume="1", taker_buy_volume="0.5", taker_buy_quote_volume="0")]
    )


@pytest.mark.parametrize("changed", [{"open": "1"}, {"open": "3.1"}, {"close": "1"}, {"close": "3.1"}])
def test_open_and_close_may_each_be_the_lowest_or_the_highest(changed: dict[str, Any]) -> None:
    check_candles(EXCHANGE, SPEC, [candle(**changed)])


def test_one_candle_may_open_where_the_last_one_closed() -> None:
    check_candles(EXCHANGE, SPEC, [candle(), candle(open_time=T0 + HOUR_MS, close_time=T0 + 2 * HOUR_MS)])


def test_candles_may_open_from_1970_to_the_end_of_2099() -> None:
    spec = IntervalSpec(interval=Interval.HOUR_1, token="1h", anchor=None, offset_ms=None)
    for opens_ms in (0, 4102444799999):
        check_candles(EXCHANGE, spec, [candle(open_time=opens_ms, close_time=opens_ms + HOUR_MS)])
    for opens_ms in (-1, 4102444800000):
        with pytest.raises(UpstreamBadData, match="grid"):
            check_candles(EXCHANGE, spec, [candle(open_time=opens_ms, close_time=opens_ms + HOUR_MS)])


@given(st.permutations(["1", "2", "3", "4"]))
def test_low_and_high_enclose_open_and_close(values: list[str]) -> None:
    opened, high, low, close = values
    sound = low <= min(opened, close) and high >= max(opened, close)
    try:
        check_candles(EXCHANGE, SPEC, [candle(open=opened, high=high, low=low, close=close)])
    except UpstreamBadData:
        assert not sound
    else:
        assert sound
