"""A platform that is the same each time, for examples that are."""

from collections.abc import AsyncIterator

import pytest_asyncio

from marketdata.core.clock import ManualClock
from marketdata.simulator.scenario import Scenario
from tests.api.contract.asked import SEED, T0, Asker, make_asker
from tests.conftest import Postgres
from tests.e2e.markets import market
from tests.e2e.platform import running_platform


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asker(postgres: Postgres) -> AsyncIterator[Asker]:
    clock = ManualClock(T0)
    url = postgres.make_database()
    async with running_platform(market(SEED, Scenario(limits=False)), clock, url) as platform:
        yield await make_asker(platform, clock)
    postgres.drop_database(url)
