"""What cursors are sealed with: one secret per installation, made once, so that a cursor outlives every signing key."""

import secrets

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.store.tables import SEALING_SECRETS

_BYTES = 32


async def get_sealing_secret(connection: AsyncConnection) -> bytes | None:
    """The secret; None: none has been made yet."""
    found: bytes | None = (await connection.execute(select(SEALING_SECRETS.c.secret))).scalar_one_or_none()
    return found


async def ensure_sealing_secret(connection: AsyncConnection, now_ms: int) -> None:
    """Make the secret if there is none; of several callers at once one makes it for all."""
    await connection.execute(
        insert(SEALING_SECRETS).values(secret=secrets.token_bytes(_BYTES), created_at=now_ms).on_conflict_do_nothing()
    )
