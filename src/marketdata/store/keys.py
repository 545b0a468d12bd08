"""The keys that sign tokens."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Literal

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.store.tables import SIGNING_KEYS

_FIRST_KEY_LOCK = 0x4669727374204B65


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


async def list_keys(connection: AsyncConnection) -> list[SigningKey]:
    """All keys, the newest first."""
    rows = await connection.execute(select(SIGNING_KEYS).order_by(SIGNING_KEYS.c.created_at.desc(), SIGNING_KEYS.c.kid))
    return [SigningKey(**row) for row in rows.mappings()]


async def ensure_key(connection: AsyncConnection, make: Callable[[], SigningKey]) -> SigningKey:
    """The newest key that signs; without one, `make` makes it. Of several callers at once one makes it for all."""
    await connection.execute(select(func.pg_advisory_xact_lock(_FIRST_KEY_LOCK)))
    for key in await list_keys(connection):
        if key.retired_at is None:
            return key
    key = make()
    await connection.execute(insert(SIGNING_KEYS).values(asdict(key)))
    return key
