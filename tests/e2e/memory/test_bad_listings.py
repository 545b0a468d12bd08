"""No bad listing delists anything or changes the last good state; a true delisting does apply."""

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.core.exchanges import get_adapter
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import MINUTE_MS, ExchangeId, Status
from marketdata.simulator.controls import Controls
from marketdata.simulator.listing_changes import ListingChange
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources, simulated
from marketdata.store.engine import Database
from marketdata.store.symbols import StoredSymbol, list_stored
from marketdata.store.syncs import SyncRun
from marketdata.syncer.sync import sync_exchange
from tests.e2e.memory.world import NOW_MS, PREFIXES

QUARANTINED = (
    "listing-empty",
    "listing-shrunk,percent=21",
    "listing-shrunk,percent=50",
    "listing-grown,percent=300",
    "listing-renamed",
    "listing-unknown-status",
    "listing-delisted",
    "listing-unreadable,percent=3",
)
APPLIED = ("listing-unreadable,percent=1", "listing-shrunk,percent=15")
"""Not bad enough to be refused, and yet nothing is delisted by one of them."""

TRIALS = int(os.environ.get("TRIALS", "200"))

CASES = [
    (exchange, fault)
    for exchange in PREFIXES
    for fault in (*QUARANTINED, *APPLIED)
    if exchange != "hyperliquid" or fault != "listing-unknown-status"  # it has no words of status
]


@dataclass
class Exchange:
    """An exchange that is synced, and all that can be done to it."""

    database: Database
    fetcher: Fetcher
    clock: ManualClock
    controls: Controls
    sources: Sources

    async def sync(self) -> SyncRun:
        return await sync_exchange(self.database, self.fetcher, self.clock)

    async def stored(self) -> list[StoredSymbol]:
        async with self.database.transaction() as connection:
            return await list_stored(connection, self.fetcher.adapter.exchange)

    def plan(self, *changes: ListingChange) -> None:
        assert self.sources.listings is not None
        for change in changes:
            self.sources.listings.add(change)


@asynccontextmanager
async def synced(database: Database, exchange: str, http: httpx2.AsyncClient) -> AsyncIterator[Exchange]:
    """An exchange whose listing was read once."""
    clock, controls, sources = ManualClock(NOW_MS), Controls(), simulated(scenario=Scenario(limits=False))
    async with running_simulator(sources, clock, controls) as url:
        fetcher = Fetcher(get_adapter(ExchangeId(exchange)), http, clock, f"{url}/{PREFIXES[exchange]}")
        made = Exchange(database, fetcher, clock, controls, sources)
        assert (await made.sync()).outcome == "succeeded"
        yield made


def delisted(rows: list[StoredSymbol]) -> set[str]:
    return {row.symbol.symbol for row in rows if row.symbol.status is Status.DELISTED}


async def try_bad_listings(database: Database, exchange: str, fault: str, trials: int) -> None:
    """Read a bad listing so many times, with good ones between now and then."""
    chance = random.Random(fault)
    async with open_http() as http, synced(database, exchange, http) as one:
        before = await one.stored()
        for _ in range(trials):
            one.clock.advance(chance.choice((1, 5, 15)) * MINUTE_MS)
            one.controls.faults.add(f"{fault},exchange={exchange},route=listing")
            run = await one.sync()
            after = await one.stored()
            assert delisted(after) == delisted(before)
            assert run.outcome == ("succeeded" if fault in APPLIED else "quarantined"), run.error_detail
            if run.outcome == "quarantined":
                assert after == before, "the last good state is what is held"
                assert (run.error_code, run.report.quarantined is None) == ("listing-quarantined", False)
                assert len(run.payload_sha256 or "") == 64
                assert run.payload_bytes
            one.controls.faults.clear()
            if fault in APPLIED or chance.random() < 0.2:
                run = await one.sync()
                assert run.outcome == "succeeded", run.error_detail
                after = await one.stored()
                assert delisted(after) == delisted(before)
                before = after


@pytest.mark.parametrize("exchange, fault", CASES)
async def test_a_bad_listing_delists_nothing(database: Database, exchange: str, fault: str) -> None:
    await try_bad_listings(database, exchange, fault, 2)


@pytest.mark.long
@pytest.mark.parametrize("exchange, fault", CASES)
async def test_200_bad_listings_delist_nothing(database: Database, exchange: str, fault: str) -> None:
    await try_bad_listings(database, exchange, fault, TRIALS)


async def try_true_delistings(database: Database, exchange: str, trials: int) -> None:
    """Take an instrument away so many times; it is delisted by the third listing without it, half an hour later."""
    chance = random.Random(exchange)
    async with open_http() as http, synced(database, exchange, http) as one:
        listed = [row.symbol for row in await one.stored() if row.symbol.status is Status.TRADING]
        for symbol in chance.sample(listed, trials):
            since_ms = one.clock.now_ms() + MINUTE_MS
            one.clock.set(since_ms)
            one.plan(ListingChange(exchange=exchange, symbol=symbol.exchange_symbol, change="absent", from_ms=since_ms))
            for minutes in (0, 15, 14):
                one.clock.advance(minutes * MINUTE_MS)
                run = await one.sync()
                assert run.outcome == "succeeded", run.error_detail
                assert symbol.symbol in run.report.missing
            one.clock.advance(MINUTE_MS)
            assert (await one.sync()).delisted >= 1
            (gone,) = [row.symbol for row in await one.stored() if row.symbol.exchange_symbol == symbol.exchange_symbol]
            assert (gone.status, gone.delisted_at, gone.delisted_at_source) == ("delisted", since_ms, "observed")


@pytest.mark.parametrize("exchange", PREFIXES)
async def test_a_true_delisting_applies(database: Database, exchange: str) -> None:
    await try_true_delistings(database, exchange, 1)


@pytest.mark.long
@pytest.mark.parametrize("exchange", PREFIXES)
async def test_200_true_delistings_apply(database: Database, exchange: str) -> None:
    await try_true_delistings(database, exchange, TRIALS // 3)
