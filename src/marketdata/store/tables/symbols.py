"""Instruments as they are, as they were, and which of their candles the exchange serves."""

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from marketdata.core.models import Authority, Interval, Kind, Status
from marketdata.store.tables.columns import Decimals, EpochMs, Row, one_of, table_of


class _State:
    """All that may change about an instrument: its row has the newest state, its versions have each that was seen."""

    symbol: Mapped[str]
    base: Mapped[str]
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
    delisted_at_source: Mapped[str | None]
    last_seen_at: Mapped[int | None] = mapped_column(EpochMs)
    replaced_at: Mapped[int | None] = mapped_column(EpochMs)


def _words() -> tuple[CheckConstraint, ...]:
    """The checks of a state; each table needs its own."""
    return one_of("kind", Kind), one_of("status", Status), one_of("delisted_at_source", Authority)


class SymbolRow(_State, Row):
    """An instrument. `last_seen_at` is null while it is listed, so that an unchanged sync writes no symbol."""

    __tablename__ = "symbols"
    __table_args__ = (
        # checked at the end of the transaction, so that names can be handed on within one sync
        UniqueConstraint("exchange", "symbol", deferrable=True, initially="DEFERRED"),
        Index(None, "exchange", "exchange_symbol", unique=True, postgresql_where=text("replaced_at IS NULL")),
        *_words(),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    exchange: Mapped[str] = mapped_column(ForeignKey("exchanges.exchange"))
    exchange_symbol: Mapped[str]
    identity: Mapped[str]
    first_seen_at: Mapped[int] = mapped_column(EpochMs)
    changed_at: Mapped[int] = mapped_column(EpochMs)
    missing_since: Mapped[int | None] = mapped_column(EpochMs)
    missing_since_listing: Mapped[int | None]


class SymbolVersionRow(_State, Row):
    """The state of an instrument as it was seen from `valid_from` on; `valid_to` is null for the newest one."""

    __tablename__ = "symbol_versions"
    __table_args__ = (
        CheckConstraint("valid_from < valid_to", name="validity"),
        Index(None, "symbol_id", unique=True, postgresql_where=text("valid_to IS NULL")),
        *_words(),
    )

    symbol_id: Mapped[int] = mapped_column(ForeignKey("symbols.id"), primary_key=True)
    valid_from: Mapped[int] = mapped_column(EpochMs, primary_key=True)
    valid_to: Mapped[int | None] = mapped_column(EpochMs)
    generation: Mapped[int]


class CoverageRow(Row):
    """The first and the last candle that an exchange served of an instrument when it was last asked for them."""

    __tablename__ = "coverage"
    __table_args__ = (one_of("interval", Interval),)

    symbol_id: Mapped[int] = mapped_column(ForeignKey("symbols.id"), primary_key=True)
    interval: Mapped[str] = mapped_column(primary_key=True)
    first_open_time: Mapped[int | None] = mapped_column(EpochMs)
    last_open_time: Mapped[int | None] = mapped_column(EpochMs)
    method: Mapped[str]
    calls: Mapped[int]
    observed_at: Mapped[int] = mapped_column(EpochMs)


SYMBOLS = table_of(SymbolRow)
SYMBOL_VERSIONS = table_of(SymbolVersionRow)
COVERAGE = table_of(CoverageRow)
