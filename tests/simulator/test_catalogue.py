"""Listings: enough of everything whatever the seed, each name once, the same again when the clock goes back."""

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import takewhile

import pytest

from marketdata.simulator.binance_contracts import contracts, quarter_end_ms
from marketdata.simulator.binance_info import SimulatedBinance
from marketdata.simulator.catalogue import Entry
from marketdata.simulator.coinbase_products import SimulatedCoinbase
from marketdata.simulator.grids import DAY_MS
from marketdata.simulator.hyperliquid_meta import SimulatedHyperliquid
from marketdata.simulator.hyperliquid_universe import perps
from marketdata.simulator.market import Market
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import simulated
from tests.simulator.conftest import NOW_MS

MANY_YEARS_MS = NOW_MS + 20 * 365 * DAY_MS
END_OF_2023_MS = 1_703_980_800_000


@pytest.mark.parametrize("seed", [0, 1, 7, -3, 1 << 70])
def test_there_is_enough_of_everything_since_the_end_of_2023(seed: int) -> None:
    for now_ms in (END_OF_2023_MS, NOW_MS):
        counts = simulated(seed).counts(now_ms)
        assert counts["binance_futures"] >= 600
        assert counts["hyperliquid"] >= 400
        assert counts["coinbase"] >= 500


@pytest.mark.parametrize("seed", [0, 1, 7, -3, 1 << 70])
def test_no_name_comes_twice_and_announcements_are_in_order(seed: int) -> None:
    futures: Iterator[Entry] = contracts(seed, 30)
    perpetuals: Iterator[Entry] = perps(seed, 30)
    for coming in (futures, perpetuals):
        instruments = (entry.instrument for entry in coming)
        listed = list(takewhile(lambda instrument: instrument.life.announced_ms < MANY_YEARS_MS, instruments))
        names = [instrument.symbol for instrument in listed]
        assert len(names) == len(set(names)) > 200
        announced = [instrument.life.announced_ms for instrument in listed]
        assert announced == sorted(announced)


def test_seeds_differ_in_their_invented_names() -> None:
    names = [
        {
            row["symbol"]
            for row in json.loads(SimulatedBinance(Market(seed), Scenario()).exchange_info(NOW_MS))["symbols"]
        }
        for seed in (1, 1, 2)
    ]
    assert names[0] == names[1] != names[2]
    assert {"BTCUSDT", "ETHUSDC", "XAUUSDT"} <= names[0] & names[2]


@pytest.mark.parametrize("kind", [SimulatedBinance, SimulatedHyperliquid, SimulatedCoinbase])
def test_a_clock_that_goes_back_shows_the_old_listing(
    kind: type[SimulatedBinance] | type[SimulatedHyperliquid] | type[SimulatedCoinbase],
) -> None:
    source = kind(Market(1), Scenario())
    before = source.count(NOW_MS)
    assert source.count(MANY_YEARS_MS) > before + 500
    assert source.count(NOW_MS) == before
    assert source.count(0) == 0


@pytest.mark.parametrize(
    "year, part, day",
    [(2025, 0, "2025-03-28"), (2025, 1, "2025-06-27"), (2026, 3, "2026-12-25"), (2024, 1, "2024-06-28")],
)
def test_quarters_end_at_eight_on_their_last_friday(year: int, part: int, day: str) -> None:
    assert quarter_end_ms(4 * year + part) == datetime.fromisoformat(f"{day}T08:00Z").timestamp() * 1000
