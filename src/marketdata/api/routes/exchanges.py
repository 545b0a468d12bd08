"""Exchanges, what they can be asked, and the intervals that they offer."""

from collections.abc import Collection, Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Security
from pydantic import BaseModel, Field

from marketdata.api.catalogue import Search, unknown_symbol
from marketdata.api.dependencies import ServicesNeeded, check_query, get_caller
from marketdata.api.lists import Listed, whole
from marketdata.api.openapi import access_problems, problems
from marketdata.api.parameters import AsOf, ExchangePath
from marketdata.api.search import suggest
from marketdata.api.services import Services
from marketdata.core.models import Capabilities, EpochMs, ExchangeId, IntervalSpec
from marketdata.store.exchanges import list_intervals as stored_intervals
from marketdata.store.scopes import METADATA_READ

router = APIRouter(
    prefix="/v1",
    tags=["exchanges"],
    dependencies=[Security(get_caller, scopes=[METADATA_READ]), Depends(check_query)],
    responses=access_problems(),
)


class _OfExchange(BaseModel):
    """Stands last among the bases, so that its field comes first."""

    exchange: str


class Exchange(Capabilities, _OfExchange):
    """An exchange: what it can be asked, and how fresh its metadata is."""

    last_sync_at: Annotated[EpochMs | None, Field(description="When its listing was last read; null: never.")]
    age_s: Annotated[float | None, Field(description="Seconds since then.")]
    is_stale: Annotated[bool, Field(description="Not read for three sync intervals.")]


class ExchangeInterval(IntervalSpec, _OfExchange):
    """An interval on one exchange."""


@router.get("/exchanges", operation_id="listExchanges", summary="List exchanges", responses=problems())
async def list_exchanges(services: ServicesNeeded) -> Listed[Exchange]:
    """Every exchange that is served here, with native intervals, columns, limits and freshness."""
    return whole([_describe(services, exchange) for exchange in services.catalogue.exchanges])


@router.get(
    "/exchanges/{exchange}",
    operation_id="getExchange",
    summary="Get one exchange",
    responses=problems("unknown-exchange"),
)
async def get_exchange(services: ServicesNeeded, exchange: ExchangePath) -> Exchange:
    """What one exchange can be asked, and how fresh its metadata is."""
    return _describe(services, services.catalogue.check_exchange(exchange))


def _describe(services: Services, exchange: ExchangeId) -> Exchange:
    freshness = services.freshness(exchange)
    capabilities = services.fetchers[exchange].adapter.capabilities
    return Exchange(
        exchange=exchange,
        last_sync_at=freshness.last_sync_at,
        age_s=freshness.age_s,
        is_stale=freshness.is_stale,
        **dict(capabilities),
    )


@router.get(
    "/intervals",
    operation_id="listIntervals",
    summary="List candle intervals",
    responses=problems(
        "naive-timestamp",
        "unknown-exchange",
        "unknown-symbol",
        "as-of-before-history",
        "metadata-not-ready",
        "database-unavailable",
    ),
)
async def list_intervals(
    services: ServicesNeeded,
    exchange: Annotated[str | None, Query(description="Only this exchange.", examples=["binance_futures"])] = None,
    symbol: Annotated[
        str | None,
        Query(
            description="Only exchanges that have this instrument, in the spelling of a path.",
            examples=["BTC-USDT-PERP"],
        ),
    ] = None,
    as_of: Annotated[AsOf, Query()] = None,
) -> Listed[ExchangeInterval]:
    """The intervals that each exchange offers natively, with its own token and alignment; others do not exist here.

    With `symbol`, exchanges are searched whose instruments have been read; `page.complete` says whether these are all.
    With `as_of`, the intervals as they were known then, of exchanges that had been read.
    """
    complete = True
    chosen: Collection[ExchangeId] = services.catalogue.allowed(exchange)
    if symbol is not None:
        search = await services.moments.search(exchange, as_of)
        chosen = _having(search, chosen, symbol, is_now=as_of is None)
        complete = search.is_complete
    if as_of is None:
        offered = {one: services.fetchers[one].adapter.capabilities.intervals for one in chosen}
    else:
        readings = await services.moments.readings(exchange, as_of)
        complete = len(readings) == len(services.catalogue.allowed(exchange))
        async with services.database.transaction() as connection:
            offered = {one: tuple(await stored_intervals(connection, one, as_of)) for one in chosen if one in readings}
    return whole(
        [ExchangeInterval(exchange=one, **dict(spec)) for one, specs in offered.items() for spec in specs],
        complete=complete,
    )


def _having(search: Search, allowed: Iterable[ExchangeId], name: str, *, is_now: bool) -> list[ExchangeId]:
    """The exchanges that have an instrument which a path would call so; Problem `unknown-symbol` if none has."""
    found = [one for one in allowed if one in search.known and search.known[one].instruments.find(name) is not None]
    if not found:
        if is_now:
            search.check_absence()
        near = dict.fromkeys(symbol.symbol for symbol in suggest(search.instruments, name))
        raise unknown_symbol("No instrument has this symbol", list(near))
    return found
