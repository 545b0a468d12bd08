"""The three exchanges of a simulator, each with its place, its limits and its ways to fail."""

from dataclasses import dataclass, field

from marketdata.simulator.answers import Exchange, Failing, Limits, Unlimited, unknown_failure
from marketdata.simulator.binance_futures import BinanceFutures
from marketdata.simulator.binance_limits import BinanceLimits
from marketdata.simulator.cdn import Cdn
from marketdata.simulator.coinbase import Coinbase
from marketdata.simulator.coinbase_limits import CoinbaseLimits
from marketdata.simulator.hyperliquid import Hyperliquid
from marketdata.simulator.hyperliquid_limits import HyperliquidLimits
from marketdata.simulator.sources import Sources


@dataclass(frozen=True, slots=True)
class Venue:
    """One exchange of the simulator: where it is, what it answers, and how it behaves when asked too much."""

    prefix: str
    """The first part of its URLs' paths."""
    exchange_id: str
    exchange: Exchange
    limits: Limits = field(default_factory=Unlimited)
    failing: Failing = unknown_failure


def venues(sources: Sources) -> tuple[Venue, ...]:
    """The exchanges with what `sources` have of them, their ledgers empty."""
    scenario = sources.scenario
    coinbase = Coinbase(sources.coinbase)
    return (
        Venue("binance", "binance_futures", BinanceFutures(sources.binance), BinanceLimits(scenario)),
        Venue("hyperliquid", "hyperliquid", Hyperliquid(sources.hyperliquid), HyperliquidLimits(scenario)),
        Venue("coinbase", "coinbase", Cdn(coinbase) if scenario.cdn else coinbase, CoinbaseLimits(scenario)),
    )
