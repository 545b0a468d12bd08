"""Who may call the API and how much, what its tokens are signed with, and what was done about all of that."""

from typing import Any

from sqlalchemy import ARRAY, CheckConstraint, Double, ForeignKey, Identity, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from marketdata.store.scopes import SCOPES
from marketdata.store.tables.columns import EpochMs, Row, array_of, one_of, table_of

ALGORITHMS = ("EdDSA",)
"""What a signing key is for, by its JOSE name."""

GUESSES = ("client", "address")
"""By whom wrong secrets are counted: whose they should have been, and where they came from."""

AUDIT_OUTCOMES = ("done", "refused")
"""How what the audit log tells of has ended."""

LIMITED = ("requests", "candles")
"""What a client has so much of in a minute."""


class ApiClientRow(Row):
    """Who may call the API; a limit that is null is the installation's."""

    __tablename__ = "api_clients"
    __table_args__ = (
        array_of("scopes", SCOPES),
        CheckConstraint("requests_per_minute > 0", name="requests_per_minute"),
        CheckConstraint("candles_per_minute > 0", name="candles_per_minute"),
    )

    client_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    requests_per_minute: Mapped[int | None]
    candles_per_minute: Mapped[int | None]
    created_at: Mapped[int] = mapped_column(EpochMs)
    expires_at: Mapped[int | None] = mapped_column(EpochMs)
    disabled_at: Mapped[int | None] = mapped_column(EpochMs)


class ClientSecretRow(Row):
    """A secret of a client, of which two can be live at a time. Only a hash of it is kept."""

    __tablename__ = "client_secrets"
    __table_args__ = (Index(None, "client_id"), CheckConstraint("octet_length(secret_hash) = 32", name="secret_hash"))

    secret_id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("api_clients.client_id"))
    secret_hash: Mapped[bytes]
    created_at: Mapped[int] = mapped_column(EpochMs)
    expires_at: Mapped[int | None] = mapped_column(EpochMs)
    revoked_at: Mapped[int | None] = mapped_column(EpochMs)
    last_used_at: Mapped[int | None] = mapped_column(EpochMs)


class SigningKeyRow(Row):
    """A key that signs tokens, will next (`signs_from` is null), or did; `revoked_at`: since when nobody trusts it."""

    __tablename__ = "signing_keys"
    __table_args__ = (one_of("algorithm", ALGORITHMS),)

    kid: Mapped[str] = mapped_column(primary_key=True)
    algorithm: Mapped[str]
    private_key: Mapped[bytes]
    created_at: Mapped[int] = mapped_column(EpochMs)
    signs_from: Mapped[int | None] = mapped_column(EpochMs)
    retired_at: Mapped[int | None] = mapped_column(EpochMs)
    revoked_at: Mapped[int | None] = mapped_column(EpochMs)


class SealingSecretRow(Row):
    """What cursors are sealed with, in the only row."""

    __tablename__ = "sealing_secrets"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("octet_length(secret) = 32", name="secret"),
    )

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, server_default=text("1"))
    secret: Mapped[bytes]
    created_at: Mapped[int] = mapped_column(EpochMs)


class AccessStateRow(Row):
    """How often anything about access has changed, in the only row, which is always there."""

    __tablename__ = "access_state"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, server_default=text("1"))
    version: Mapped[int]


class RevokedTokenRow(Row):
    """A token that was revoked before its time; kept until it would have ended anyway."""

    __tablename__ = "revoked_tokens"

    jti: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("api_clients.client_id"))
    revoked_at: Mapped[int] = mapped_column(EpochMs)
    expires_at: Mapped[int] = mapped_column(EpochMs)


class GuessRow(Row):
    """How many wrong secrets there were of late: a level that sinks with time, as it was at that moment."""

    __tablename__ = "guesses"
    __table_args__ = (one_of("kind", GUESSES),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[float] = mapped_column(Double)
    at: Mapped[int] = mapped_column(EpochMs)


class KnownAddressRow(Row):
    """An address from which a client has come in of late."""

    __tablename__ = "known_addresses"

    client_id: Mapped[str] = mapped_column(ForeignKey("api_clients.client_id"), primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    last_seen_at: Mapped[int] = mapped_column(EpochMs)


class AuditRow(Row):
    """What somebody did about access, or was refused; a trigger lets nothing be changed or taken away."""

    __tablename__ = "audit_log"
    __table_args__ = (one_of("outcome", AUDIT_OUTCOMES),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[int] = mapped_column(EpochMs)
    action: Mapped[str]
    outcome: Mapped[str]
    actor: Mapped[str | None]
    subject: Mapped[str | None]
    address: Mapped[str | None]
    request_id: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))


class RateWindowRow(Row):
    """How much of its limit a client's processes have taken in its newest minute."""

    __tablename__ = "rate_windows"
    __table_args__ = (one_of("kind", LIMITED),)

    client_id: Mapped[str] = mapped_column(ForeignKey("api_clients.client_id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    window_start: Mapped[int] = mapped_column(EpochMs)
    granted: Mapped[int]


class ClientUsageRow(Row):
    """What a client asked for in an hour; `limited`: requests that were refused as too many."""

    __tablename__ = "client_usage"

    client_id: Mapped[str] = mapped_column(ForeignKey("api_clients.client_id"), primary_key=True)
    hour: Mapped[int] = mapped_column(EpochMs, primary_key=True)
    requests: Mapped[int]
    candles: Mapped[int]
    limited: Mapped[int]


API_CLIENTS = table_of(ApiClientRow)
CLIENT_SECRETS = table_of(ClientSecretRow)
SIGNING_KEYS = table_of(SigningKeyRow)
SEALING_SECRETS = table_of(SealingSecretRow)
ACCESS_STATE = table_of(AccessStateRow)
REVOKED_TOKENS = table_of(RevokedTokenRow)
GUESSES_MADE = table_of(GuessRow)
KNOWN_ADDRESSES = table_of(KnownAddressRow)
AUDIT_LOG = table_of(AuditRow)
RATE_WINDOWS = table_of(RateWindowRow)
CLIENT_USAGE = table_of(ClientUsageRow)
