"""The budgets that all processes of one installation share, kept in its database.

A process changes the books of an exchange in short transactions, one process at a time. What others do, it learns by
looking: at each lease, every second, and at once when somebody tells of a silence. What could not be written while the
database was away is written when it is back.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from math import inf
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.budget import Ask, Held, Known, Lease, Role, Silence, SilenceKind
from marketdata.core.clock import Clock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.models import ExchangeId
from marketdata.store.bookings import (
    Books,
    book,
    forget_ended,
    give_back,
    keep_silent,
    lock_books,
    read_books,
    tell,
)
from marketdata.store.engine import Database
from marketdata.store.listen import Listener, Presence, listen
from marketdata.store.unwritten import Unwritten

logger = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""How often the books are looked at."""

SURE_S: Final = 2.0
UNSURE_S: Final = 5.0
"""How long after the database was lost each process goes on with a share of the budgets: after it has gone away, and
after it has not answered in time. Until then it may be this process alone that has lost it, and others lease on."""

GRACE_S: Final = 3.0
"""How long after that the database must be back until anybody leases: all first write down what they did meanwhile."""

_LEASE_DEADLINE_S: Final = 0.5
"""The most that a caller waits for the books."""

_DEADLINE_S: Final = 3.0
_CONNECT_S: Final = 5.0
_RETRY_S: Final = 0.5
_FIRST_TRIES: Final = 3
_FIRST_S: Final = 3.0
"""How often, and how long, the books are tried to be seen before a service starts without them."""

_CONNECTIONS: Final = 5
_PRESENCE_LOOKS: Final = 10
"""A process counts for so many looks after it was last seen: a server that stops ends its connections one by one."""

_CHANNEL: Final = "marketdata_silence"


class SharedBudgets:
    """The books as one process sees them; a BudgetPool."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """The caller disposes of `database`."""
        self._database = database
        self._clock = clock
        self._known: dict[ExchangeId, Known] | None = None
        self._leases_from: float | None = None  # None: the database is away
        self._shares_from = inf
        self._present: deque[int] = deque([1], maxlen=_PRESENCE_LOOKS)
        self._unwritten: defaultdict[ExchangeId, Unwritten] = defaultdict(Unwritten)
        self._writing: defaultdict[ExchangeId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.has_looked = asyncio.Event()
        """Set once it has tried to see the books, in vain or not."""

    @property
    def is_reachable(self) -> bool:
        """Whether leases can be had."""
        return self._leases_from is not None and self._clock.monotonic() >= self._leases_from

    @property
    def shares_from(self) -> float:
        """Since or from when each process goes on with a share while they cannot."""
        return self._shares_from

    @property
    def processes(self) -> int:
        """How many processes share the budgets, as far as known."""
        return max(self._present)

    def known(self, exchange: ExchangeId) -> Known | None:
        """What is known of an exchange; None: the books have not been seen at all yet."""
        return None if self._known is None else self._known.setdefault(exchange, Known())

    async def lease(self, exchange: ExchangeId, ask: Ask) -> Lease | None:
        """A lease, or None when there is no room. Raises DatabaseUnavailable within a fraction of a second."""
        began, lease = self._clock.monotonic(), None
        async with self._writing[exchange]:
            self._unwritten[exchange].end_lease()
            async with self._changing(exchange, _LEASE_DEADLINE_S) as connection:
                known = await self._read(connection, exchange)
                weight = ask.grant(known, self._clock.monotonic())
                if weight:
                    booking = await book(connection, exchange, ask.role, weight, ask.counts_for_s)
                    lease = Lease(booking, weight, began + ask.rule.lease_s)
                    known.add(Held(self._clock.monotonic() + ask.counts_for_s, weight, ask.role))
            self._unwritten[exchange].lease = lease
        return lease

    def record(self, exchange: ExchangeId, role: Role, ends_at: float, weight: int) -> None:
        """Note what was spent without a lease."""
        spent = self._unwritten[exchange].spent[role]
        spent.active(self._clock.monotonic())
        spent.add(ends_at, weight)

    def report(self, exchange: ExchangeId, used: int, ends_at: float) -> None:
        """Note what the exchange says was used."""
        self._unwritten[exchange].reported = (used, ends_at)

    async def silence(self, exchange: ExchangeId, kind: SilenceKind, silence: Silence) -> None:
        """Tell all processes to keep silent; when the database is away, once it is back."""
        self._unwritten[exchange].silences[kind] = silence
        if self._leases_from is not None:
            with suppress(DatabaseUnavailable):
                await self._write(exchange)

    async def follow(self, url: str) -> None:
        """Look at the books again and again, write what is due, and come back when the database does; for ever."""
        failures = 0
        while True:
            began = self._clock.monotonic()
            try:
                async with listen(
                    url, _CHANNEL, connect_s=_CONNECT_S, deadline_s=_DEADLINE_S, presence=Presence.BUDGETS
                ) as listener:
                    while True:
                        await self._look(listener)
                        failures = 0
                        await listener.wait(LOOK_S)
                        began = self._clock.monotonic()
            except DatabaseUnavailable as error:
                self._lose(error, is_sure=self._clock.monotonic() - began < _DEADLINE_S)
            except Exception as error:
                # a defect must not end it: a share is what is left, and the next look may succeed
                self._lose(DatabaseUnavailable(f"a defect, {type(error).__name__}"), is_sure=False)
                logger.exception("defect while looking at the budgets")
            failures += 1
            if failures >= _FIRST_TRIES:
                self.has_looked.set()
            await self._clock.sleep(_RETRY_S)

    async def close(self) -> None:
        """Give back what is not spent."""
        for exchange, unwritten in self._unwritten.items():
            unwritten.end_lease()
            if self._leases_from is not None and unwritten.is_due(self._clock.monotonic()):
                with suppress(DatabaseUnavailable):
                    await self._write(exchange)

    async def _look(self, listener: Listener) -> None:
        """Raises DatabaseUnavailable."""
        self._present.append(await listener.count(Presence.BUDGETS))
        for exchange, unwritten in list(self._unwritten.items()):
            if unwritten.is_due(self._clock.monotonic()):
                await self._write(exchange)
        async with self._database.transaction() as connection:
            books = await read_books(connection)
            if any(one.has_ended for one in books.values()):
                await forget_ended(connection)
        now = self._clock.monotonic()
        if self._leases_from is None:
            self._leases_from = now + GRACE_S if now >= self._shares_from else now
        self._known = {exchange: _to_known(one, now) for exchange, one in books.items()}
        self.has_looked.set()

    def _lose(self, error: DatabaseUnavailable, *, is_sure: bool) -> None:
        now = self._clock.monotonic()
        if self.is_reachable:
            self._shares_from = now + (SURE_S if is_sure else UNSURE_S)
            logger.warning("soon going on with a share of the budgets: %s", error)
        self._leases_from = None

    async def _write(self, exchange: ExchangeId) -> None:
        """Write what is due. Raises DatabaseUnavailable."""
        async with self._writing[exchange], self._changing(exchange, _DEADLINE_S):
            pass

    @asynccontextmanager
    async def _changing(self, exchange: ExchangeId, deadline_s: float) -> AsyncIterator[AsyncConnection]:
        """A transaction in which nobody else changes the books of `exchange`; what was due is written at its begin."""
        began = self._clock.monotonic()
        due = self._unwritten[exchange].take_due(began)
        try:
            async with self._database.transaction(deadline_s) as connection:
                await lock_books(connection, exchange)
                await self._write_down(connection, exchange, due)
                yield connection
        except BaseException as error:
            self._unwritten[exchange].put_back(due)
            if isinstance(error, DatabaseUnavailable):
                self._lose(error, is_sure=self._clock.monotonic() - began < deadline_s)
            raise

    async def _write_down(self, connection: AsyncConnection, exchange: ExchangeId, due: Unwritten) -> None:
        now = self._clock.monotonic()
        if due.lease is not None:
            await give_back(connection, due.lease.id, due.lease.spent)
        for role, spent in due.spent.items():
            if weight := spent.active(now):
                await book(connection, exchange, role, weight, spent.last_end() - now)
        for kind, silence in due.silences.items():
            await keep_silent(connection, exchange, kind, silence.until - now, silence.length_s)
        if due.silences:
            await tell(connection, _CHANNEL)
        if due.reported is not None:
            used, ends_at = due.reported
            beyond = used - (await self._read(connection, exchange)).everyone.active(now)
            if beyond > 0 and ends_at > now:
                await book(connection, exchange, None, beyond, ends_at - now)

    async def _read(self, connection: AsyncConnection, exchange: ExchangeId) -> Known:
        books = await read_books(connection, exchange)
        known = _to_known(books.get(exchange, Books()), self._clock.monotonic())
        self._known = (self._known or {}) | {exchange: known}
        return known


@asynccontextmanager
async def open_budgets(url: str, clock: Clock) -> AsyncIterator[SharedBudgets]:
    """The budgets of the installation to which the database belongs, followed while the block lasts."""
    database = Database(url, deadline_s=_DEADLINE_S, pool_size=_CONNECTIONS)
    budgets = SharedBudgets(database, clock)
    following = asyncio.create_task(budgets.follow(url))
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_S):
                await budgets.has_looked.wait()
        yield budgets
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await budgets.close()
        await database.dispose()


def _to_known(books: Books, now: float) -> Known:
    """The books by this process's monotonic clock."""
    return Known(
        (Held(now + one.left_s, one.weight, one.role) for one in books.booked),
        {kind: Silence(now + one.left_s, one.length_s) for kind, one in books.silences.items()},
    )
