from collections.abc import Callable

import msgspec
import pytest

from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamBlocked,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.exchanges.hyperliquid import Hyperliquid
from marketdata.core.models import DAY_MS, Candle, Interval, Kind, Listing, Status
from marketdata.core.naming import assign_names

ADAPTER = Hyperliquid()
QUERY = CandleQuery("kPEPE", Interval.HOUR_1, 1767225600000, 1767232800000, 5000)


@pytest.fixture
def listing(sample: Callable[[str], bytes]) -> Listing:
    bodies = [sample("hyperliquid/allPerpMetas.json"), sample("hyperliquid/spotMeta.json")]
    return ADAPTER.parse_listing(bodies, {})


def test_names_of_the_whole_listing(listing: Listing) -> None:
    assert assign_names(listing.instruments, {}) == {
        "BTC": "BTC-USDC-PERP",
        "kPEPE": "1000PEPE-USDC-PERP",
        "MATIC": "MATIC-USDC-PERP",
        "xyz:TSLA": "XYZ.TSLA-USDC-PERP",
        "hyna:BTC": "HYNA.BTC-USDE-PERP",
        "hyna:kBONK": "HYNA.1000BONK-USDE-PERP",
        "km:US500*": "KM.US500*-USDH-PERP",
        "PURR/USDC": "PURR-USDC",
        "@107": "HYPE-USDC",
        "@207": "HYPE-USDT0",
        "@142": "UBTC-USDC",
        "@77": "HYPE-USDC~@77",
    }


def test_what_cannot_be_read_is_refused_by_name_and_outcome_markets_are_ignored(listing: Listing) -> None:
    assert {refusal.exchange_symbol: refusal.reason for refusal in listing.refused} == {
        "lost:GOLD?": "its dex names no collateral token that is listed, so its quote asset is not known",
        "@300": "one of its tokens is not listed",
    }


def test_fields(listing: Listing) -> None:
    of = {one.exchange_symbol: one for one in listing.instruments}
    pepe, hyna, hype = of["kPEPE"], of["hyna:BTC"], of["@107"]
    assert (pepe.base_asset, pepe.base_multiplier, pepe.step_size, pepe.price_max_decimals) == ("PEPE", 1000, "1", 6)
    assert (hyna.dex, hyna.base_asset, hyna.quote_asset, hyna.settle_asset) == ("hyna", "BTC", "USDE", "USDE")
    assert hyna.ccxt_symbol == "HYNA-BTC/USDE:USDE"
    assert (of["BTC"].step_size, of["BTC"].tick_size, of["BTC"].price_max_decimals) == ("0.00001", None, 1)
    assert of["BTC"].price_significant_digits == 5
    assert (hype.kind, hype.settle_asset, hype.step_size, hype.price_max_decimals) == (Kind.SPOT, None, "0.01", 6)
    assert (of["@142"].ccxt_symbol, of["@207"].ccxt_symbol) == ("BTC/USDC", "HYPE/USDT")
    assert (of["MATIC"].status, of["MATIC"].exchange_status) == (Status.DELISTED, "isDelisted")
    assert of["BTC"].status is Status.TRADING


def test_a_token_index_is_part_of_the_identity(sample: Callable[[str], bytes]) -> None:
    listing = ADAPTER.parse_listing([b"[]", sample("hyperliquid/spotMeta.json")], {})
    identities = {one.exchange_symbol: one.identity for one in listing.instruments}
    assert identities["@107"] != identities["@77"]


def test_candles_keep_digits_columns_and_times(sample: Callable[[str], bytes]) -> None:
    first, quiet = ADAPTER.parse_candles(sample("hyperliquid/candleSnapshot.json"), QUERY)
    assert first == Candle(
        open_time=1767225600000,
        close_time=1767229200000,
        open="0.004012",
        high="0.004031",
        low="0.0040",
        close="0.004020",
        volume="120934.0",
        trades=812,
    )
    assert (quiet.volume, quiet.trades, quiet.quote_volume) == ("0.0", 0, None)


def test_a_row_of_another_coin_is_bad_data(sample: Callable[[str], bytes]) -> None:
    with pytest.raises(UpstreamBadData, match="1767225600000"):
        ADAPTER.parse_candles(
            sample("hyperliquid/candleSnapshot.json"), CandleQuery("PEPE", Interval.HOUR_1, 0, 1, 5000)
        )


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b"[null]", b'[{"t":"1"}]', b"<html>"])
def test_what_is_not_candles_is_bad_data(body: bytes) -> None:
    with pytest.raises(UpstreamBadData):
        ADAPTER.parse_candles(body, QUERY)


@pytest.mark.parametrize("key", [b'"t":1,', b'"t" :1,', b'"o"\n:"1",', b'"n" : null,'])
def test_a_key_that_stands_twice_is_bad_data_however_it_is_spaced(key: bytes, sample: Callable[[str], bytes]) -> None:
    body = sample("hyperliquid/candleSnapshot.json").replace(b"{", b"{" + key, 1)
    with pytest.raises(UpstreamBadData):
        ADAPTER.parse_candles(body, QUERY)


def test_an_unfamiliar_key_changes_nothing(sample: Callable[[str], bytes]) -> None:
    body = sample("hyperliquid/candleSnapshot.json")
    more = body.replace(b"{", b'{"stranger":["s","s"],', 1)
    assert ADAPTER.parse_candles(more, QUERY) == ADAPTER.parse_candles(body, QUERY)


def test_the_request_and_its_weight() -> None:
    request = ADAPTER.candles_request(QUERY)
    assert request.json == {
        "type": "candleSnapshot",
        "req": {"coin": "kPEPE", "interval": "1h", "startTime": 1767225600000, "endTime": 1767232799999},
    }
    assert request.weight == 21
    wide = CandleQuery("BTC", Interval.MIN_1, 0, 100 * DAY_MS, 5000)
    assert ADAPTER.candles_request(wide).weight == 20 + 84
    assert msgspec.json.encode(request.json).startswith(b'{"type":"candleSnapshot"')


@pytest.mark.parametrize(
    "status, body, kind",
    [
        (500, b"null", UpstreamRefused),
        (500, b"oops", UpstreamUnavailable),
        (422, b"Failed to deserialize the JSON body into the target type", UpstreamFailure),
        (429, b"", UpstreamRateLimited),
        (403, b"", UpstreamBlocked),
    ],
)
def test_failures_have_names(status: int, body: bytes, kind: type[Exception]) -> None:
    assert type(ADAPTER.classify(status, {}, body)) is kind


def test_the_date_header_tells_the_time() -> None:
    assert ADAPTER.parse_time({"date": "Thu, 01 Jan 2026 00:00:00 GMT"}, b"{}") == 1767225600000
    far = f"Thu, 01 Jan 2026 00{'9' * 40}:00:00 GMT"
    for headers in ({}, {"date": "yesterday"}, {"date": far}, {"date": "Thu, 01 Jan 2026 00:00:00 -0000"}):
        with pytest.raises(UpstreamBadData):
            ADAPTER.parse_time(headers, b"{}")


def test_it_has_no_six_hours_and_leaves_unverified_alignments_null() -> None:
    assert ADAPTER.capabilities.spec(Interval.HOUR_6) is None
    anchors = {spec.interval: spec.anchor for spec in ADAPTER.capabilities.intervals}
    assert (anchors[Interval.DAY_3], anchors[Interval.MONTH_1], anchors[Interval.WEEK_1]) == (None, None, "epoch")


@pytest.mark.parametrize(
    "size_decimals,step_size,price_decimals", [(0, "1", 6), (6, "0.000001", 0), (8, "0.00000001", 0)]
)
def test_increments_follow_from_the_size_decimals(size_decimals: int, step_size: str, price_decimals: int) -> None:
    meta = b'[{"universe":[{"name":"X","szDecimals":%d}]}]' % size_decimals
    (one,) = ADAPTER.parse_listing([meta, b'{"universe":[],"tokens":[]}'], {}).instruments
    assert (one.step_size, one.price_max_decimals) == (step_size, price_decimals)


@pytest.mark.parametrize("size_decimals", [-1, 19, 10**30])
def test_size_decimals_that_no_token_has_are_refused(size_decimals: int) -> None:
    meta = b'[{"universe":[{"name":"X","szDecimals":%d}]}]' % size_decimals
    listing = ADAPTER.parse_listing([meta, b'{"universe":[],"tokens":[]}'], {})
    assert [refusal.reason for refusal in listing.refused] == ["its szDecimals is not one of 0 to 18"]


def test_a_token_that_cannot_be_read_takes_only_its_pairs_along(sample: Callable[[str], bytes]) -> None:
    spot = msgspec.json.decode(sample("hyperliquid/spotMeta.json"))
    next(token for token in spot["tokens"] if token["name"] == "PURR")["szDecimals"] = None
    bodies = [sample("hyperliquid/allPerpMetas.json"), msgspec.json.encode(spot)]
    listing = ADAPTER.parse_listing(bodies, {})
    assert {refusal.exchange_symbol for refusal in listing.refused} == {"lost:GOLD?", "@300", "PURR/USDC"}
    assert {"BTC", "@107"} <= {one.exchange_symbol for one in listing.instruments}


def test_a_row_without_a_name_is_refused() -> None:
    meta = b'[{"universe":[{"name":"","szDecimals":2}]}]'
    listing = ADAPTER.parse_listing([meta, b'{"universe":[],"tokens":[]}'], {})
    assert [refusal.reason for refusal in listing.refused] == ["its symbol, its base or its quote asset is empty"]
