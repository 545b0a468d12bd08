"""All that decides whether an access token is believed, as it is at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.store.changes import get_access_version
from marketdata.store.client_secrets import ClientSecret, list_believed_secrets
from marketdata.store.clients import ApiClient, list_clients
from marketdata.store.keys import SigningKey, list_keys
from marketdata.store.revoked_tokens import list_revoked_tokens
from marketdata.store.sealing import get_sealing_secret


@dataclass(frozen=True, slots=True)
class Access:
    """What is known of clients and keys. Changes never: a later one takes its place."""

    version: int
    """As `changes.get_access_version` gave it."""
    clients: Mapping[str, ApiClient]
    """By client id, those that are disabled or expired too."""
    secrets: Mapping[str, ClientSecret]
    """By secret id, the newest first: those whose tokens are believed, so none that is revoked."""
    revoked_tokens: frozenset[str]
    """The `jti` of each token that was revoked and would else be believed."""
    keys: tuple[SigningKey, ...]
    """The newest first."""
    sealing_secret: bytes | None = field(repr=False)
    """What cursors are sealed with; None: none has been made yet."""

    @property
    def is_complete(self) -> bool:
        """Whether one key signs, another is next, and cursors can be sealed."""
        has_keys = any(key.signs for key in self.keys) and any(key.is_next for key in self.keys)
        return has_keys and self.sealing_secret is not None


async def get_access(connection: AsyncConnection, now_ms: int, longest_ms: int) -> Access:
    """All of it; in a transaction of one instant, else it may be older than its version says, but never newer.

    `longest_ms`: no token that is older can be believed, so secrets that expired before then are left out.
    """
    version = await get_access_version(connection)
    return Access(
        version=version,
        clients={client.client_id: client for client in await list_clients(connection)},
        secrets={one.secret_id: one for one in await list_believed_secrets(connection, now_ms - longest_ms)},
        revoked_tokens=await list_revoked_tokens(connection, now_ms),
        keys=tuple(await list_keys(connection)),
        sealing_secret=await get_sealing_secret(connection),
    )
