"""What changed, in the order in which it became known."""

from functools import partial
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response, Security
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from marketdata.api.cursor import bad_cursor, seal, unseal
from marketdata.api.dependencies import ServicesNeeded, check_query, get_caller
from marketdata.api.lists import ListPage
from marketdata.api.openapi import access_problems, headers, problems
from marketdata.api.parameters import SINCE_SCHEMA, parse_choice, parse_limit
from marketdata.api.problems import Problem
from marketdata.api.services import Services
from marketdata.api.timestamps import FIRST_TIME, parse_since
from marketdata.core.models import EventType
from marketdata.store.events import Event, list_events, newest_event_id
from marketdata.store.scopes import METADATA_READ

EVENTS_PATH: Final = "/v1/events"

MAX_LIMIT: Final = 1000

_TYPES: Final = f"^({'|'.join(EventType)})(,({'|'.join(EventType)}))*$"

router = APIRouter(
    prefix="/v1",
    tags=["events"],
    dependencies=[Security(get_caller, scopes=[METADATA_READ]), Depends(check_query)],
    responses=access_problems(),
)


class EventFilters(BaseModel):
    """Which events to list."""

    exchange: Annotated[str | None, Field(description="Only this exchange.", examples=["binance_futures"])] = None
    symbol: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Only this instrument, in any spelling that a path takes; what happened to it under former"
            " names too. Needs `exchange`.",
            examples=["BTC-USDT-PERP"],
        ),
    ] = None
    type: Annotated[
        str | None,
        WithJsonSchema({"type": "string", "pattern": _TYPES, "examples": ["listed,relisted"]}),
        Field(description="Only these types, with commas between."),
    ] = None
    since: Annotated[
        str | None,
        WithJsonSchema({**SINCE_SCHEMA, "examples": ["2026-01-01T00:00:00Z"]}),
        Field(
            description="An event's id: the events after it, such as `page.newest_id` of the answer before. Or a time,"
            " epoch milliseconds or RFC 3339 with a zone: what was observed then or later. A whole number below"
            f" {FIRST_TIME} is an id. Without it from the first event on.",
        ),
    ] = None
    limit: Annotated[
        int,
        Field(ge=1, le=MAX_LIMIT, description="Most events in one answer."),
        BeforeValidator(partial(parse_limit, most=MAX_LIMIT)),
    ] = 100
    cursor: Annotated[str | None, Field(description="From `page.next`; it stands alone.")] = None


class EventPage(ListPage):
    """Where an answer stands in the feed."""

    next: Annotated[
        str | None, Field(description="Path and query of the next page; null: there is nothing more for now.")
    ]
    newest_id: Annotated[
        int,
        Field(
            description="Up to which event this answer tells all that the filters let through; `since` with it asks for"
            " what came after. 0 before the first event."
        ),
    ]


class Events(BaseModel):
    """Events, oldest first."""

    data: list[Event]
    page: EventPage


class Rest(msgspec.Struct, frozen=True, array_like=True):
    """What a cursor freezes: the filters, resolved, and the id of the last event before it."""

    exchange: str | None
    symbol_id: int | None
    types: tuple[EventType, ...]
    since_ms: int | None
    limit: int
    after_id: int


@router.get(
    "/events",
    operation_id="listEvents",
    summary="List what changed",
    responses={
        **problems(
            "naive-timestamp",
            "limit-too-large",
            "bad-cursor",
            "unknown-exchange",
            "unknown-symbol",
            "metadata-not-ready",
            "database-unavailable",
        ),
        **headers("Link"),
    },
)
async def list_feed(
    request: Request, response: Response, services: ServicesNeeded, filters: Annotated[EventFilters, Query()]
) -> Events:
    """What the syncs found changed, by id: oldest first. Nothing is ever added but at the end.

    To follow: ask with `since`, go through `page.next` while it is not null, then ask again now and then with
    `since=` the last `page.newest_id`. So every event comes once, whatever is written meanwhile. Before an exchange's
    own changes comes one `listed` with `initial: true` for each instrument that its first sync found.
    """
    secret = services.tokens.sealing_secret
    if filters.cursor is None:
        asked = _read(services, filters)
    else:
        if len(request.query_params) > 1:
            raise bad_cursor("A cursor stands alone: it holds all the other parameters of its first page.")
        asked = unseal(secret, EVENTS_PATH, filters.cursor, Rest)
    exchanges = services.catalogue.allowed(asked.exchange)
    async with services.database.transaction() as connection:
        newest_id = await newest_event_id(connection)
        if asked.after_id > newest_id:
            raise Problem(
                "invalid-parameter",
                f"No event has such an id yet: the newest is {newest_id}. A time is epoch milliseconds, not seconds;"
                " an id is of the database that gave it out.",
                parameter="since",
                max=newest_id,
            )
        found = await list_events(
            connection,
            after_id=asked.after_id,
            up_to_id=newest_id,
            since_ms=asked.since_ms,
            exchanges=exchanges,
            symbol_id=asked.symbol_id,
            types=asked.types,
            limit=asked.limit + 1,
        )
    shown = found[: asked.limit]
    following = None
    if len(found) > asked.limit:
        newest_id = shown[-1].id
        cursor = seal(secret, EVENTS_PATH, msgspec.structs.replace(asked, after_id=newest_id))
        following = f"{request.scope.get('root_path', '')}{EVENTS_PATH}?cursor={cursor}"
        response.headers["Link"] = f'<{following}>; rel="next"'
    states = services.catalogue.snapshot.states
    complete = all(one in states and states[one].first_synced_at is not None for one in exchanges)
    page = EventPage(count=len(shown), limit=asked.limit, complete=complete, next=following, newest_id=newest_id)
    return Events(data=shown, page=page)


def _read(services: Services, filters: EventFilters) -> Rest:
    """What the filters mean. Raises Problem."""
    symbol_id = None
    if filters.symbol is not None:
        if filters.exchange is None:
            raise Problem(
                "invalid-parameter", "`symbol` needs `exchange`: a name is an exchange's own.", parameter="symbol"
            )
        instruments = services.catalogue.of(filters.exchange)
        symbol_id = instruments.row_id(services.catalogue.symbol(filters.exchange, filters.symbol))
    words = [] if filters.type is None else filters.type.split(",")
    types = tuple(dict.fromkeys(parse_choice("type", word, list(EventType)) for word in words))
    after_id, since_ms = (0, None) if filters.since is None else parse_since(filters.since, "an event's id")
    return Rest(filters.exchange, symbol_id, types, since_ms, filters.limit, after_id)
