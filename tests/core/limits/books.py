"""Books in memory, for several processes on one clock that tests move: what the store keeps in a database."""

import asyncio
from collections import defaultdict

from marketdata.core.clock import ManualClock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.limits import KINDS, WINDOW_S, Amounts, Kind, Limiter, Minute

WINDOW_MS = int(WINDOW_S * 1000)


class Books:
    """Those of all clients; `is_up` is whether they can be reached."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.limits: dict[str, tuple[int, int]] = defaultdict(lambda: (1200, 100_000))
        self.is_up = True
        self.gate: asyncio.Event | None = None
        """If set, whoever takes waits for it."""
        self.late: asyncio.Event | None = None
        """If set, whoever has taken waits for it to be told."""
        self.taken: defaultdict[tuple[str, int], dict[Kind, int]] = defaultdict(lambda: dict.fromkeys(KINDS, 0))
        self.asked: list[Amounts] = []
        self.processes: list[Process] = []

    def process(self) -> "Process":
        """One more process."""
        process = Process(self)
        self.processes.append(process)
        return process

    @property
    def start_ms(self) -> int:
        return self.clock.now_ms() // WINDOW_MS * WINDOW_MS

    @property
    def ends_at(self) -> float:
        return self.clock.monotonic() + (self.start_ms + WINDOW_MS - self.clock.now_ms()) / 1000


class Process:
    """A RatePool: the books as one process sees them, and what limits there. It looks when a test says so."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._seen_ms = -1
        self._seen: dict[str, dict[Kind, int]] = {}
        self.is_reachable = self.can_lease = True
        self.is_alone = False
        self.limiter = Limiter(self, books.clock, lambda client_id: books.limits[client_id])

    @property
    def processes(self) -> int:
        return len(self._books.processes)

    def minute(self, client_id: str) -> Minute:
        books = self._books
        if self._seen_ms != books.start_ms:
            return Minute(books.start_ms, books.ends_at, is_seen=False)
        return Minute(books.start_ms, books.ends_at, self._seen.get(client_id, {}))

    def look(self) -> None:
        """What the store does every second."""
        books = self._books
        if books.is_up:
            self._seen_ms = books.start_ms
            self._seen = {
                client_id: dict(taken)
                for (client_id, start_ms), taken in books.taken.items()
                if start_ms == self._seen_ms
            }
            self.is_reachable = True
        else:
            self.lose()

    def lose(self) -> None:
        self.is_reachable = self.can_lease = False
        self.is_alone = True

    def settle(self) -> None:
        """All have told what they took."""
        self.can_lease, self.is_alone = True, False

    async def take(self, client_id: str, amounts: Amounts) -> Minute:
        books = self._books
        books.asked.append(amounts)
        if books.gate is not None:
            await books.gate.wait()
        await asyncio.sleep(0)
        if not books.is_up:
            self.lose()
            raise DatabaseUnavailable("away")
        if client_id == "nobody":
            return Minute(books.start_ms, books.ends_at)
        taken = books.taken[client_id, books.start_ms]
        for kind, amount in amounts.items():
            taken[kind] = max(0, taken[kind] + amount)
        if self._seen_ms != books.start_ms:
            self._seen_ms, self._seen = books.start_ms, {}
        minute = Minute(books.start_ms, books.ends_at, dict(taken))
        if books.late is not None:
            await books.late.wait()
        self._seen[client_id] = dict(taken)
        return minute

    async def ask(self, amount: int = 1, kind: Kind = "requests", client_id: str = "c") -> float | None:
        """Take as a request does."""
        meter = self.limiter.meter(client_id)
        return await self.limiter.take(meter, getattr(meter, kind), amount)

    async def ask_for_all(self, kind: Kind = "requests", amount: int = 1) -> int:
        """How many times it could be taken."""
        count = 0
        while await self.ask(amount, kind) is None:
            count += 1
        return count
