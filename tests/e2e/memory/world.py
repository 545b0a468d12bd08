"""What the tests of half a sync share: exchanges, syncers that are killed, and a look at all that is stored."""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from marketdata.core.clock import ManualClock
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import simulated
from tests.conftest import Postgres
from tests.e2e.memory.syncer import REFUSED, SUCCEEDED, Order

PROJECT = Path(__file__).parents[3]
PREFIXES = {"binance_futures": "binance", "hyperliquid": "hyperliquid", "coinbase": "coinbase"}
DAY_MS = 86_400_000
NOW_MS = 1_780_000_000_000
BEFORE_MS = NOW_MS - 60 * DAY_MS

_EVERYTHING = {
    "exchanges": "SELECT to_jsonb(t) FROM exchanges t",
    "intervals": "SELECT to_jsonb(t) FROM intervals t",
    "symbols": "SELECT to_jsonb(t) - 'id' FROM symbols t",
    "versions": "SELECT to_jsonb(v) - 'symbol_id' || jsonb_build_object('of', s.exchange_symbol, 'is', s.identity)"
    " FROM symbol_versions v JOIN symbols s ON s.id = symbol_id",
    "events": "SELECT to_jsonb(e) - 'id' - 'symbol_id' || jsonb_build_object('of', s.exchange_symbol, 'is', s.identity)"
    " FROM events e LEFT JOIN symbols s ON s.id = symbol_id",
    "runs": "SELECT to_jsonb(t) - 'id' FROM sync_runs t",
}
"""All that a sync writes; ids leave holes where a transaction ended early."""


def everything(url: str) -> dict[str, list[str]]:
    """All that is stored, as text, in no order."""
    with psycopg.connect(url) as connection:
        return {
            table: sorted(json.dumps(row, sort_keys=True) for (row,) in connection.execute(query))
            for table, query in _EVERYTHING.items()
        }


@dataclass
class Ended:
    """How a sync ended."""

    status: int
    """Of its process: negative if it was killed."""
    seconds: float
    statements: int | None = None
    """How many it sent; None when it did not live to tell."""


@dataclass
class Syncers:
    """Where syncs are ordered, each a process of its own."""

    exchanges: str
    """The simulator's base URL."""
    clock: ManualClock
    """The exchanges' and the syncers' time."""
    process: asyncio.subprocess.Process
    chance: random.Random = field(default_factory=lambda: random.Random(4))

    def order(self, url: str, exchange: str, **more: Any) -> Order:
        base_url = f"{self.exchanges}/{PREFIXES[exchange]}"
        return Order(database_url=url, exchange=exchange, base_url=base_url, now_ms=self.clock.now_ms(), **more)

    async def sync(self, order: Order, kill_after_s: float | None = None) -> Ended:
        """Do as ordered, and kill it with SIGKILL after a while if it then still runs."""
        if self.process.stdin is None or self.process.stdout is None:
            raise TypeError(self.process)
        self.process.stdin.write(msgspec.json.encode(order) + b"\n")
        ended, statements = None, None
        began = time.monotonic()
        killing: asyncio.TimerHandle | None = None
        while ended is None:
            told = json.loads(await self.process.stdout.readline())
            if "pid" in told and kill_after_s is not None:
                killing = asyncio.get_running_loop().call_later(kill_after_s, _kill, told["pid"])
            statements = told.get("statements", statements)
            ended = told.get("status")
        if killing is not None:
            killing.cancel()
        return Ended(ended, time.monotonic() - began, statements)

    async def sync_again(self, url: str, exchange: str, patience_s: float = 10.0) -> float:
        """A sync that succeeds, tried until the right to sync is free; how long that took, seconds."""
        began = time.monotonic()
        while True:
            ended = await self.sync(self.order(url, exchange))
            if ended.status == SUCCEEDED:
                return time.monotonic() - began
            assert ended.status == REFUSED, ended
            assert time.monotonic() - began < patience_s
            await asyncio.sleep(0.05)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def running_syncers() -> AsyncIterator[Syncers]:
    """The exchanges and a process for syncs; the clock stands at `BEFORE_MS`."""
    clock = ManualClock(BEFORE_MS)
    async with AsyncExitStack() as opened:
        url = await opened.enter_async_context(running_simulator(simulated(scenario=Scenario(limits=False)), clock))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.e2e.memory.syncer",
            cwd=PROJECT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield Syncers(url, clock, process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()


def copied(postgres: Postgres, url: str) -> str:
    """The URL of a copy of a database, which nobody uses just now."""
    return postgres.make_database(url.rpartition("/")[2].partition("?")[0])
