"""What a request is about."""

import pytest

from marketdata.simulator.answers import Asked
from marketdata.simulator.calls import Call, Use, call_of


@pytest.mark.parametrize(
    "path, query, route, use, symbol",
    [
        ("/fapi/v1/klines", {"symbol": "btcusdt"}, "/fapi/v1/klines", "candles", "BTCUSDT"),
        ("/fapi/v1/klines", {}, "/fapi/v1/klines", "candles", None),
        ("/fapi/v1/exchangeInfo", {}, "/fapi/v1/exchangeInfo", "listing", None),
        ("/fapi/v1/time", {}, "/fapi/v1/time", "time", None),
        ("/fapi/v1/ping", {}, "/fapi/v1/ping", "other", None),
    ],
)
def test_binance(path: str, query: dict[str, str], route: str, use: Use, symbol: str | None) -> None:
    assert call_of("binance_futures", Asked("GET", path, query, b"", 0)) == Call("binance_futures", route, use, symbol)


@pytest.mark.parametrize(
    "body, route, use, symbol",
    [
        (b'{"type":"candleSnapshot","req":{"coin":"xyz:TSLA"}}', "candleSnapshot", "candles", "xyz:TSLA"),
        (b'{"type":"candleSnapshot","req":{"coin":3}}', "candleSnapshot", "candles", None),
        (b'{"type":"candleSnapshot"}', "candleSnapshot", "candles", None),
        (b'{"type":"metaAndAssetCtxs","dex":"xyz"}', "metaAndAssetCtxs", "listing", None),
        (b'{"type":"allMids"}', "allMids", "time", None),
        (b'{"type":"l2Book","coin":"BTC"}', "l2Book", "other", None),
        (b'{"type":7}', "/info", "other", None),
        (b"\xff", "/info", "other", None),
        (b"", "/info", "other", None),
    ],
)
def test_hyperliquid(body: bytes, route: str, use: Use, symbol: str | None) -> None:
    assert call_of("hyperliquid", Asked("POST", "/info", {}, body, 0)) == Call("hyperliquid", route, use, symbol)


@pytest.mark.parametrize(
    "path, use, symbol",
    [
        ("/products", "listing", None),
        ("/products/BTC-USD", "other", "BTC-USD"),
        ("/products/BTC-USD/candles", "candles", "BTC-USD"),
        ("/products/BTC-USD/book", "other", None),
        ("/time", "time", None),
        ("/", "other", None),
    ],
)
def test_coinbase(path: str, use: Use, symbol: str | None) -> None:
    assert call_of("coinbase", Asked("GET", path, {}, b"", 0)) == Call("coinbase", path, use, symbol)
