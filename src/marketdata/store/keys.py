"""The keys that sign tokens: one signs, the next is published already, and those before are believed for a while."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.store.changes import tell_access
from marketdata.store.tables import SIGNING_KEYS

_KEYS_LOCK = 0x4669727374204B65


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair, by its private half."""

    kid: str
    algorithm: Literal["EdDSA"]
    private_key: bytes = field(repr=False)
    created_at: int
    signs_from: int | None
    """Since when it signs, epoch ms; None: it is the next one."""
    retired_at: int | None = None
    """Since when it signs nothing new, epoch ms; tokens that it signed before stay valid until they expire."""
    revoked_at: int | None = None
    """Since when nothing that it signed is believed, epoch ms."""

    @property
    def signs(self) -> bool:
        """Whether tokens are signed with it now."""
        return self.signs_from is not None and self.retired_at is None and self.revoked_at is None

    @property
    def is_next(self) -> bool:
        """Whether it will sign after the one that does."""
        return self.signs_from is None and self.retired_at is None and self.revoked_at is None


async def list_keys(connection: AsyncConnection) -> list[SigningKey]:
    """All keys, the newest first."""
    rows = await connection.execute(select(SIGNING_KEYS).order_by(SIGNING_KEYS.c.created_at.desc(), SIGNING_KEYS.c.kid))
    return [SigningKey(**row) for row in rows.mappings()]


async def ensure_keys(connection: AsyncConnection, make: Callable[[], SigningKey]) -> bool:
    """See that one key signs and one is next, made by `make` as keys that sign; whether any was made.

    Of several callers at once one makes them for all.
    """
    await lock_keys(connection)
    held = await list_keys(connection)
    made = [] if any(key.signs for key in held) else [make()]
    if not any(key.is_next for key in held):
        made.append(replace(make(), signs_from=None))
    for key in made:
        await insert_key(connection, key)
    return bool(made)


async def lock_keys(connection: AsyncConnection) -> None:
    """Be the only one to change the keys until the transaction ends; waits for the others."""
    await connection.execute(select(func.pg_advisory_xact_lock(_KEYS_LOCK)))


async def insert_key(connection: AsyncConnection, key: SigningKey) -> None:
    """Store a new key."""
    await connection.execute(insert(SIGNING_KEYS).values(asdict(key)))
    await tell_access(connection)
