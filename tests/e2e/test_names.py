"""The simulated listings: every name round-trips, and what is odd is listed in the report of the sync."""

import asyncio

from marketdata.core.clock import ManualClock
from marketdata.simulator.sources import simulated
from tests.conftest import Postgres
from tests.e2e.names import check_names
from tests.e2e.platform import running_platform


def test_every_simulated_name_round_trips(postgres: Postgres) -> None:
    async def run() -> None:
        sources = simulated(3)
        clock = ManualClock(1780000000000)
        async with running_platform(sources, clock, postgres.make_database()) as platform:
            reports = {exchange: run.report for exchange, run in platform.runs.items()}
            listed = sources.counts(clock.now_ms())
            assert listed["binance_futures"] >= 600
            assert listed["hyperliquid"] >= 400
            assert listed["coinbase"] >= 500
            assert {exchange: run.listed for exchange, run in platform.runs.items()} == listed
            assert [len(report.refused) for report in reports.values()] == [0, 0, 0]
            assert "IDOL-USDT-PERP~IDOL" in [clash.symbol for clash in reports["binance_futures"].clashes]
            assert all(name.startswith("1000") for name in reports["binance_futures"].unclassified)
            assert "CRVUSDT" in reports["binance_futures"].base_mismatches
            assert "BTCAUCTION-USD" in reports["coinbase"].base_mismatches
            assert await check_names(platform) == sum(listed.values())

    asyncio.run(run())
