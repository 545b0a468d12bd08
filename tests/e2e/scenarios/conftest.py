"""One platform for all scenarios; each sets its own stage."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest_asyncio

from marketdata.core.budget import ExchangeBudget
from marketdata.core.clock import ManualClock
from marketdata.core.fetch import Fetcher
from marketdata.core.models import Candle, ExchangeId, Interval
from marketdata.simulator.controls import Controls
from marketdata.simulator.faults import Faults
from marketdata.simulator.journal import Entry, Journal
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import Sources
from marketdata.simulator.truth import truth
from tests.conftest import Postgres
from tests.e2e.markets import market
from tests.e2e.platform import PATIENCE_S, Platform, running_platform

SEED = 7
T0 = 1780000000000  # 2026-05-28T20:26:40Z, a Thursday


@dataclass
class Stage:
    """The platform, and exchanges that are as a scenario wants them."""

    platform: Platform
    clock: ManualClock
    sources: Sources = field(default_factory=lambda: market(SEED))

    def play(
        self, scenario: Scenario | None = None, *faults: str, now_ms: int = T0, journal: Journal | None = None
    ) -> None:
        """Begin anew at `now_ms`: exchanges that remember nothing, an API that has not met them."""
        self.clock.set(now_ms)
        self.sources = market(SEED, scenario)
        self.platform.stage(self.sources, Controls(Faults(faults, SEED), journal or Journal()))

    def allow(self, exchange: str, limit: int) -> None:
        """Let the API think that an exchange allows `limit`, as this one does."""
        known = self.platform.fetchers[ExchangeId(exchange)]
        budget = known.adapter.capabilities.budget.model_copy(update={"limit": limit})
        self.platform.fetchers[ExchangeId(exchange)] = Fetcher(
            known.adapter,
            self.platform.upstream,
            self.clock,
            known.base_url,
            budget=ExchangeBudget(known.adapter.exchange, budget, self.clock),
            deadline_s=PATIENCE_S,
        )

    def calls(self, exchange: str, route: str | None = None) -> list[Entry]:
        """What an exchange was asked since then."""
        return self.platform.controls.journal.entries(exchange=exchange, route=route)

    async def ask(self, path: str, **params: object) -> httpx2.Response:
        """GET below `/v1/candles/`."""
        return await self.platform.get(f"/v1/candles/{path}", **params)

    async def read(self, path: str, **params: object) -> Any:
        """The document of a good answer."""
        return await self.platform.read(f"/v1/candles/{path}", **params)

    def truth(self, exchange: str, symbol: str, interval: Interval, start_ms: int, end_ms: int) -> list[Candle]:
        """What the exchange has, now."""
        return truth(self.sources, exchange, symbol, interval, start_ms, end_ms, self.clock.now_ms())


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(postgres: Postgres) -> AsyncIterator[Stage]:
    clock = ManualClock(T0)
    async with AsyncExitStack() as opened:
        url = postgres.make_database()
        opened.callback(postgres.drop_database, url)
        yield Stage(await opened.enter_async_context(running_platform(market(SEED), clock, url)), clock)
