"""The API as a running service."""

import asyncio
import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from marketdata.api.app import create_app
from marketdata.api.settings import ApiSettings
from marketdata.core.budget import ExchangeBudget
from marketdata.core.clock import Clock
from marketdata.core.errors import InvalidSetting
from marketdata.core.exchanges import get_adapter
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.settings import ExchangeSettings
from marketdata.store.budgets import open_budgets
from marketdata.store.engine import Database
from marketdata.store.rates import open_rates

_SHUTDOWN_S: Final = 20
"""How long requests under way may take to end when the service is stopped."""

_BACKLOG: Final = 2048


async def serve(database_url: str, exchanges: ExchangeSettings, settings: ApiSettings, clock: Clock) -> None:
    """Serve until SIGINT or SIGTERM, or until cancelled; requests under way are finished first.

    Database and exchanges may come and go meanwhile. Raises InvalidSetting when it cannot listen where it should.
    """
    async with AsyncExitStack() as opened:
        listening = opened.enter_context(listen(settings.host, settings.port))
        http = await opened.enter_async_context(open_http())
        database = Database(database_url)
        opened.push_async_callback(database.dispose)
        budgets = await opened.enter_async_context(open_budgets(database_url, clock))
        fetchers = {}
        for exchange in exchanges.exchanges:
            adapter = get_adapter(exchange)
            budget = ExchangeBudget(exchange, adapter.capabilities.budget, clock, pool=budgets, role="api")
            fetchers[exchange] = Fetcher(adapter, http, clock, exchanges.base_url(exchange), budget=budget)
        rates = await opened.enter_async_context(open_rates(database_url, clock))
        app = create_app(database, fetchers, clock, settings, sync_interval_s=exchanges.sync_interval, rates=rates)
        server = Server(app)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
        await server.serve_on(listening)


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; port 0 takes any free one. Raises InvalidSetting when the place is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named as TCP, else asyncio leaves Nagle's algorithm on and each answer waits 40 ms
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            setting = "MARKETDATA_HOST" if isinstance(error, socket.gaierror) else "MARKETDATA_PORT"
            raise InvalidSetting(setting, f"cannot listen on {host} port {port}: {error.strerror}") from error
        listening.listen(_BACKLOG)
        yield listening


class Server(uvicorn.Server):
    """uvicorn as a part of a program: it logs through `logging` as that is set up, and leaves signals to the caller."""

    def __init__(self, app: ASGIApp) -> None:
        """A server for `app`, whose lifespan it runs."""
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_SHUTDOWN_S,
            )
        )

    async def serve_on(self, listening: socket.socket) -> None:
        """Serve until told to exit or cancelled; either way requests under way are finished first."""
        gc.freeze()  # what is loaded stays: to look through it for garbage would hold up all requests for 0.1 s
        serving = asyncio.create_task(self.serve([listening]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.should_exit = True
            await serving
            raise

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: uvicorn's own way kills the process by the signal again once it has shut down."""
        yield
