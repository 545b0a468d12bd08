"""The instruments of an exchange, read and written as whole sets: as they are, and as they were at any instant."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Numeric,
    Row,
    Select,
    Table,
    Text,
    cast,
    column,
    func,
    insert,
    literal,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_or_update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from marketdata.core.models import ExchangeId, Symbol
from marketdata.store.tables import EXCHANGES, SYMBOL_VERSIONS, SYMBOLS, Decimals, EpochMs, timestamp

_LIST = TypeAdapter(list[Symbol])
_FIELDS = tuple(Symbol.model_fields)
_COLUMNS = tuple(stored.name for stored in SYMBOLS.columns)
_STATE = tuple(name for name in _COLUMNS if name in SYMBOL_VERSIONS.c)


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
    missing_since: int | None = None
    """When the first listing was read that did not have it, epoch ms; None while it is listed."""
    missing_since_listing: int | None = None
    """The number of that listing (`ExchangeState.listings`)."""
    changed_at: int | None = None
    """Since when it is, or was, as it stands here, epoch ms: that version's `valid_from`."""


_BESIDE = len(fields(StoredSymbol)) - 1


@dataclass(frozen=True, slots=True)
class SymbolVersion:
    """The state of an instrument as it was seen for a while."""

    stored: StoredSymbol
    valid_from: int
    """When it was first seen so, epoch ms."""
    valid_to: int | None
    """When it was first seen otherwise, epoch ms; None: it is so still."""
    generation: int
    """The exchange's generation that began then."""


async def list_symbols(connection: AsyncConnection, exchange: ExchangeId) -> list[Symbol]:
    """Every instrument ever seen on `exchange`, delisted and replaced ones too, by name."""
    return [stored.symbol for stored in await list_stored(connection, exchange)]


async def list_stored(connection: AsyncConnection, exchange: ExchangeId) -> list[StoredSymbol]:
    """Every instrument ever seen on `exchange`, as a sync compares it with a listing, by name."""
    query = (
        _select(SYMBOLS, EXCHANGES.c.last_synced_at, SYMBOLS.c.changed_at)
        .join_from(SYMBOLS, EXCHANGES)
        .where(SYMBOLS.c.exchange == exchange)
        .order_by(SYMBOLS.c.symbol)
    )
    return _read((await connection.execute(query)).all())


async def list_stored_at(
    connection: AsyncConnection, exchange: ExchangeId, at_ms: int, seen_at_ms: int
) -> list[StoredSymbol]:
    """What was known of `exchange` at `at_ms`, epoch ms, by name.

    `seen_at_ms`: the last good sync until then, which is the `last_seen_at` of those that were listed.
    """
    versions = SYMBOL_VERSIONS.c
    at = timestamp(literal(at_ms, BigInteger))
    query = (
        _select(SYMBOL_VERSIONS, literal(seen_at_ms, EpochMs), versions.valid_from)
        .join_from(SYMBOL_VERSIONS, SYMBOLS)
        .where(SYMBOLS.c.exchange == exchange, versions.valid_from <= at)
        .where(versions.valid_to.is_(None) | (versions.valid_to > at))
        .order_by(versions.symbol)
    )
    return _read((await connection.execute(query)).all())


async def list_versions(
    connection: AsyncConnection, row_id: int, *, after_ms: int = -1, limit: int | None = None
) -> list[SymbolVersion]:
    """The versions of one instrument that began after `after_ms` (epoch ms), oldest first; `limit` at most."""
    versions = SYMBOL_VERSIONS.c
    query = (
        _select(SYMBOL_VERSIONS, func.coalesce(versions.valid_to, EXCHANGES.c.last_synced_at), versions.valid_from)
        .add_columns(versions.valid_from, versions.valid_to, versions.generation)
        .join_from(SYMBOL_VERSIONS, SYMBOLS)
        .join(EXCHANGES)
        .where(SYMBOLS.c.id == row_id, versions.valid_from > after_ms)
        .order_by(versions.valid_from)
        .limit(limit)
    )
    rows = (await connection.execute(query)).all()
    return [
        SymbolVersion(stored, row.valid_from, row.valid_to, row.generation)
        for stored, row in zip(_read(rows), rows, strict=True)
    ]


async def upsert_symbols(
    connection: AsyncConnection, exchange: ExchangeId, symbols: Sequence[StoredSymbol], at_ms: int, generation: int
) -> None:
    """Write instruments that are new (`row_id` None) or have changed, whole, and begin a version of each.

    The caller compares: it gives none that is stored as it is. Names may change hands among those given. `at_ms`: when
    the listing was read that shows them so, later than any before; `generation`: the one that begins with it.
    """
    if not symbols:
        return
    given = (
        func.jsonb_to_recordset(literal([_record(stored, at_ms) for stored in symbols], JSONB))
        .table_valued(*(column(name, _json_type(SYMBOLS.c[name])) for name in _COLUMNS))
        .render_derived(name="given", with_types=True)
    )
    values = {name: _value(SYMBOLS.c[name], given.c[name]) for name in _COLUMNS}
    values["id"] = func.coalesce(given.c.id, func.nextval(func.pg_get_serial_sequence("symbols", "id")))
    # those that are stored go first: one that gives its exchange symbol up makes place for its successor
    rows = select(*values.values()).order_by(given.c.id.nulls_last())
    statement = insert_or_update(SYMBOLS).from_select(list(values), rows)
    await connection.execute(
        statement.on_conflict_do_update(
            constraint=SYMBOLS.primary_key,
            set_={name: statement.excluded[name] for name in values if name != "id"},
        )
    )
    await _begin_versions(connection, exchange, at_ms, generation)


async def _begin_versions(connection: AsyncConnection, exchange: ExchangeId, at_ms: int, generation: int) -> None:
    """Keep the state of the rows that changed at `at_ms`; the version before, if there is one, ends there."""
    is_written = (SYMBOLS.c.exchange == exchange) & (SYMBOLS.c.changed_at == at_ms)
    versions = SYMBOL_VERSIONS.c
    await connection.execute(
        update(SYMBOL_VERSIONS)
        .where(versions.symbol_id == SYMBOLS.c.id, versions.valid_to.is_(None), is_written)
        .values({versions.valid_to: SYMBOLS.c.changed_at})
    )
    begun = (SYMBOLS.c.id, SYMBOLS.c.changed_at, literal(generation, BigInteger))
    rows = select(*begun, *(SYMBOLS.c[name] for name in _STATE)).where(is_written)
    names = ["symbol_id", "valid_from", "generation", *_STATE]
    await connection.execute(insert(SYMBOL_VERSIONS).from_select(names, rows))


def _select(state: Table, seen_at: ColumnElement[int], changed_at: ColumnElement[int]) -> Select[Any]:
    """A query for StoredSymbols whose state is in `state`, since `changed_at`.

    `seen_at`: the `last_seen_at` of those that were listed.
    """
    columns = {
        **SYMBOLS.c,
        **state.c,
        "id": (SYMBOLS.c.exchange + ":" + state.c.symbol).label("instrument_id"),
        "last_seen_at": type_coerce(func.coalesce(state.c.last_seen_at, seen_at, SYMBOLS.c.first_seen_at), EpochMs()),
    }
    return select(
        *(columns[name] for name in _FIELDS),
        state.c.base,
        SYMBOLS.c.identity,
        state.c.last_seen_at.is_(None).label("listed"),
        state.c.replaced_at,
        SYMBOLS.c.id.label("row_id"),
        SYMBOLS.c.missing_since,
        SYMBOLS.c.missing_since_listing,
        changed_at,
    )


def _read(rows: Sequence[Row[Any]]) -> list[StoredSymbol]:
    symbols = _LIST.validate_python([dict(zip(_FIELDS, row, strict=False)) for row in rows])
    return [
        StoredSymbol(symbol, *row[len(_FIELDS) : len(_FIELDS) + _BESIDE])
        for symbol, row in zip(symbols, rows, strict=True)
    ]


def _record(stored: StoredSymbol, at_ms: int) -> dict[str, object]:
    """The row as JSON: column → value."""
    fields = stored.symbol.model_dump(mode="json", exclude={"id"})
    return {
        **fields,
        "last_seen_at": None if stored.listed else stored.symbol.last_seen_at,
        "base": stored.base,
        "identity": stored.identity,
        "replaced_at": stored.replaced_at,
        "missing_since": stored.missing_since,
        "missing_since_listing": stored.missing_since_listing,
        "changed_at": at_ms,
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
