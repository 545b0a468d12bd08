"""What a simulator serves: one source per exchange, and where all of it comes from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from marketdata.simulator.binance_futures import BinanceSource
from marketdata.simulator.binance_info import SimulatedBinance
from marketdata.simulator.coinbase import CoinbaseSource
from marketdata.simulator.coinbase_products import SimulatedCoinbase
from marketdata.simulator.hyperliquid import HyperliquidSource
from marketdata.simulator.hyperliquid_meta import SimulatedHyperliquid
from marketdata.simulator.listings import Listings
from marketdata.simulator.market import Market
from marketdata.simulator.outages import Outages
from marketdata.simulator.scenario import Scenario

DEFAULT_SEED = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """All that a simulator serves."""

    kind: Literal["simulated", "recorded"]
    seed: int | None
    binance: BinanceSource
    hyperliquid: HyperliquidSource
    coinbase: CoinbaseSource
    scenario: Scenario
    counts: Callable[[int], Mapping[str, int]]
    """How many symbols each exchange lists at a moment, by exchange id."""
    outages: Outages | None = None
    """When its exchanges are off; None: recordings are as they are."""
    listings: Listings | None = None
    """What is planned to become of its listed instruments; None: recordings are as they are."""


def simulated(seed: int = DEFAULT_SEED, scenario: Scenario | None = None) -> Sources:
    """The seeded market. Raises WrongListingChangeError for a scenario that plans what cannot be."""
    scenario = scenario or Scenario()
    market = Market(seed, Outages(scenario.outages), scenario.corrected_ms)
    binance, hyperliquid = SimulatedBinance(market, scenario), SimulatedHyperliquid(market, scenario)
    coinbase = SimulatedCoinbase(market, scenario)

    listings = Listings(
        {
            "binance_futures": binance.catalogues,
            "hyperliquid": hyperliquid.catalogues,
            "coinbase": coinbase.catalogues,
        }
    )
    listings.add(*scenario.listing_changes)

    def counts(now_ms: int) -> dict[str, int]:
        return {
            "binance_futures": binance.count(now_ms),
            "hyperliquid": hyperliquid.count(now_ms),
            "coinbase": coinbase.count(now_ms),
        }

    return Sources(
        kind="simulated",
        seed=seed,
        binance=binance,
        hyperliquid=hyperliquid,
        coinbase=coinbase,
        scenario=scenario,
        counts=counts,
        outages=market.outages,
        listings=listings,
    )
