"""The registry of exchanges: our own adapters and those that installed packages offer by entry point."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from marketdata.core.errors import UnknownExchange
from marketdata.core.exchanges.adapter import ExchangeAdapter
from marketdata.core.exchanges.binance_futures import BinanceFutures
from marketdata.core.exchanges.coinbase import Coinbase
from marketdata.core.exchanges.hyperliquid import Hyperliquid
from marketdata.core.models import ExchangeId

ENTRY_POINT_GROUP = "marketdata.exchanges"
"""A package adds an exchange by an entry point in this group that names its adapter class."""

BUILT_IN: tuple[type[ExchangeAdapter], ...] = (BinanceFutures, Hyperliquid, Coinbase)


@cache
def registry() -> Mapping[ExchangeId, ExchangeAdapter]:
    """All adapters by exchange id; an entry point cannot replace a built-in one."""
    offered = [point.load() for point in entry_points(group=ENTRY_POINT_GROUP)]
    return {adapter.exchange: adapter() for adapter in (*offered, *BUILT_IN)}


def get_adapter(exchange: str) -> ExchangeAdapter:
    """The adapter of one exchange; UnknownExchange when there is none."""
    adapter = registry().get(ExchangeId(exchange))
    if adapter is None:
        raise UnknownExchange(tuple(registry()))
    return adapter
