"""What this database is for, the exchanges in it, and the intervals that they offered at any time."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from marketdata.core.models import Interval, Source
from marketdata.store.tables.columns import EpochMs, Row, one_of, table_of


class InstallationRow(Row):
    """What this database is for, in its only row: it belongs to one source for good."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"), one_of("source", Source))

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
    listings: Mapped[int] = mapped_column(server_default=text("0"))
    first_synced_at: Mapped[int | None] = mapped_column(EpochMs)
    last_synced_at: Mapped[int | None] = mapped_column(EpochMs)


class IntervalRow(Row):
    """A candle interval that an exchange offers natively, or did; `valid_to` is null while it does."""

    __tablename__ = "intervals"
    __table_args__ = (
        one_of("interval", Interval),
        one_of("anchor", ("epoch", "month")),
        CheckConstraint("valid_from < valid_to", name="validity"),
        Index(None, "exchange", "interval", unique=True, postgresql_where=text("valid_to IS NULL")),
    )

    exchange: Mapped[str] = mapped_column(ForeignKey("exchanges.exchange"), primary_key=True)
    interval: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[int] = mapped_column(EpochMs, primary_key=True)
    valid_to: Mapped[int | None] = mapped_column(EpochMs)
    token: Mapped[str]
    anchor: Mapped[str | None]
    offset_ms: Mapped[int | None]


INSTALLATION = table_of(InstallationRow)
EXCHANGES = table_of(ExchangeRow)
INTERVALS = table_of(IntervalRow)
