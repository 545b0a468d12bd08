"""One process of the API by itself, which holds a few instruments."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from marketdata.core.models import Source
from marketdata.store.engine import Database
from marketdata.store.installation import claim_source
from tests.api.conftest import NOW_MS, SYMBOLS, store_symbols
from tests.e2e.budget.installation import Service, free_port
from tests.unlimited import UNLIMITED

NOWHERE = "http://127.0.0.1:9"
NO_EXCHANGES = {"binance_futures_url": NOWHERE, "hyperliquid_url": NOWHERE, "coinbase_url": NOWHERE}


@asynccontextmanager
async def api_alone(database_url: str, **settings: str) -> AsyncIterator[Service]:
    """It serves; nothing of it is left after the block. Without URLs in `settings` there is no exchange to ask."""
    database = Database(database_url)
    await store_symbols(database, SYMBOLS, NOW_MS)
    async with database.transaction() as connection:
        await claim_source(connection, Source.SIMULATED, NOW_MS)
    await database.dispose()
    port = free_port()
    known = {"database_url": database_url, "port": str(port), **NO_EXCHANGES, **UNLIMITED}
    service = Service(("api",), {**known, **settings}, port)
    service.start()
    try:
        await service.ready()
        service.hang_up()
        yield service
    finally:
        service.kill()
