"""Any candle request against the simulator's truth, on good days and on bad ones; `truth/expected.py` has the rule."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketdata.core.clock import ManualClock
from marketdata.simulator.scenario import Scenario
from tests.conftest import Postgres
from tests.e2e.markets import market
from tests.e2e.platform import running_platform
from tests.e2e.truth.asked import Asked, requests
from tests.e2e.truth.walk import SEED, check
from tests.e2e.truth.world import T0, World, worlds

CASES = worlds().flatmap(lambda world: st.tuples(st.just(world), requests(world.now_ms + world.scenario.skew_ms)))


@pytest.mark.parametrize("examples", [120, pytest.param(5000, marks=pytest.mark.long)])
def test_any_answer_is_the_truth_or_a_named_problem(postgres: Postgres, examples: int) -> None:
    clock = ManualClock(T0)

    async def run() -> None:
        sources = market(SEED, Scenario(limits=False))
        async with running_platform(sources, clock, postgres.make_database()) as platform:
            loop = asyncio.get_running_loop()

            @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
            @given(CASES)
            def compare(case: tuple[World, Asked]) -> None:
                asyncio.run_coroutine_threadsafe(check(platform, clock, *case), loop).result(60)

            await asyncio.to_thread(compare)

    asyncio.run(run())
