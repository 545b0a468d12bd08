"""The product in a process of its own, so that its memory and its event loop can be watched: API and syncer.

Its paths begin with a fault and a cell, `/{fault}/{cell}/v1/…`, for which it asks exchanges of their own.
`/{fault}/{cell}/sync/{exchange}` makes one sync and answers with its record; `/loop` with the most processor time in
seconds that the event loop's thread has spent between two looks at what is due since that was last asked: so long was
it held up by its own work, however busy the machine. It prints where it listens, and an access token.

usage: python -m tests.faults.product DATABASE_URL EXCHANGE_URL
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

import httpx2
import uvloop
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from marketdata.api.app import create_app
from marketdata.api.server import Server, listen
from marketdata.api.services import Services
from marketdata.core.clock import Clock, SystemClock
from marketdata.core.exchanges import BUILT_IN, get_adapter
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId
from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.syncer.rules import GuardRules
from marketdata.syncer.sync import sync_exchange
from tests.unlimited import unlimited

_SCOPES = ("metadata:read", "candles:read")
_TICK_S = 0.002
_RULES = GuardRules(guard_floor=10)
"""Of the samples' few rows some cannot be read on purpose."""


class Fetchers(Mapping[ExchangeId, Fetcher]):
    """One for each exchange and cell, so that none remembers what another has met."""

    def __init__(self, http: httpx2.AsyncClient, clock: Clock, url: str) -> None:
        self.cell: ContextVar[str] = ContextVar("cell")
        self._http, self._clock, self._url = http, clock, url
        self._made: dict[str, Fetcher] = {}

    def __getitem__(self, exchange: ExchangeId) -> Fetcher:
        url = f"{self._url}/{self.cell.get()}/{exchange}"
        if url not in self._made:
            self._made[url] = Fetcher(get_adapter(exchange), self._http, self._clock, url)
        return self._made[url]

    def __iter__(self) -> Iterator[ExchangeId]:
        return (adapter.exchange for adapter in BUILT_IN)

    def __len__(self) -> int:
        return len(BUILT_IN)


class Product:
    """An ASGI application."""

    def __init__(self, database: Database, fetchers: Fetchers, clock: Clock) -> None:
        self._fetchers = fetchers
        self._clock = clock
        self._database = database
        self._api = create_app(database, fetchers, clock, unlimited(token_ttl=3600))
        self.services: Services = self._api.state.services
        self._held_up_s = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        if scope["path"] == "/loop":
            held_up_s, self._held_up_s = self._held_up_s, 0.0
            await Response(str(held_up_s))(scope, receive, send)
            return
        fault, cell, rest = scope["path"][1:].split("/", 2)
        self._fetchers.cell.set(f"{fault}/{cell}")
        if rest.startswith("sync/"):
            await (await self._sync(ExchangeId(rest.removeprefix("sync/"))))(scope, receive, send)
            return
        await self._api({**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}, receive, send)

    async def _sync(self, exchange: ExchangeId) -> Response:
        run = await sync_exchange(self._database, self._fetchers[exchange], self._clock, _RULES)
        await self.services.refresh()
        return Response(run.model_dump_json(), media_type="application/json")

    async def watch_the_loop(self) -> None:
        spent_s = time.thread_time()
        while True:
            await asyncio.sleep(_TICK_S)
            before_s, spent_s = spent_s, time.thread_time()
            self._held_up_s = max(self._held_up_s, spent_s - before_s)


async def main(database_url: str, exchange_url: str) -> None:
    clock = SystemClock()
    database = Database(database_url)
    async with open_http() as http:
        product = Product(database, Fetchers(http, clock, exchange_url), clock)
        async with database.transaction() as connection:
            client, _ = await create_client(connection, "faults", _SCOPES, clock.now_ms())
        await product.services.refresh()
        with listen("127.0.0.1", 0) as listening:
            watching = asyncio.create_task(product.watch_the_loop())
            print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
            print(product.services.tokens.issue(client.client_id, _SCOPES), flush=True)
            await Server(product).serve_on(listening)
            watching.cancel()
    await database.dispose()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
