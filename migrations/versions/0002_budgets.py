"""The budgets that all processes share: what counts against each exchange's limit, and who has told us to be silent."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "budget_bookings",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("weight", sa.BigInteger, nullable=False),
        sa.Column("counts_until", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_budget_bookings"),
        sa.CheckConstraint("role IN ('api', 'syncer', 'foreign')", name=op.f("ck_budget_bookings_role")),
    )
    op.create_index("ix_budget_bookings_exchange", "budget_bookings", ["exchange"])
    op.create_table(
        "budget_silences",
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("silent_until", _TIME, nullable=False),
        sa.Column("length_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("exchange", "kind", name="pk_budget_silences"),
        sa.CheckConstraint("kind IN ('limited', 'banned')", name=op.f("ck_budget_silences_kind")),
    )


def downgrade() -> None:
    for table in ("budget_silences", "budget_bookings"):
        op.drop_table(table)
