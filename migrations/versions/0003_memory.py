"""The memory: versions of instruments and intervals, events, what quarantined listings held, candle coverage."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INTERVALS = "'1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h', '12h', '1d', '3d', '1w', '1M'"
_STATUSES = "'pre_trading', 'trading', 'halted', 'cancel_only', 'post_only', 'settling', 'delisted', 'unknown'"
_EVENTS = "'listed', 'delisted', 'relisted', 'status_changed', 'field_changed', 'interval_added', 'interval_removed'"
_AUTHORITIES = "'exchange', 'observed'"
_TIME = sa.TIMESTAMP(timezone=True)

_STATE = (
    "symbol, base, aliases, ccxt_symbol, kind, dex, base_asset, base_multiplier, quote_asset, settle_asset, status,"
    " exchange_status, tick_size, step_size, price_significant_digits, price_max_decimals, min_quantity, min_notional,"
    " contract_size, listed_at, expires_at, delisted_at, delisted_at_source, last_seen_at, replaced_at"
)


def upgrade() -> None:
    _extend_exchanges()
    _extend_symbols()
    _extend_runs()
    _create_versions()
    _create_events()
    op.create_table(
        "coverage",
        sa.Column("symbol_id", sa.BigInteger, nullable=False),
        sa.Column("interval", sa.Text, nullable=False),
        sa.Column("first_open_time", _TIME),
        sa.Column("last_open_time", _TIME),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("observed_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("symbol_id", "interval", name="pk_coverage"),
        sa.ForeignKeyConstraint(["symbol_id"], ["symbols.id"], name="fk_coverage_symbol_id_symbols"),
        sa.CheckConstraint(f"interval IN ({_INTERVALS})", name=op.f("ck_coverage_interval")),
    )


def downgrade() -> None:
    for table in ("coverage", "events", "symbol_versions"):
        op.drop_table(table)
    op.execute("DELETE FROM intervals WHERE valid_to IS NOT NULL")
    op.drop_constraint(op.f("pk_intervals"), "intervals", type_="primary")
    op.drop_column("intervals", "valid_to")  # with its check and its index
    op.drop_column("intervals", "valid_from")
    op.create_primary_key("pk_intervals", "intervals", ["exchange", "interval"])
    op.execute("UPDATE symbols SET last_seen_at = NULL WHERE delisted_at IS NULL")  # missing is not known there
    for column in ("listings", "first_synced_at"):
        op.drop_column("exchanges", column)
    for column in ("delisted_at_source", "changed_at", "missing_since", "missing_since_listing"):
        op.drop_column("symbols", column)
    op.drop_constraint(op.f("ck_sync_runs_outcome"), "sync_runs", type_="check")
    op.execute("UPDATE sync_runs SET outcome = 'refused' WHERE outcome = 'quarantined'")
    op.execute("UPDATE sync_runs SET report = report - 'missing' - 'quarantined'")
    op.create_check_constraint(
        op.f("ck_sync_runs_outcome"), "sync_runs", "outcome IN ('succeeded', 'refused', 'failed')"
    )
    for column in (
        "first_started_at",
        "runs",
        "first_read_at",
        "read_at",
        "missing",
        "payload_sha256",
        "payload_bytes",
        "accepted_run",
    ):
        op.drop_column("sync_runs", column)
    op.execute("ALTER TABLE sync_runs RESET (fillfactor)")


def _extend_exchanges() -> None:
    """What was known before is known since the last sync: nobody kept what was before that."""
    op.add_column("exchanges", sa.Column("listings", sa.BigInteger, server_default=sa.text("0"), nullable=False))
    op.add_column("exchanges", sa.Column("first_synced_at", _TIME))
    op.execute("UPDATE exchanges SET first_synced_at = last_synced_at, listings = 1 WHERE last_synced_at IS NOT NULL")
    op.add_column("intervals", sa.Column("valid_from", _TIME))
    op.add_column("intervals", sa.Column("valid_to", _TIME))
    op.execute(
        "UPDATE intervals SET valid_from = last_synced_at FROM exchanges WHERE exchanges.exchange = intervals.exchange"
    )
    op.alter_column("intervals", "valid_from", nullable=False)
    op.drop_constraint(op.f("pk_intervals"), "intervals", type_="primary")
    op.create_primary_key("pk_intervals", "intervals", ["exchange", "interval", "valid_from"])
    op.create_check_constraint(op.f("ck_intervals_validity"), "intervals", "valid_from < valid_to")
    op.create_index(
        "ix_intervals_exchange_interval",
        "intervals",
        ["exchange", "interval"],
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
    )


def _extend_symbols() -> None:
    op.add_column("symbols", sa.Column("delisted_at_source", sa.Text))
    op.add_column("symbols", sa.Column("changed_at", _TIME))
    op.add_column("symbols", sa.Column("missing_since", _TIME))
    op.add_column("symbols", sa.Column("missing_since_listing", sa.BigInteger))
    op.execute(
        "UPDATE symbols SET changed_at = last_synced_at, missing_since = symbols.delisted_at,"
        " missing_since_listing = CASE WHEN last_seen_at IS NULL THEN NULL ELSE 1 END,"
        " delisted_at_source = CASE WHEN delisted_at IS NULL THEN NULL"
        " WHEN last_seen_at IS NULL THEN 'exchange' ELSE 'observed' END"
        " FROM exchanges WHERE exchanges.exchange = symbols.exchange"
    )
    op.execute("UPDATE symbols SET missing_since = NULL WHERE last_seen_at IS NULL")
    op.alter_column("symbols", "changed_at", nullable=False)
    op.create_check_constraint(
        op.f("ck_symbols_delisted_at_source"), "symbols", f"delisted_at_source IN ({_AUTHORITIES})"
    )


def _extend_runs() -> None:
    """What changed is told by events from now on."""
    op.add_column("sync_runs", sa.Column("first_started_at", _TIME))
    op.add_column("sync_runs", sa.Column("runs", sa.BigInteger))
    op.add_column("sync_runs", sa.Column("first_read_at", _TIME))
    op.add_column("sync_runs", sa.Column("read_at", _TIME))
    op.add_column("sync_runs", sa.Column("missing", sa.BigInteger))
    op.add_column("sync_runs", sa.Column("payload_sha256", sa.Text))
    op.add_column("sync_runs", sa.Column("payload_bytes", sa.BigInteger))
    op.add_column("sync_runs", sa.Column("accepted_run", sa.BigInteger))
    op.drop_constraint(op.f("ck_sync_runs_outcome"), "sync_runs", type_="check")
    op.execute(
        "UPDATE sync_runs SET first_started_at = started_at, runs = 1, missing = 0, report = report - 'changes',"
        " outcome = CASE outcome WHEN 'refused' THEN 'quarantined' ELSE outcome END,"
        " first_read_at = CASE outcome WHEN 'succeeded' THEN least(finished_at, last_synced_at) END,"
        " read_at = CASE outcome WHEN 'succeeded' THEN least(finished_at, last_synced_at) END"
        " FROM exchanges WHERE exchanges.exchange = sync_runs.exchange"
    )
    for column in ("first_started_at", "runs", "missing"):
        op.alter_column("sync_runs", column, nullable=False)
    op.create_check_constraint(
        op.f("ck_sync_runs_outcome"), "sync_runs", "outcome IN ('succeeded', 'quarantined', 'failed')"
    )
    op.create_foreign_key("fk_sync_runs_accepted_run_sync_runs", "sync_runs", "sync_runs", ["accepted_run"], ["id"])
    op.execute("ALTER TABLE sync_runs SET (fillfactor = 50)")


def _create_versions() -> None:
    op.create_table(
        "symbol_versions",
        sa.Column("symbol_id", sa.BigInteger, nullable=False),
        sa.Column("valid_from", _TIME, nullable=False),
        sa.Column("valid_to", _TIME),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
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
        sa.Column("delisted_at_source", sa.Text),
        sa.Column("last_seen_at", _TIME),
        sa.Column("replaced_at", _TIME),
        sa.PrimaryKeyConstraint("symbol_id", "valid_from", name="pk_symbol_versions"),
        sa.ForeignKeyConstraint(["symbol_id"], ["symbols.id"], name="fk_symbol_versions_symbol_id_symbols"),
        sa.CheckConstraint("kind IN ('spot', 'perpetual', 'future')", name=op.f("ck_symbol_versions_kind")),
        sa.CheckConstraint(f"status IN ({_STATUSES})", name=op.f("ck_symbol_versions_status")),
        sa.CheckConstraint(
            f"delisted_at_source IN ({_AUTHORITIES})", name=op.f("ck_symbol_versions_delisted_at_source")
        ),
        sa.CheckConstraint("valid_from < valid_to", name=op.f("ck_symbol_versions_validity")),
    )
    op.create_index(
        "ix_symbol_versions_symbol_id",
        "symbol_versions",
        ["symbol_id"],
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
    )
    op.execute(
        f"INSERT INTO symbol_versions (symbol_id, valid_from, generation, {_STATE})"  # noqa: S608 # nosec B608 - our own names
        f" SELECT symbols.id, changed_at, generation, {_STATE} FROM symbols JOIN exchanges USING (exchange)"
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("symbol_id", sa.BigInteger),
        sa.Column("symbol", sa.Text),
        sa.Column("exchange_symbol", sa.Text),
        sa.Column("interval", sa.Text),
        sa.Column("observed_at", _TIME, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("initial", sa.Boolean, nullable=False),
        sa.Column("field", sa.Text),
        sa.Column("old", JSONB),
        sa.Column("new", JSONB),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.ForeignKeyConstraint(["exchange"], ["exchanges.exchange"], name="fk_events_exchange_exchanges"),
        sa.ForeignKeyConstraint(["symbol_id"], ["symbols.id"], name="fk_events_symbol_id_symbols"),
        sa.CheckConstraint(f"type IN ({_EVENTS})", name=op.f("ck_events_type")),
        sa.CheckConstraint(f"interval IN ({_INTERVALS})", name=op.f("ck_events_interval")),
    )
    op.create_index("ix_events_exchange_id", "events", ["exchange", "id"])
    op.create_index("ix_events_exchange_observed_at", "events", ["exchange", "observed_at"])
    op.create_index("ix_events_symbol_id_id", "events", ["symbol_id", "id"])
    op.execute(
        "INSERT INTO events"
        " (type, exchange, symbol_id, symbol, exchange_symbol, observed_at, generation, initial, new)"
        " SELECT 'listed', exchange, id, symbol, exchange_symbol, changed_at, generation, true, to_jsonb(status)"
        " FROM symbols JOIN exchanges USING (exchange) ORDER BY exchange, symbol"
    )
