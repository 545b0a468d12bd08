"""The real recordings, where they are at hand, come back byte for byte."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from tests.simulator.test_recorded import INFO, KLINES, serving, snapshot

pytestmark = pytest.mark.recorded


async def test_the_recorded_listings_have_all_their_rows(recordings: Path) -> None:
    async with serving(recordings) as client:
        info = await client.get("/binance/fapi/v1/exchangeInfo")
        assert len(info.json()["symbols"]) == 410
        assert info.content == (recordings / "binance_futures/exchangeInfo_testnet_2025-01-09.json").read_bytes()
        meta = await client.post(INFO, json={"type": "meta"})
        assert meta.content == (recordings / "hyperliquid/meta_mainnet_2025-08-22.json").read_bytes()
        spot = await client.post(INFO, json={"type": "spotMeta"})
        assert spot.content == (recordings / "hyperliquid/spotMeta_mainnet_2025-08-22.json").read_bytes()
        metas = (await client.post(INFO, json={"type": "allPerpMetas"})).json()
        assert [len(meta["universe"]) for meta in metas] == [203, 5, 0, 0, 0]
        assert "collateralToken" not in metas[1]
        products = (await client.get("/coinbase/products")).json()
        assert products == json.loads((recordings / "coinbase/exchange_products_2022-12.json").read_bytes())
        assert len(products) == 573
        currencies = (await client.get("/coinbase/currencies")).json()
        assert currencies == json.loads((recordings / "coinbase/exchange_currencies_2022-12.json").read_bytes())


def tokens(body: bytes) -> list[list[str]]:
    """The rows of an answer, their numbers as the literals that they are."""
    rows = msgspec.json.decode(body, type=list[list[msgspec.Raw]])
    return [[bytes(cell).decode().strip() for cell in row] for row in rows]


def kline_files(folder: Path) -> Iterator[tuple[str, str, list[list[str]]]]:
    for path in sorted((folder / "binance_futures").glob("klines_*.json")):
        body = path.read_bytes()
        if path.name.startswith("klines_1d_all"):
            series = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            for symbol, rows in series.items():
                yield symbol, "1d", tokens(bytes(rows))
        else:
            found = re.match(r"klines_([A-Z]+)_(1d|1h|5m)?", path.name)
            assert found
            yield found[1], found[2] or "1h", tokens(body)


async def test_every_recorded_kline_comes_back(recordings: Path) -> None:
    async with serving(recordings) as client:
        seen = 0
        for symbol, interval, rows in kline_files(recordings):
            for first in range(0, len(rows), 1500):
                page = rows[first : first + 1500]
                params: dict[str, str] = {"symbol": symbol, "interval": interval, "limit": "1500"}
                params |= {"startTime": page[0][0], "endTime": page[-1][0]}
                answer = tokens((await client.get(KLINES, params=params)).content)
                # One candle was still forming when the first of two recordings ended; the later one counts.
                assert [row for row in answer if row in page] == [row for row in page if row in answer]
                assert len([row for row in page if row not in answer]) <= (symbol == "LTCUSDT")
                seen += len(page)
        assert seen > 14_000


async def test_every_recorded_snapshot_comes_back(recordings: Path) -> None:
    async with serving(recordings) as client:
        for path in (recordings / "hyperliquid").glob("candleSnapshot_*.json"):
            interval = path.name.split("_")[2]
            rows = json.loads(path.read_bytes())
            wanted = {"coin": "BTC", "interval": interval, "startTime": rows[0]["t"], "endTime": rows[-1]["T"]}
            assert (await snapshot(client, **wanted)).content == path.read_bytes().strip()


async def test_every_recorded_bucket_comes_back(recordings: Path) -> None:
    async with serving(recordings) as client:
        for name, granularity in (
            ("exchange_candles_BTC-USD_3600_25rows", 3600),
            ("pro_candles_BTC-USD_2020-03-20-00-00", 60),
            ("pro_candles_BTC-USD_2020-03-20-05-00", 60),
        ):
            rows = tokens((recordings / f"coinbase/{name}.json").read_bytes())
            path = f"/coinbase/products/BTC-USD/candles?granularity={granularity}&start={rows[-1][0]}&end={rows[0][0]}"
            assert tokens((await client.get(path)).content) == rows


ONE_CALL = {"date", "content-length", "connection", "x-mbx-used-weight-1m", "etag", "x-amz-cf-pop", "server-timing"}
"""Headers whose value belongs to one answer."""

ASKED = {
    "binance_futures/server_time_ok.json": ("GET", "/binance/fapi/v1/time", None),
    "hyperliquid/meta_mainnet_2025-08-22.json": ("POST", INFO, {"type": "meta"}),
    "hyperliquid/perpDexs_mainnet_2025-12-13.json": ("POST", INFO, {"type": "perpDexs"}),
    "hyperliquid/spotMeta_mainnet_2025-08-22.json": ("POST", INFO, {"type": "spotMeta"}),
    "coinbase/error_400_unsupported_granularity_1800.json": (
        "GET",
        "/coinbase/products/BTC-USD/candles?granularity=1800&start=2025-08-23T03:39:01Z&end=2025-08-24T03:39:01Z",
        None,
    ),
    "coinbase/error_404_notfound_product.json": (
        "GET",
        "/coinbase/products/INVALID-PRODUCT/candles?granularity=3600&start=2025-08-23T03:39:01Z&end=2025-08-24T03:39:01Z",
        None,
    ),
    "coinbase/exchange_candles_BTC-USD_3600_25rows.json": (
        "GET",
        "/coinbase/products/BTC-USD/candles?granularity=3600&start=2025-08-26T00:00:00Z&end=2025-08-27T00:00:00Z",
        None,
    ),
}


@pytest.mark.parametrize("file", ASKED)
async def test_the_simulated_market_sends_the_recorded_headers(
    recordings: Path, simulator: httpx2.AsyncClient, file: str
) -> None:
    method, path, body = ASKED[file]
    http = json.loads((recordings / "manifest.json").read_bytes())[file]["http"]
    answer = await simulator.request(method, path, json=body)
    assert answer.status_code == http["status"]
    expected = {
        name.lower(): ", ".join(value) if isinstance(value, list) else value for name, value in http["headers"].items()
    }
    assert set(expected) - set(answer.headers) <= {"connection"}
    for name in set(expected) - ONE_CALL:
        assert answer.headers[name] == expected[name], name
    if http["status"] != 200:
        assert answer.content == (recordings / file).read_bytes()


@pytest.mark.parametrize(
    "file, body",
    [
        ("meta_mainnet_2025-08-22.json", {"type": "meta"}),
        ("spotMeta_mainnet_2025-08-22.json", {"type": "spotMeta"}),
        ("metaAndAssetCtxs_mainnet_2025-08-22.json", {"type": "metaAndAssetCtxs"}),
        ("perpDexs_mainnet_2025-12-13.json", {"type": "perpDexs"}),
        (
            "candleSnapshot_BTC_1d_10rows_2026-07.json",
            {"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "1d", "startTime": 0}},
        ),
    ],
)
async def test_simulated_objects_have_the_recorded_keys_in_their_order(
    recordings: Path, simulator: httpx2.AsyncClient, file: str, body: dict[str, Any]
) -> None:
    recorded = shapes((recordings / "hyperliquid" / file).read_bytes())
    simulated = shapes((await simulator.post(INFO, json=body)).content)
    assert recorded <= simulated | shapes(b'{"universe":[],"marginTables":[]}')


def shapes(body: bytes) -> set[tuple[str, ...]]:
    """The keys of all objects in an answer, in their order."""
    found: set[tuple[str, ...]] = set()

    def see(pairs: list[tuple[str, object]]) -> None:
        found.add(tuple(key for key, _ in pairs))

    json.loads(body, object_pairs_hook=see)
    return found
