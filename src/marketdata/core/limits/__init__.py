"""How much a client may ask in a minute, of all processes of one installation together."""

from marketdata.core.limits.limiter import Limiter
from marketdata.core.limits.meter import Allowance, Meter
from marketdata.core.limits.pool import KINDS, WINDOW_S, Amounts, Kind, Minute, Minutes, OwnRates, RatePool

__all__ = [
    "KINDS",
    "WINDOW_S",
    "Allowance",
    "Amounts",
    "Kind",
    "Limiter",
    "Meter",
    "Minute",
    "Minutes",
    "OwnRates",
    "RatePool",
]
