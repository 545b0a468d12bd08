"""Books in memory, for several processes on one clock that tests move: what the store keeps in a database."""

import asyncio
from dataclasses import dataclass

from marketdata.core.budget import Ask, Held, Known, Lease, Role, Silence, SilenceKind
from marketdata.core.clock import ManualClock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.models import ExchangeId


@dataclass
class Row:
    role: Role | None
    weight: int
    ends_at: float


class Books:
    """One exchange's; `is_up` is whether they can be reached."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.is_up = True
        self.pause_s = 0.0
        self.rows: list[Row] = []
        self.silences: dict[SilenceKind, Silence] = {}
        self.processes: list[Process] = []
        self.leases = 0

    def process(self) -> "Process":
        """One more process, which has looked."""
        process = Process(self)
        self.processes.append(process)
        for one in self.processes:
            one.look()
        return process


class Process:
    """A BudgetPool: the books as one process sees them. It looks when it leases and when a test says so."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._known: Known | None = None
        self._lease: tuple[Lease, Row] | None = None
        self._unwritten: list[Row] = []
        self.reported: list[tuple[int, float]] = []
        self.processes = 1
        self.is_reachable = True
        self.shares_from = 0.0

    def known(self, _: ExchangeId) -> Known | None:
        return self._known

    def look(self) -> None:
        """What the store does every second."""
        if not self._books.is_up:
            self._lose()
            return
        self.is_reachable = True
        now = self._books.clock.monotonic()
        self.processes = len(self._books.processes)
        if self._lease is not None and now >= self._lease[0].spend_before:
            self._give_back()
        self._books.rows += self._unwritten
        self._unwritten = []
        self._read()

    async def lease(self, _: ExchangeId, ask: Ask) -> Lease | None:
        await asyncio.sleep(0)
        if not self._books.is_up:
            self._lose()
            raise DatabaseUnavailable("away")
        self._books.leases += 1
        self._give_back()
        now = self._books.clock.monotonic()
        weight = ask.grant(self._read(), now)
        if not weight:
            return None
        row = Row(ask.role, weight, now + ask.counts_for_s)
        self._books.rows.append(row)
        self._read()
        lease = Lease(0, weight, now + ask.rule.lease_s)
        self._lease = lease, row
        return lease

    def record(self, _: ExchangeId, role: Role, ends_at: float, weight: int) -> None:
        self._unwritten.append(Row(role, weight, ends_at))

    def report(self, _: ExchangeId, used: int, ends_at: float) -> None:
        self.reported.append((used, ends_at))

    async def silence(self, _: ExchangeId, kind: SilenceKind, silence: Silence) -> None:
        self._books.silences[kind] = silence
        for process in self._books.processes:
            process.look()

    def _lose(self) -> None:
        if self.is_reachable:
            self.is_reachable = False
            self.shares_from = self._books.clock.monotonic() + self._books.pause_s

    def _give_back(self) -> None:
        if self._lease is not None:
            lease, row = self._lease
            lease.left = 0
            row.weight = lease.spent
            self._lease = None

    def _read(self) -> Known:
        now = self._books.clock.monotonic()
        self._books.rows = [row for row in self._books.rows if row.ends_at > now]
        held = [Held(row.ends_at, row.weight, row.role) for row in self._books.rows]
        self._known = Known(held, dict(self._books.silences))
        return self._known
