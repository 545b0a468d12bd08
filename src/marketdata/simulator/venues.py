"""The three exchanges of a simulator, each with its place, its limits and its troubles."""

from dataclasses import dataclass

from marketdata.simulator import binance_troubles, coinbase_troubles, hyperliquid_troubles
from marketdata.simulator.binance_futures import BinanceFutures
from marketdata.simulator.binance_limits import BinanceLimits
from marketdata.simulator.cdn import Cdn
from marketdata.simulator.coinbase import Coinbase
from marketdata.simulator.coinbase_limits import CoinbaseLimits
from marketdata.simulator.hyperliquid import Hyperliquid
from marketdata.simulator.hyperliquid_limits import HyperliquidLimits
from marketdata.simulator.limits import Ledger
from marketdata.simulator.sources import Sources
from marketdata.simulator.troubles import Troubled


@dataclass(frozen=True, slots=True)
class Venue:
    """One exchange of the simulator: where it is, what it answers, and how it behaves when asked too much."""

    prefix: str
    """The first part of its URLs' paths."""
    exchange_id: str
    exchange: Troubled
    limits: Ledger


def venues(sources: Sources) -> tuple[Venue, ...]:
    """The exchanges with what `sources` have of them, their ledgers empty. Raises WrongTroubleError, KeyError."""
    scenario = sources.scenario
    binance, hyperliquid = BinanceFutures(sources.binance), Hyperliquid(sources.hyperliquid)
    coinbase = Cdn(Coinbase(sources.coinbase)) if scenario.cdn else Coinbase(sources.coinbase)
    all_of_them = (
        Venue("binance", "binance_futures", Troubled(binance, binance_troubles.TROUBLES), BinanceLimits(scenario)),
        Venue(
            "hyperliquid",
            "hyperliquid",
            Troubled(hyperliquid, hyperliquid_troubles.TROUBLES),
            HyperliquidLimits(scenario),
        ),
        Venue("coinbase", "coinbase", Troubled(coinbase, coinbase_troubles.TROUBLES), CoinbaseLimits(scenario)),
    )
    by_id = {venue.exchange_id: venue for venue in all_of_them}
    for exchange_id, trouble in scenario.troubles.items():
        by_id[exchange_id].exchange.suffer(trouble)
    return all_of_them
