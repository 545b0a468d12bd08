"""What counts against each exchange's limit, and who wants to hear nothing from us."""

from sqlalchemy import Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from marketdata.store.tables.columns import EpochMs, Row, one_of, table_of

ROLES = ("api", "syncer", "foreign")
"""On whose behalf an exchange was asked; `foreign`: by other programs at the same address."""

SILENCES = ("limited", "banned")
"""Why an exchange is not asked: it has refused us for asking too much, or banned this address."""


class BudgetBookingRow(Row):
    """Weight that counts against what an exchange allows this installation: a lease, or what was spent without one."""

    __tablename__ = "budget_bookings"
    __table_args__ = (one_of("role", ROLES), Index(None, "exchange"))

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    exchange: Mapped[str]
    role: Mapped[str]
    weight: Mapped[int]
    counts_until: Mapped[int] = mapped_column(EpochMs)


class BudgetSilenceRow(Row):
    """Until when nobody of this installation asks an exchange."""

    __tablename__ = "budget_silences"
    __table_args__ = (one_of("kind", SILENCES),)

    exchange: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    silent_until: Mapped[int] = mapped_column(EpochMs)
    length_ms: Mapped[int]


BUDGET_BOOKINGS = table_of(BudgetBookingRow)
BUDGET_SILENCES = table_of(BudgetSilenceRow)
