"""API clients: who may ask, for what and how much. Each change is told to all processes and written down."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypedDict

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.errors import ClientDisabled, UnknownClient
from marketdata.store.audit import OPERATOR, Actor, record
from marketdata.store.changes import tell_access
from marketdata.store.client_secrets import LIVE_SECRETS, end_secret, insert_secret, list_secrets
from marketdata.store.tables import API_CLIENTS

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


class ClientChanges(TypedDict, total=False):
    """What can be changed of a client; what is left out stays."""

    name: str
    scopes: Sequence[str]
    requests_per_minute: int | None
    candles_per_minute: int | None
    expires_at: int | None


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
    connection: AsyncConnection,
    name: str,
    scopes: Sequence[str],
    now_ms: int,
    expires_at_ms: int | None = None,
    *,
    requests_per_minute: int | None = None,
    candles_per_minute: int | None = None,
    by: Actor = OPERATOR,
) -> tuple[ApiClient, str]:
    """Make a client with some of `scopes.SCOPES`; returns it with its secret, which is shown this once and not kept."""
    client = ApiClient(
        client_id=f"mdc_{secrets.token_hex(_ID_BYTES)}",
        name=name,
        scopes=tuple(scopes),
        requests_per_minute=requests_per_minute,
        candles_per_minute=candles_per_minute,
        created_at=now_ms,
        expires_at=expires_at_ms,
        disabled_at=None,
    )
    await connection.execute(insert(API_CLIENTS).values({**asdict(client), "scopes": list(scopes)}))
    secret = await insert_secret(connection, client.client_id, now_ms)
    await tell_access(connection)
    told = {field: value for field, value in asdict(client).items() if field not in {"client_id", "created_at"}}
    told |= {"secret_id": secret.id}
    await record(connection, now_ms, "client.created", by, subject=client.client_id, details=told)
    return client, secret.text


async def update_client(
    connection: AsyncConnection, client_id: str, changes: ClientChanges, now_ms: int, *, by: Actor = OPERATOR
) -> ApiClient:
    """Change what `changes` holds; tokens that are out are worth what the client may from then on.

    Raises UnknownClient.
    """
    before = await _lock(connection, client_id)
    values = {**changes, "scopes": list(changes["scopes"])} if "scopes" in changes else dict(changes)
    if values:
        await connection.execute(update(API_CLIENTS).where(API_CLIENTS.c.client_id == client_id).values(values))
    after = await _lock(connection, client_id)
    old, new = asdict(before), asdict(after)
    changed = {field: {"old": old[field], "new": new[field]} for field in new if new[field] != old[field]}
    if changed:
        await tell_access(connection)
        await record(connection, now_ms, "client.updated", by, subject=client_id, details={"changed": changed})
    return after


async def disable_client(
    connection: AsyncConnection, client_id: str, now_ms: int, *, by: Actor = OPERATOR
) -> ApiClient:
    """Disable a client for good, from now or from when it already was. Raises UnknownClient."""
    before = await _lock(connection, client_id)
    if before.disabled_at is not None:
        return before
    its = API_CLIENTS.c.client_id == client_id
    await connection.execute(update(API_CLIENTS).where(its).values(disabled_at=now_ms))
    await tell_access(connection)
    await record(connection, now_ms, "client.disabled", by, subject=client_id)
    return await _lock(connection, client_id)


async def rotate_client(
    connection: AsyncConnection,
    client_id: str,
    now_ms: int,
    expires_at_ms: int | None = None,
    *,
    revoke: bool = False,
    by: Actor = OPERATOR,
) -> str:
    """Give a client a new secret, which is returned; the one before goes on, older ones end.

    `expires_at_ms`: when the new one ends; `revoke`: let none of the others go on. Raises UnknownClient and
    ClientDisabled.
    """
    client = await _lock(connection, client_id)
    if client.disabled_at is not None:
        raise ClientDisabled
    live = [secret.secret_id for secret in await list_secrets(connection, client_id) if secret.is_live(now_ms)]
    ended = live[0 if revoke else LIVE_SECRETS - 1 :]
    for secret_id in ended:
        await end_secret(connection, client_id, secret_id, now_ms)
    new = await insert_secret(connection, client_id, now_ms, expires_at_ms)
    await tell_access(connection)
    # written down last, when nothing is waited for any more: see `audit.record`
    for secret_id in ended:
        await record(connection, now_ms, "secret.revoked", by, subject=client_id, details={"secret_id": secret_id})
    told = {"secret_id": new.id, "secret_expires_at": expires_at_ms}
    await record(connection, now_ms, "client.rotated", by, subject=client_id, details=told)
    return new.text


async def _lock(connection: AsyncConnection, client_id: str) -> ApiClient:
    """The client, which nobody else changes until the transaction ends. Raises UnknownClient."""
    rows = await connection.execute(
        select(API_CLIENTS).where(API_CLIENTS.c.client_id == client_id).with_for_update(key_share=True)
    )
    row = rows.mappings().one_or_none()
    if row is None:
        raise UnknownClient
    return _client(row)


def _client(row: RowMapping) -> ApiClient:
    return ApiClient(**{**row, "scopes": tuple(row["scopes"])})
