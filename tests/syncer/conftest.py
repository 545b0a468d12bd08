"""The simulated exchanges on a real socket, whose time the test moves."""

from collections.abc import AsyncIterator

import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources, simulated

NOW_MS = 1_767_225_600_000  # 2026-01-01


@pytest.fixture(scope="session")
def sources() -> Sources:
    return simulated(seed=7)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
async def simulator_url(sources: Sources, clock: ManualClock) -> AsyncIterator[str]:
    """The simulator's base URL; an exchange's is it with a prefix."""
    async with running_simulator(sources, clock) as url:
        yield url
