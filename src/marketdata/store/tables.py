"""The tables, as declarative models; bulk work goes through SQLAlchemy Core on their `__table__`.

Outside SQL a number is decimal text and a time is epoch milliseconds, as in the canonical model; `Decimals` and
`EpochMs` convert inside the database, where both are exact.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    cast,
    extract,
    func,
    literal_column,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from marketdata.core.models import Interval, Kind, Source, Status
from marketdata.store.scopes import SCOPES

OUTCOMES = ("succeeded", "refused", "failed")
"""How a sync ended: applied; with a listing that must not be applied; the exchange or we failed."""

ALGORITHMS = ("EdDSA",)
"""What a signing key is for, by its JOSE name."""

ROLES = ("api", "syncer", "foreign")
"""On whose behalf an exchange was asked; `foreign`: by other programs at the same address."""

SILENCES = ("limited", "banned")
"""Why an exchange is not asked: it has refused us for asking too much, or banned this address."""


class Decimals(UserDefinedType[str]):
    """NUMERIC, read and written as text, digit for digit; NUMERIC prints plain notation and keeps trailing zeros."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in PostgreSQL."""
        return "NUMERIC"

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Read as text."""
        return cast(column, Text)

    def bind_expression(self, bindvalue: BindParameter[str]) -> ColumnElement[Any]:
        """Write from text."""
        return cast(type_coerce(bindvalue, Text), Numeric)


class EpochMs(UserDefinedType[int]):
    """TIMESTAMP WITH TIME ZONE, read and written as integer epoch milliseconds."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in PostgreSQL."""
        return "TIMESTAMP WITH TIME ZONE"

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Read as milliseconds; EXTRACT gives an exact NUMERIC."""
        return cast(extract("epoch", column) * 1000, BigInteger)

    def bind_expression(self, bindvalue: BindParameter[int]) -> ColumnElement[Any]:
        """Write from milliseconds."""
        return timestamp(type_coerce(bindvalue, BigInteger))


def timestamp(epoch_ms: ColumnElement[int]) -> ColumnElement[Any]:
    """The SQL expression for a timestamp from one for epoch milliseconds."""
    return func.to_timestamp(epoch_ms / literal_column("1000.0"))


def _one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    """A check, named after the column, that it holds one of our words."""
    return CheckConstraint(f"{column} IN ({', '.join(f"'{word}'" for word in words)})", name=column)


def _array_of(column: str, words: Iterable[str]) -> CheckConstraint:
    """A check, named after the column, that an array holds only our words."""
    return CheckConstraint(f"{column} <@ ARRAY[{', '.join(f"'{word}'" for word in words)}]", name=column)


class Row(DeclarativeBase):
    """The root of the declarative models: how Python types map to columns and how constraints are named."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text, int: BigInteger, bytes: LargeBinary}


class InstallationRow(Row):
    """What this database is for, in its only row: it belongs to one source for good."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"), _one_of("source", Source))

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, server_default=text("1"))
    source: Mapped[str]
    created_at: Mapped[int] = mapped_column(EpochMs)


class ExchangeRow(Row):
    """An exchange that has been synced, or at least tried."""

    __tablename__ = "exchanges"
    __table_args__ = (CheckConstraint("exchange ~ '^[a-z][a-z0-9_]*$'", name="exchange"),)

    exchange: Mapped[str] = mapped_column(primary_key=True)
    base_url: Mapped[str]
    generation: Mapped[int] = mapped_column(server_default=text("0"))
    last_synced_at: Mapped[int | None] = mapped_column(EpochMs)


class IntervalRow(Row):
    """A candle interval that an exchange offers natively."""

    __tablename__ = "intervals"
    __table_args__ = (_one_of("interval", Interval), _one_of("anchor", ("epoch", "month")))

    exchange: Mapped[str] = mapped_column(ForeignKey("exchanges.exchange"), primary_key=True)
    interval: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str]
    anchor: Mapped[str | None]
    offset_ms: Mapped[int | None]


class SymbolRow(Row):
    """An instrument. `last_seen_at` is null while it is listed, so that an unchanged sync writes no symbol."""

    __tablename__ = "symbols"
    __table_args__ = (
        # checked at the end of the transaction, so that names can be handed on within one sync
        UniqueConstraint("exchange", "symbol", deferrable=True, initially="DEFERRED"),
        Index(None, "exchange", "exchange_symbol", unique=True, postgresql_where=text("replaced_at IS NULL")),
        _one_of("kind", Kind),
        _one_of("status", Status),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    exchange: Mapped[str] = mapped_column(ForeignKey("exchanges.exchange"))
    symbol: Mapped[str]
    exchange_symbol: Mapped[str]
    base: Mapped[str]
    identity: Mapped[str]
    aliases: Mapped[list[str]] = mapped_column(ARRAY(Text))
    ccxt_symbol: Mapped[str | None]
    kind: Mapped[str]
    dex: Mapped[str | None]
    base_asset: Mapped[str]
    base_multiplier: Mapped[int | None]
    quote_asset: Mapped[str]
    settle_asset: Mapped[str | None]
    status: Mapped[str]
    exchange_status: Mapped[str | None]
    tick_size: Mapped[str | None] = mapped_column(Decimals)
    step_size: Mapped[str | None] = mapped_column(Decimals)
    price_significant_digits: Mapped[int | None]
    price_max_decimals: Mapped[int | None]
    min_quantity: Mapped[str | None] = mapped_column(Decimals)
    min_notional: Mapped[str | None] = mapped_column(Decimals)
    contract_size: Mapped[str | None] = mapped_column(Decimals)
    listed_at: Mapped[int | None] = mapped_column(EpochMs)
    expires_at: Mapped[int | None] = mapped_column(EpochMs)
    delisted_at: Mapped[int | None] = mapped_column(EpochMs)
    first_seen_at: Mapped[int] = mapped_column(EpochMs)
    last_seen_at: Mapped[int | None] = mapped_column(EpochMs)
    replaced_at: Mapped[int | None] = mapped_column(EpochMs)


class SyncRunRow(Row):
    """One sync of one exchange, written when it has ended."""

    __tablename__ = "sync_runs"
    __table_args__ = (_one_of("outcome", OUTCOMES), Index(None, "exchange", "id"))

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    exchange: Mapped[str] = mapped_column(ForeignKey("exchanges.exchange"))
    started_at: Mapped[int] = mapped_column(EpochMs)
    finished_at: Mapped[int] = mapped_column(EpochMs)
    outcome: Mapped[str]
    generation: Mapped[int]
    listed: Mapped[int]
    added: Mapped[int]
    changed: Mapped[int]
    delisted: Mapped[int]
    relisted: Mapped[int]
    refused: Mapped[int]
    clashes: Mapped[int]
    unclassified: Mapped[int]
    report: Mapped[dict[str, Any]] = mapped_column(JSONB)
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]


class ApiClientRow(Row):
    """Who may call the API. Only a hash of the secret is kept."""

    __tablename__ = "api_clients"
    __table_args__ = (
        _array_of("scopes", SCOPES),
        CheckConstraint("octet_length(secret_hash) = 32", name="secret_hash"),
    )

    client_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    secret_hash: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[int] = mapped_column(EpochMs)
    expires_at: Mapped[int | None] = mapped_column(EpochMs)
    disabled_at: Mapped[int | None] = mapped_column(EpochMs)
    last_used_at: Mapped[int | None] = mapped_column(EpochMs)


class SigningKeyRow(Row):
    """A key that signs tokens; retired ones still verify until their tokens have expired."""

    __tablename__ = "signing_keys"
    __table_args__ = (_one_of("algorithm", ALGORITHMS),)

    kid: Mapped[str] = mapped_column(primary_key=True)
    algorithm: Mapped[str]
    private_key: Mapped[bytes]
    created_at: Mapped[int] = mapped_column(EpochMs)
    retired_at: Mapped[int | None] = mapped_column(EpochMs)


class BudgetBookingRow(Row):
    """Weight that counts against what an exchange allows this installation: a lease, or what was spent without one."""

    __tablename__ = "budget_bookings"
    __table_args__ = (_one_of("role", ROLES), Index(None, "exchange"))

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    exchange: Mapped[str]
    role: Mapped[str]
    weight: Mapped[int]
    counts_until: Mapped[int] = mapped_column(EpochMs)


class BudgetSilenceRow(Row):
    """Until when nobody of this installation asks an exchange."""

    __tablename__ = "budget_silences"
    __table_args__ = (_one_of("kind", SILENCES),)

    exchange: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    silent_until: Mapped[int] = mapped_column(EpochMs)
    length_ms: Mapped[int]


def _table(row: type[Row]) -> Table:
    """The Core table of a declarative model, typed as what it is."""
    table = row.__table__
    if not isinstance(table, Table):
        raise TypeError(row.__name__)
    return table


INSTALLATION = _table(InstallationRow)
EXCHANGES = _table(ExchangeRow)
INTERVALS = _table(IntervalRow)
SYMBOLS = _table(SymbolRow)
SYNC_RUNS = _table(SyncRunRow)
API_CLIENTS = _table(ApiClientRow)
SIGNING_KEYS = _table(SigningKeyRow)
BUDGET_BOOKINGS = _table(BudgetBookingRow)
BUDGET_SILENCES = _table(BudgetSilenceRow)
