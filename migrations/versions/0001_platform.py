"""The platform: installation, exchanges, intervals, symbols, sync runs, API clients, signing keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INTERVALS = "'1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d', '3d', '1w', '1M'"
_STATUSES = "'pre_trading', 'trading', 'halted', 'cancel_only', 'post_only', 'settling', 'delisted', 'unknown'"
_TIME = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.SmallInteger, server_default=sa.text("1"), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_one_row")),
        sa.CheckConstraint("source IN ('live', 'simulated', 'recorded')", name=op.f("ck_installation_source")),
    )
    op.create_table(
        "exchanges",
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("base_url", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("last_synced_at", _TIME),
        sa.PrimaryKeyConstraint("exchange", name="pk_exchanges"),
        sa.CheckConstraint("exchange ~ '^[a-z][a-z0-9_]*$'", name=op.f("ck_exchanges_exchange")),
    )
    op.create_table(
        "intervals",
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("interval", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("anchor", sa.Text),
        sa.Column("offset_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("exchange", "interval", name="pk_intervals"),
        sa.ForeignKeyConstraint(["exchange"], ["exchanges.exchange"], name="fk_intervals_exchange_exchanges"),
        sa.CheckConstraint(f"interval IN ({_INTERVALS})", name=op.f("ck_intervals_interval")),
        sa.CheckConstraint("anchor IN ('epoch', 'month')", name=op.f("ck_intervals_anchor")),
    )
    op.create_table(
        "symbols",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("exchange_symbol", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("aliases", ARRAY(sa.Text), nullable=False),
        sa.Column("ccxt_symbol", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("dex", sa.Text),
        sa.Column("base_asset", sa.Text, nullable=False),
        sa.Column("base_multiplier", sa.BigInteger),
        sa.Column("quote_asset", sa.Text, nullable=False),
        sa.Column("settle_asset", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("exchange_status", sa.Text),
        sa.Column("tick_size", sa.Numeric),
        sa.Column("step_size", sa.Numeric),
        sa.Column("price_significant_digits", sa.BigInteger),
        sa.Column("price_max_decimals", sa.BigInteger),
        sa.Column("min_quantity", sa.Numeric),
        sa.Column("min_notional", sa.Numeric),
        sa.Column("contract_size", sa.Numeric),
        sa.Column("listed_at", _TIME),
        sa.Column("expires_at", _TIME),
        sa.Column("delisted_at", _TIME),
        sa.Column("first_seen_at", _TIME, nullable=False),
        sa.Column("last_seen_at", _TIME),
        sa.Column("replaced_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_symbols"),
        sa.ForeignKeyConstraint(["exchange"], ["exchanges.exchange"], name="fk_symbols_exchange_exchanges"),
        sa.UniqueConstraint(
            "exchange", "symbol", name="uq_symbols_exchange_symbol", deferrable=True, initially="DEFERRED"
        ),
        sa.CheckConstraint("kind IN ('spot', 'perpetual', 'future')", name=op.f("ck_symbols_kind")),
        sa.CheckConstraint(f"status IN ({_STATUSES})", name=op.f("ck_symbols_status")),
    )
    op.create_index(
        "ix_symbols_exchange_exchange_symbol",
        "symbols",
        ["exchange", "exchange_symbol"],
        unique=True,
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.create_table(
        "sync_runs",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("listed", sa.BigInteger, nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("delisted", sa.BigInteger, nullable=False),
        sa.Column("relisted", sa.BigInteger, nullable=False),
        sa.Column("refused", sa.BigInteger, nullable=False),
        sa.Column("clashes", sa.BigInteger, nullable=False),
        sa.Column("unclassified", sa.BigInteger, nullable=False),
        sa.Column("report", JSONB, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error_detail", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_sync_runs"),
        sa.ForeignKeyConstraint(["exchange"], ["exchanges.exchange"], name="fk_sync_runs_exchange_exchanges"),
        sa.CheckConstraint("outcome IN ('succeeded', 'refused', 'failed')", name=op.f("ck_sync_runs_outcome")),
    )
    op.create_index("ix_sync_runs_exchange_id", "sync_runs", ["exchange", "id"])
    op.create_table(
        "api_clients",
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("disabled_at", _TIME),
        sa.Column("last_used_at", _TIME),
        sa.PrimaryKeyConstraint("client_id", name="pk_api_clients"),
        sa.CheckConstraint(
            "scopes <@ ARRAY['metadata:read', 'candles:read', 'admin']", name=op.f("ck_api_clients_scopes")
        ),
        sa.CheckConstraint("octet_length(secret_hash) = 32", name=op.f("ck_api_clients_secret_hash")),
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text, nullable=False),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("private_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("retired_at", _TIME),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
        sa.CheckConstraint("algorithm IN ('EdDSA')", name=op.f("ck_signing_keys_algorithm")),
    )


def downgrade() -> None:
    for table in ("signing_keys", "api_clients", "sync_runs", "symbols", "intervals", "exchanges", "installation"):
        op.drop_table(table)
