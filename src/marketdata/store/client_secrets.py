"""The secrets by which clients are known: two can be live at a time, so that one can be changed for the next."""

import hmac
from dataclasses import asdict, dataclass, field

from sqlalchemy import BigInteger, and_, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.errors import UnknownSecret
from marketdata.store.audit import OPERATOR, Actor, record
from marketdata.store.changes import tell_access
from marketdata.store.secrets import Secret
from marketdata.store.tables import CLIENT_SECRETS, timestamp

LIVE_SECRETS = 2
"""How many secrets of a client can be live at a time."""

_USE_RESOLUTION_MS = 60_000


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A secret as it is stored; the secret itself is known to its owner alone."""

    secret_id: str
    client_id: str
    secret_hash: bytes = field(repr=False)
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    """When a token was last asked for with it, epoch ms, to the minute."""

    def is_live(self, now_ms: int) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now_ms < self.expires_at)

    def is_same(self, secret: Secret) -> bool:
        """Whether `secret` is this one, in a time that does not depend on how wrong it is."""
        return hmac.compare_digest(self.secret_hash, secret.hash())


async def list_secrets(connection: AsyncConnection, client_id: str | None = None) -> list[ClientSecret]:
    """All secrets of a client, or of all of them, the newest first, those that are over included."""
    query = select(CLIENT_SECRETS).order_by(CLIENT_SECRETS.c.created_at.desc(), CLIENT_SECRETS.c.secret_id)
    if client_id is not None:
        query = query.where(CLIENT_SECRETS.c.client_id == client_id)
    return [ClientSecret(**row) for row in (await connection.execute(query)).mappings()]


async def list_believed_secrets(connection: AsyncConnection, expired_since_ms: int) -> list[ClientSecret]:
    """The newest first: those that are not revoked, and live or expired since then."""
    rows = await connection.execute(
        select(CLIENT_SECRETS)
        .where(
            CLIENT_SECRETS.c.revoked_at.is_(None),
            or_(CLIENT_SECRETS.c.expires_at.is_(None), CLIENT_SECRETS.c.expires_at > expired_since_ms),
        )
        .order_by(CLIENT_SECRETS.c.created_at.desc(), CLIENT_SECRETS.c.secret_id)
    )
    return [ClientSecret(**row) for row in rows.mappings()]


async def insert_secret(
    connection: AsyncConnection, client_id: str, now_ms: int, expires_at_ms: int | None = None
) -> Secret:
    """Give a client a new secret; others go on. The caller tells of it and writes it down."""
    secret = Secret.make()
    stored = ClientSecret(secret.id, client_id, secret.hash(), now_ms, expires_at_ms, None, None)
    await connection.execute(insert(CLIENT_SECRETS).values(asdict(stored)))
    return secret


async def end_secret(connection: AsyncConnection, client_id: str, secret_id: str, now_ms: int) -> None:
    """As `revoke_secret`, but the caller tells of it and writes it down."""
    changed = await connection.execute(
        update(CLIENT_SECRETS)
        .where(CLIENT_SECRETS.c.client_id == client_id, CLIENT_SECRETS.c.secret_id == secret_id)
        .values(revoked_at=func.coalesce(CLIENT_SECRETS.c.revoked_at, timestamp(literal(now_ms, BigInteger))))
    )
    if not changed.rowcount:
        raise UnknownSecret


async def revoke_secret(
    connection: AsyncConnection, client_id: str, secret_id: str, now_ms: int, *, by: Actor = OPERATOR
) -> None:
    """End a secret of a client, and all tokens that were got with it, now or when it already was.

    Raises UnknownSecret.
    """
    await end_secret(connection, client_id, secret_id, now_ms)
    await tell_access(connection)
    await record(connection, now_ms, "secret.revoked", by, subject=client_id, details={"secret_id": secret_id})


async def record_use(connection: AsyncConnection, secret_id: str, now_ms: int) -> None:
    """Note that a token was asked for with a secret; writes at most once a minute."""
    last = CLIENT_SECRETS.c.last_used_at
    await connection.execute(
        update(CLIENT_SECRETS)
        .where(and_(CLIENT_SECRETS.c.secret_id == secret_id, or_(last.is_(None), last < now_ms - _USE_RESOLUTION_MS)))
        .values(last_used_at=now_ms)
    )
