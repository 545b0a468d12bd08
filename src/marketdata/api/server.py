"""The API as a running service."""

import asyncio
import gc
import logging
import math
import select
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from ipaddress import IPv4Network, IPv6Network
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from marketdata.api.app import create_app
from marketdata.api.edge import Edge, Limits
from marketdata.api.open_files import allow_files
from marketdata.api.protocol import Connection, EdgeConfig
from marketdata.api.services import Services
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

_STOP_S: Final = 28
"""How long draining and requests under way may take when the service is stopped."""

_BACKLOG: Final = 2048

_DATABASE_DEADLINE_S: Final = 2.0
"""How long a request waits for a connection to the database, and then for its answer."""

_STEP_S: Final = 0.1
"""How soon a second Ctrl-C is noticed while draining."""

_LET_IN: Final = 1000
"""In so many rounds of the loop a stopping server accepts those who were there before: more may come all the time."""

_OTHER_FILES: Final = 150
"""Open files beside the connections: the database's, the exchanges', the event loop's, modules."""

logger = logging.getLogger(__name__)


async def serve(database_url: str, exchanges: ExchangeSettings, settings: ApiSettings, clock: Clock) -> None:
    """Serve until SIGINT or SIGTERM, or until cancelled; requests under way are finished first.

    Database and exchanges may come and go meanwhile. Raises InvalidSetting when it cannot listen where it should.
    """
    limits = Limits(connections=settings.max_connections)
    allow_files(limits.connections + limits.spare + settings.database_pool + _OTHER_FILES)
    async with AsyncExitStack() as opened:
        listening = opened.enter_context(listen(settings.host, settings.port))
        http = await opened.enter_async_context(open_http())
        database = Database(database_url, deadline_s=_DATABASE_DEADLINE_S, pool_size=settings.database_pool)
        opened.push_async_callback(database.dispose)
        budgets = await opened.enter_async_context(open_budgets(database_url, clock))
        fetchers = {}
        for exchange in exchanges.exchanges:
            adapter = get_adapter(exchange)
            budget = ExchangeBudget(exchange, adapter.capabilities.budget, clock, pool=budgets, role="api")
            fetchers[exchange] = Fetcher(adapter, http, clock, exchanges.base_url(exchange), budget=budget)
        rates = await opened.enter_async_context(open_rates(database_url, clock))
        app = create_app(database, fetchers, clock, settings, sync_interval_s=exchanges.sync_interval, rates=rates)
        services: Services = app.state.services
        server = Server(app, Edge(limits, clock), settings, on_stop=services.stop)
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

    def __init__(
        self,
        app: ASGIApp,
        edge: Edge | None = None,
        settings: ApiSettings | None = None,
        *,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """A server for `app`, whose lifespan it runs; `on_stop` is called when it begins to stop."""
        self._edge = edge or Edge()
        self._on_stop = on_stop
        settings = settings or ApiSettings()
        self._drain_s = settings.drain
        config = EdgeConfig(
            app,
            http=Connection,
            ws="none",
            lifespan="on",
            workers=1,
            log_config=None,
            access_log=False,
            server_header=False,
            # both always said: what is not would be taken from the environment of uvicorn's own command
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=trusted_hosts(settings.trusted_proxies),
            root_path=settings.root_path,
            timeout_graceful_shutdown=_STOP_S - math.ceil(settings.drain),
        )
        config.edge = self._edge
        super().__init__(config)

    async def serve_on(self, listening: socket.socket) -> None:
        """Serve until told to exit or cancelled; either way requests under way are finished first."""
        gc.freeze()  # what is loaded stays: to look through it for garbage would hold up all requests for 0.1 s
        looking = asyncio.create_task(self._keep_looking())
        serving = asyncio.create_task(self.serve([listening]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.should_exit = True
            await serving
            raise
        finally:
            looking.cancel()

    async def _keep_looking(self) -> None:
        """Look at all connections for ever, whether their peers are late."""
        while True:
            await asyncio.sleep(self._edge.limits.look_s)
            await asyncio.sleep(0)  # what came while we were held up ourselves is read first
            now = self._edge.clock.monotonic()
            for connection in self._connections():
                try:
                    connection.look(now)
                except Exception:
                    # a defect must not take the deadlines from all the others
                    logger.exception("defect while looking at a connection")
            self._relieve()

    def _relieve(self) -> None:
        """Bound the memory that answers take which nobody takes."""
        waiting = {connection: connection.unsent_bytes for connection in self._connections()}
        excess = sum(waiting.values()) - self._edge.limits.unsent_bytes
        for connection in sorted(waiting, key=waiting.__getitem__, reverse=True):
            if excess <= 0:
                return
            connection.cut_off()
            excess -= waiting[connection]

    def _connections(self) -> list[Connection]:
        return [connection for connection in self.server_state.connections if isinstance(connection, Connection)]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let it be known first, serve on for the time of draining, then finish what is under way."""
        self._edge.is_stopping = True
        self._on_stop()
        for connection in self._connections():
            connection.stop()
        steps = math.ceil(self._drain_s / _STEP_S)
        for _ in range(steps):
            if self.force_exit:
                break
            await asyncio.sleep(self._drain_s / steps)
        await self._let_in(sockets or [])
        await super().shutdown(sockets)

    async def _let_in(self, sockets: list[socket.socket]) -> None:
        """Accept those who are connected as far as they know: to close the door on them would reset them."""
        knocking = select.poll()
        for listening in sockets:
            knocking.register(listening, select.POLLIN)
        for _ in range(_LET_IN):
            if not knocking.poll(0):
                break
            await asyncio.sleep(0)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: uvicorn's own way kills the process by the signal again once it has shut down."""
        yield


def trusted_hosts(networks: Iterable[IPv4Network | IPv6Network]) -> list[str]:
    """The networks as uvicorn takes them, also as the addresses that IPv4 peers have on an IPv6 socket."""
    mapped = [f"::ffff:{net.network_address}/{96 + net.prefixlen}" for net in networks if net.version == 4]
    return [*map(str, networks), *mapped]
