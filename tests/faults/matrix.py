"""The matrix of faults, exchanges and calls against a product in a process of its own: what became of each cell."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import psycopg
import psycopg.sql

from tests.faults.exchange import CALLS, FaultyExchange, faulty_exchange
from tests.faults.good import EXCHANGES, HOUR_MS
from tests.faults.kinds import FAULTS

SYMBOLS = {"binance_futures": "BTC-USDT-PERP", "hyperliquid": "BTC-USDC-PERP", "coinbase": "BTC-USD"}
START_MS = 1767225600000
NO_ROWS = {"client_usage", "sync_runs"}
"""Tables in which a sync that fails leaves its record, and what callers asked is counted."""


class Cell(NamedTuple):
    """One of them."""

    fault: str
    exchange: str
    call: str

    @property
    def path(self) -> str:
        """How the product is asked."""
        if self.call == "listing":
            return f"/{self.fault}/listing/sync/{self.exchange}"
        place = f"/{self.fault}/{self.call}/v1/candles/{self.exchange}/{SYMBOLS[self.exchange]}/1h"
        if self.call == "latest":
            return f"{place}/latest"
        return f"{place}?start={START_MS}&end={START_MS + 3 * HOUR_MS}"


CELLS = [Cell(fault, exchange, call) for fault in FAULTS for exchange in EXCHANGES for call in CALLS]
APPLICABLE = [cell for cell in CELLS if (cell.exchange, cell.call) not in FAULTS[cell.fault].without]


@dataclass(frozen=True)
class Outcome:
    """What became of a cell."""

    status: int
    code: str | None
    """None: all went well."""
    document: dict[str, Any]
    took_s: float
    asked: int
    """How often the exchange was asked for what fails."""


@dataclass(frozen=True)
class Cost:
    """What the product needed meanwhile."""

    grown_mb: float
    """The most memory that it had, above what it had before."""
    held_up_s: float
    """The longest time that its event loop was held up by its own work."""


class Faults:
    """A product whose exchanges fail as they are told to."""

    def __init__(self, http: httpx2.AsyncClient, pid: int, exchange: FaultyExchange, database_url: str) -> None:
        self.exchange = exchange
        self._http = http
        self._pid = pid
        self._database_url = database_url

    async def play(self, cell: Cell) -> Outcome:
        """Ask the product for what a cell is about."""
        place = f"/{cell.fault}/{cell.call}/{cell.exchange}"
        before = self.exchange.played[place]
        began = time.monotonic()
        answer = await self._http.get(cell.path)
        took_s = time.monotonic() - began
        document = answer.json()
        code = document["error_code"] if cell.call == "listing" else document.get("code")
        return Outcome(answer.status_code, code, document, took_s, self.exchange.played[place] - before)

    @asynccontextmanager
    async def costs(self) -> AsyncIterator[list[Cost]]:
        """What the block costs the product: one entry, once it has ended."""
        found: list[Cost] = []
        await self._http.get("/loop")
        process = Path(f"/proc/{self._pid}")
        (process / "clear_refs").write_text("5")  # the peak is from now on
        before = self._memory_mb("VmRSS")
        yield found
        held_up_s = float((await self._http.get("/loop")).text)
        found.append(Cost(self._memory_mb("VmHWM") - before, held_up_s))

    def _memory_mb(self, field: str) -> float:
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))

    def runs(self) -> int:
        """How many syncs there were; those in a row that came to the same share a record."""
        with psycopg.connect(self._database_url) as connection:
            row = connection.execute("SELECT coalesce(sum(runs), 0)::int FROM sync_runs").fetchone()
            return 0 if row is None else row[0]

    def rows(self) -> dict[str, set[str]]:
        """Every row of every table, with the version that it has been written in."""
        with psycopg.connect(self._database_url) as connection:
            names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            versions = psycopg.sql.SQL("SELECT t.xmin::text || t::text FROM {} t")
            return {
                name: {row for (row,) in connection.execute(versions.format(psycopg.sql.Identifier(name)))}
                for (name,) in names
            }


@asynccontextmanager
async def running_product(database_url: str) -> AsyncIterator[Faults]:
    """One, while the block runs."""
    async with faulty_exchange() as exchange:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.product",
            database_url,
            exchange.url,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdout is not None
        try:
            url, token = [(await process.stdout.readline()).decode().strip() for _ in range(2)]
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as http:
                yield Faults(http, process.pid, exchange, database_url)
        finally:
            process.terminate()
            await process.wait()
