"""What a database is for: it belongs to one source of data, stored at its first sync."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.errors import SourceMismatch
from marketdata.core.models import Source
from marketdata.store.tables import INSTALLATION


async def get_source(connection: AsyncConnection) -> Source | None:
    """The source that the database belongs to; None before its first sync."""
    stored = (await connection.execute(select(INSTALLATION.c.source))).scalar_one_or_none()
    return None if stored is None else Source(stored)


async def claim_source(connection: AsyncConnection, source: Source, now_ms: int) -> None:
    """Make the database belong to `source`, or make sure that it does. Raises SourceMismatch."""
    stored = await get_source(connection)
    if stored is None:
        # of two first syncs at once the second waits here for the first's transaction
        await connection.execute(
            insert(INSTALLATION).values(source=source.value, created_at=now_ms).on_conflict_do_nothing()
        )
        stored = await get_source(connection)
    if stored is not None and stored is not source:
        raise SourceMismatch(stored=stored, offered=source)
