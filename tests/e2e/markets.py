"""Simulated markets that share what was made of one seed: that is the same in all scenarios, and costs the most."""

from collections.abc import Callable
from functools import partial
from typing import Any

from marketdata.simulator.binance_info import SimulatedBinance
from marketdata.simulator.market import Instrument
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import Sources, simulated

_MADE: dict[tuple[Any, ...], Any] = {}
_MOST = 200_000


def market(seed: int, scenario: Scenario | None = None) -> Sources:
    """As `simulated`."""
    sources = simulated(seed, scenario)
    assert isinstance(sources.binance, SimulatedBinance)
    made: Any = sources.binance.market
    made._day = partial(_make_once, (seed, "day"), made._make_day)
    made._parts = partial(_make_once, (seed, "parts"), made._make_parts)
    return sources


def _make_once(kind: tuple[Any, ...], make: Callable[..., object], instrument: Instrument, *place: int) -> object:
    key = (*kind, instrument.name, *place)
    if key not in _MADE:
        if len(_MADE) >= _MOST:
            _MADE.clear()
        _MADE[key] = make(instrument, *place)
    return _MADE[key]
