"""How a process learns that something about access has changed: a number that grows, and a word on a channel."""

from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.store.tables import ACCESS_STATE

ACCESS_CHANNEL: Final = "marketdata_access"


async def tell_access(connection: AsyncConnection) -> None:
    """Let every process take over, once this transaction is committed, what it changed about access.

    The number is a row and no sequence, so that who reads it reads what belongs to it, too.
    """
    await connection.execute(update(ACCESS_STATE).values(version=ACCESS_STATE.c.version + 1))
    await connection.execute(select(func.pg_notify(ACCESS_CHANNEL, "")))


async def get_access_version(connection: AsyncConnection) -> int:
    """The number that has grown with every change about access."""
    return int((await connection.execute(select(ACCESS_STATE.c.version))).scalar_one())
