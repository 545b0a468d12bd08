"""The platform as one process group: its parts in the order in which they start, and what a user is told meanwhile."""

import math
import shlex
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from ipaddress import ip_address

from marketdata.api.settings import ApiSettings
from marketdata.cli.children import Part, running_part
from marketdata.cli.services import free_port
from marketdata.cli.settings import environment, read_settings
from marketdata.cli.welcome import Welcome, find_access, find_instrument, make_token
from marketdata.core.clock import SystemClock
from marketdata.core.errors import InvalidSetting, StoreError
from marketdata.core.fetch import is_answering, open_http
from marketdata.core.models import ExchangeId, Source
from marketdata.core.settings import load_exchange_settings
from marketdata.store.engine import Database
from marketdata.store.installation import get_source
from marketdata.store.migrate import migrate
from marketdata.store.settings import DatabaseSettings
from marketdata.store.syncs import SyncRun, last_runs

_SIMULATED = {"binance_futures": "binance", "hyperliquid": "hyperliquid", "coinbase": "coinbase"}
"""Exchange → its path at the simulator."""

_POLL_S = 0.05
_PATIENCE_S = 30.0
"""How long the first syncs and the API may take before the rest is told without them."""


def command_on(database: DatabaseSettings) -> str:
    """How this command is called so that it works on that database, from the same folder as now."""
    command = shlex.quote(sys.argv[0])
    data_dir = DatabaseSettings.model_fields["data_dir"].default
    if database.database_url is not None or database.data_dir == data_dir:
        return command
    return f"MARKETDATA_DATA_DIR={shlex.quote(str(database.data_dir))} {command}"


class Platform:
    """The parts, in the order in which they start, and what is told meanwhile."""

    def __init__(self, url: str, database: DatabaseSettings, api: ApiSettings, *, demo: bool) -> None:
        """`url`: of the open database of these settings; `demo`: simulate the exchanges and use those."""
        self._url = url
        self._data = str(database.data_dir.resolve()) if database.database_url is None else "MARKETDATA_DATABASE_URL"
        self._command = command_on(database)
        self._api = api
        self._demo = demo
        self._clock = SystemClock()
        self._exchanges = read_settings(load_exchange_settings).exchanges
        self._parts: list[Part] = []
        self._http = open_http()
        self._environment = environment(
            MARKETDATA_DATABASE_URL=url, MARKETDATA_HOST=api.host, MARKETDATA_PORT=str(api.port)
        )
        if demo:
            self._exchanges = tuple(exchange for exchange in self._exchanges if exchange in _SIMULATED)
            if not self._exchanges:
                raise InvalidSetting("MARKETDATA_EXCHANGES", f"the demo simulates {', '.join(_SIMULATED)} only")
            self._environment["MARKETDATA_EXCHANGES"] = ",".join(self._exchanges)

    async def run(self) -> None:
        """Run until cancelled or until a part ends by itself (PartEnded); all parts are stopped then."""
        async with self._http, AsyncExitStack() as running:
            simulator = self._start_simulator(running) if self._demo else None
            migrate(self._url)
            self._start(running, "API", "--quiet", "api")
            if simulator is not None:
                await self._wait_for(self._answers(f"{simulator}/_control/about"))
            started_ms = self._clock.now_ms()
            self._start(running, "syncer", "syncer")
            database = Database(self._url)
            try:
                await self._tell(database, started_ms)
            finally:
                await database.dispose()
            await self._wait_for(_never, patience_s=math.inf)

    def _start_simulator(self, running: AsyncExitStack) -> str:
        """Start it and point all exchanges to it; gives its base URL."""
        port = free_port("127.0.0.1", 0)
        url = f"http://127.0.0.1:{port}"
        for exchange in self._exchanges:
            self._environment[f"MARKETDATA_{exchange.upper()}_URL"] = f"{url}/{_SIMULATED[exchange]}"
        self._start(running, "simulator", "--quiet", "simulate", "--host", "127.0.0.1", "--port", str(port))
        return url

    def _start(self, running: AsyncExitStack, name: str, *arguments: str) -> None:
        self._parts.append(running.enter_context(running_part(name, arguments, self._environment)))

    async def _tell(self, database: Database, started_ms: int) -> None:
        """Print what a user needs, as soon as there is something to ask for or no use in waiting for it."""

        async def tried() -> bool:
            return len(await self._runs(database, started_ms)) == len(self._exchanges)

        address = f"http://{_reachable(self._api.host)}:{self._api.port}"
        is_ready = self._answers(f"{address}/health/ready")
        await self._wait_for(tried)
        runs = await self._runs(database, started_ms)
        for run in runs.values():
            if run.error_code == "source-mismatch":
                raise StoreError(run.error_detail)
        await self._wait_for(self._answers(f"{address}/health/live"))
        has_metadata = await find_instrument(database, self._exchanges) is not None
        ready = has_metadata and await self._wait_for(is_ready)

        access = await find_access(database, self._clock)
        welcome = Welcome(address, self._api.token_ttl, self._command)
        source = await self._source(database)
        welcome.say_where(self._data, source)
        welcome.say_exchanges(self._exchanges, runs)
        welcome.say_access(access)
        if not ready:
            welcome.say_waiting()
            await self._wait_for(is_ready, patience_s=math.inf)
            runs = await self._runs(database, started_ms)
            if source is None:
                welcome.say_source(await self._source(database))
        good = [exchange for exchange in self._exchanges if exchange in runs and runs[exchange].outcome == "succeeded"]
        instrument = await find_instrument(database, good or self._exchanges)
        if access is not None and instrument is not None:
            token = await make_token(database, self._clock, access.client, self._api.token_ttl)
            welcome.say_request(access, token, *instrument)
        welcome.say_end()

    async def _runs(self, database: Database, started_ms: int) -> dict[ExchangeId, SyncRun]:
        """The newest sync of each of our exchanges since `started_ms`."""
        async with database.transaction() as connection:
            runs = await last_runs(connection)
        return {one: run for one, run in runs.items() if one in self._exchanges and run.started_at >= started_ms}

    async def _source(self, database: Database) -> Source | None:
        """Whose data this is; None: not known before the first sync."""
        async with database.transaction() as connection:
            return await get_source(connection)

    def _answers(self, url: str) -> Callable[[], Awaitable[bool]]:
        """The condition that `url` answers well."""
        return lambda: is_answering(self._http, url)

    async def _wait_for(self, condition: Callable[[], Awaitable[bool]], patience_s: float = _PATIENCE_S) -> bool:
        """Whether `condition` came true within the time; meanwhile all parts run, else PartEnded is raised."""
        start = self._clock.monotonic()
        while self._clock.monotonic() - start < patience_s:
            for part in self._parts:
                part.check()
            if await condition():
                return True
            await self._clock.sleep(_POLL_S)
        return False


async def _never() -> bool:
    return False


def _reachable(host: str) -> str:
    """How this machine reaches a server that listens on `host`."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return host if address.version == 4 else f"[{host}]"
