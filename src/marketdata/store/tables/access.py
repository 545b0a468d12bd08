"""Who may call the API, and what its tokens are signed with."""

from sqlalchemy import ARRAY, CheckConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from marketdata.store.scopes import SCOPES
from marketdata.store.tables.columns import EpochMs, Row, array_of, one_of, table_of

ALGORITHMS = ("EdDSA",)
"""What a signing key is for, by its JOSE name."""


class ApiClientRow(Row):
    """Who may call the API. Only a hash of the secret is kept."""

    __tablename__ = "api_clients"
    __table_args__ = (
        array_of("scopes", SCOPES),
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
    __table_args__ = (one_of("algorithm", ALGORITHMS),)

    kid: Mapped[str] = mapped_column(primary_key=True)
    algorithm: Mapped[str]
    private_key: Mapped[bytes]
    created_at: Mapped[int] = mapped_column(EpochMs)
    retired_at: Mapped[int | None] = mapped_column(EpochMs)


API_CLIENTS = table_of(ApiClientRow)
SIGNING_KEYS = table_of(SigningKeyRow)
