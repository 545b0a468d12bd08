import json
from collections.abc import Callable

import pytest

from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamBanned,
    UpstreamBlocked,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.exchanges.binance_futures import BinanceFutures
from marketdata.core.models import Candle, Interval, Kind, Listing, Status
from marketdata.core.naming import assign_names

ADAPTER = BinanceFutures()
QUERY = CandleQuery("BTCUSDT", Interval.HOUR_1, 1577836800000, 1577844000000, 500)


@pytest.fixture
def listing(sample: Callable[[str], bytes]) -> Listing:
    return ADAPTER.parse_listing([sample("binance_futures/exchangeInfo.json")], {})


def test_every_row_is_an_instrument_or_a_refusal(listing: Listing) -> None:
    assert len(listing.instruments) == 15
    assert {refusal.exchange_symbol: refusal.reason for refusal in listing.refused} == {
        "ODDUSDT": "its contractType does not tell whether it is a perpetual or a future, and nothing else does",
        "NOTICKUSDT": "it has no PRICE_FILTER with a tickSize",
        "BROKENUSDT": "Object missing required field `status`",
        "NANUSDT": "tick_size: String should match pattern '^-?[0-9]+(\\.[0-9]+)?$'",
        None: "Expected `object`, got `str`",
        "BTCUSDT": "it is listed twice; the first row counts",
    }


def test_an_instrument_known_before_keeps_its_kind(sample: Callable[[str], bytes]) -> None:
    body = sample("binance_futures/exchangeInfo.json")
    listing = ADAPTER.parse_listing([body], {"ODDUSDT": Kind.PERPETUAL})
    assert [one.kind for one in listing.instruments if one.exchange_symbol == "ODDUSDT"] == [Kind.PERPETUAL]


def test_filters_of_which_nobody_has_heard_change_nothing(listing: Listing, sample: Callable[[str], bytes]) -> None:
    new = b'"filters": [{"filterType": "NEW", "notional": 5, "tickSize": ["1"]}, {"notional": null}, '
    body = sample("binance_futures/exchangeInfo.json")
    assert ADAPTER.parse_listing([body.replace(b'"filters": [', new)], {}) == listing


def test_without_a_least_notional_there_is_none(sample: Callable[[str], bytes]) -> None:
    body = sample("binance_futures/exchangeInfo.json").replace(b'"MIN_NOTIONAL"', b'"GONE"', 1)
    first = ADAPTER.parse_listing([body], {}).instruments[0]
    assert (first.exchange_symbol, first.min_notional, first.tick_size) == ("BTCUSDT", None, "0.10")


def test_a_row_of_the_coin_margined_market_is_refused(sample: Callable[[str], bytes]) -> None:
    body = sample("binance_futures/exchangeInfo.json").replace(b'"marginAsset": "USDT"', b'"marginAsset": "BTC"', 1)
    listing = ADAPTER.parse_listing([body], {})
    assert listing.refused[0].exchange_symbol == "BTCUSDT"
    assert "coin-margined" in listing.refused[0].reason


def test_a_date_that_no_calendar_has_costs_one_row(sample: Callable[[str], bytes]) -> None:
    body = sample("binance_futures/exchangeInfo.json").replace(b"1798185600000", b"253402300800000", 1)
    listing = ADAPTER.parse_listing([body], {})
    assert "BTCUSDT_261225" in [refusal.exchange_symbol for refusal in listing.refused]
    assert len(listing.instruments) > 3


def test_names_of_the_whole_listing(listing: Listing) -> None:
    assert assign_names(listing.instruments, {}) == {
        "BTCUSDT": "BTC-USDT-PERP",
        "BTCUSDT_261225": "BTC-USDT-261225",
        "1MBABYDOGEUSDT": "1000000BABYDOGE-USDT-PERP",
        "1000SHIBUSDC": "1000SHIB-USDC-PERP",
        "777COINUSDT": "777COIN-USDT-PERP",
        "1INCHUSDT": "1INCH-USDT-PERP",
        "CRVUSDT": "CRV-USDT-PERP",
        "币安人生USDT": "币安人生-USDT-PERP",
        "XAUUSDT": "XAU-USDT-PERP",
        "IDOL": "IDOL-USDT-PERP~IDOL",
        "IDOLUSDT": "IDOL-USDT-PERP",
        "OMGUSDT": "OMG-USDT-PERP",
        "BTCSTUSDT": "BTCST-USDT-PERP",
        "ODDUSDT_270625": "ODD-USDT-270625",
        "ETHBTC": "ETH-BTC-PERP",
    }


def test_what_is_odd_is_counted(listing: Listing) -> None:
    assert listing.unclassified == ("777COINUSDT",)
    assert listing.base_mismatches == ("CRVUSDT",)
    assert listing.unknown_words == {"contractType=": 1, "contractType=WEEKLY_SWAP": 2, "status=AUCTION": 1}


def test_fields(listing: Listing) -> None:
    of = {one.exchange_symbol: one for one in listing.instruments}
    shib, odd, crv, dated = of["1000SHIBUSDC"], of["777COINUSDT"], of["CRVUSDT"], of["BTCUSDT_261225"]
    assert (shib.base_asset, shib.base_multiplier, shib.tick_size) == ("SHIB", 1000, "0.000001")
    assert (of["1MBABYDOGEUSDT"].base_asset, of["1MBABYDOGEUSDT"].base_multiplier) == ("BABYDOGE", 1_000_000)
    assert (odd.base_asset, odd.base_multiplier) == ("777COIN", None)
    assert (crv.base_asset, crv.base_multiplier) == ("TRB", 1)
    assert (dated.kind, dated.expires_at, dated.ccxt_symbol) == (Kind.FUTURE, 1798185600000, "BTC/USDT:USDT-261225")
    assert of["ETHBTC"].tick_size == "0.000010"  # trailing zero as sent
    assert (of["OMGUSDT"].status, of["OMGUSDT"].exchange_status) == (Status.SETTLING, "SETTLING")
    assert of["OMGUSDT"].expires_at is None  # a perpetual's deliveryDate is rewritten when it settles
    assert of["BTCSTUSDT"].status is Status.PRE_TRADING
    assert of["ODDUSDT_270625"].status is Status.UNKNOWN
    assert (shib.min_quantity, shib.step_size, shib.min_notional) == ("0.001", "0.001", "100")


@pytest.mark.parametrize(
    "status, expected",
    [
        ("PRE_SETTLE", Status.SETTLING),
        ("PRE_DELIVERING", Status.SETTLING),
        ("CANCEL_ONLY", Status.CANCEL_ONLY),
    ],
)
@pytest.mark.parametrize(
    "contract_type, kind, expires_at",
    [
        ("CURRENT_MONTH", Kind.FUTURE, 1798185600000),
        ("NEXT_MONTH", Kind.FUTURE, 1798185600000),
        ("CURRENT_MONTH DELIVERING", Kind.FUTURE, 1798185600000),
        ("CURRENT_QUARTER_DELIVERING", Kind.FUTURE, 1798185600000),
        ("PERPETUAL_DELIVERING", Kind.PERPETUAL, None),
    ],
)
def test_words_that_are_documented_and_rarely_seen(
    sample: Callable[[str], bytes],
    status: str,
    expected: Status,
    contract_type: str,
    kind: Kind,
    expires_at: int | None,
) -> None:
    info = json.loads(sample("binance_futures/exchangeInfo.json"))
    row = info["symbols"][0] | {"status": status, "contractType": contract_type, "deliveryDate": 1798185600000}
    listing = ADAPTER.parse_listing([json.dumps({**info, "symbols": [row]}).encode()], {})
    (one,) = listing.instruments
    assert (one.status, one.exchange_status, one.kind, one.expires_at) == (expected, status, kind, expires_at)
    assert listing.unknown_words == {}


@pytest.mark.parametrize(
    "contract_type, delivery_ms, ccxt_symbol",
    [
        ("TRADIFI_PERPETUAL", 4133404800000, "XAU/USDT:USDT"),
        (
            "TRADIFI_PERPETUAL",
            1798185600000,
            "XAU/USDT:USDT-261225",
        ),  # its delisting is announced: ccxt takes it for dated
        ("PERPETUAL", 1798185600000, "XAU/USDT:USDT"),
        ("PERPETUAL DELIVERING", 4133404800000, "XAU/USDT:USDT"),
        ("", 4133404800000, "XAU/USDT:USDT"),
    ],
)
def test_ccxt_goes_by_word_and_delivery_date(
    sample: Callable[[str], bytes], contract_type: str, delivery_ms: int, ccxt_symbol: str
) -> None:
    info = json.loads(sample("binance_futures/exchangeInfo.json"))
    row = next(row for row in info["symbols"] if row["symbol"] == "XAUUSDT")
    row |= {"contractType": contract_type, "deliveryDate": delivery_ms}
    listing = ADAPTER.parse_listing([json.dumps(info).encode()], {"XAUUSDT": Kind.PERPETUAL})
    assert [one.ccxt_symbol for one in listing.instruments if one.exchange_symbol == "XAUUSDT"] == [ccxt_symbol]


def test_candles_keep_digits_columns_and_times(sample: Callable[[str], bytes]) -> None:
    first, second = ADAPTER.parse_candles(sample("binance_futures/klines.json"), QUERY)
    assert first == Candle(
        open_time=1577836800000,
        close_time=1577840400000,
        open="7189",
        high="7190.5",
        low="7150",
        close="7170.00",
        volume="1234.567",
        quote_volume="8851234.56789",
        trades=4321,
        taker_buy_volume="600.001",
        taker_buy_quote_volume="4301234.5",
    )
    assert second.taker_buy_volume == "0"  # published, so not null


def test_a_request_is_inclusive_at_both_ends() -> None:
    request = ADAPTER.candles_request(QUERY)
    assert request.params == {
        "symbol": "BTCUSDT",
        "interval": "1h",
        "startTime": 1577836800000,
        "endTime": 1577843999999,
        "limit": 500,
    }
    assert "startTime" not in ADAPTER.candles_request(CandleQuery("X", Interval.HOUR_1, None, 5, 1)).params


@pytest.mark.parametrize(
    "limit, weight", [(1, 1), (100, 1), (101, 2), (500, 2), (501, 5), (1000, 5), (1001, 10), (1500, 10)]
)
def test_weights_are_the_measured_ones(limit: int, weight: int) -> None:
    assert ADAPTER.candles_request(CandleQuery("X", Interval.HOUR_1, 0, 5, limit)).weight == weight


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"code":-1121,"msg":"x"}', b"[[1]]", b"[[1,2,3]]", b"<html>"])
def test_what_is_not_klines_is_bad_data(body: bytes) -> None:
    with pytest.raises(UpstreamBadData):
        ADAPTER.parse_candles(body, QUERY)


@pytest.mark.parametrize(
    "status, body, kind",
    [
        (400, b'{"code":-1121,"msg":"Invalid symbol."}', UpstreamRefused),
        (400, b'{"code":-1122,"msg":"Invalid symbol status."}', UpstreamRefused),
        (400, b'{"code":-1130,"msg":"..."}', UpstreamFailure),
        (429, b'{"code":-1003,"msg":"Too many requests"}', UpstreamRateLimited),
        (418, b'{"code":-1003,"msg":"Way too many requests; IP banned until 1767225600000. ..."}', UpstreamBanned),
        (403, b"<html>", UpstreamBlocked),
        (451, b"{}", UpstreamBlocked),
        (408, b"", UpstreamUnavailable),
        (503, b"Service Unavailable.", UpstreamUnavailable),
        (302, b"", UpstreamFailure),
        (400, b'{"code":-1,"msg":"caf\xe9"}', UpstreamFailure),
        (429, b'{"code":' + b"[" * 100_000, UpstreamRateLimited),
        (200, b' {"msg":"Invalid symbol.","code":-1121}', UpstreamRefused),
        (429, b'{"code":-1003,"msg":"Way too many requests; IP banned until 1767225600000."}', UpstreamBanned),
        (418, b"<html>", UpstreamBanned),
    ],
)
def test_failures_have_names(status: int, body: bytes, kind: type[Exception]) -> None:
    assert type(ADAPTER.classify(status, {}, body)) is kind
    assert ADAPTER.classify(200, {}, b"[]") is None


def test_a_ban_says_until_when() -> None:
    error = ADAPTER.classify(418, {}, b'{"code":-1003,"msg":"Way too many requests; IP banned until 1767225600000."}')
    assert isinstance(error, UpstreamBanned)
    assert (error.until_ms, error.retry_after_s) == (1767225600000, None)
    error = ADAPTER.classify(418, {"retry-after": "3600"}, b'{"code":-1003,"msg":"banned until 1767225600000."}')
    assert isinstance(error, UpstreamBanned)
    assert (error.until_ms, error.retry_after_s) == (1767225600000, 3600)


@pytest.mark.parametrize("pair,quote", [("BTCUSD", "USDT"), ("USDT", "USDT"), ("BTCUSDT", "")])
def test_a_pair_without_its_quote_asset_is_refused(sample: Callable[[str], bytes], pair: str, quote: str) -> None:
    body = sample("binance_futures/exchangeInfo.json").decode()
    first = f'"pair": "{pair}",'.join(body.split('"pair": "BTCUSDT",', 1))
    listing = ADAPTER.parse_listing(
        [f'"quoteAsset": "{quote}"'.join(first.split('"quoteAsset": "USDT"', 1)).encode()], {}
    )
    assert listing.refused[0].reason == "its pair is not its base and its quote asset"
