"""The instruments of an exchange, read and written as whole sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, ColumnElement, Numeric, Text, cast, column, func, literal, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from marketdata.core.models import ExchangeId, Symbol
from marketdata.store.tables import EXCHANGES, SYMBOLS, Decimals, EpochMs, timestamp

_LIST = TypeAdapter(list[Symbol])
_FIELDS = tuple(Symbol.model_fields)
_COLUMNS = tuple(stored.name for stored in SYMBOLS.columns)


@dataclass(frozen=True, slots=True)
class StoredSymbol:
    """A Symbol and what is known of it beside."""

    symbol: Symbol
    base: str
    """The base as `symbol` spells it: from the exchange's identifier, its factor in digits."""
    identity: str
    """What must stay the same for it to be the same instrument (`ListedInstrument.identity`)."""
    listed: bool
    """In the exchange's last listing: its `last_seen_at` is then the time of that sync and not kept by row."""
    replaced_at: int | None = None
    """When another instrument took its exchange symbol over, epoch ms; at most one row per exchange symbol has none."""
    row_id: int | None = None
    """Its row; None for one that is not stored yet."""


async def list_symbols(connection: AsyncConnection, exchange: ExchangeId) -> list[Symbol]:
    """Every instrument ever seen on `exchange`, delisted and replaced ones too, by name."""
    return [stored.symbol for stored in await list_stored(connection, exchange)]


async def list_stored(connection: AsyncConnection, exchange: ExchangeId) -> list[StoredSymbol]:
    """Every instrument ever seen on `exchange`, as a sync compares it with a listing, by name."""
    last_seen = func.coalesce(SYMBOLS.c.last_seen_at, EXCHANGES.c.last_synced_at, SYMBOLS.c.first_seen_at)
    computed = {
        "id": (SYMBOLS.c.exchange + ":" + SYMBOLS.c.symbol).label("instrument_id"),
        "last_seen_at": type_coerce(last_seen, EpochMs()),
    }
    result = await connection.execute(
        select(
            *(computed.get(name, SYMBOLS.c[name]) for name in _FIELDS),
            SYMBOLS.c.base,
            SYMBOLS.c.identity,
            SYMBOLS.c.last_seen_at.is_(None).label("listed"),
            SYMBOLS.c.replaced_at,
            SYMBOLS.c.id.label("row_id"),
        )
        .join_from(SYMBOLS, EXCHANGES)
        .where(SYMBOLS.c.exchange == exchange)
        .order_by(SYMBOLS.c.symbol)
    )
    rows = result.all()
    symbols = _LIST.validate_python([dict(zip(_FIELDS, row, strict=False)) for row in rows])
    return [
        StoredSymbol(symbol, row.base, row.identity, row.listed, row.replaced_at, row.row_id)
        for symbol, row in zip(symbols, rows, strict=True)
    ]


async def upsert_symbols(connection: AsyncConnection, symbols: Sequence[StoredSymbol]) -> None:
    """Write instruments that are new (`row_id` None) or have changed, whole, in one statement.

    The caller compares: it gives none that is stored as it is. Names may change hands among those given.
    """
    if not symbols:
        return
    given = (
        func.jsonb_to_recordset(literal([_record(stored) for stored in symbols], JSONB))
        .table_valued(*(column(name, _json_type(SYMBOLS.c[name])) for name in _COLUMNS))
        .render_derived(name="given", with_types=True)
    )
    values = {name: _value(SYMBOLS.c[name], given.c[name]) for name in _COLUMNS}
    values["id"] = func.coalesce(given.c.id, func.nextval(func.pg_get_serial_sequence("symbols", "id")))
    # those that are stored go first: one that gives its exchange symbol up makes place for its successor
    rows = select(*values.values()).order_by(given.c.id.nulls_last())
    statement = insert(SYMBOLS).from_select(list(values), rows)
    await connection.execute(
        statement.on_conflict_do_update(
            constraint=SYMBOLS.primary_key,
            set_={name: statement.excluded[name] for name in values if name != "id"},
        )
    )


def _record(stored: StoredSymbol) -> dict[str, object]:
    """The row as JSON: column → value."""
    fields = stored.symbol.model_dump(mode="json", exclude={"id"})
    return {
        **fields,
        "last_seen_at": None if stored.listed else stored.symbol.last_seen_at,
        "base": stored.base,
        "identity": stored.identity,
        "replaced_at": stored.replaced_at,
        "id": stored.row_id,
    }


def _json_type(stored: ColumnElement[Any]) -> TypeEngine[Any]:
    """How a column's value comes in JSON: a number as text, a time as epoch milliseconds."""
    if isinstance(stored.type, Decimals):
        return Text()
    return BigInteger() if isinstance(stored.type, EpochMs) else stored.type


def _value(stored: ColumnElement[Any], given: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column's value from what came in JSON."""
    if isinstance(stored.type, Decimals):
        return cast(given, Numeric)
    return timestamp(given) if isinstance(stored.type, EpochMs) else given
