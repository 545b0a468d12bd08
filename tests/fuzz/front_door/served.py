"""The system that is fuzzed: the API's own server on a socket, a real PostgreSQL, simulated exchanges.

Only what we let ourselves ask of an exchange is changed: it has no bound, for a refusal for thrift would hide all that
is behind it. Tells on its first line of output where it is and who may ask, and serves until it is stopped.

usage: python -m tests.fuzz.front_door.served FOLDER
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import uvloop

from marketdata.api.app import create_app
from marketdata.api.server import Server, listen
from marketdata.api.settings import MAX_TOKEN_TTL_S
from marketdata.core.budget import ExchangeBudget
from marketdata.core.clock import SystemClock
from marketdata.core.fetch import Fetcher, open_http
from marketdata.store.clients import create_client
from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.engine import Database
from marketdata.store.migrate import migrate
from marketdata.store.scopes import SCOPES
from marketdata.syncer.sync import sync_exchange
from tests.built_in import ADAPTERS
from tests.cli.command import MARKETDATA, environment
from tests.e2e.platform import PREFIXES
from tests.unlimited import unlimited

_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_BOUNDLESS = 10**9
_PATIENCE_S = 60.0


async def serve(database_url: str, simulator: str) -> None:
    clock = SystemClock()
    # no limits but those of the exchanges' data, and the address as the request says it: guesses come from everywhere
    settings = unlimited(port=0, token_ttl=MAX_TOKEN_TTL_S, trusted_proxies="127.0.0.1")
    async with AsyncExitStack() as opened:
        listening = opened.enter_context(listen(settings.host, 0))
        http = await opened.enter_async_context(open_http())
        database = Database(database_url)
        opened.push_async_callback(database.dispose)
        fetchers = {}
        for exchange, adapter in ADAPTERS.items():
            rule = adapter.capabilities.budget.model_copy(update={"limit": _BOUNDLESS})
            fetchers[exchange] = Fetcher(
                adapter,
                http,
                clock,
                f"{simulator}/{PREFIXES[exchange]}",
                budget=ExchangeBudget(exchange, rule, clock),
            )
        for fetcher in fetchers.values():
            await sync_exchange(database, fetcher, clock)
        async with database.transaction() as connection:
            client, secret = await create_client(connection, "fuzz", tuple(SCOPES), clock.now_ms())
        server = Server(create_app(database, fetchers, clock, settings), settings=settings)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
        host, port = listening.getsockname()
        told = {"url": f"http://{host}:{port}", "client_id": client.client_id, "client_secret": secret}
        print(json.dumps(told), flush=True)
        await server.serve_on(listening)


def wait_for(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"{url}/_control/about", trust_env=False)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(url)


def main() -> None:
    folder = Path(sys.argv[1])
    with EmbeddedPostgres(folder / "database", _FAST).use() as database_url:
        migrate(database_url)
        with listen("127.0.0.1", 0) as probe:
            port = probe.getsockname()[1]
        simulator = subprocess.Popen(
            [MARKETDATA, "simulate", "--port", str(port), "--seed", "7", "--scenario", "usual,limits=false"],
            cwd=folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}")
            uvloop.run(serve(database_url, f"http://127.0.0.1:{port}"))
        finally:
            simulator.terminate()
            simulator.wait()


if __name__ == "__main__":
    main()
