"""Scenarios 8, 9 and 14: listings that change, that say what nobody has heard of, and that are in no order."""

import json
from typing import Any

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.core.models import DAY_MS, HOUR_MS, ExchangeId, Interval
from marketdata.simulator.controls import Controls
from marketdata.simulator.faults import Faults
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.truth import truth
from marketdata.store.events import list_changes
from marketdata.store.syncs import NewSyncRun
from marketdata.syncer.sync import sync_exchange
from tests.conftest import Postgres
from tests.e2e.markets import market
from tests.e2e.platform import Platform, running_platform
from tests.e2e.scenarios.conftest import SEED, T0, Stage
from tests.e2e.scenarios.rows import columns, values

BINANCE = ExchangeId("binance_futures")
ENDS_MS = 1795006800000  # 2026-11-18T13:00Z
SYMBOL, NAME = "VUMUSDT", "VUM-USDT-PERP"
"""A contract that ends then: TRADING_HALT for an hour, TRADING_CANCEL_ONLY for one, SETTLING, and CLOSE in a month."""


async def sync_binance(platform: Platform) -> NewSyncRun:
    run = await sync_exchange(platform.database, platform.fetchers[BINANCE], platform.clock)
    await platform.services.refresh()
    assert run.outcome == "succeeded"
    return run


async def test_8_a_contract_that_settles_keeps_its_candles_while_they_are_served(postgres: Postgres) -> None:
    """8. Binance: symbol goes TRADING -> SETTLING: catalogue change recorded, candles kept, -1122 not retried."""
    clock = ManualClock(ENDS_MS - HOUR_MS)
    sources = market(SEED)
    url = postgres.make_database()
    async with running_platform(sources, clock, url) as platform:
        path = f"/v1/candles/binance_futures/{NAME}/1m"
        asked = {"start": ENDS_MS - 100 * 60_000, "end": ENDS_MS + HOUR_MS}
        assert (await platform.read(f"/v1/symbols/binance_futures/{NAME}"))["status"] == "trading"

        statuses = []
        for after_ms in (HOUR_MS // 2, 3 * HOUR_MS // 2, DAY_MS):
            clock.set(ENDS_MS + after_ms)
            run = await sync_binance(platform)
            async with platform.database.transaction() as connection:
                changes = await list_changes(connection, BINANCE, clock.now_ms())
            change = next(one for one in changes if one.exchange_symbol == SYMBOL)
            assert (change.type, change.generation) == ("status_changed", run.generation)
            statuses.append((change.old, change.new))
            symbol = await platform.read(f"/v1/symbols/binance_futures/{NAME}")
            assert symbol["status"] == change.new
            document = await platform.read(path, **asked)
            assert values(document["data"]) == columns(
                truth(sources, BINANCE, SYMBOL, Interval.MIN_1, asked["start"], asked["end"], clock.now_ms())
            )
            assert len(document["data"]) == 100
            assert document["page"]["complete"]
        assert statuses == [("trading", "halted"), ("halted", "cancel_only"), ("cancel_only", "settling")]

        clock.set(ENDS_MS + 31 * DAY_MS)
        await sync_binance(platform)
        symbol = await platform.read(f"/v1/symbols/binance_futures/{NAME}")
        assert (symbol["status"], symbol["exchange_status"]) == ("delisted", "CLOSE")
        seen = platform.controls.journal.last_id
        document = await platform.read(path, **asked)
        assert (document["data"], document["page"]["complete"]) == ([], False)
        (warning,) = document["warnings"]
        assert warning["code"] == "not-served-by-exchange"
        assert "-1122" in warning["detail"]
        calls = platform.controls.journal.entries(exchange=BINANCE, symbol=SYMBOL, since=seen)
        assert [entry.status for entry in calls] == [400], "asked once, not again"
    postgres.drop_database(url)


UNHEARD = ["contractType=", "contractType=EVERLASTING", "status=AUCTION_MATCH"]


@pytest.mark.parametrize("fault", [(), ("extra-field,exchange=binance_futures,route=listing",)], ids=["as is", "field"])
async def test_9_words_that_nobody_has_heard_of_never_drop_a_listing(
    postgres: Postgres, fault: tuple[str, ...]
) -> None:
    """9. Binance: unknown contractType / status / new filter / non-ASCII symbol: load OK, one symbol lost at most."""
    clock = ManualClock(T0)
    sources = market(SEED, Scenario(new_filters=True))
    url = postgres.make_database()
    async with running_platform(sources, clock, url, Controls(Faults(fault))) as platform:
        run = platform.runs[BINANCE]
        assert run.outcome == "succeeded"
        assert len(run.report.refused) <= 1
        listed = raw_binance(sources)
        assert run.listed == len(listed) - len(run.report.refused)
        assert [word for word in UNHEARD if word in run.report.unknown_words] == UNHEARD
        assert run.report.unknown_words["status=AUCTION_MATCH"] == 1

        by_name = {row["symbol"]: row for row in listed}
        (odd,) = [name for name, row in by_name.items() if row["status"] == "AUCTION_MATCH"]
        (symbol,) = (await platform.read("/v1/resolve", name=odd, exchange=BINANCE))["data"]
        assert (symbol["status"], symbol["exchange_status"]) == ("unknown", "AUCTION_MATCH")
        foreign = [name for name in by_name if not name.isascii()]
        assert foreign
        for name in foreign:
            (symbol,) = (await platform.read("/v1/resolve", name=name, exchange=BINANCE))["data"]
            document = await platform.read(f"/v1/candles/binance_futures/{symbol['symbol']}/1h", limit=3)
            assert document["meta"]["exchange_symbol"] == name
            assert document["page"]["count"] == 3
        filtered = {row["symbol"]: {one["filterType"]: one for one in row["filters"]} for row in listed}
        assert set().union(*filtered.values()) > {"PRICE_FILTER", "LOT_SIZE", "MIN_NOTIONAL"}, "not read, and there"
        (name, filters), *_ = [one for one in filtered.items() if "PRICE_COLLAR" in one[1]]
        assert isinstance(filters["PRICE_COLLAR"]["tickSize"], list)
        (symbol,) = (await platform.read("/v1/resolve", name=name, exchange=BINANCE))["data"]
        assert symbol["tick_size"] == filters["PRICE_FILTER"]["tickSize"]
        assert symbol["min_notional"] == filters["MIN_NOTIONAL"]["notional"]
    postgres.drop_database(url)


def raw_binance(sources: Any) -> list[dict[str, Any]]:
    """What the exchange lists, in its own words."""
    rows: list[dict[str, Any]] = json.loads(sources.binance.exchange_info(T0))["symbols"]
    return rows


@pytest.mark.asyncio(loop_scope="session")
async def test_14_spot_pairs_are_joined_by_index_and_never_by_place(stage: Stage) -> None:
    """14. Catalogue: spotMeta shuffled, ctx 210 vs 199: metadata joined by name.

    Contexts are not asked for: nothing of theirs is served, so nothing of theirs can be joined wrongly.
    """
    stage.play(Scenario(limits=False))
    async with httpx2.AsyncClient(base_url=stage.platform.simulator, trust_env=False) as exchange:
        meta = (await exchange.post("/hyperliquid/info", json={"type": "spotMeta"})).json()
        both = (await exchange.post("/hyperliquid/info", json={"type": "spotMetaAndAssetCtxs"})).json()
    pairs, tokens = meta["universe"], {token["index"]: token for token in meta["tokens"]}
    assert [pair["index"] for pair in pairs] != list(range(len(pairs))), "indexes are not places"
    assert len(both[1]) > len(pairs), "more contexts than pairs"
    assert [one["coin"] for one in both[1]][: len(pairs)] != [pair["name"] for pair in pairs]
    for pair in pairs:
        base, quote = (tokens[index] for index in pair["tokens"])
        found = await stage.platform.read("/v1/resolve", name=pair["name"], exchange="hyperliquid")
        (symbol,) = [one for one in found["data"] if one["exchange_symbol"] == pair["name"]]
        assert symbol["kind"] == "spot"
        assert (symbol["base_asset"], symbol["quote_asset"]) == (base["name"], quote["name"])
        assert float(symbol["step_size"]) == 10.0 ** -base["szDecimals"]

    seen = stage.platform.controls.journal.last_id
    await sync_exchange(stage.platform.database, stage.platform.fetchers[ExchangeId("hyperliquid")], stage.clock)
    asked = stage.platform.controls.journal.entries(exchange="hyperliquid", since=seen)
    assert [entry.route for entry in asked] == ["allPerpMetas", "spotMeta"]
