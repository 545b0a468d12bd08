"""The platform on the simulator, the clients on the same simulator, and one clock for all but the clients."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from marketdata.core.clock import ManualClock
from marketdata.simulator.sources import simulated
from tests.clients.cases import NOW_MS
from tests.clients.clients import PYTHON, Clients, running_clients
from tests.conftest import Postgres
from tests.e2e.platform import Platform, running_platform


@dataclass(frozen=True)
class Sides:
    """Those who are asked the same."""

    platform: Platform
    clients: Clients
    clock: ManualClock

    def pass_time(self) -> None:
        """Let so much time pass that no budget of an exchange remembers what was asked."""
        self.clock.advance(61_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sides(postgres: Postgres) -> AsyncIterator[Sides]:
    if not PYTHON.exists():
        pytest.fail("there are no clients to try: run make test-clients")
    clock = ManualClock(NOW_MS)
    async with AsyncExitStack() as opened:
        url = postgres.make_database()
        opened.callback(postgres.drop_database, url)
        platform = await opened.enter_async_context(running_platform(simulated(), clock, url))
        clients = await opened.enter_async_context(running_clients(platform.simulator))
        yield Sides(platform, clients, clock)
