"""The three exchanges of a simulator, each with its place, its limits and its ways to fail."""

from dataclasses import dataclass, field

from marketdata.simulator.answers import Exchange, Failing, Limits, Unlimited, unknown_failure
from marketdata.simulator.binance_futures import BinanceFutures
from marketdata.simulator.coinbase import Coinbase
from marketdata.simulator.hyperliquid import Hyperliquid
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
    return (
        Venue("binance", "binance_futures", BinanceFutures(sources.binance)),
        Venue("hyperliquid", "hyperliquid", Hyperliquid(sources.hyperliquid)),
        Venue("coinbase", "coinbase", Coinbase(sources.coinbase)),
    )
