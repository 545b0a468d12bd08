"""Faults of a whole listing: as our adapters read it, what is lost, new, unreadable or of another status."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import pytest_asyncio

from marketdata.core.clock import ManualClock
from marketdata.core.exchanges.adapter import ExchangeAdapter
from marketdata.core.exchanges.binance_futures import BinanceFutures
from marketdata.core.exchanges.coinbase import Coinbase
from marketdata.core.exchanges.hyperliquid import Hyperliquid
from marketdata.core.models import DAY_MS, Kind, ListedInstrument, Listing, Status
from marketdata.simulator.controls import Controls
from marketdata.simulator.recorded import recorded
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources
from tests.simulator.conftest import NOW_MS

pytestmark = pytest.mark.asyncio(loop_scope="module")

INFO = "/hyperliquid/info"
type Right = dict[str, ListedInstrument]
"""What is listed, by the exchange's names."""
ADAPTERS: dict[str, ExchangeAdapter] = {
    "binance_futures": BinanceFutures(),
    "hyperliquid": Hyperliquid(),
    "coinbase": Coinbase(),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(steered: tuple[str, Controls]) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=steered[0]) as client:
        yield client


async def bodies(client: httpx2.AsyncClient, exchange: str) -> list[bytes]:
    """What the requests of a sync are answered with."""
    if exchange == "hyperliquid":
        answers = [await client.post(INFO, json={"type": kind}) for kind in ("allPerpMetas", "spotMeta")]
    else:
        path = {"binance_futures": "/binance/fapi/v1/exchangeInfo", "coinbase": "/coinbase/products"}[exchange]
        answers = [await client.get(path)]
    return [answer.content for answer in answers]


async def listing(client: httpx2.AsyncClient, exchange: str) -> Listing:
    return ADAPTERS[exchange].parse_listing(await bodies(client, exchange), {})


@pytest.fixture(scope="module")
def all_listed(sources: Sources) -> dict[str, Right]:
    """What each exchange really lists, by its own names."""
    served = {
        "binance_futures": [sources.binance.exchange_info(NOW_MS)],
        "hyperliquid": [sources.hyperliquid.listing(kind, "", NOW_MS) for kind in ("allPerpMetas", "spotMeta")],
        "coinbase": [sources.coinbase.products(NOW_MS)],
    }
    listings = {exchange: ADAPTERS[exchange].parse_listing(answers, {}) for exchange, answers in served.items()}
    assert not any(listing.refused for listing in listings.values())
    return {exchange: by_name(listing) for exchange, listing in listings.items()}


@pytest.fixture
def right(all_listed: dict[str, Right], exchange: str) -> Right:
    """What the test's exchange really lists."""
    return all_listed[exchange]


def by_name(listing: Listing) -> Right:
    return {instrument.exchange_symbol: instrument for instrument in listing.instruments}


async def spoilt(client: httpx2.AsyncClient, controls: Controls, exchange: str, spec: str) -> Listing:
    """What is told with a fault, the same each time."""
    controls.faults.add(f"{spec},exchange={exchange},route=listing")
    answers = await bodies(client, exchange)
    assert await bodies(client, exchange) == answers
    assert spec.partition(",")[0] in {entry.fault for entry in controls.journal.entries()}
    return ADAPTERS[exchange].parse_listing(answers, {})


@pytest.mark.parametrize("exchange", ADAPTERS)
class TestAllExchanges:
    async def test_nothing(self, client: httpx2.AsyncClient, controls: Controls, right: Right, exchange: str) -> None:
        wrong = await spoilt(client, controls, exchange, "listing-empty")
        assert len(right) > 400
        assert (wrong.instruments, wrong.refused) == ((), ())

    @pytest.mark.parametrize("percent", [1, 20, 21, 50, 99])
    async def test_fewer(
        self, client: httpx2.AsyncClient, controls: Controls, right: Right, exchange: str, percent: int
    ) -> None:
        wrong = await spoilt(client, controls, exchange, f"listing-shrunk,percent={percent}")
        assert not wrong.refused
        left = [instrument for instrument in right.values() if instrument in wrong.instruments]
        assert list(wrong.instruments) == left
        lost = len(right) - len(left)
        assert len(right) * percent / 100 - 2 < lost <= len(right) * percent / 100

    @pytest.mark.parametrize("percent", [49, 50, 100, 300])
    async def test_more(
        self, client: httpx2.AsyncClient, controls: Controls, right: Right, exchange: str, percent: int
    ) -> None:
        wrong = await spoilt(client, controls, exchange, f"listing-grown,percent={percent}")
        assert not wrong.refused
        told = by_name(wrong)
        assert {symbol: told.get(symbol) for symbol in right} == right
        assert len(right) * percent / 100 - 2 < len(told) - len(right) <= len(right) * percent / 100

    async def test_all_of_another_name(
        self, client: httpx2.AsyncClient, controls: Controls, right: Right, exchange: str
    ) -> None:
        wrong = await spoilt(client, controls, exchange, "listing-renamed")
        assert not wrong.refused
        assert len(wrong.instruments) == len(right)
        assert not {instrument.exchange_symbol for instrument in wrong.instruments} & set(right)

    @pytest.mark.parametrize("percent", [1, 2, 30, 100])
    async def test_unreadable(
        self, client: httpx2.AsyncClient, controls: Controls, right: Right, exchange: str, percent: int
    ) -> None:
        wrong = await spoilt(client, controls, exchange, f"listing-unreadable,percent={percent}")
        refused = [refusal.exchange_symbol for refusal in wrong.refused]
        assert len(right) * percent / 100 - 2 < len(refused) <= len(right) * percent / 100
        told = by_name(wrong)
        assert told == {symbol: instrument for symbol, instrument in right.items() if symbol not in refused}
        assert set(refused) <= set(right)
        assert len(refused) < 6 or len({refusal.reason for refusal in wrong.refused}) > 1

    async def test_all_delisted(
        self, client: httpx2.AsyncClient, controls: Controls, right: Right, exchange: str
    ) -> None:
        wrong = await spoilt(client, controls, exchange, "listing-delisted")
        assert not wrong.refused
        kinds = {kind for kind in Kind if exchange != "hyperliquid" or kind is not Kind.SPOT}  # a pair cannot say so
        for was, is_now in zip(right.values(), wrong.instruments, strict=True):
            if was.kind in kinds:
                assert is_now.status is Status.DELISTED
                same = {"status": was.status, "exchange_status": was.exchange_status}
                assert is_now.model_copy(update=same) == was
            else:
                assert is_now == was

    async def test_candles_are_not_a_listing(
        self, client: httpx2.AsyncClient, controls: Controls, exchange: str
    ) -> None:
        controls.faults.add("listing-empty")
        wanted = {"coin": "BTC", "interval": "1h", "startTime": NOW_MS - 9_000_000}
        paths = {
            "binance_futures": "/binance/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=2",
            "coinbase": "/coinbase/products/BTC-USD/candles?granularity=3600",
        }
        if exchange in paths:
            answer = await client.get(paths[exchange])
        else:
            answer = await client.post(INFO, json={"type": "candleSnapshot", "req": wanted})
        assert len(answer.json()) >= 2
        assert controls.journal.entries()[-1].fault is None


@pytest.mark.parametrize("exchange", ["binance_futures", "coinbase"])
async def test_all_of_a_status_that_nobody_knows(
    client: httpx2.AsyncClient, controls: Controls, right: Right, exchange: str
) -> None:
    wrong = await spoilt(client, controls, exchange, "listing-unknown-status")
    assert [instrument.exchange_symbol for instrument in wrong.instruments] == list(right)
    assert Counter(instrument.status for instrument in wrong.instruments) == {Status.UNKNOWN: len(right)}


async def test_hyperliquid_has_no_word_for_a_status(client: httpx2.AsyncClient, controls: Controls) -> None:
    right = await bodies(client, "hyperliquid")
    controls.faults.add("listing-unknown-status")
    assert await bodies(client, "hyperliquid") == right
    assert {entry.fault for entry in controls.journal.entries()} == {None}


@pytest.mark.parametrize("spec", ["listing-shrunk", "listing-grown,percent=130", "listing-renamed", "listing-empty"])
async def test_all_answers_tell_the_same(client: httpx2.AsyncClient, controls: Controls, spec: str) -> None:
    async def asked(kind: str, dex: str = "") -> Any:
        return (await client.post(INFO, json={"type": kind, "dex": dex} if dex else {"type": kind})).json()

    def named(universe: Any) -> list[str]:
        return [row["name"] for row in universe["universe"]]

    mids = await asked("allMids")
    right_contexts = dict(zip(named((right := await asked("metaAndAssetCtxs"))[0]), right[1], strict=True))
    assert len({msgspec.json.encode(context) for context in right_contexts.values()}) > 100
    tokens = (await asked("spotMeta"))["tokens"]
    controls.faults.add(spec)
    metas, meta, (beside, contexts) = [await asked(kind) for kind in ("allPerpMetas", "meta", "metaAndAssetCtxs")]
    assert metas[0] == meta == beside
    assert len(named(meta)) == len(contexts)
    if "renamed" not in spec:
        told = dict(zip(named(meta), contexts, strict=True))
        assert {name: told[name] for name in told if name in right_contexts} == {
            name: context for name, context in right_contexts.items() if name in told
        }
    spot, (pairs, pair_contexts) = [await asked(kind) for kind in ("spotMeta", "spotMetaAndAssetCtxs")]
    assert spot == pairs
    assert spot["tokens"] == tokens
    coins = {context["coin"] for context in pair_contexts if context["prevDayPx"] != "0.0"}
    assert coins <= set(named(spot))
    assert len(coins) >= len(named(spot)) - 5
    assert await asked("allMids") == mids


@pytest.mark.recorded
async def test_recorded_listings_are_spoilt_alike(recordings: Path) -> None:
    sources: Sources = recorded(recordings, Scenario(limits=False))
    controls = Controls()
    async with (
        running_simulator(sources, ManualClock(NOW_MS), controls) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        for exchange in ADAPTERS:
            right = await listing(client, exchange)
            count, refused = len(right.instruments), len(right.refused)
            seen = {}
            for spec in (
                "shrunk,percent=40",
                "grown,percent=40",
                "unreadable,percent=40",
                "renamed",
                "delisted",
                "empty",
            ):
                (planted,) = controls.faults.add(f"listing-{spec},route=listing")
                wrong = await listing(client, exchange)
                seen[spec] = (len(wrong.instruments) / count, len(wrong.refused) - refused)
                controls.faults.remove(planted.id)
            assert seen["shrunk,percent=40"][0] == pytest.approx(0.6, abs=0.03)
            assert seen["grown,percent=40"][0] == pytest.approx(1.4, abs=0.03)
            assert seen["unreadable,percent=40"][1] == pytest.approx(0.4 * count, rel=0.1)
            assert seen["renamed"][0] == pytest.approx(1, abs=0.03)
            assert seen["empty"] == (0, -refused)


async def test_a_row_that_comes_moves_one_other_at_most(sources: Sources) -> None:
    clock, controls = ManualClock(NOW_MS), Controls()
    lost = []
    async with (
        running_simulator(sources, clock, controls) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        for _ in range(2):
            controls.faults.clear()
            clock.advance(40 * DAY_MS)
            listed = set(by_name(await listing(client, "binance_futures")))
            controls.faults.add("listing-shrunk,percent=30,route=listing")
            clock.advance(10_000)
            lost.append((listed - set(by_name(await listing(client, "binance_futures"))), listed))
    (before, listed_before), (after, listed_after) = lost
    came_or_went = len(listed_before ^ listed_after)
    assert 5 <= came_or_went <= 30
    assert len(before ^ after) <= 2 * came_or_went < len(before)
