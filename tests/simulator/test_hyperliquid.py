"""Hyperliquid: its bytes, its selection and its errors (shapes: recorded answers of 2025-08 to 2026-07)."""

import re
from datetime import datetime
from typing import Any

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.grids import DAY_MS, HOUR_MS, MINUTE_MS
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import simulated
from tests.simulator.conftest import NOW_MS

INFO = "/hyperliquid/info"
HOUR_0_MS = NOW_MS // HOUR_MS * HOUR_MS


async def info(client: httpx2.AsyncClient, kind: str, **fields: Any) -> Any:
    answer = await client.post(INFO, json={"type": kind, **fields})
    assert answer.status_code == 200, answer.content
    return answer.json()


async def candles(
    client: httpx2.AsyncClient, start_ms: int, end_ms: int | None = None, coin: str = "BTC", interval: str = "1h"
) -> list[dict[str, Any]]:
    wanted = {"coin": coin, "interval": interval, "startTime": start_ms}
    rows: list[dict[str, Any]] = await info(
        client, "candleSnapshot", req=wanted if end_ms is None else {**wanted, "endTime": end_ms}
    )
    return rows


async def opens(client: httpx2.AsyncClient, *args: Any, **kwargs: Any) -> list[int]:
    return [row["t"] for row in await candles(client, *args, **kwargs)]


async def test_a_candle_is_an_object_of_the_documented_keys(simulator: httpx2.AsyncClient) -> None:
    request = {"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "1h", "startTime": HOUR_0_MS}}
    answer = await simulator.post(INFO, json=request)
    pattern = (
        rb'\[\{"t":1773576000000,"T":1773579599999,"s":"BTC","i":"1h","o":"\d+\.0","c":"\d+\.0","h":"\d+\.0"'
        rb',"l":"\d+\.0","v":"\d+\.\d{1,5}","n":\d+\}\]'
    )
    assert re.fullmatch(pattern, answer.content)
    assert answer.headers["content-type"] == "application/json"
    assert "retry-after" not in answer.headers


async def test_prices_have_five_significant_digits_and_at_least_one_decimal(simulator: httpx2.AsyncClient) -> None:
    for coin in ("BTC", "ETH", "SOL", "kPEPE", "PURR/USDC", "@107", "xyz:TSLA"):
        for row in await candles(simulator, HOUR_0_MS - 30 * HOUR_MS, coin=coin):
            for key in "ochl":
                whole, _, decimals = row[key].partition(".")
                assert decimals == "0" or not decimals.endswith("0")
                digits = (whole + decimals).strip("0") if decimals != "0" else ""
                assert len(digits) <= 5, (coin, row)


async def test_all_candles_that_overlap_the_range_come(simulator: httpx2.AsyncClient) -> None:
    start, end = HOUR_0_MS - 5 * HOUR_MS, HOUR_0_MS - 3 * HOUR_MS
    assert await opens(simulator, start, end) == [start, start + HOUR_MS, end]
    assert await opens(simulator, start + 1, end - 1) == [start, start + HOUR_MS]
    assert await opens(simulator, start - 1, end + 1) == [start - HOUR_MS, start, start + HOUR_MS, end]
    assert await opens(simulator, start + HOUR_MS - 1, start + HOUR_MS - 1) == [start]


async def test_without_an_end_the_range_goes_on_to_the_forming_candle(simulator: httpx2.AsyncClient) -> None:
    rows = await candles(simulator, HOUR_0_MS - HOUR_MS)
    assert [row["t"] for row in rows] == [HOUR_0_MS - HOUR_MS, HOUR_0_MS]
    assert rows[-1]["T"] > NOW_MS
    assert await candles(simulator, HOUR_0_MS - HOUR_MS, NOW_MS + DAY_MS) == rows
    assert await opens(simulator, NOW_MS + DAY_MS) == []
    assert await opens(simulator, HOUR_0_MS, HOUR_0_MS - HOUR_MS) == []


async def test_only_the_newest_5000_are_kept_and_they_slide_with_the_clock(
    simulator: httpx2.AsyncClient, clock: ManualClock
) -> None:
    minute_0_ms = NOW_MS // MINUTE_MS * MINUTE_MS
    kept = await opens(simulator, 0, interval="1m")
    assert len(kept) == 5000
    assert kept[0] == minute_0_ms - 4999 * MINUTE_MS
    assert await opens(simulator, 0, kept[0] - 1, interval="1m") == []
    assert await opens(simulator, kept[0], kept[0], interval="1m") == [kept[0]]
    clock.advance(MINUTE_MS)
    assert await opens(simulator, kept[0], kept[0], interval="1m") == []
    assert len(await opens(simulator, 0, interval="1d")) > 2000


async def test_a_little_more_may_be_kept(clock: ManualClock) -> None:
    async with (
        running_simulator(simulated(scenario=Scenario(kept_rows=5055)), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        assert len(await opens(client, 0, interval="15m")) == 5055


def day_ms(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}T00:00Z").timestamp() * 1000)


@pytest.mark.parametrize(
    "interval, first, second",
    [
        ("1w", "2026-03-05", "2026-03-12"),  # Thursdays
        ("3d", "2026-03-11", "2026-03-14"),
        ("1M", "2026-02-01", "2026-03-01"),
    ],
)
async def test_long_intervals(simulator: httpx2.AsyncClient, interval: str, first: str, second: str) -> None:
    rows = await candles(simulator, day_ms(first), interval=interval)
    assert [row["t"] for row in rows] == [day_ms(first), day_ms(second)]
    assert rows[0]["T"] == day_ms(second) - 1


async def test_months_may_be_thirty_days(clock: ManualClock) -> None:
    async with (
        running_simulator(simulated(scenario=Scenario(calendar_months=False)), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        rows = await candles(client, NOW_MS - 40 * DAY_MS, interval="1M")
        assert all(row["t"] % (30 * DAY_MS) == 0 for row in rows)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"type":"nothing"}',
        b'{"req":{}}',
        b'{"type":"candleSnapshot"}',
        b'{"type":"candleSnapshot","req":{"coin":"BTC","interval":"6h","startTime":0}}',
        b'{"type":"candleSnapshot","req":{"coin":"BTC","interval":"1s","startTime":0}}',
        b'{"type":"candleSnapshot","req":{"coin":"BTC","interval":"1h"}}',
        b'{"type":"candleSnapshot","req":{"coin":"BTC","interval":"1h","startTime":"0"}}',
        b'{"type":"candleSnapshot","req":{"coin":"BTC","interval":"1h","startTime":-1}}',
    ],
)
async def test_a_body_it_cannot_read_is_a_422_in_plain_text(simulator: httpx2.AsyncClient, body: bytes) -> None:
    answer = await simulator.post(INFO, content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.content == b"Failed to deserialize the JSON body into the target type"


@pytest.mark.parametrize("coin", ["NOPE", "btc", "KPEPE", "HYPE/USDC", "@71", "@999999", "TSLA"])
async def test_an_unknown_coin_is_a_500_null(simulator: httpx2.AsyncClient, coin: str) -> None:
    request = {"type": "candleSnapshot", "req": {"coin": coin, "interval": "1h", "startTime": 0}}
    answer = await simulator.post(INFO, json=request)
    assert (answer.status_code, answer.content) == (500, b"null")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_post_is_allowed(simulator: httpx2.AsyncClient, method: str) -> None:
    assert (await simulator.request(method, INFO)).status_code == 405


async def test_delisted_coins_keep_their_place_and_their_candles(simulator: httpx2.AsyncClient) -> None:
    universe = (await info(simulator, "meta"))["universe"]
    gone = [asset for asset in universe if asset.get("isDelisted")]
    assert "MATIC" in {asset["name"] for asset in gone}
    assert universe.index(gone[0]) < len(universe) / 2
    assert sum(row["n"] > 0 for row in await candles(simulator, 0, coin="MATIC", interval="1d")) == 1500
    assert await opens(simulator, 0, coin="MATIC", interval="1m") == []  # not kept any more


async def test_meta_has_optional_keys_only_where_they_say_something(simulator: httpx2.AsyncClient) -> None:
    answer = await simulator.post(INFO, json={"type": "meta"})
    assert answer.content.startswith(
        b'{"universe":[{"szDecimals":5,"name":"BTC","maxLeverage":40,"marginTableId":56},{"szDecimals":4,"name":"ETH",'
    )
    meta = answer.json()
    assert list(meta) == ["universe", "marginTables", "collateralToken"]
    order = [
        "szDecimals",
        "name",
        "maxLeverage",
        "marginTableId",
        "onlyIsolated",
        "isDelisted",
        "marginMode",
        "growthMode",
    ]
    for asset in meta["universe"]:
        keys = list(asset)
        assert keys == sorted(keys, key=order.index)
        assert all(asset[key] is True for key in keys if key in {"onlyIsolated", "isDelisted"})
    tables = dict(meta["marginTables"])
    for asset in meta["universe"]:
        tiers = tables.get(asset["marginTableId"], {"marginTiers": [{"maxLeverage": asset["marginTableId"]}]})
        assert tiers["marginTiers"][0]["maxLeverage"] == asset["maxLeverage"]
    assert len(meta["universe"]) > 200
    assert {"kPEPE", "kSHIB", "2Z", "0G"} <= {asset["name"] for asset in meta["universe"]}


async def test_universes_grow_and_keep_their_order(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    before = [asset["name"] for asset in (await info(simulator, "meta"))["universe"]]
    pairs = [pair["name"] for pair in (await info(simulator, "spotMeta"))["universe"]]
    clock.advance(60 * DAY_MS)
    after = [asset["name"] for asset in (await info(simulator, "meta"))["universe"]]
    pairs_after = [pair["name"] for pair in (await info(simulator, "spotMeta"))["universe"]]
    assert after[: len(before)] == before
    assert len(after) > len(before)
    assert pairs_after[: len(pairs)] == pairs
    assert len(pairs_after) > len(pairs)


async def test_builder_dexes(simulator: httpx2.AsyncClient) -> None:
    dexes = await info(simulator, "perpDexs")
    assert dexes[0] is None
    names = [dex["name"] for dex in dexes[1:]]
    assert names[:5] == ["xyz", "flx", "vntl", "hyna", "km"]
    assert len(names) > 10
    assert {"assetToFundingInterestRate" in dex for dex in dexes[1:]} == {True, False}
    metas = await info(simulator, "allPerpMetas")
    assert len(metas) == len(dexes)
    for place, name in enumerate(["", *names]):
        assert metas[place] == await info(simulator, "meta", **({"dex": name} if name else {}))
        assert all(asset["name"].startswith(f"{name}:") for asset in metas[place]["universe"] if name)
    assert any(not meta["universe"] for meta in metas)
    collateral = dict(zip(names, (meta["collateralToken"] for meta in metas[1:]), strict=True))
    assert (collateral["xyz"], collateral["hyna"], collateral["km"]) == (0, 235, 360)
    everything = [asset["name"] for meta in metas for asset in meta["universe"]]
    assert {"xyz:TSLA", "flx:TSLA", "hyna:BTC", "hyna:kPEPE"} <= set(everything)
    assert any(name.endswith("*") for name in everything)
    assert any(name.endswith("?") for name in everything)
    assert any(asset.get("isDelisted") for asset in metas[1]["universe"])
    assert any("growthMode" in asset for asset in metas[1]["universe"])
    assert await opens(simulator, HOUR_0_MS, coin="flx:XAU*") == [HOUR_0_MS]


async def test_old_universes_tell_no_collateral(clock: ManualClock) -> None:
    async with (
        running_simulator(simulated(scenario=Scenario(collateral_tokens=False)), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        assert all("collateralToken" not in meta for meta in await info(client, "allPerpMetas"))


async def test_an_unknown_dex_is_null(simulator: httpx2.AsyncClient) -> None:
    assert await info(simulator, "meta", dex="nope") is None
    assert await info(simulator, "allMids", dex="nope") is None


async def test_spot_pairs_have_an_index_that_is_not_their_place(simulator: httpx2.AsyncClient) -> None:
    answer = await simulator.post(INFO, json={"type": "spotMeta"})
    assert answer.content.startswith(
        b'{"universe":[{"tokens":[1,0],"name":"PURR/USDC","index":0,"isCanonical":true},{"tokens":['
    )
    meta = answer.json()
    pairs, tokens = meta["universe"], meta["tokens"]
    moved = [place for place, pair in enumerate(pairs) if pair["index"] != place]
    assert moved[0] == 71
    assert moved == list(range(71, len(pairs)))
    assert all(pair["name"] == f"@{pair['index']}" for pair in pairs[1:])
    assert [token["index"] for token in tokens] == list(range(len(tokens)))
    named = {pair["name"]: tuple(tokens[token]["name"] for token in pair["tokens"]) for pair in pairs}
    assert named["@107"] == ("HYPE", "USDC")
    assert named["@142"] == ("UBTC", "USDC")
    assert named["@207"] == ("HYPE", "USDT0")
    assert {quote for _, quote in named.values()} == {"USDC", "USDT0", "USDH", "USDE"}
    keys = "name szDecimals weiDecimals index tokenId isCanonical evmContract fullName deployerTradingFeeShare"
    assert all(list(token) == keys.split() for token in tokens)
    assert list(next(t["evmContract"] for t in tokens if t["evmContract"])) == ["address", "evm_extra_wei_decimals"]
    assert len({token["name"] for token in tokens}) == len(tokens)


async def test_spot_contexts_are_to_be_joined_by_coin(simulator: httpx2.AsyncClient) -> None:
    meta, contexts = await info(simulator, "spotMetaAndAssetCtxs")
    names = [pair["name"] for pair in meta["universe"]]
    coins = [context["coin"] for context in contexts]
    assert len(coins) > len(names)
    assert set(names) < set(coins)
    assert names[:71] == coins[:71]
    assert names[71:] != coins[71 : len(names)]


async def test_contexts_stand_beside_their_universe_with_nulls_for_the_delisted(simulator: httpx2.AsyncClient) -> None:
    meta, contexts = await info(simulator, "metaAndAssetCtxs")
    assert len(meta["universe"]) == len(contexts)
    keys = "funding openInterest prevDayPx dayNtlVlm premium oraclePx markPx midPx impactPxs dayBaseVlm"
    for asset, context in zip(meta["universe"], contexts, strict=True):
        assert list(context) == keys.split()
        nulls = [key for key, value in context.items() if value is None]
        assert nulls == (["premium", "midPx", "impactPxs"] if asset.get("isDelisted") else [])
    assert max(len(context["dayNtlVlm"].partition(".")[2]) for context in contexts) > 5


async def test_mids_are_the_prices_of_all_that_trades(simulator: httpx2.AsyncClient) -> None:
    mids = await info(simulator, "allMids")
    assert {"BTC", "kPEPE", "@107", "PURR/USDC"} <= set(mids)
    assert "MATIC" not in mids
    assert mids["BTC"] == (await candles(simulator, NOW_MS, interval="1m"))[-1]["c"]
    others = await info(simulator, "allMids", dex="xyz")
    assert "xyz:TSLA" in others
    outcomes = {coin for coin in mids if coin[0] in "#+"}
    assert {coin[0] for coin in outcomes} == {"#", "+"}
    assert not any(coin[0] in "#+" for coin in others)
    for kind in ("meta", "spotMeta"):
        assert not outcomes & {entry["name"] for entry in (await info(simulator, kind))["universe"]}
