"""An installation as it runs: API processes and a syncer on one database, and callers who want far too much."""

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from tests.cli.command import MARKETDATA, environment
from tests.unlimited import UNLIMITED

PROJECT = Path(__file__).parents[3]
EXCHANGES = ("binance_futures", "hyperliquid", "coinbase")
LIMITS = {"binance_futures": 2400, "hyperliquid": 1200, "coinbase": 15}
ROWS = {"binance_futures": (100, 5000), "hyperliquid": (60, 5000), "coinbase": (100,)}
"""How many candles users ask for: what costs 1 or 20 at Binance, 21 or 104 at Hyperliquid, 1 at Coinbase."""

TWENTY_TIMES = {"binance_futures": 61.0, "hyperliquid": 5.2, "coinbase": 160.0}
"""How many such calls a second are twenty times what we allow ourselves."""

ALLOWED = {name: int(limit * 0.8) for name, limit in LIMITS.items()}


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Service:
    """One process of the platform, which may be killed and started again."""

    arguments: tuple[str, ...]
    settings: dict[str, str]
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    idle: list[Connection] = field(default_factory=list)

    async def ask(self, text: str) -> tuple[int, bytes]:
        """Status and body of the answer to an HTTP request; connections are used again while they stand."""
        while self.idle:
            with suppress(OSError, asyncio.IncompleteReadError):
                return await self._ask_on(self.idle.pop(), text)
        return await self._ask_on(await asyncio.open_connection("127.0.0.1", self.port), text)

    async def _ask_on(self, connection: Connection, text: str) -> tuple[int, bytes]:
        reader, writer = connection
        try:
            writer.write(text.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            body = await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
        except BaseException:
            writer.close()
            raise
        self.idle.append(connection)
        return int(head.split(" ")[1]), body

    def hang_up(self) -> None:
        """Close the connections that are not in use."""
        while self.idle:
            self.idle.pop()[1].close()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [MARKETDATA, "--quiet", *self.arguments],
            env=environment(**self.settings),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.hang_up()
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()
            self.process = None

    async def ready(self, patience_s: float = 60) -> None:
        """Return when it serves."""
        deadline = time.monotonic() + patience_s
        while True:
            assert self.process is not None
            assert self.process.poll() is None, "it ended by itself"
            with suppress(OSError, asyncio.IncompleteReadError):
                if (await self.ask("GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 200:
                    return
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


SERVED_BETWEEN_BANS = 5
CROWDED_S = 0.1
"""After that time all places in which an exchange is asked are taken by a crowd."""


class FakeExchanges:
    """The process of `exchanges.py`."""

    def __init__(self, skew_s: float, takes_s: tuple[float, float]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.budget.exchanges", *map(str, (skew_s, *takes_s))],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self._door = Service((), {}, int(self.process.stdout.readline()))

    def settings(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self._door.port}"
        return {
            "binance_futures_url": f"{url}/binance",
            "hyperliquid_url": f"{url}/hyperliquid",
            "coinbase_url": f"{url}/coinbase",
            "guard_floor": "10",  # of the samples' few rows some cannot be read on purpose
        }

    async def control(self, path: str = "/_report") -> dict[str, Any]:
        _, body = await self._door.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
        report: dict[str, Any] = json.loads(body)
        return report

    def close(self) -> None:
        self._door.hang_up()
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def fake_exchanges(skew_s: float, takes_s: tuple[float, float] = (0, 0)) -> Iterator[FakeExchanges]:
    running = FakeExchanges(skew_s, takes_s)
    try:
        yield running
    finally:
        running.close()


@dataclass
class Installation:
    """Two API processes and a syncer."""

    fakes: FakeExchanges
    apis: list[Service]
    syncer: Service
    token: str
    started_in_s: float = 0.0
    """How long it took until all served."""
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    refusals_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """How long callers waited who were refused."""
    rows: dict[str, tuple[int, ...]] = field(default_factory=lambda: dict(ROWS))
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    async def ask(self, exchange: str, api: Service) -> str:
        """One call of an API user for candles that nobody asked for before; `ok` or the problem's code."""
        began = time.monotonic()
        outcome = "no answer"
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(20):
                path = self._path(exchange)
                status, body = await api.ask(
                    f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n\r\n"
                )
                outcome = "ok" if status == 200 else json.loads(body)["code"]
        self.outcomes[exchange, outcome] += 1
        if outcome == "upstream-rate-limited":
            self.refusals_s[exchange].append(time.monotonic() - began)
        return outcome

    def _path(self, exchange: str) -> str:
        start = 1_600_000_000_000 + self.chance.randrange(2_000_000) * 60_000
        symbol = {"binance_futures": "BTC-USDT-PERP", "hyperliquid": "BTC-USDC-PERP", "coinbase": "BTC-USD"}[exchange]
        rows = self.chance.choice(self.rows[exchange])
        return f"/v1/candles/{exchange}/{symbol}/1m?start={start}&end={start + rows * 60_000}&limit={rows}"

    async def ban(
        self, seconds: float, killed: Service | None = None, *, at_once: int = 0, is_cut: bool = False
    ) -> list[float]:
        """Binance bans us while callers come; how late calls still came, seconds after the first was told so.

        `killed`: a process that is killed at once and started again during the ban; `at_once`: so many callers come to
        each API process just before it; `is_cut`: the first answer that tells of it breaks off.
        """
        served = self.outcomes["binance_futures", "ok"]
        while self.outcomes["binance_futures", "ok"] < served + SERVED_BETWEEN_BANS:
            await asyncio.sleep(0.01)
        crowd = [self.ask("binance_futures", api) for api in self.apis for _ in range(at_once)]
        asking = asyncio.gather(*crowd)
        await asyncio.sleep(CROWDED_S if crowd else 0)
        trials = len((await self.fakes.control(f"/_ban?s={seconds}{'&cut=1' if is_cut else ''}"))["bans"])
        while len((report := await self.fakes.control())["bans"]) == trials:
            await asyncio.sleep(0.01)
        if killed is not None:
            killed.kill()
            killed.start()
            if killed.port:
                await killed.ready()
            assert (await self.fakes.control())["banned"], "it was not back before the ban was over"
        while report["banned"]:
            await asyncio.sleep(0.05)
            report = await self.fakes.control()
        await asking
        late: list[float] = report["bans"][-1]
        return late

    async def load(self, rates: dict[str, float], seconds: float) -> None:
        """Callers who come whether or not the others were answered, at so many a second."""
        ends = time.monotonic() + seconds
        async with asyncio.TaskGroup() as callers:

            async def come(exchange: str, rate: float) -> None:
                while time.monotonic() < ends:
                    callers.create_task(self.ask(exchange, self.chance.choice(self.apis)))
                    await asyncio.sleep(self.chance.expovariate(rate))

            for exchange, rate in rates.items():
                callers.create_task(come(exchange, rate))


@asynccontextmanager
async def running_installation(database_url: str, fakes: FakeExchanges) -> AsyncIterator[Installation]:
    """All processes up and synced; nothing of them is left after the block."""
    settings = {"database_url": database_url, **fakes.settings(), "sync_interval": "1", "token_ttl": "86400"}
    settings |= UNLIMITED
    ports = [free_port() for _ in range(2)]
    apis = [Service(("api",), {**settings, "port": str(port)}, port) for port in ports]
    syncer = Service(("syncer",), settings)
    async with AsyncExitStack() as stack:
        began = time.monotonic()
        for service in (syncer, *apis):
            stack.callback(service.kill)
            service.start()
        for api in apis:
            await api.ready()
        started_in_s = time.monotonic() - began
        yield Installation(fakes, apis, syncer, await make_token(database_url, apis[0]), started_in_s)


async def make_token(database_url: str, api: Service) -> str:
    database = Database(database_url)
    async with database.transaction() as connection:
        client, secret = await create_client(connection, "load", ("candles:read", "metadata:read"), 1)
    await database.dispose()
    form = f"grant_type=client_credentials&client_id={client.client_id}&client_secret={secret}"
    head = "POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded"
    _, body = await api.ask(f"{head}\r\nContent-Length: {len(form)}\r\n\r\n{form}")
    token: str = json.loads(body)["access_token"]
    return token


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port
