"""Simulated markets that share what they have made of one seed: it is the same in all scenarios, and costly."""

from marketdata.simulator.binance_info import SimulatedBinance
from marketdata.simulator.market import Market
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import Sources, simulated

_FIRST: dict[int, Market] = {}
_SHARED = ("_knot", "_dollars", "_day", "_parts")


def market(seed: int, scenario: Scenario | None = None) -> Sources:
    """As `simulated`."""
    sources = simulated(seed, scenario)
    assert isinstance(sources.binance, SimulatedBinance)
    made = sources.binance.market
    first = _FIRST.setdefault(seed, made)
    for name in _SHARED:
        setattr(made, name, getattr(first, name))
    return sources
