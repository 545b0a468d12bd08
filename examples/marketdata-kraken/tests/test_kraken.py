import json
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamBlocked,
    UpstreamError,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from marketdata.core.exchanges import get_adapter
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.models import Candle, Interval, Listing, Status
from marketdata.core.naming import assign_names
from marketdata.core.paging import floor_open
from marketdata.core.validate import check_candles
from marketdata_kraken import Kraken

ADAPTER = Kraken()
SAMPLES = Path(__file__).parent / "samples"
OHLC = (SAMPLES / "OHLC.json").read_bytes()
QUERY = CandleQuery("BTC/USD", Interval.HOUR_1, 1767225600000, 1767236400000, 721)


@pytest.fixture
def listing() -> Listing:
    return ADAPTER.parse_listing([(SAMPLES / "AssetPairs.json").read_bytes()], {})


def error(word: str, result: str = "{}") -> bytes:
    return f'{{"error":["{word}"],"result":{result}}}'.encode()


def test_the_platform_finds_it_by_its_entry_point() -> None:
    assert entry_points(group="marketdata.exchanges")["kraken"].load() is Kraken
    assert isinstance(get_adapter("kraken"), Kraken)


def test_names_and_statuses(listing: Listing) -> None:
    names = assign_names(listing.instruments, {})
    assert {names[one.exchange_symbol]: one.status for one in listing.instruments} == {
        "BTC-USD": Status.TRADING,
        "ETH-BTC": Status.TRADING,  # limit_only still trades
        "DOGE-EUR": Status.POST_ONLY,
        "USDT-USD": Status.CANCEL_ONLY,
        "1INCH-USD": Status.UNKNOWN,
        "LUNA-USD": Status.UNKNOWN,
        "1000CATS-USD": Status.TRADING,
    }


def test_every_other_row_is_refused_by_name_with_its_reason(listing: Listing) -> None:
    reasons = {refusal.exchange_symbol: refusal.reason for refusal in listing.refused}
    assert reasons.keys() == {
        "AAPLx/USD",
        "BTC/USD:BTNL",
        "BTC/EUR.d",
        "SOLUSD",
        "XRP/USD",
        "ADA/USD",
    }
    assert "not a pair of currencies" in reasons["AAPLx/USD"]
    assert "another venue's" in reasons["BTC/USD:BTNL"]
    assert "does not end with its quote asset" in reasons["BTC/EUR.d"]
    assert "does not end with its quote asset" in reasons["SOLUSD"]
    assert "`quote`" in reasons["XRP/USD"]


def test_what_is_odd_is_counted(listing: Listing) -> None:
    assert listing.unknown_words == {"status=dormant": 1}
    assert listing.base_mismatches == ("1000CATS/USD",)
    assert listing.unclassified == ("1000CATS/USD",)


def test_fields(listing: Listing) -> None:
    of = {one.exchange_symbol: one for one in listing.instruments}
    bitcoin = of["BTC/USD"]
    assert (bitcoin.base_asset, bitcoin.base_multiplier, bitcoin.quote_asset) == ("BTC", 1, "USD")
    assert (bitcoin.tick_size, bitcoin.step_size, bitcoin.price_max_decimals) == ("0.1", None, 1)
    assert (bitcoin.min_quantity, bitcoin.min_notional) == ("0.00005", "0.5")
    assert (of["LUNA/USD"].tick_size, of["LUNA/USD"].min_quantity, of["LUNA/USD"].min_notional) == (None, None, None)
    assert {name: one.ccxt_symbol for name, one in of.items() if one.ccxt_symbol != name} == {"LUNA/USD": None}
    assert of["1000CATS/USD"].base_multiplier is None


def test_the_listing_is_one_call_under_the_names_that_are_shown() -> None:
    (request,) = ADAPTER.listing_requests()
    assert (request.method, request.path, request.params) == ("GET", "/0/public/AssetPairs", {"assetVersion": 1})


def test_candles_keep_every_digit_and_rows_without_trades() -> None:
    candles = ADAPTER.parse_candles(OHLC, QUERY)
    assert [candle.open_time for candle in candles] == [1767225600000, 1767229200000, 1767232800000]
    assert candles[0] == Candle(
        open_time=1767225600000,
        close_time=1767229200000,
        open="87500.0",
        high="87650.5",
        low="87411.1",
        close="87600.0",
        volume="12.34567890",
        trades=345,
    )
    assert (candles[1].volume, candles[1].trades, candles[1].close) == ("0.00000000", 0, "87600.0")
    spec = ADAPTER.capabilities.spec(Interval.HOUR_1)
    assert spec is not None
    check_candles(ADAPTER.exchange, spec, candles)


def test_a_request_begins_a_second_earlier_as_since_is_exclusive() -> None:
    request = ADAPTER.candles_request(QUERY)
    assert request.path == "/0/public/OHLC"
    assert request.params == {"pair": "BTC/USD", "interval": 60, "since": 1767225599, "assetVersion": 1}
    assert ADAPTER.candles_request(replace(QUERY, start_ms=0)).params["since"] == 0


def test_all_intervals_are_on_one_grid_so_weeks_open_on_thursday() -> None:
    week = ADAPTER.capabilities.spec(Interval.WEEK_1)
    assert week is not None
    assert floor_open(week, 1767225600000) == 1767225600000  # 2026-01-01 was a Thursday


def test_an_answer_about_another_pair_is_refused() -> None:
    for other in (OHLC.replace(b"BTC/USD", b"ETH/USD"), OHLC.replace(b"last", b"ETH/USD"), b'{"result":{"last":1}}'):
        with pytest.raises(UpstreamBadData, match="another pair"):
            ADAPTER.parse_candles(other, QUERY)


def test_a_pair_that_is_answered_twice_is_refused() -> None:
    body = json.loads(OHLC)
    rows = json.dumps(body["result"]["BTC/USD"])
    twice = f'{{"error":[],"result":{{"BTC/USD":[],"BTC/USD":{rows},"last":1767229200}}}}'
    with pytest.raises(UpstreamGarbled, match="twice"):
        ADAPTER.parse_candles(twice.encode(), QUERY)
    unfamiliar = OHLC.replace(b'{"error"', b'{"more":1,"error"')
    assert len(ADAPTER.parse_candles(unfamiliar, QUERY)) == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b'{"error":[],"result":{}}',
        b'{"error":[],"result":{"BTC/USD":7,"last":7}}',
        b'{"error":[],"result":{"BTC/USD":[[1767225600,"1","1","1","1","1"]],"last":7}}',
        b'{"error":[],"result":{"BTC/USD":[[1767225600.5,"1","1","1","1","1","1",1]],"last":7}}',
        b'{"error":[],"result":{"BTC/USD":[[1767225600,1.0,"1","1","1","1","1",1]],"last":7}}',
        OHLC[:-40],
    ],
)
def test_what_is_not_candles_is_bad_data(body: bytes) -> None:
    with pytest.raises(UpstreamBadData):
        ADAPTER.parse_candles(body, QUERY)


def test_a_good_answer_is_no_failure() -> None:
    assert ADAPTER.classify(200, {}, OHLC) is None
    assert ADAPTER.classify(200, {}, OHLC.replace(b'"error":[]', b'"error": [ ]')) is None
    assert ADAPTER.classify(200, {}, error("WGeneral:Deprecated", '{"last":1}')) is None


@pytest.mark.parametrize(
    "word, kind",
    [
        ("EQuery:Unknown asset pair", UpstreamRefused),
        ("EGeneral:Too many requests", UpstreamRateLimited),
        ("EAPI:Rate limit exceeded", UpstreamRateLimited),
        ("EService:Unavailable", UpstreamUnavailable),
        ("EService:Busy", UpstreamUnavailable),
        ("EGeneral:Internal error", UpstreamUnavailable),
        ("EGeneral:Invalid arguments", UpstreamError),
    ],
)
def test_failures_come_with_status_200_and_have_names(word: str, kind: type[UpstreamError]) -> None:
    failure = ADAPTER.classify(200, {}, error(word))
    assert type(failure) is kind
    assert type(ADAPTER.classify(200, {}, f'{{"error":["WGeneral:Old","{word}"]}}'.encode())) is kind


def test_a_throttled_caller_is_told_until_when() -> None:
    date = {"date": "Thu, 01 Jan 2026 00:00:00 GMT"}
    for word in ("EService: Throttled: 1767225607", "EService:Throttled: 1767225607"):
        throttled = ADAPTER.classify(200, date, error(word))
        assert isinstance(throttled, UpstreamRateLimited)
        assert throttled.retry_after_s == 7
    unknown = ADAPTER.classify(200, {}, error("EService:Throttled: 1767225607"))
    assert isinstance(unknown, UpstreamRateLimited)
    assert unknown.retry_after_s is None


def test_the_servers_in_front_answer_otherwise() -> None:
    assert isinstance(ADAPTER.classify(520, {}, b"<html>"), UpstreamUnavailable)
    assert isinstance(ADAPTER.classify(403, {}, b"<html>"), UpstreamBlocked)
    assert isinstance(ADAPTER.classify(429, {}, b""), UpstreamRateLimited)
    assert ADAPTER.classify(200, {}, b"<html>") is None  # reading it fails, with the reason


def test_the_clock() -> None:
    body = b'{"error":[],"result":{"unixtime":1767225600,"rfc1123":"Thu,  1 Jan 26 00:00:00 +0000"}}'
    assert ADAPTER.parse_time({}, body) == 1767225600000
