"""API clients: who may ask, and for what."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import BigInteger, RowMapping, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.store.tables import API_CLIENTS, timestamp

_USE_RESOLUTION_MS = 60_000
_ID_BYTES = 8
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class ApiClient:
    """An API client as it is stored; the secret itself is known to its owner alone."""

    client_id: str
    name: str
    secret_hash: bytes = field(repr=False)
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int | None
    disabled_at: int | None
    last_used_at: int | None
    """When it last asked for a token, epoch ms, to the minute."""

    def is_active(self, now_ms: int) -> bool:
        """Neither disabled nor expired."""
        return self.disabled_at is None and (self.expires_at is None or now_ms < self.expires_at)

    def has_secret(self, secret: str) -> bool:
        """Whether `secret` is its own, in a time that does not depend on how wrong it is."""
        return hmac.compare_digest(self.secret_hash, _hash(secret))


async def get_client(connection: AsyncConnection, client_id: str) -> ApiClient | None:
    """The client of that id, active or not."""
    row = (
        (await connection.execute(select(API_CLIENTS).where(API_CLIENTS.c.client_id == client_id)))
        .mappings()
        .one_or_none()
    )
    return None if row is None else _client(row)


async def list_clients(connection: AsyncConnection) -> list[ApiClient]:
    """All clients, oldest first."""
    rows = await connection.execute(select(API_CLIENTS).order_by(API_CLIENTS.c.created_at, API_CLIENTS.c.client_id))
    return [_client(row) for row in rows.mappings()]


async def create_client(
    connection: AsyncConnection, name: str, scopes: Sequence[str], now_ms: int, expires_at_ms: int | None = None
) -> tuple[ApiClient, str]:
    """Make a client with some of `scopes.SCOPES`; returns it with its secret, which is shown this once and not kept."""
    secret = _new_secret()
    client = ApiClient(
        client_id=f"mdc_{secrets.token_hex(_ID_BYTES)}",
        name=name,
        secret_hash=_hash(secret),
        scopes=tuple(scopes),
        created_at=now_ms,
        expires_at=expires_at_ms,
        disabled_at=None,
        last_used_at=None,
    )
    await connection.execute(insert(API_CLIENTS).values({**asdict(client), "scopes": list(scopes)}))
    return client, secret


async def rotate_client(connection: AsyncConnection, client_id: str) -> str | None:
    """Give a client a new secret, which is returned; the old one is void at once. None: there is no such client."""
    secret = _new_secret()
    changed = await connection.execute(
        update(API_CLIENTS).where(API_CLIENTS.c.client_id == client_id).values(secret_hash=_hash(secret))
    )
    return secret if changed.rowcount else None


async def disable_client(connection: AsyncConnection, client_id: str, now_ms: int) -> bool:
    """Disable a client for good, from now or from when it already was. False: there is no such client."""
    changed = await connection.execute(
        update(API_CLIENTS)
        .where(API_CLIENTS.c.client_id == client_id)
        .values(disabled_at=func.coalesce(API_CLIENTS.c.disabled_at, timestamp(literal(now_ms, BigInteger))))
    )
    return changed.rowcount > 0


async def record_use(connection: AsyncConnection, client_id: str, now_ms: int) -> None:
    """Note that a client asked for a token; writes at most once a minute."""
    last = API_CLIENTS.c.last_used_at
    await connection.execute(
        update(API_CLIENTS)
        .where(API_CLIENTS.c.client_id == client_id, or_(last.is_(None), last < now_ms - _USE_RESOLUTION_MS))
        .values(last_used_at=now_ms)
    )


def _client(row: RowMapping) -> ApiClient:
    return ApiClient(**{**row, "scopes": tuple(row["scopes"])})


def _new_secret() -> str:
    return f"mds_{secrets.token_urlsafe(_SECRET_BYTES)}"


def _hash(secret: str) -> bytes:
    """256 random bits cannot be guessed, so a fast hash without salt keeps them as well as a slow one."""
    return hashlib.sha256(secret.encode()).digest()
