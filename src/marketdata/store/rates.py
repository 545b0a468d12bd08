"""The limits that all API processes of one installation share, counted in its database.

A process leases parts of its clients' minute with one statement for all who ask at the time, and once a second looks at
what all have taken. What was taken while the database was away is told when it is back.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from math import inf
from typing import Final

from marketdata.core.clock import Clock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.limits import Amounts, Minute, Minutes
from marketdata.store.engine import Database
from marketdata.store.listen import Listener, Presence, listen
from marketdata.store.rate_windows import look, take

logger = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""How often it is looked at what was taken, and by how many processes."""

LEASE_DEADLINE_S: Final = 1.5
"""A database that does not answer for so long is away."""

SURE_S: Final = 1.0
UNSURE_S: Final = 2.0
"""How long after the database was lost each process goes on with a share: after a connection has ended, and after there
was no answer in time. It may have been so for this process alone."""

GRACE_S: Final = 2.0
"""How long after that the database must be back until anybody leases: all first tell what they took meanwhile."""

_RETRY_S: Final = 0.25
_FIRST_S: Final = 3.0
"""How long a service waits for the first look before it starts without it."""

_PRESENCE_LOOKS: Final = 10
"""A process counts for so many looks after it was last seen: a server that stops ends its connections one by one."""


class SharedRates:
    """What clients have taken, as one process sees it; a RatePool."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """The caller disposes of `database`."""
        self._database = database
        self._clock = clock
        self._minutes = Minutes(clock.monotonic())
        self._seen_ms = -1
        self._taken: dict[str, Amounts] = {}
        self._leases_from = inf  # inf: the database is away
        self._alone_from = clock.monotonic()
        self._present: deque[int] = deque([1], maxlen=_PRESENCE_LOOKS)
        self._asked: dict[str, tuple[Amounts, asyncio.Future[Minute]]] = {}
        self._sending: asyncio.Task[None] | None = None
        self.has_looked = asyncio.Event()
        """Set once the database has been looked into."""

    @property
    def is_reachable(self) -> bool:
        """Whether what was taken can be told."""
        return self._leases_from != inf

    @property
    def can_lease(self) -> bool:
        """Whether all have had the time to tell."""
        return self._clock.monotonic() >= self._leases_from

    @property
    def is_alone(self) -> bool:
        """Whether each process goes on with its share."""
        return not self.can_lease and self._clock.monotonic() >= self._alone_from

    @property
    def processes(self) -> int:
        """How many processes share the limits, as far as known."""
        return max(self._present)

    def minute(self, client_id: str) -> Minute:
        """The present minute and what is known of it."""
        start_ms, ends_at = self._minutes.present(self._clock.monotonic())
        if start_ms != self._seen_ms:
            return Minute(start_ms, ends_at, is_seen=False)
        return Minute(start_ms, ends_at, self._taken.get(client_id, {}))

    async def take(self, client_id: str, amounts: Amounts) -> Minute:
        """Count `amounts` in the present minute, one at a time for each client. Raises DatabaseUnavailable."""
        told: asyncio.Future[Minute] = asyncio.get_running_loop().create_future()
        self._asked[client_id] = amounts, told
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return await told

    async def _send_all(self) -> None:
        """Send what is asked for, and then what was asked for meanwhile, until there is no more."""
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                await self._send(asked)
        finally:
            self._sending = None

    async def _send(self, asked: Mapping[str, tuple[Amounts, asyncio.Future[Minute]]]) -> None:
        began = self._clock.monotonic()
        try:
            async with self._database.transaction(LEASE_DEADLINE_S) as connection:
                found = await take(connection, {client_id: amounts for client_id, (amounts, _) in asked.items()})
        except Exception as error:
            if isinstance(error, DatabaseUnavailable):
                self._lose(error, is_sure=self._clock.monotonic() - began < LEASE_DEADLINE_S)
            else:
                logger.exception("defect while leasing")
            for _, told in asked.values():
                if not told.done():
                    told.set_exception(error)
            return
        if found is not None:
            self._see(found.start_ms, began + found.left_s)
            self._taken |= found.taken
        for client_id, (_, told) in asked.items():
            if not told.done():
                taken = {} if found is None else found.taken.get(client_id, {})
                told.set_result(Minute(*self._minutes.present(began), taken))

    async def follow(self, url: str) -> None:
        """Look again and again, and come back when the database does; for ever."""
        while True:
            began = self._clock.monotonic()
            try:
                async with listen(
                    url,
                    None,
                    connect_s=LEASE_DEADLINE_S,
                    deadline_s=LEASE_DEADLINE_S,
                    presence=Presence.LIMITS,
                ) as listener:
                    while True:
                        await self._look(listener)
                        await listener.wait(LOOK_S)
                        began = self._clock.monotonic()
            except DatabaseUnavailable as error:
                self._lose(error, is_sure=self._clock.monotonic() - began < LEASE_DEADLINE_S)
            except Exception as error:
                # a defect must not end it: a share is what is left, and the next look may succeed
                self._lose(DatabaseUnavailable(f"a defect, {type(error).__name__}"), is_sure=False)
                logger.exception("defect while looking at the limits")
            await self._clock.sleep(_RETRY_S)

    async def _look(self, listener: Listener) -> None:
        """Raises DatabaseUnavailable."""
        self._present.append(await listener.count(Presence.LIMITS))
        began = self._clock.monotonic()
        found = await look(listener)
        self._see(found.start_ms, began + found.left_s)
        self._taken = dict(found.taken)
        if not self.is_reachable:
            now = self._clock.monotonic()
            self._leases_from = now + GRACE_S if now >= self._alone_from and self.has_looked.is_set() else now
        self.has_looked.set()

    def _see(self, start_ms: int, ends_at: float) -> None:
        if start_ms != self._seen_ms:
            self._taken = {}
        self._seen_ms = start_ms
        self._minutes.see(start_ms, ends_at)

    def _lose(self, error: DatabaseUnavailable, *, is_sure: bool) -> None:
        if self.can_lease:
            self._alone_from = self._clock.monotonic() + (SURE_S if is_sure else UNSURE_S)
            logger.warning("soon going on with a share of the clients' limits: %s", error)
        self._leases_from = inf


@asynccontextmanager
async def open_rates(url: str, clock: Clock) -> AsyncIterator[SharedRates]:
    """The limits of the installation to which the database belongs, followed while the block lasts."""
    database = Database(url, deadline_s=LEASE_DEADLINE_S, pool_size=1)
    rates = SharedRates(database, clock)
    following = asyncio.create_task(rates.follow(url))
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_S):
                await rates.has_looked.wait()
        yield rates
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await database.dispose()
