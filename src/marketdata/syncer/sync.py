"""One sync of one exchange: fetch → validate → compare → guard → apply; however it ends, the run is recorded.

The exchange is asked outside of any transaction. What the database held before is the basis of the comparison and must
still hold when the outcome is applied: if another sync was applied meanwhile, this one stands back.
"""

import logging
from dataclasses import dataclass

from marketdata.core.clock import Clock
from marketdata.core.errors import AlreadyRunning, DatabaseUnavailable, MarketDataError, SyncRefused
from marketdata.core.fetch import Fetcher
from marketdata.core.models import Listing, Source
from marketdata.store.engine import Database
from marketdata.store.exchanges import (
    ExchangeState,
    list_exchanges,
    lock_exchange,
    record_sync,
    upsert_exchange,
    upsert_intervals,
)
from marketdata.store.installation import claim_source
from marketdata.store.symbols import StoredSymbol, list_stored, upsert_symbols
from marketdata.store.syncs import NewSyncRun, SyncReport, insert_run
from marketdata.syncer.compare import Comparison, compare
from marketdata.syncer.guard import guard
from marketdata.syncer.validate import validate

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Basis:
    """What the database held of an exchange when the sync began."""

    state: ExchangeState | None
    """None: it was never tried before."""
    stored: list[StoredSymbol]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an exchange says, and whose data that is."""

    sources: tuple[Source, Source]
    """As asked before and after the listing: if they differ, nobody knows whose the listing is."""
    listing: Listing
    at_ms: int
    """When it was read, epoch ms."""


async def sync_exchange(database: Database, fetcher: Fetcher, clock: Clock) -> NewSyncRun:
    """Sync the exchange of `fetcher` now and record the run, which is returned, whether it succeeded or not.

    Raises AlreadyRunning when another sync of the exchange is being or was meanwhile applied, and DatabaseUnavailable;
    neither leaves a trace.
    """
    started_at_ms = clock.now_ms()
    try:
        basis = await read_basis(database, fetcher)
        fetched = await fetch(fetcher, clock, basis)
        comparison = compare(fetcher.adapter.exchange, basis.stored, fetched.listing, fetched.at_ms)
        guard(fetched.listing)
        run = await apply(database, fetcher, clock, basis, fetched, comparison, started_at_ms)
    except (AlreadyRunning, DatabaseUnavailable):
        raise
    except MarketDataError as error:
        return await record_failure(database, fetcher, clock, error, started_at_ms)
    except Exception as error:
        # a defect in one adapter must not keep the others from being synced
        logger.exception("defect while syncing %s", fetcher.adapter.exchange)
        defect = MarketDataError(f"a defect of the platform: {type(error).__name__}; its log has the details")
        return await record_failure(database, fetcher, clock, defect, started_at_ms)
    return run


async def read_basis(database: Database, fetcher: Fetcher) -> Basis:
    """What is stored of the exchange. Raises DatabaseUnavailable."""
    exchange = fetcher.adapter.exchange
    async with database.transaction() as connection:
        # in this order: a sync that is applied between the two is then seen when this one is
        states = {state.exchange: state for state in await list_exchanges(connection)}
        return Basis(states.get(exchange), await list_stored(connection, exchange))


async def fetch(fetcher: Fetcher, clock: Clock, basis: Basis) -> Fetched:
    """Ask the exchange for its whole catalogue; what cannot be kept of it is refused by name. Raises UpstreamError."""
    known = {row.symbol.exchange_symbol: row.symbol.kind for row in basis.stored if row.replaced_at is None}
    before = await fetcher.source()
    listing = await fetcher.listing(known)
    return Fetched((before, await fetcher.source()), validate(listing), clock.now_ms())


async def apply(
    database: Database,
    fetcher: Fetcher,
    clock: Clock,
    basis: Basis,
    fetched: Fetched,
    comparison: Comparison,
    started_at_ms: int,
) -> NewSyncRun:
    """Write it all in one transaction, and the run with it.

    Raises AlreadyRunning, SourceMismatch and DatabaseUnavailable; then nothing was written.
    """
    exchange = fetcher.adapter.exchange
    async with database.transaction() as connection:
        await lock_exchange(connection, exchange)
        states = {state.exchange: state for state in await list_exchanges(connection)}
        if _version(states.get(exchange)) != _version(basis.state):
            raise AlreadyRunning(f"another sync of {exchange} was applied while this one asked the exchange")
        for source in dict.fromkeys(fetched.sources):
            await claim_source(connection, source, fetched.at_ms)
        await upsert_exchange(connection, exchange, fetcher.base_url)
        intervals_changed = await upsert_intervals(connection, exchange, fetcher.adapter.capabilities.intervals)
        await upsert_symbols(connection, comparison.symbols)
        changed = intervals_changed or bool(comparison.symbols)
        generation = await record_sync(connection, exchange, fetched.at_ms, changed=changed)
        run = NewSyncRun(
            exchange=exchange,
            started_at=started_at_ms,
            finished_at=clock.now_ms(),
            outcome="succeeded",
            generation=generation,
            listed=len(fetched.listing.instruments),
            added=comparison.count("listed"),
            changed=comparison.count("changed"),
            delisted=comparison.count("delisted", "replaced"),
            relisted=comparison.count("relisted"),
            refused=len(fetched.listing.refused),
            clashes=len(comparison.clashes),
            unclassified=len(fetched.listing.unclassified),
            report=_report(fetched.listing, comparison),
        )
        await insert_run(connection, run)
    return run


async def record_failure(
    database: Database, fetcher: Fetcher, clock: Clock, error: MarketDataError, started_at_ms: int
) -> NewSyncRun:
    """Record that a sync did not succeed; nothing else changes. Raises DatabaseUnavailable."""
    exchange = fetcher.adapter.exchange
    async with database.transaction() as connection:
        states = {state.exchange: state for state in await list_exchanges(connection)}
        if exchange not in states:
            await upsert_exchange(connection, exchange, fetcher.base_url)
        run = NewSyncRun(
            exchange=exchange,
            started_at=started_at_ms,
            finished_at=clock.now_ms(),
            outcome="refused" if isinstance(error, SyncRefused) else "failed",
            generation=states[exchange].generation if exchange in states else 0,
            error_code=error.code,
            error_detail=str(error),
        )
        await insert_run(connection, run)
    return run


def _version(state: ExchangeState | None) -> tuple[int, int | None]:
    """What differs as soon as a sync was applied."""
    return (0, None) if state is None else (state.generation, state.last_synced_at)


def _report(listing: Listing, comparison: Comparison) -> SyncReport:
    return SyncReport(
        changes=tuple(comparison.changes),
        refused=listing.refused,
        clashes=tuple(comparison.clashes),
        unclassified=listing.unclassified,
        base_mismatches=listing.base_mismatches,
        unknown_words=listing.unknown_words,
    )
