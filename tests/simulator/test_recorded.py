"""Recordings are merged and served byte for byte, by the exchanges' rules: small ones of our own."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from marketdata.core.clock import SystemClock
from marketdata.simulator.recorded import recorded
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator

KLINES, INFO = "/binance/fapi/v1/klines", "/hyperliquid/info"
BTC_1H = '[3600000,"10000","10412.65","10000","10391.63","3096.291",7199999,"32096280.44997",3754,"0.039","393.35","0"]'
BTC_FORMING = BTC_1H.replace("3600000", "7200000").replace("7199999", "10799999")
BTC_FORMED = BTC_FORMING.replace("3754", "3999")
BTC_LAST = BTC_FORMING.replace("7200000", "10800000").replace("10799999", "14399999")
COIN = '{"t":0,"T":86399999,"s":"BTC","i":"1d","o":"63927.0","c":"64827.0","h":"64873.0","l":"63873.0","v":"1.5","n":3}'
BUCKETS = "[\n  [180, 1e-8, 2.2357688599999963, 1.0, 2, 4.727521520000001],\n  [60, 1, 2, 1, 2, 3]\n]\n"

FILES = {
    "binance_futures/info.json": (
        "metadata",
        "GET /fapi/v1/exchangeInfo",
        "none",
        1,
        '{"symbols":[{"symbol":"BTCUSDT"},{"symbol":"ETHUSDT"}]}',
    ),
    "binance_futures/old.json": ("metadata", "GET /fapi/v1/exchangeInfo", "none", 0, '{"symbols":[]}'),
    "binance_futures/later.json": (
        "candles",
        "GET /fapi/v1/klines",
        "interval=1h&symbol=BTCUSDT",
        2,
        f"[{BTC_FORMED},{BTC_LAST}]",
    ),
    "binance_futures/early.json": (
        "candles",
        "GET /fapi/v1/klines",
        "symbol=BTCUSDT&interval=1h, collected",
        2,
        f"[{BTC_1H},{BTC_FORMING}]",
    ),
    "binance_futures/many.json": (
        "candles",
        "GET /fapi/v1/klines",
        "symbol=<key>&interval=1d",
        1,
        f'{{"XUSDT":[{BTC_1H}]}}',
    ),
    "hyperliquid/meta.json": ("metadata", "POST /info", '{"type": "meta"}', 1, '{"universe":[{"name":"BTC"}]}'),
    "hyperliquid/ctxs.json": (
        "metadata",
        "POST /info",
        '{"type":"metaAndAssetCtxs"}',
        1,
        '[{"universe":[{"name":"BTC"}]},[{}]]',
    ),
    "hyperliquid/spot.json": (
        "metadata",
        "POST /info",
        '{"type":"spotMeta"}',
        1,
        '{"universe":[{"name":"@1"}],"tokens":[]}',
    ),
    "hyperliquid/dexs.json": (
        "metadata",
        "POST /info",
        '{"type":"perpDexs"}',
        1,
        '[null,{"name":"xyz"},{"name":"flx"}]',
    ),
    "hyperliquid/capture.json": (
        "metadata",
        "POST /info",
        '{"hip3Meta": {"type": "meta", "dex": "xyz"}}',
        1,
        '{"selection":{"hip3Dex":{"name":"xyz"},"hip3Universe":[{"index":0,"szDecimals":4,"name":"xyz:TSLA"}]}}',
    ),
    "hyperliquid/days.json": (
        "candles",
        "POST /info",
        '{"type":"candleSnapshot","req":{"coin":"BTC","interval":"1d"}}',
        1,
        f"[{COIN}]",
    ),
    "coinbase/products.json": (
        "metadata",
        "GET https://api.exchange.coinbase.com/products",
        "none",
        1,
        '[\n  {\n    "id": "BTC-USD"\n  },\n  {\n    "id": "ETH-USD"\n  }\n]',
    ),
    "coinbase/other.json": (
        "candles",
        "GET /api/v3/brokerage/market/products/BTC-USD/candles",
        "",
        1,
        '{"candles":[]}',
    ),
    "coinbase/buckets.json": (
        "candles",
        "GET https://api.pro.coinbase.com/products/BTC-USD/candles",
        "granularity=60 start=0",
        2,
        BUCKETS,
    ),
}


@pytest.fixture
def own_recordings(tmp_path: Path) -> Path:
    """Self-written recordings in the shapes of real ones."""
    manifest = {}
    for name, (kind, endpoint, params, rows, body) in FILES.items():
        exchange = name.partition("/")[0]
        (tmp_path / exchange).mkdir(exist_ok=True)
        (tmp_path / name).write_text(body)
        manifest[name] = {
            "exchange": exchange,
            "file": name,
            "kind": kind,
            "endpoint": endpoint,
            "params": params,
            "rows": rows,
            "notes": "",
        }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    sources = recorded(folder, Scenario(limits=False))
    async with running_simulator(sources, SystemClock()) as url, httpx2.AsyncClient(base_url=url) as client:
        yield client


async def snapshot(client: httpx2.AsyncClient, **wanted: Any) -> httpx2.Response:
    return await client.post(INFO, json={"type": "candleSnapshot", "req": wanted})


async def test_what_differs_is_as_the_later_recording_has_it(own_recordings: Path) -> None:
    async with serving(own_recordings) as client:
        answer = await client.get(f"{KLINES}?symbol=BTCUSDT&interval=1h")
        assert answer.content == f"[{BTC_1H},{BTC_FORMED},{BTC_LAST}]".encode()


async def test_recordings_are_selected_by_the_exchanges_rules(own_recordings: Path) -> None:
    async with serving(own_recordings) as client:
        path = f"{KLINES}?symbol=BTCUSDT&interval=1h"
        assert (await client.get(f"{path}&startTime=3600001&limit=1")).content == f"[{BTC_FORMED}]".encode()
        assert (await client.get(f"{path}&limit=1")).content == f"[{BTC_LAST}]".encode()
        assert (await client.get(f"{path}&endTime=7199999")).content == f"[{BTC_1H}]".encode()
        assert (await client.get(f"{path}&limit=1501")).json()["code"] == -1130
        assert (await snapshot(client, coin="BTC", interval="1d", startTime=86_399_999)).content == f"[{COIN}]".encode()
        assert (await snapshot(client, coin="BTC", interval="1d", startTime=86_400_000)).content == b"[]"
        buckets = "/coinbase/products/BTC-USD/candles?granularity=60"
        assert (await client.get(f"{buckets}&start=60&end=120")).content == b"[[60,1,2,1,2,3]]"
        assert (await client.get(f"{buckets}&start=0&end=18060")).status_code == 400


async def test_number_literals_stay_as_they_were(own_recordings: Path) -> None:
    async with serving(own_recordings) as client:
        answer = await client.get("/coinbase/products/BTC-USD/candles?granularity=60")
        assert answer.content == b"[[180,1e-8,2.2357688599999963,1.0,2,4.727521520000001],[60,1,2,1,2,3]]"


async def test_nothing_is_invented(own_recordings: Path) -> None:
    async with serving(own_recordings) as client:
        for symbol, interval in (("ETHUSDT", "1h"), ("BTCUSDT", "1m"), ("XUSDT", "1h")):
            assert (await client.get(f"{KLINES}?symbol={symbol}&interval={interval}")).content == b"[]"
        assert (await client.get(f"{KLINES}?symbol=NOPE&interval=1h")).json()["code"] == -1121
        assert (await client.get(f"{KLINES}?symbol=XUSDT&interval=1d")).content == f"[{BTC_1H}]".encode()
        assert (await snapshot(client, coin="@1", interval="1d", startTime=0)).content == b"[]"
        assert (await snapshot(client, coin="NOPE", interval="1d", startTime=0)).status_code == 500
        assert (await client.get("/coinbase/products/ETH-USD/candles?granularity=60")).content == b"[]"
        assert (await client.get("/coinbase/products/NO-PE/candles?granularity=60")).status_code == 404


async def test_the_largest_listings_are_served_as_they_are(own_recordings: Path) -> None:
    async with serving(own_recordings) as client:
        assert (await client.get("/binance/fapi/v1/exchangeInfo")).content == FILES["binance_futures/info.json"][
            4
        ].encode()
        assert (await client.get("/coinbase/products")).content == b'[{"id":"BTC-USD"},{"id":"ETH-USD"}]'
        assert (await client.get("/coinbase/products/ETH-USD")).content == b'{"id":"ETH-USD"}'
        assert (await client.get("/coinbase/currencies")).content == b"[]"  # none were recorded
        assert (await client.get("/coinbase/products/NO-PE")).status_code == 404
        bodies = {
            "meta": FILES["hyperliquid/meta.json"][4],
            "metaAndAssetCtxs": FILES["hyperliquid/ctxs.json"][4],
            "perpDexs": FILES["hyperliquid/dexs.json"][4],
            "spotMeta": FILES["hyperliquid/spot.json"][4],
            "spotMetaAndAssetCtxs": f'[{FILES["hyperliquid/spot.json"][4]},[]]',
            "allMids": "{}",
            "allPerpMetas": (
                '[{"universe":[{"name":"BTC"}]},{"universe":[{"szDecimals":4,"name":"xyz:TSLA"}]},{"universe":[]}]'
            ),
        }
        for kind, body in bodies.items():
            assert (await client.post(INFO, json={"type": kind})).content == body.encode()
        for kind, dex, body in (
            ("meta", "xyz", '{"universe":[{"szDecimals":4,"name":"xyz:TSLA"}]}'),
            ("metaAndAssetCtxs", "flx", '[{"universe":[]},[]]'),
            ("meta", "nope", "null"),
        ):
            assert (await client.post(INFO, json={"type": kind, "dex": dex})).content == body.encode()


async def test_it_says_that_it_is_recorded(own_recordings: Path) -> None:
    async with serving(own_recordings) as client:
        about = (await client.get("/_control/about")).json()
    assert (about["source"], about["seed"]) == ("recorded", None)
    assert about["symbols"] == {"binance_futures": 2, "hyperliquid": 3, "coinbase": 2}


def test_a_folder_without_a_listing_is_refused(own_recordings: Path) -> None:
    manifest = json.loads((own_recordings / "manifest.json").read_bytes())
    del manifest["coinbase/products.json"]
    (own_recordings / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(LookupError, match="no listing of coinbase"):
        recorded(own_recordings)


def test_a_manifest_that_tells_no_symbol_is_refused(own_recordings: Path) -> None:
    manifest = json.loads((own_recordings / "manifest.json").read_bytes())
    manifest["binance_futures/later.json"]["params"] = "interval=1h"
    (own_recordings / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(LookupError, match="does not tell"):
        recorded(own_recordings)
