"""API clients: who may ask, for what and how much, and the secrets by which they are known."""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import BigInteger, RowMapping, and_, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.store.changes import tell_access
from marketdata.store.secrets import Secret
from marketdata.store.tables import API_CLIENTS, CLIENT_SECRETS, EpochMs, timestamp

LIVE_SECRETS = 2
"""How many secrets of a client can be live at a time, so that its owner can change from one to the next."""

_USE_RESOLUTION_MS = 60_000
_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class ApiClient:
    """An API client as it is stored."""

    client_id: str
    name: str
    scopes: tuple[str, ...]
    requests_per_minute: int | None
    """None: what the installation grants."""
    candles_per_minute: int | None
    created_at: int
    expires_at: int | None
    disabled_at: int | None

    def is_active(self, now_ms: int) -> bool:
        """Neither disabled nor expired."""
        return self.disabled_at is None and (self.expires_at is None or now_ms < self.expires_at)


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


async def get_client(connection: AsyncConnection, client_id: str) -> ApiClient | None:
    """The client of that id, active or not."""
    rows = await connection.execute(select(API_CLIENTS).where(API_CLIENTS.c.client_id == client_id))
    row = rows.mappings().one_or_none()
    return None if row is None else _client(row)


async def list_clients(connection: AsyncConnection) -> list[ApiClient]:
    """All clients, oldest first."""
    rows = await connection.execute(select(API_CLIENTS).order_by(API_CLIENTS.c.created_at, API_CLIENTS.c.client_id))
    return [_client(row) for row in rows.mappings()]


async def create_client(
    connection: AsyncConnection, name: str, scopes: Sequence[str], now_ms: int, expires_at_ms: int | None = None
) -> tuple[ApiClient, str]:
    """Make a client with some of `scopes.SCOPES`; returns it with its secret, which is shown this once and not kept."""
    client = ApiClient(
        client_id=f"mdc_{secrets.token_hex(_ID_BYTES)}",
        name=name,
        scopes=tuple(scopes),
        requests_per_minute=None,
        candles_per_minute=None,
        created_at=now_ms,
        expires_at=expires_at_ms,
        disabled_at=None,
    )
    await connection.execute(insert(API_CLIENTS).values({**asdict(client), "scopes": list(scopes)}))
    return client, await _add_secret(connection, client.client_id, now_ms)


async def list_secrets(connection: AsyncConnection, client_id: str) -> list[ClientSecret]:
    """All secrets of a client, the newest first, those that are over included."""
    rows = await connection.execute(
        select(CLIENT_SECRETS)
        .where(CLIENT_SECRETS.c.client_id == client_id)
        .order_by(CLIENT_SECRETS.c.created_at.desc(), CLIENT_SECRETS.c.secret_id)
    )
    return [ClientSecret(**row) for row in rows.mappings()]


async def list_last_used(connection: AsyncConnection) -> Mapping[str, int | None]:
    """When each client last asked for a token, epoch ms."""
    latest = func.max(CLIENT_SECRETS.c.last_used_at, type_=EpochMs())
    rows = await connection.execute(select(CLIENT_SECRETS.c.client_id, latest).group_by(CLIENT_SECRETS.c.client_id))
    return {row.client_id: row[1] for row in rows}


async def list_clients_with_use(connection: AsyncConnection) -> list[tuple[ApiClient, int | None]]:
    """All clients, oldest first, each with when it last asked for a token."""
    used = await list_last_used(connection)
    return [(client, used.get(client.client_id)) for client in await list_clients(connection)]


async def rotate_client(connection: AsyncConnection, client_id: str, now_ms: int) -> str | None:
    """Give a client a new secret, which is returned; the one before goes on, older ones end.

    None: there is no such client.
    """
    locked = await connection.execute(
        select(API_CLIENTS.c.client_id).where(API_CLIENTS.c.client_id == client_id).with_for_update()
    )
    if locked.scalar_one_or_none() is None:
        return None
    live = [secret for secret in await list_secrets(connection, client_id) if secret.is_live(now_ms)]
    for secret in live[LIVE_SECRETS - 1 :]:
        await revoke_secret(connection, client_id, secret.secret_id, now_ms)
    return await _add_secret(connection, client_id, now_ms)


async def revoke_secret(connection: AsyncConnection, client_id: str, secret_id: str, now_ms: int) -> bool:
    """End a secret of a client, now or when it already was. False: the client has none of that id."""
    changed = await connection.execute(
        update(CLIENT_SECRETS)
        .where(CLIENT_SECRETS.c.client_id == client_id, CLIENT_SECRETS.c.secret_id == secret_id)
        .values(revoked_at=func.coalesce(CLIENT_SECRETS.c.revoked_at, timestamp(literal(now_ms, BigInteger))))
    )
    return await _tell(connection, changed.rowcount)


async def disable_client(connection: AsyncConnection, client_id: str, now_ms: int) -> bool:
    """Disable a client for good, from now or from when it already was. False: there is no such client."""
    changed = await connection.execute(
        update(API_CLIENTS)
        .where(API_CLIENTS.c.client_id == client_id)
        .values(disabled_at=func.coalesce(API_CLIENTS.c.disabled_at, timestamp(literal(now_ms, BigInteger))))
    )
    return await _tell(connection, changed.rowcount)


async def record_use(connection: AsyncConnection, secret_id: str, now_ms: int) -> None:
    """Note that a token was asked for with a secret; writes at most once a minute."""
    last = CLIENT_SECRETS.c.last_used_at
    await connection.execute(
        update(CLIENT_SECRETS)
        .where(and_(CLIENT_SECRETS.c.secret_id == secret_id, or_(last.is_(None), last < now_ms - _USE_RESOLUTION_MS)))
        .values(last_used_at=now_ms)
    )


async def _add_secret(
    connection: AsyncConnection, client_id: str, now_ms: int, expires_at_ms: int | None = None
) -> str:
    secret = Secret.make()
    stored = ClientSecret(secret.id, client_id, secret.hash(), now_ms, expires_at_ms, None, None)
    await connection.execute(insert(CLIENT_SECRETS).values(asdict(stored)))
    await tell_access(connection)
    return secret.text


async def _tell(connection: AsyncConnection, changed: int) -> bool:
    if changed:
        await tell_access(connection)
    return changed > 0


def _client(row: RowMapping) -> ApiClient:
    return ApiClient(**{**row, "scopes": tuple(row["scopes"])})
