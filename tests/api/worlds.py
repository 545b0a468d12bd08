"""Listings, applied as a sync applies them, at instants that the test chooses."""

from marketdata.core.models import ExchangeId, ListedInstrument, Listing, Source
from marketdata.syncer.compare import Moment, compare
from marketdata.syncer.rules import GuardRules
from marketdata.syncer.sync import Fetched, apply, read_basis
from tests.api.conftest import NOW_MS, Api

HOUR_MS = 3_600_000
BINANCE, COINBASE = ExchangeId("binance_futures"), ExchangeId("coinbase")


AT_ONCE = GuardRules(delist_after_listings=1, delist_after=0)
"""One missing listing counts as a delisting."""


async def sync(
    api: Api,
    at_h: float,
    *listed: ListedInstrument,
    exchange: ExchangeId = BINANCE,
    rules: GuardRules = AT_ONCE,
) -> int:
    """Sync so many hours after the beginning; gives when, epoch ms."""
    at_ms = NOW_MS + round(at_h * HOUR_MS)
    services = api.services
    api.clock.set(at_ms)
    basis = await read_basis(services.database, exchange)
    moment = Moment(at_ms, 1 if basis.state is None else basis.state.listings + 1)
    listing = Listing(instruments=listed)
    comparison = compare(exchange, basis.stored, listing, moment, rules)
    fetched = Fetched((Source.SIMULATED, Source.SIMULATED), listing, moment)
    told = {"exchange": exchange, "started_at": at_ms - 1, "read_at": at_ms, "listed": len(listed)}
    await apply(services.database, services.fetchers[exchange], api.clock, basis, fetched, comparison, told)
    await services.refresh()
    return at_ms
