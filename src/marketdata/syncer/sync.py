"""One sync of one exchange: fetch → validate → compare → guard → apply; however it ends, the run is recorded.

One process at a time syncs an exchange. It is asked outside of any transaction; what the database held before is the
basis of the comparison, and all that follows from it is written in one transaction, or nothing is.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from marketdata.core.clock import Clock
from marketdata.core.errors import (
    AlreadyRunning,
    DatabaseUnavailable,
    ListingQuarantined,
    MarketDataError,
    NotQuarantined,
    SourceMismatch,
)
from marketdata.core.fetch import Fetcher
from marketdata.core.models import EventType, ExchangeId, IntervalSpec, Listing, Source
from marketdata.store.audit import OPERATOR, record
from marketdata.store.engine import Database
from marketdata.store.events import insert_events
from marketdata.store.exchanges import (
    ExchangeState,
    list_exchanges,
    list_intervals,
    lock_exchange,
    record_sync,
    replace_intervals,
    syncing,
    tell_synced,
    upsert_exchange,
)
from marketdata.store.installation import claim_source, get_source
from marketdata.store.symbols import StoredSymbol, list_stored, upsert_symbols
from marketdata.store.syncs import (
    NewSyncRun,
    Shift,
    SyncReport,
    SyncRun,
    get_last_accepted,
    get_last_judged,
    get_run,
    record_run,
)
from marketdata.syncer.compare import Comparison, Moment, compare
from marketdata.syncer.guard import find_shift, guard
from marketdata.syncer.rules import GuardRules
from marketdata.syncer.tell import tell_intervals
from marketdata.syncer.validate import validate

logger = logging.getLogger(__name__)

_CLOCK_STEP_S = 60.0
"""A clock that was set back by more than that is told of."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What the database held of an exchange when the sync began."""

    state: ExchangeState | None
    """None: it was never tried before."""
    source: Source | None
    """Whose data the database holds; None before its first sync."""
    stored: Sequence[StoredSymbol]
    intervals: Sequence[IntervalSpec]
    accepted: SyncRun | None
    """The newest run that was applied because an operator trusted its listing; None: there is none."""

    @property
    def is_first(self) -> bool:
        """Whether no listing was ever applied."""
        return self.state is None or self.state.last_synced_at is None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an exchange says, and whose data that is."""

    sources: tuple[Source, Source]
    """As asked before and after the listing: if they differ, nobody knows whose the listing is."""
    listing: Listing
    moment: Moment


async def sync_exchange(
    database: Database,
    fetcher: Fetcher,
    clock: Clock,
    rules: GuardRules | None = None,
    *,
    accepted: SyncRun | None = None,
) -> SyncRun:
    """Sync the exchange of `fetcher` now and record the run, whether it succeeded or not; gives the record.

    `rules`: what makes a listing untrustworthy, by default as documented; `accepted`: a quarantined run whose listing
    an operator trusts: what differed in it is not held against this one. Raises AlreadyRunning when another sync of the
    exchange is under way, and DatabaseUnavailable; neither leaves a trace.
    """
    rules = rules or GuardRules()
    async with syncing(database, fetcher.adapter.exchange):
        started = {"exchange": fetcher.adapter.exchange, "started_at": clock.now_ms()}
        try:
            basis = await read_basis(database, fetcher.adapter.exchange)
            fetched = await fetch(fetcher, clock, basis)
            shift = find_shift(basis.stored, fetched.listing, basis.accepted)
            told = started | _told(fetched) | {"accepted_run": accepted.id if accepted else None}
            try:
                guard(fetched.listing, basis.stored, shift, rules, _accepted(accepted))
            except ListingQuarantined as error:
                report = _report(fetched.listing, quarantined=shift)
                return await record_failure(database, fetcher, clock, error, {**told, "report": report})
            comparison = compare(fetcher.adapter.exchange, basis.stored, fetched.listing, fetched.moment, rules)
            return await apply(database, fetcher, clock, basis, fetched, comparison, told)
        except (AlreadyRunning, DatabaseUnavailable):
            raise
        except MarketDataError as error:
            return await record_failure(database, fetcher, clock, error, started)
        except Exception as error:
            # a defect in one adapter must not keep the others from being synced
            logger.exception("defect while syncing %s", fetcher.adapter.exchange)
            defect = MarketDataError(f"a defect of the platform: {type(error).__name__}; its log has the details")
            return await record_failure(database, fetcher, clock, defect, started)


async def get_quarantined(database: Database, run_id: int) -> SyncRun:
    """The run whose listing an operator wants to let through, the newest of its exchange that had one.

    Raises NotQuarantined and DatabaseUnavailable.
    """
    async with database.transaction() as connection:
        run = await get_run(connection, run_id)
        if run is None:
            raise NotQuarantined(f"there is no run {run_id}; `/v1/status` names those that are quarantined")
        newest = await get_last_judged(connection, ExchangeId(run.exchange))
    if run.report.quarantined is None:
        raise NotQuarantined(f"the listing of run {run_id} of {run.exchange} was not quarantined")
    if newest is not None and newest.id != run_id:
        what = f"was quarantined in run {newest.id}" if newest.outcome == "quarantined" else "was applied"
        raise NotQuarantined(f"run {run_id} is no longer the newest of {run.exchange}: a later listing {what}")
    return run


async def read_basis(database: Database, exchange: ExchangeId) -> Basis:
    """What is stored of the exchange. Raises DatabaseUnavailable."""
    async with database.transaction(of_one_instant=True) as connection:
        states = {state.exchange: state for state in await list_exchanges(connection)}
        return Basis(
            states.get(exchange),
            await get_source(connection),
            await list_stored(connection, exchange),
            await list_intervals(connection, exchange),
            await get_last_accepted(connection, exchange),
        )


async def fetch(fetcher: Fetcher, clock: Clock, basis: Basis) -> Fetched:
    """Ask the exchange for its whole catalogue; what cannot be kept of it is refused by name.

    Raises UpstreamError, and SourceMismatch when it is not the exchange that the database is of. Each listing counts as
    read later than the one before, also when the clock was set back.
    """
    known = {row.symbol.exchange_symbol: row.symbol.kind for row in basis.stored if row.replaced_at is None}
    before = await fetcher.source()
    listing = validate(await fetcher.listing(known))
    sources, at_ms, number = (before, await fetcher.source()), clock.now_ms(), 1
    for source in sources:
        if basis.source not in {None, source}:
            raise SourceMismatch(stored=basis.source, offered=source)
    if basis.state is not None:
        ahead_s = ((basis.state.last_synced_at or 0) - at_ms) / 1000
        if ahead_s > _CLOCK_STEP_S:
            logger.error(
                "%s: its last listing counts as read %.0f s from now; until then times of what changes stand still,"
                " and nothing is delisted: one of the clocks was or is wrong",
                fetcher.adapter.exchange,
                ahead_s,
            )
        at_ms, number = max(at_ms, (basis.state.last_synced_at or 0) + 1), basis.state.listings + 1
    return Fetched(sources, listing, Moment(at_ms, number))


async def apply(
    database: Database,
    fetcher: Fetcher,
    clock: Clock,
    basis: Basis,
    fetched: Fetched,
    comparison: Comparison,
    told: dict[str, Any],
) -> SyncRun:
    """Write it all in one transaction, and the run with it; `told`: what the run has to tell beside its counts.

    Raises AlreadyRunning, SourceMismatch and DatabaseUnavailable; then nothing was written.
    """
    exchange, at_ms = fetcher.adapter.exchange, fetched.moment.at_ms
    offered = fetcher.adapter.capabilities.intervals
    gone = [spec for spec in basis.intervals if spec not in offered]
    come = [spec for spec in offered if spec not in basis.intervals]
    events = [*([] if basis.is_first else tell_intervals(basis.intervals, offered)), *comparison.events]
    async with database.transaction() as connection:
        await lock_exchange(connection, exchange)
        states = {state.exchange: state for state in await list_exchanges(connection)}
        if _version(states.get(exchange)) != _version(basis.state):
            raise AlreadyRunning(f"another sync of {exchange} was applied while this one asked the exchange")
        for source in dict.fromkeys(fetched.sources):
            await claim_source(connection, source, at_ms)
        await upsert_exchange(connection, exchange, fetcher.base_url)
        changed = bool(gone or come or comparison.symbols)
        generation = await record_sync(connection, exchange, at_ms, changed=changed)
        await replace_intervals(connection, exchange, gone, come, at_ms)
        await upsert_symbols(connection, exchange, comparison.symbols, at_ms, generation)
        run = NewSyncRun(
            **told,
            finished_at=clock.now_ms(),
            outcome="succeeded",
            generation=generation,
            added=comparison.count(EventType.LISTED),
            changed=comparison.changed,
            delisted=comparison.count(EventType.DELISTED),
            relisted=comparison.count(EventType.RELISTED),
            missing=len(comparison.missing),
            clashes=len(comparison.clashes),
            report=_report(fetched.listing, missing=tuple(comparison.missing), clashes=tuple(comparison.clashes)),
        )
        recorded = await record_run(connection, run)
        await tell_synced(connection, exchange)
        await insert_events(
            connection, exchange, events, observed_at_ms=at_ms, generation=generation, initial=basis.is_first
        )
        if recorded.accepted_run is not None:
            told = {"accepted_run": recorded.accepted_run, "run": recorded.id}
            await record(connection, recorded.finished_at, "guard.overridden", OPERATOR, subject=exchange, details=told)
    return recorded


async def record_failure(
    database: Database, fetcher: Fetcher, clock: Clock, error: MarketDataError, told: dict[str, Any]
) -> SyncRun:
    """Record that a sync did not succeed; nothing else changes. Raises DatabaseUnavailable."""
    exchange = fetcher.adapter.exchange
    async with database.transaction() as connection:
        states = {state.exchange: state for state in await list_exchanges(connection)}
        if exchange not in states:
            await upsert_exchange(connection, exchange, fetcher.base_url)
        run = NewSyncRun(
            **told,
            finished_at=clock.now_ms(),
            outcome="quarantined" if isinstance(error, ListingQuarantined) else "failed",
            generation=states[exchange].generation if exchange in states else 0,
            error_code=error.code,
            error_detail=str(error),
        )
        recorded = await record_run(connection, run)
        await tell_synced(connection, exchange)
    return recorded


def _version(state: ExchangeState | None) -> tuple[int, int | None]:
    """What differs as soon as a sync was applied."""
    return (0, None) if state is None else (state.generation, state.last_synced_at)


def _accepted(run: SyncRun | None) -> Shift:
    return Shift() if run is None or run.report.quarantined is None else run.report.quarantined


def _told(fetched: Fetched) -> dict[str, Any]:
    """What a run tells of the listing that was read."""
    listing = fetched.listing
    return {
        "read_at": fetched.moment.at_ms,
        "listed": len(listing.instruments),
        "refused": len(listing.refused),
        "unclassified": len(listing.unclassified),
        "payload_sha256": listing.payload_sha256,
        "payload_bytes": listing.payload_bytes,
    }


def _report(listing: Listing, **more: Any) -> SyncReport:  # noqa: ANN401 - the fields of the report
    return SyncReport(
        refused=tuple(sorted(listing.refused, key=lambda one: (one.exchange_symbol or "", one.reason))),
        unclassified=tuple(sorted(listing.unclassified)),
        base_mismatches=tuple(sorted(listing.base_mismatches)),
        unknown_words=listing.unknown_words,
        **more,
    )
