"""A simulator on a real socket, whose clock the test holds."""

from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from marketdata.core.clock import ManualClock
from marketdata.simulator.controls import Controls
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources, simulated

NOW_MS = 1_773_578_096_789
"""2026-03-15 12:34:56.789 UTC, a Sunday."""


@pytest.fixture(scope="session")
def sources() -> Sources:
    """The market of the default seed, which has no state but its caches; nobody is refused for asking too much."""
    return simulated(scenario=Scenario(limits=False))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
async def simulator(sources: Sources, clock: ManualClock) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a simulator of the default scenario."""
    async with running_simulator(sources, clock) as url, httpx2.AsyncClient(base_url=url) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def steered(sources: Sources) -> AsyncIterator[tuple[str, Controls]]:
    """The URL of a simulator that all tests of a module share, and its controls."""
    controls = Controls()
    async with running_simulator(sources, ManualClock(NOW_MS), controls) as url:
        yield url, controls


@pytest.fixture
def url(steered: tuple[str, Controls]) -> str:
    """Where it is; its tests run in the module's loop."""
    return steered[0]


@pytest.fixture
def controls(steered: tuple[str, Controls]) -> Controls:
    """Its controls, without faults and entries."""
    controls = steered[1]
    controls.faults.clear()
    controls.journal.clear()
    return controls
