"""How the platform is doing: its syncs and the condition of each exchange."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Security
from pydantic import BaseModel, BeforeValidator, Field

from marketdata import __version__
from marketdata.api.dependencies import ServicesNeeded, check_query, get_caller
from marketdata.api.lists import Listed, ListPage
from marketdata.api.openapi import access_problems, problems
from marketdata.api.parameters import parse_limit, parse_whole
from marketdata.api.problems import Problem
from marketdata.api.record import waiting_for
from marketdata.api.services import SOURCE_AGE_S, Freshness, Services
from marketdata.api.timestamps import to_rfc3339
from marketdata.core.errors import DatabaseUnavailable, UpstreamError
from marketdata.core.fetch import Fetcher
from marketdata.core.models import EpochMs, ExchangeId, Source
from marketdata.store.events import Event, list_changes_of
from marketdata.store.scopes import METADATA_READ
from marketdata.store.syncs import Shift, SyncReport, SyncRun, get_run, list_runs

router = APIRouter(
    prefix="/v1",
    tags=["operations"],
    dependencies=[Security(get_caller, scopes=[METADATA_READ]), Depends(check_query)],
    responses=access_problems(),
)

_ABOUT_DEADLINE_S: Final = 2.0
_MAX_SYNCS: Final = 100
_MOST_RUNS: Final = 2**63 - 1
_MOST_CHANGES: Final = 100
_MOST_NAMES: Final = 100
_UNREACHABLE: Final = frozenset({"upstream-unavailable", "upstream-timeout", "upstream-blocked", "upstream-banned"})

Condition = Literal["ok", "degraded", "stale", "quarantined", "unreachable"]


class Sync(SyncRun):
    """One sync of one exchange, or several in a row that all came to the same."""

    duration_s: Annotated[float, Field(description="From start to finish, of the last.")]
    changes: Annotated[
        list[Event],
        Field(description=f"What it changed, the first {_MOST_CHANGES}; none of the exchange's first sync."),
    ]
    changes_complete: Annotated[
        bool, Field(description="False where it changed more than `changes` holds: `/v1/events` has it all.")
    ]
    report_complete: Annotated[
        bool,
        Field(
            description=f"False where lists in `report` were cut to their first {_MOST_NAMES}: `/v1/syncs/{{run}}` has"
            " them whole."
        ),
    ]


class BudgetState(BaseModel):
    """What all processes of this installation may ask of an exchange in sum, in the exchange's own weights."""

    limit: Annotated[int, Field(description="What we allow ourselves of the exchange's limit.")]
    used: Annotated[int, Field(description="What is booked of it now, with what other programs at the address used.")]
    window_s: Annotated[float, Field(description="For how long a request counts at the exchange, seconds.")]


class ExchangeStatus(BaseModel):
    """How one exchange is."""

    exchange: str
    base_url: str
    source: Annotated[Source, Field(description="`live` only from the exchange's own address.")]
    condition: Annotated[
        Condition,
        Field(
            description="`ok`; `degraded`: the last sync failed, or `source` is not whose data the database holds, so"
            " that no candles are served; `stale`: no successful sync for three sync intervals; `quarantined`: the last"
            " listing cannot be trusted, so that the last good one is served on; `unreachable`: the last sync could not"
            " reach the exchange."
        ),
    ]
    detail: Annotated[str | None, Field(description="Why it is not `ok`, in words; of a sync that failed, its error.")]
    quarantined_run: Annotated[
        int | None,
        Field(
            description="If its newest listing is quarantined, the run that an operator can look at"
            " (`/v1/syncs/{run}`) and let through with `marketdata sync --accept RUN`."
        ),
    ]
    generation: Annotated[int, Field(description="Counts the syncs that changed what is served.")]
    listings: Annotated[int, Field(description="Counts the listings that were applied, changed or not.")]
    last_sync_at: Annotated[EpochMs | None, Field(description="Last successful sync.")]
    age_s: Annotated[float | None, Field(description="Seconds since then.")]
    banned_until: Annotated[EpochMs | None, Field(description="Until when the exchange wants to hear nothing from us.")]
    budget: BudgetState


class PlatformStatus(BaseModel):
    """How the platform is."""

    exchanges: list[ExchangeStatus]
    database: Literal["ok", "unreachable"]
    version: str


@router.get(
    "/syncs",
    operation_id="listSyncs",
    summary="List the last syncs",
    responses=problems("unknown-exchange", "limit-too-large", "database-unavailable"),
)
async def list_syncs(
    services: ServicesNeeded,
    exchange: Annotated[str | None, Query(description="Only this exchange.", examples=["binance_futures"])] = None,
    limit: Annotated[
        int,
        Query(ge=1, le=_MAX_SYNCS, description="Most syncs in the answer."),
        BeforeValidator(partial(parse_limit, most=_MAX_SYNCS)),
    ] = 20,
) -> Listed[Sync]:
    """The newest syncs first: outcome, counts, what changed, refused rows with their reason, clashing names.

    Syncs in a row that all came to the same share one entry: `runs` says how many they were.
    """
    chosen = None if exchange is None else services.catalogue.check_exchange(exchange)
    async with services.database.transaction() as connection:
        runs = await list_runs(connection, exchange=chosen, limit=limit)
        applied = [
            (ExchangeId(run.exchange), run.first_read_at)
            for run in runs
            if run.outcome == "succeeded" and run.first_read_at is not None
        ]
        changes = await list_changes_of(connection, applied, _MOST_CHANGES + 1)
    syncs = [_told(run, changes) for run in runs]
    return Listed(data=syncs, page=ListPage(count=len(syncs), limit=limit, complete=True, next=None))


@router.get(
    "/syncs/{run}",
    operation_id="getSync",
    summary="Get one sync",
    responses=problems("not-found", "database-unavailable"),
)
async def get_sync(
    services: ServicesNeeded,
    run: Annotated[
        int,
        Path(ge=1, le=_MOST_RUNS, description="Its `id`.", examples=[1]),
        BeforeValidator(partial(parse_whole, "run", least=1, most=_MOST_RUNS)),
    ],
) -> Sync:
    """One sync with its whole report: what an operator looks at before letting a quarantined listing through."""
    async with services.database.transaction() as connection:
        found = await get_run(connection, run)
        if found is None or found.exchange not in services.catalogue.exchanges:
            raise Problem("not-found", "There is no such sync; `/v1/syncs` lists the newest.", parameter="run")
        applied = [] if found.first_read_at is None else [(ExchangeId(found.exchange), found.first_read_at)]
        changes = await list_changes_of(connection, applied, _MOST_CHANGES + 1)
    return _told(found, changes, is_whole=True)


def _cut(report: SyncReport) -> SyncReport:
    """The report with no list longer than a reader of many of them wants."""
    shift = report.quarantined
    return SyncReport(
        **_first(report), quarantined=None if shift is None else Shift(**_first(shift), nameless=shift.nameless)
    )


def _first(model: SyncReport | Shift) -> dict[str, Any]:
    """Its lists, cut, and its mappings."""
    return {
        name: value[:_MOST_NAMES] if isinstance(value, tuple) else value
        for name, value in model
        if isinstance(value, tuple | Mapping)
    }


def _told(run: SyncRun, changes: Mapping[tuple[ExchangeId, int], Sequence[Event]], *, is_whole: bool = False) -> Sync:
    """`changes`: of each sync that was applied, by exchange and when its listing was read: the first and one more."""
    found = [] if run.first_read_at is None else changes.get((ExchangeId(run.exchange), run.first_read_at), [])
    shown = [event for event in found if not event.initial][:_MOST_CHANGES]
    report = run.report if is_whole else _cut(run.report)
    return Sync(
        **dict(run) | {"report": report},
        duration_s=(run.finished_at - run.started_at) / 1000,
        changes=shown,
        changes_complete=len(shown) == len(found),
        report_complete=report == run.report,
    )


@router.get("/status", operation_id="getStatus", summary="How is the platform?", responses=problems())
async def get_status(services: ServicesNeeded) -> PlatformStatus:
    """The condition of each exchange and of the database; answers without the database, too."""
    statuses = await asyncio.gather(*(_describe(services, exchange) for exchange in services.catalogue.exchanges))
    return PlatformStatus(exchanges=statuses, database=services.database_condition, version=__version__)


async def _describe(services: Services, exchange: ExchangeId) -> ExchangeStatus:
    fetcher = services.fetchers[exchange]
    source = await _source(fetcher)  # first, so that all that follows is of one moment
    freshness = services.freshness(exchange)
    snapshot = services.catalogue.snapshot
    state, last_run = snapshot.states.get(exchange), snapshot.last_runs.get(exchange)
    judged = snapshot.last_judged.get(exchange)
    condition, detail = _condition(freshness, last_run, source, snapshot.source)
    return ExchangeStatus(
        exchange=exchange,
        base_url=fetcher.base_url,
        source=source or Source.SIMULATED,  # whoever does not say so is never live
        condition=condition,
        detail=detail,
        quarantined_run=judged.id if judged is not None and judged.outcome == "quarantined" else None,
        generation=0 if state is None else state.generation,
        listings=0 if state is None else state.listings,
        last_sync_at=freshness.last_sync_at,
        age_s=freshness.age_s,
        banned_until=fetcher.budget.banned_until_ms,
        budget=BudgetState(limit=fetcher.budget.limit, used=fetcher.budget.used, window_s=fetcher.budget.window_s),
    )


async def _source(fetcher: Fetcher) -> Source | None:
    """What stands at the exchange's address; None: it does not answer, or must not be asked."""
    try:
        with waiting_for("upstream"):
            async with asyncio.timeout(_ABOUT_DEADLINE_S):
                return await fetcher.source(SOURCE_AGE_S)
    except (UpstreamError, DatabaseUnavailable, TimeoutError):
        return None


def _condition(
    freshness: Freshness, last_run: SyncRun | None, source: Source | None, held: Source | None
) -> tuple[Condition, str | None]:
    """How an exchange is, and why it is not well.

    `source`: what stands at its address, `held`: whose instruments the database holds; None: nobody knows.
    """
    if last_run is not None and last_run.outcome == "quarantined":
        return "quarantined", last_run.error_detail
    if last_run is not None and last_run.outcome == "failed":
        return "unreachable" if last_run.error_code in _UNREACHABLE else "degraded", last_run.error_detail
    if None not in {source, held} and source is not held:
        return "degraded", f"the instruments held are {held}, and its address serves what is {source}"
    if not freshness.is_stale:
        return "ok", None
    if freshness.last_sync_at is None:
        return "stale", "it has never been synced"
    return "stale", f"no sync has succeeded since {to_rfc3339(freshness.last_sync_at)}"
