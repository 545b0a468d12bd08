"""The front door: secrets apart from their clients, limits, revoked tokens, keys in turn, the audit log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = sa.TIMESTAMP(timezone=True)
_TABLES = (
    "client_usage",
    "rate_windows",
    "audit_log",
    "known_addresses",
    "guesses",
    "revoked_tokens",
    "access_state",
    "sealing_secrets",
)
"""New with this version, but for the secrets, whose newest go back to their clients."""


def upgrade() -> None:
    _move_secrets()
    _extend_keys()
    _create_refusals()
    _create_audit_log()
    _create_limits()


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change()")
    # what was meant to sign later, and what nobody trusts any more, would sign there
    op.execute("DELETE FROM signing_keys WHERE signs_from IS NULL OR revoked_at IS NOT NULL")
    for column in ("signs_from", "revoked_at"):
        op.drop_column("signing_keys", column)
    op.add_column("api_clients", sa.Column("secret_hash", sa.LargeBinary))
    op.add_column("api_clients", sa.Column("last_used_at", _TIME))
    # the newest that is live; where none is, what no secret has as its hash
    op.execute("""
        UPDATE api_clients SET
            last_used_at = (SELECT max(last_used_at) FROM client_secrets AS its WHERE its.client_id = one.client_id),
            secret_hash = coalesce((
                SELECT secret_hash FROM client_secrets AS its
                WHERE its.client_id = one.client_id AND revoked_at IS NULL
                    AND (its.expires_at IS NULL OR its.expires_at > now())
                ORDER BY its.created_at DESC, secret_id LIMIT 1
            ), decode(repeat('00', 32), 'hex'))
        FROM api_clients AS one WHERE one.client_id = api_clients.client_id
    """)
    op.alter_column("api_clients", "secret_hash", nullable=False)
    op.create_check_constraint(op.f("ck_api_clients_secret_hash"), "api_clients", "octet_length(secret_hash) = 32")
    op.drop_table("client_secrets")
    for column in ("requests_per_minute", "candles_per_minute"):
        op.drop_column("api_clients", column)


def _move_secrets() -> None:
    op.create_table(
        "client_secrets",
        sa.Column("secret_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("revoked_at", _TIME),
        sa.Column("last_used_at", _TIME),
        sa.PrimaryKeyConstraint("secret_id", name="pk_client_secrets"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["api_clients.client_id"], name="fk_client_secrets_client_id_api_clients"
        ),
        sa.CheckConstraint("octet_length(secret_hash) = 32", name=op.f("ck_client_secrets_secret_hash")),
    )
    op.create_index("ix_client_secrets_client_id", "client_secrets", ["client_id"])
    # a secret of before has no id in its text: the first digits of its hash stand for one
    op.execute("""
        INSERT INTO client_secrets (secret_id, client_id, secret_hash, created_at, last_used_at)
        SELECT left(encode(secret_hash, 'hex'), 8), client_id, secret_hash, created_at, last_used_at FROM api_clients
    """)
    op.drop_column("api_clients", "secret_hash")  # with its check
    op.drop_column("api_clients", "last_used_at")
    op.add_column("api_clients", sa.Column("requests_per_minute", sa.BigInteger))
    op.add_column("api_clients", sa.Column("candles_per_minute", sa.BigInteger))
    for column in ("requests_per_minute", "candles_per_minute"):
        op.create_check_constraint(op.f(f"ck_api_clients_{column}"), "api_clients", f"{column} > 0")


def _extend_keys() -> None:
    op.add_column("signing_keys", sa.Column("signs_from", _TIME))
    op.add_column("signing_keys", sa.Column("revoked_at", _TIME))
    op.execute("UPDATE signing_keys SET signs_from = created_at")
    op.create_table(
        "sealing_secrets",
        sa.Column("id", sa.SmallInteger, server_default=sa.text("1"), nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sealing_secrets"),
        sa.CheckConstraint("id = 1", name=op.f("ck_sealing_secrets_one_row")),
        sa.CheckConstraint("octet_length(secret) = 32", name=op.f("ck_sealing_secrets_secret")),
    )
    op.create_table(
        "access_state",
        sa.Column("id", sa.SmallInteger, server_default=sa.text("1"), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_state"),
        sa.CheckConstraint("id = 1", name=op.f("ck_access_state_one_row")),
    )
    op.execute("INSERT INTO access_state (version) VALUES (0)")


def _create_refusals() -> None:
    op.create_table(
        "revoked_tokens",
        sa.Column("jti", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("revoked_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("jti", name="pk_revoked_tokens"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["api_clients.client_id"], name="fk_revoked_tokens_client_id_api_clients"
        ),
    )
    op.create_table(
        "guesses",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("level", sa.Double, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name="pk_guesses"),
        sa.CheckConstraint("kind IN ('client', 'address')", name=op.f("ck_guesses_kind")),
    )
    op.create_table(
        "known_addresses",
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("last_seen_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "address", name="pk_known_addresses"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["api_clients.client_id"], name="fk_known_addresses_client_id_api_clients"
        ),
    )


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("details", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        sa.CheckConstraint("outcome IN ('done', 'refused')", name=op.f("ck_audit_log_outcome")),
    )
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege'; END $$
    """)
    op.execute("""
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)


def _create_limits() -> None:
    op.create_table(
        "rate_windows",
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("window_start", _TIME, nullable=False),
        sa.Column("granted", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "kind", name="pk_rate_windows"),
        sa.ForeignKeyConstraint(["client_id"], ["api_clients.client_id"], name="fk_rate_windows_client_id_api_clients"),
        sa.CheckConstraint("kind IN ('requests', 'candles')", name=op.f("ck_rate_windows_kind")),
    )
    op.create_table(
        "client_usage",
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("hour", _TIME, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("requests", "candles", "limited")),
        sa.PrimaryKeyConstraint("client_id", "hour", name="pk_client_usage"),
        sa.ForeignKeyConstraint(["client_id"], ["api_clients.client_id"], name="fk_client_usage_client_id_api_clients"),
    )
