"""The feed of all that changed, in an order in which nothing is ever added but at its end."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy import (
    BigInteger,
    Boolean,
    Text,
    and_,
    column,
    func,
    insert,
    literal,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from marketdata.core.models import EpochMs, EventType, ExchangeId, Interval
from marketdata.store.tables import EVENTS, SYMBOLS, timestamp

_EVENTS_LOCK: Final = 0x45564E54
"""Held from the first id that a transaction takes to its commit: ids are seen in their order."""


class NewEvent(BaseModel):
    """Something that a sync found changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: EventType
    symbol: Annotated[str | None, Field(description="Its canonical name after the change; null of an interval.")] = None
    exchange_symbol: str | None = None
    interval: Interval | None = None
    field: Annotated[str | None, Field(description="Which field changed, with `field_changed` only.")] = None
    old: Annotated[JsonValue, Field(description="What it was: the status, the field's value, the interval's.")] = None
    new: Annotated[JsonValue, Field(description="What it is now.")] = None


class _Placed(BaseModel):
    """Stands last among the bases, so that its fields come first."""

    id: Annotated[int, Field(description="Grows by the order in which events become known; with holes.")]
    exchange: str
    observed_at: Annotated[EpochMs, Field(description="When the listing was read that shows the change.")]
    generation: Annotated[int, Field(description="The exchange's generation that began with it.")]
    initial: Annotated[bool, Field(description="Whether it is of the exchange's first sync: it was there before.")]


class Event(NewEvent, _Placed):
    """Something that changed."""


_FIELDS: Final = tuple(Event.model_fields)
_JSON: Final[Mapping[str, TypeEngine[Any]]] = {
    "ordinal": BigInteger(),
    "initial": Boolean(),
    "old": JSONB(),
    "new": JSONB(),
}


async def insert_events(
    connection: AsyncConnection,
    exchange: ExchangeId,
    events: Sequence[NewEvent],
    *,
    observed_at_ms: int,
    generation: int,
    initial: bool,
) -> None:
    """Add `events` in their order, in one statement; their instruments are stored already.

    All others who add some wait until this transaction is over, so it is the last thing but one in it.
    """
    if not events:
        return
    await connection.execute(select(func.pg_advisory_xact_lock(_EVENTS_LOCK, 0)))
    names = ("ordinal", *NewEvent.model_fields)
    given = (
        func.jsonb_to_recordset(
            literal([{"ordinal": at, **event.model_dump(mode="json")} for at, event in enumerate(events)], JSONB)
        )
        .table_valued(*(column(name, _JSON.get(name, Text())) for name in names))
        .render_derived(name="given", with_types=True)
    )
    values = {
        **{name: given.c[name] for name in NewEvent.model_fields},
        "exchange": literal(exchange, Text),
        "symbol_id": SYMBOLS.c.id,
        "observed_at": timestamp(literal(observed_at_ms, BigInteger)),
        "generation": literal(generation, BigInteger),
        "initial": literal(initial, Boolean),
    }
    named = and_(SYMBOLS.c.exchange == exchange, SYMBOLS.c.symbol == given.c.symbol)
    rows = select(*values.values()).select_from(given.outerjoin(SYMBOLS, named)).order_by(given.c.ordinal)
    await connection.execute(insert(EVENTS).from_select(list(values), rows))


async def newest_event_id(connection: AsyncConnection) -> int:
    """The id of the newest event, 0 before the first. All that have this id or a smaller one are there to be read."""
    return int(await connection.scalar(select(func.coalesce(func.max(EVENTS.c.id), 0))) or 0)


async def list_events(
    connection: AsyncConnection,
    *,
    after_id: int = 0,
    up_to_id: int,
    since_ms: int | None = None,
    exchanges: Sequence[ExchangeId],
    symbol_id: int | None = None,
    types: Sequence[EventType] = (),
    limit: int,
) -> list[Event]:
    """The oldest `limit` events of `exchanges` with `after_id < id ≤ up_to_id`, in the order of their ids.

    `up_to_id`: from `newest_event_id`, asked before. `since_ms`: observed then or later; `types`: of any of these.
    """
    query = (
        select(*(EVENTS.c[name] for name in _FIELDS))
        .where(EVENTS.c.id > after_id, EVENTS.c.id <= up_to_id, EVENTS.c.exchange.in_(exchanges))
        .order_by(EVENTS.c.id)
        .limit(limit)
    )
    if since_ms is not None:
        query = query.where(EVENTS.c.observed_at >= since_ms)
    if symbol_id is not None:
        query = query.where(EVENTS.c.symbol_id == symbol_id)
    if types:
        query = query.where(EVENTS.c.type.in_([one.value for one in types]))
    return [Event.model_validate(dict(row)) for row in (await connection.execute(query)).mappings()]


async def list_changes(
    connection: AsyncConnection, exchange: ExchangeId, observed_at_ms: int, limit: int | None = None
) -> list[Event]:
    """What the sync changed that read its listing of `exchange` at `observed_at_ms`; the oldest `limit`, if given."""
    query = (
        select(*(EVENTS.c[name] for name in _FIELDS))
        .where(EVENTS.c.exchange == exchange, EVENTS.c.observed_at == observed_at_ms)
        .order_by(EVENTS.c.id)
        .limit(limit)
    )
    return [Event.model_validate(dict(row)) for row in (await connection.execute(query)).mappings()]


async def list_changes_of(
    connection: AsyncConnection, readings: Sequence[tuple[ExchangeId, int]], limit: int
) -> dict[tuple[ExchangeId, int], list[Event]]:
    """As `list_changes`, of many syncs at once, by exchange and instant; of each the oldest `limit`."""
    asked = (
        func.jsonb_to_recordset(literal([{"exchange": one, "at_ms": at_ms} for one, at_ms in readings], JSONB))
        .table_valued(column("exchange", Text()), column("at_ms", BigInteger()))
        .render_derived(name="asked", with_types=True)
    )
    changes = (
        select(*(EVENTS.c[name] for name in _FIELDS))
        .where(EVENTS.c.exchange == asked.c.exchange, EVENTS.c.observed_at == timestamp(asked.c.at_ms))
        .order_by(EVENTS.c.id)
        .limit(limit)
        .lateral("changes")
    )
    query = select(*(changes.c[name] for name in _FIELDS)).join_from(asked, changes, true()).order_by(changes.c.id)
    found: dict[tuple[ExchangeId, int], list[Event]] = {reading: [] for reading in readings}
    for row in (await connection.execute(query)).mappings():
        event = Event.model_validate(dict(row))
        found[ExchangeId(event.exchange), event.observed_at].append(event)
    return found
