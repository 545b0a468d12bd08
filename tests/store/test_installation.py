import asyncio

import pytest

from marketdata.core.errors import SourceMismatch
from marketdata.core.models import Source
from marketdata.store.engine import Database
from marketdata.store.installation import claim_source, get_source


async def claim(database: Database, source: Source) -> None:
    async with database.transaction() as connection:
        await claim_source(connection, source, now_ms=1767225600000)


async def test_first_sync_decides_for_good(database: Database) -> None:
    async with database.transaction() as connection:
        assert await get_source(connection) is None
    await claim(database, Source.SIMULATED)
    await claim(database, Source.SIMULATED)
    with pytest.raises(SourceMismatch) as caught:
        await claim(database, Source.LIVE)
    assert (caught.value.stored, caught.value.offered) == (Source.SIMULATED, Source.LIVE)
    async with database.transaction() as connection:
        assert await get_source(connection) is Source.SIMULATED


async def test_of_two_sources_at_once_one_is_refused(database: Database) -> None:
    results = await asyncio.gather(
        claim(database, Source.LIVE), claim(database, Source.RECORDED), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "SourceMismatch"]
