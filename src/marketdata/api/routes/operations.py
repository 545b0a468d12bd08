"""How the platform is doing: its syncs and the condition of each exchange."""

import asyncio
from functools import partial
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Security
from pydantic import BaseModel, BeforeValidator, Field

from marketdata import __version__
from marketdata.api.dependencies import ServicesNeeded, check_query, get_caller
from marketdata.api.lists import Listed, ListPage
from marketdata.api.openapi import access_problems, problems
from marketdata.api.parameters import parse_limit
from marketdata.api.services import SOURCE_AGE_S, Freshness, Services
from marketdata.core.errors import DatabaseUnavailable, UpstreamError
from marketdata.core.fetch import Fetcher
from marketdata.core.models import EpochMs, ExchangeId, Source
from marketdata.store.scopes import METADATA_READ
from marketdata.store.syncs import SyncRun, last_runs, list_runs

router = APIRouter(
    prefix="/v1",
    tags=["operations"],
    dependencies=[Security(get_caller, scopes=[METADATA_READ]), Depends(check_query)],
    responses=access_problems(),
)

_ABOUT_DEADLINE_S: Final = 2.0
_MAX_SYNCS: Final = 100
_UNREACHABLE: Final = frozenset({"upstream-unavailable", "upstream-timeout", "upstream-blocked", "upstream-banned"})

Condition = Literal["ok", "degraded", "stale", "quarantined", "unreachable"]


class Sync(SyncRun):
    """One sync of one exchange."""

    duration_s: Annotated[float, Field(description="From start to finish.")]


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
            " listing was refused; `unreachable`: the last sync could not reach the exchange."
        ),
    ]
    generation: Annotated[int, Field(description="Counts the syncs that changed what is served.")]
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
    exchange: Annotated[str | None, Query(description="Only this exchange.")] = None,
    limit: Annotated[
        int,
        Query(ge=1, le=_MAX_SYNCS, description="Most syncs in the answer."),
        BeforeValidator(partial(parse_limit, most=_MAX_SYNCS)),
    ] = 20,
) -> Listed[Sync]:
    """The newest syncs first: outcome, counts, what changed, refused rows with their reason, clashing names."""
    chosen = None if exchange is None else services.catalogue.check_exchange(exchange)
    async with services.database.transaction() as connection:
        runs = await list_runs(connection, exchange=chosen, limit=limit)
    syncs = [Sync(**dict(run), duration_s=(run.finished_at - run.started_at) / 1000) for run in runs]
    return Listed(data=syncs, page=ListPage(count=len(syncs), limit=limit, complete=True, next=None))


@router.get("/status", operation_id="getStatus", summary="How is the platform?", responses=problems())
async def get_status(services: ServicesNeeded) -> PlatformStatus:
    """The condition of each exchange and of the database; answers without the database, too."""
    if services.database_is_up:
        try:
            async with services.database.transaction() as connection:
                services.last_runs = await last_runs(connection)
        except DatabaseUnavailable:
            services.database_is_up = False
    statuses = await asyncio.gather(*(_describe(services, exchange) for exchange in services.catalogue.exchanges))
    return PlatformStatus(exchanges=statuses, database=services.database_condition, version=__version__)


async def _describe(services: Services, exchange: ExchangeId) -> ExchangeStatus:
    fetcher = services.fetchers[exchange]
    freshness = services.freshness(exchange)
    snapshot = services.catalogue.snapshot
    state = snapshot.states.get(exchange)
    source = await _source(fetcher)
    is_mixed = None not in {source, snapshot.source} and source is not snapshot.source
    return ExchangeStatus(
        exchange=exchange,
        base_url=fetcher.base_url,
        source=source or Source.SIMULATED,  # whoever does not say so is never live
        condition=_condition(freshness, services.last_runs.get(exchange), is_mixed=is_mixed),
        generation=0 if state is None else state.generation,
        last_sync_at=freshness.last_sync_at,
        age_s=freshness.age_s,
        banned_until=fetcher.budget.banned_until_ms,
        budget=BudgetState(limit=fetcher.budget.limit, used=fetcher.budget.used, window_s=fetcher.budget.window_s),
    )


async def _source(fetcher: Fetcher) -> Source | None:
    """What stands at the exchange's address; None: it does not answer, or must not be asked."""
    try:
        async with asyncio.timeout(_ABOUT_DEADLINE_S):
            return await fetcher.source(SOURCE_AGE_S)
    except (UpstreamError, DatabaseUnavailable, TimeoutError):
        return None


def _condition(freshness: Freshness, last_run: SyncRun | None, *, is_mixed: bool) -> Condition:
    """`is_mixed`: the exchange is another than the one whose instruments are held."""
    if last_run is not None and last_run.outcome == "quarantined":
        return "quarantined"
    if last_run is not None and last_run.outcome == "failed":
        return "unreachable" if last_run.error_code in _UNREACHABLE else "degraded"
    if is_mixed:
        return "degraded"
    return "stale" if freshness.is_stale else "ok"
