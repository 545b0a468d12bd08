"""API processes on one database, and clients who ask for more than they may have."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from marketdata.core.limits.meter import LEASES
from marketdata.store.engine import Database
from tests.e2e.budget.installation import Service, free_port, make_token

NOWHERE = {f"{exchange}_url": "http://127.0.0.1:9" for exchange in ("binance_futures", "hyperliquid", "coinbase")}
BORDER_S = 0.5
"""So long before and after the border of two minutes nobody asks, so that each answer belongs to one of them."""

Outcome = int | str
"""The status of an answer, or what became of the connection."""


def tolerance(limit: int, processes: int) -> int:
    """What docs/limits.md tells: what other processes may hold that they do not spend."""
    return (processes - 1) * (limit // LEASES + limit // LEASES // 2 + 1)


@dataclass
class Answers:
    """What one client was answered."""

    by_minute: Counter[tuple[int, Outcome]] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    """How long good answers took."""

    def count(self, outcome: Outcome) -> int:
        return sum(count for (_, one), count in self.by_minute.items() if one == outcome)

    def admitted(self) -> list[tuple[int, int]]:
        """In each minute: for sure, and perhaps beside."""
        minutes = sorted({minute for minute, _ in self.by_minute})
        return [
            (self.by_minute[minute, 200], self.by_minute[minute, "astride"] + self.by_minute[minute - 1, "astride"])
            for minute in minutes
        ]

    @property
    def good(self) -> int:
        return self.count(200) + self.count("astride")


@dataclass
class Installation:
    """Some API processes."""

    apis: list[Service]
    url: str

    async def client(self) -> str:
        """The token of a new client."""
        return await make_token(self.url, self.apis[0])

    async def ask(self, api: Service, token: str, answers: Answers) -> Outcome:
        """One request; of one that is answered in another minute than it was sent in it is unsure where it counts."""
        minute, began = int(time.time() // 60), time.monotonic()
        outcome: Outcome = "no answer"
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(20):
                head = f"GET /v1/exchanges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
                outcome, body = await api.ask(head)
                if outcome == 429 and json.loads(body)["retry_after"] == 1:
                    outcome = "not yet known"
        is_astride = minute != int(time.time() // 60)
        answers.by_minute[minute, "astride" if is_astride and outcome == 200 else outcome] += 1
        if outcome == 200:
            answers.took_s.append(time.monotonic() - began)
        return outcome

    async def ask_all(self, token: str, requests: int, at_once: int = 4) -> Answers:
        """So many requests as fast as they are answered, spread over all processes."""
        answers = Answers()

        async def some(api: Service, count: int) -> None:
            for _ in range(count):
                await self.ask(api, token, answers)

        each = requests // (len(self.apis) * at_once)
        await asyncio.gather(*(some(api, each) for api in self.apis for _ in range(at_once)))
        return answers

    async def ask_at(self, token: str, rate: float, ends: float) -> Answers:
        """So many requests a second, evenly over time and processes, until `ends`."""
        answers = Answers()
        due = time.monotonic()
        number = 0
        async with asyncio.TaskGroup() as asking:
            while time.monotonic() < ends:
                await asyncio.sleep(max(0, due - time.monotonic()))
                if BORDER_S < time.time() % 60 < 60 - BORDER_S:
                    asking.create_task(self.ask(self.apis[number % len(self.apis)], token, answers))
                    number += 1
                due += 1 / rate
        return answers

    async def until_refused(self, api: Service, token: str, answers: Answers, patience_s: float = 20) -> None:
        """Ask one process until it says that the minute is used up."""
        deadline = time.monotonic() + patience_s
        while (outcome := await self.ask(api, token, answers)) != 429:
            assert time.monotonic() < deadline, answers
            if outcome != 200:
                await asyncio.sleep(0.1)


async def room(seconds: float) -> int:
    """Return within a minute that goes on for so long; gives which."""
    left_s = 60 - time.time() % 60
    if left_s < seconds:
        await asyncio.sleep(left_s + 0.1)
    return int(time.time() // 60)


@asynccontextmanager
async def running(url: str, processes: int, **settings: str) -> AsyncIterator[Installation]:
    """So many API processes; nothing of them is left after the block."""
    shared = {"database_url": url, "token_ttl": "86400", "requests_at_once": "10000", **NOWHERE, **settings}
    ports = [free_port() for _ in range(processes)]
    apis = [Service(("api",), {**shared, "port": str(port)}, port) for port in ports]
    async with AsyncExitStack() as stack:
        for api in apis:
            stack.callback(api.kill)
            api.start()
        for api in apis:
            await live(api)
        await present(url, processes)
        yield Installation(apis, url)


async def live(api: Service, patience_s: float = 60) -> None:
    """Return when it answers."""
    deadline = time.monotonic() + patience_s
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            if (await api.ask("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 200:
                return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def present(url: str, processes: int) -> None:
    """Return when each process had the time to see all others."""
    database = Database(url)
    count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND mode = 'ShareLock'"
    async with asyncio.timeout(60):
        while True:
            async with database.transaction() as connection:
                if (await connection.exec_driver_sql(count)).scalar_one() >= processes:
                    break
            await asyncio.sleep(0.05)
    await database.dispose()
    await asyncio.sleep(1.2)


def jain(shares: list[float]) -> float:
    """Jain's index: 1 when all have the same."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def p99(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) * 99 // 100]
