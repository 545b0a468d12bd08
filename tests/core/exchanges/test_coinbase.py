import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.exchanges.coinbase import Coinbase
from marketdata.core.models import Candle, Interval, Listing, Status
from marketdata.core.naming import assign_names

ADAPTER = Coinbase()
QUERY = CandleQuery("BTC-USD", Interval.HOUR_1, 1767225600000, 1767232800000, 300)


@pytest.fixture
def listing(sample: Callable[[str], bytes]) -> Listing:
    return ADAPTER.parse_listing([sample("coinbase/products.json")], {})


def test_names_and_statuses(listing: Listing) -> None:
    names = assign_names(listing.instruments, {})
    assert {names[one.exchange_symbol]: one.status for one in listing.instruments} == {
        "ETH-BTC": Status.TRADING,
        "BTC-USD": Status.TRADING,
        "BTCAUCTION-USD": Status.TRADING,
        "BTC-USDC": Status.DELISTED,
        "00-USD": Status.TRADING,  # limit_only still trades
        "A-USD": Status.CANCEL_ONLY,
        "B-USD": Status.POST_ONLY,
        "C-USD": Status.PRE_TRADING,
        "D-USD": Status.HALTED,
        "E-USD": Status.HALTED,
        "F-USD": Status.UNKNOWN,
        "G-USD": Status.UNKNOWN,
        "CGLD-USD": Status.TRADING,
    }


def test_what_is_odd_is_counted_or_refused(listing: Listing) -> None:
    assert listing.base_mismatches == ("BTCAUCTION-USD",)
    assert listing.unknown_words == {"status=dormant": 1}
    assert [refusal.exchange_symbol for refusal in listing.refused] == ["H-EUR", "I-USD"]
    assert listing.unclassified == ()


def test_fields(listing: Listing) -> None:
    of = {one.exchange_symbol: one for one in listing.instruments}
    assert (of["ETH-BTC"].tick_size, of["ETH-BTC"].step_size) == ("0.00001", "0.00000001")
    assert of["ETH-BTC"].min_notional == "0.000016"
    assert of["BTCAUCTION-USD"].base_asset == "BTC"
    assert of["CGLD-USD"].ccxt_symbol == "CELO/USD"
    assert of["BTCAUCTION-USD"].ccxt_symbol == "BTCAUCTION/USD"  # ccxt, too, takes the base from the id


def test_a_listing_from_before_its_newer_keys_is_read(sample: Callable[[str], bytes]) -> None:
    products = json.loads(sample("coinbase/products.json"))
    newer = {"auction_mode", "min_market_funds", "post_only", "cancel_only", "trading_disabled", "fx_stablecoin"}
    old = [{key: value for key, value in row.items() if key not in newer} for row in products[:1]]
    listing = ADAPTER.parse_listing([json.dumps(old).encode()], {})
    assert listing.refused == ()
    assert listing.instruments[0].min_notional is None
    assert listing.instruments[0].status is Status.TRADING


def test_candles_are_turned_round_and_keep_every_digit(sample: Callable[[str], bytes]) -> None:
    older, newer = ADAPTER.parse_candles(sample("coinbase/candles.json"), QUERY)
    assert older == Candle(
        open_time=1767225600000,
        close_time=1767229200000,
        open="42000",
        high="42010.10",
        low="41000",
        close="41999.9",
        volume="1200",
    )
    assert (newer.low, newer.high, newer.open, newer.close) == ("0.00000001", "0.00000003", "0.00000002", "0.000000025")
    assert newer.volume == "4.727521520000001"  # the noise is what was published
    assert newer.trades is None


def test_a_request_names_both_ends_inclusive_and_aligned() -> None:
    request = ADAPTER.candles_request(QUERY)
    assert request.path == "/products/BTC-USD/candles"
    assert request.params == {"granularity": 3600, "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}
    assert request.headers == {}
    assert ADAPTER.candles_request(replace(QUERY, is_tail=True)).headers == {"Cache-Control": "no-cache"}


def test_an_identifier_cannot_leave_its_place_in_the_path() -> None:
    request = ADAPTER.candles_request(CandleQuery("../time?x=", Interval.HOUR_1, 0, 1, 300))
    assert request.path == "/products/..%2Ftime%3Fx%3D/candles"


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"message":"NotFound"}', b"[[1]]", b"[[1.5,1,1,1,1,1]]"])
def test_what_is_not_candles_is_bad_data(body: bytes) -> None:
    with pytest.raises(UpstreamBadData):
        ADAPTER.parse_candles(body, QUERY)


def test_failures_have_names() -> None:
    assert isinstance(ADAPTER.classify(404, {}, b'{"message":"NotFound"}'), UpstreamRefused)
    assert isinstance(ADAPTER.classify(404, {}, b"<html>"), UpstreamFailure)  # a wrong base URL is no lost product
    maintenance = ADAPTER.classify(503, {}, b'{"message":"We are currently under maintenance."}')
    assert isinstance(maintenance, UpstreamUnavailable)
    assert "maintenance" in str(maintenance)
    assert isinstance(ADAPTER.classify(400, {}, b'{"message":"Unsupported granularity"}'), UpstreamFailure)
    limited = ADAPTER.classify(429, {"retry-after": "3"}, b'{"message":"Public rate limit exceeded"}')
    assert isinstance(limited, UpstreamRateLimited)
    assert limited.retry_after_s == 3


def test_the_clock() -> None:
    assert ADAPTER.parse_time({}, b'{"iso":"2026-01-01T00:00:00.250Z","epoch":1767225600.25}') == 1767225600250


@pytest.mark.parametrize("iso", ["2026-01-01T00:00:00.250", "yesterday", "0001-01-01T00:00:00"])
def test_a_time_without_a_zone_is_not_guessed(iso: str) -> None:
    with pytest.raises(UpstreamBadData):
        ADAPTER.parse_time({}, b'{"iso":"%s"}' % iso.encode())
