"""What became of each sync, and what changed by them."""

from typing import Any

from sqlalchemy import ForeignKey, Identity, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from marketdata.core.models import EventType, Interval
from marketdata.store.tables.columns import EpochMs, Row, one_of, table_of

OUTCOMES = ("succeeded", "quarantined", "failed")
"""How a sync ended: applied; with a listing that must not be applied; the exchange or we failed."""


class SyncRunRow(Row):
    """One sync of one exchange, or several in a row that all came to the same, written when the last has ended."""

    __tablename__ = "sync_runs"
    __table_args__ = (
        one_of("outcome", OUTCOMES),
        Index(None, "exchange", "id"),
        {"postgresql_with": {"fillfactor": "50"}},  # the newest of each exchange is written again and again
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    exchange: Mapped[str] = mapped_column(ForeignKey("exchanges.exchange"))
    first_started_at: Mapped[int] = mapped_column(EpochMs)
    started_at: Mapped[int] = mapped_column(EpochMs)
    finished_at: Mapped[int] = mapped_column(EpochMs)
    runs: Mapped[int]
    first_read_at: Mapped[int | None] = mapped_column(EpochMs)
    read_at: Mapped[int | None] = mapped_column(EpochMs)
    outcome: Mapped[str]
    generation: Mapped[int]
    listed: Mapped[int]
    added: Mapped[int]
    changed: Mapped[int]
    delisted: Mapped[int]
    relisted: Mapped[int]
    missing: Mapped[int]
    refused: Mapped[int]
    clashes: Mapped[int]
    unclassified: Mapped[int]
    payload_sha256: Mapped[str | None]
    payload_bytes: Mapped[int | None]
    report: Mapped[dict[str, Any]] = mapped_column(JSONB)
    accepted_run: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"))
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]


class EventRow(Row):
    """One thing that changed. Ids are given in the order of the commits, so who sees one sees all before it."""

    __tablename__ = "events"
    __table_args__ = (
        one_of("type", EventType),
        one_of("interval", Interval),
        Index(None, "exchange", "id"),
        Index(None, "exchange", "observed_at"),
        Index(None, "symbol_id", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    type: Mapped[str]
    exchange: Mapped[str] = mapped_column(ForeignKey("exchanges.exchange"))
    symbol_id: Mapped[int | None] = mapped_column(ForeignKey("symbols.id"))
    symbol: Mapped[str | None]
    exchange_symbol: Mapped[str | None]
    interval: Mapped[str | None]
    observed_at: Mapped[int] = mapped_column(EpochMs)
    generation: Mapped[int]
    initial: Mapped[bool]
    field: Mapped[str | None]
    old: Mapped[Any] = mapped_column(JSONB, nullable=True)
    new: Mapped[Any] = mapped_column(JSONB, nullable=True)


SYNC_RUNS = table_of(SyncRunRow)
EVENTS = table_of(EventRow)
