"""An API on a socket whose exchanges a test puts in place."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx2
import uvicorn

from marketdata.api.app import create_app
from marketdata.api.services import Services
from marketdata.core.clock import Clock
from marketdata.core.exchanges import BUILT_IN
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId, Source
from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.store.installation import claim_source
from tests.api.conftest import SYMBOLS, store_symbols
from tests.e2e.platform import serving
from tests.unlimited import unlimited


@dataclass
class FaultyApi:
    """It holds a few instruments, all with candles of an hour that `url` and `latest` ask for."""

    url: str
    headers: dict[str, str]
    http: httpx2.AsyncClient
    """A client who may read."""
    upstream: httpx2.AsyncClient
    """What Fetchers are made with."""
    fetchers: dict[ExchangeId, Fetcher]
    """Whom it asks; may be changed."""


@asynccontextmanager
async def faulty_api(database_url: str, clock: Clock) -> AsyncIterator[FaultyApi]:
    """One, while the block runs; its exchanges are still to be put in place."""
    database = Database(database_url)
    async with AsyncExitStack() as opened:
        opened.push_async_callback(database.dispose)
        await store_symbols(database, SYMBOLS, clock.now_ms())
        async with database.transaction() as connection:
            await claim_source(connection, Source.SIMULATED, clock.now_ms())
            client, _ = await create_client(connection, "tests", ("candles:read",), clock.now_ms())
        upstream = await opened.enter_async_context(open_http())
        fetchers = {adapter.exchange: Fetcher(adapter(), upstream, clock) for adapter in BUILT_IN}
        app = create_app(database, fetchers, clock, unlimited(token_ttl=3600))
        services: Services = app.state.services
        await services.refresh()
        token = services.tokens.issue(client.client_id, ("candles:read",))
        # without its lifespan, which would refresh on a clock that nobody moves
        config = uvicorn.Config(app, http="httptools", log_config=None, access_log=False, lifespan="off")
        url = await opened.enter_async_context(serving(config))
        headers = {"Authorization": f"Bearer {token}"}
        http = httpx2.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False)
        yield FaultyApi(url, headers, await opened.enter_async_context(http), upstream, fetchers)
