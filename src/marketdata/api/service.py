"""The API as a running service."""

from contextlib import AsyncExitStack
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from marketdata.api.app import create_app
from marketdata.api.settings import ApiSettings
from marketdata.core.clock import Clock
from marketdata.core.exchanges import get_adapter
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.settings import ExchangeSettings
from marketdata.store.engine import Database

_SHUTDOWN_S: Final = 20
"""How long requests under way may take to end when the service is stopped."""


async def serve(database_url: str, exchanges: ExchangeSettings, settings: ApiSettings, clock: Clock) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are finished. The database may come and go meanwhile."""
    async with AsyncExitStack() as opened:
        http = await opened.enter_async_context(open_http())
        database = Database(database_url)
        opened.push_async_callback(database.dispose)
        fetchers = {
            exchange: Fetcher(get_adapter(exchange), http, clock, exchanges.base_url(exchange))
            for exchange in exchanges.exchanges
        }
        app = create_app(database, fetchers, clock, settings)
        await server(app, settings).serve()


def server(app: ASGIApp, settings: ApiSettings) -> uvicorn.Server:
    """The HTTP server for `app`; it logs through `logging` as set up by the caller and prints nothing."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
    )
