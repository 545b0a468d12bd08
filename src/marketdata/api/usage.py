"""Counts what clients ask for, and adds it to the database now and then."""

import logging
from dataclasses import dataclass
from typing import Final

from marketdata.core.clock import Clock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.engine import Database
from marketdata.store.usage import Usage, add_usage, get_transaction, is_done

logger = logging.getLogger(__name__)

_HOUR_MS: Final = 3_600_000
_MOST_AT_ONCE: Final = 1000


@dataclass(slots=True)
class Counts:
    """What a client has asked for since it was last written down."""

    requests: int = 0
    candles: int = 0
    limited: int = 0


class UsageBook:
    """What this process has counted and not written yet; nothing is written twice."""

    def __init__(self, clock: Clock) -> None:
        """Nothing."""
        self._clock = clock
        self._counts: dict[str, Counts] = {}
        self._unwritten: dict[tuple[str, int], Usage] = {}
        self._doubtful: tuple[str, list[Usage]] | None = None
        """A transaction of which it is not known whether it was committed, and what it was to write."""

    def of(self, client_id: str) -> Counts:
        """The counts of a client, to be counted up at once and not to be kept."""
        counts = self._counts.get(client_id)
        if counts is None:
            counts = self._counts[client_id] = Counts()
        return counts

    async def write(self, database: Database) -> None:
        """Add all to what is stored; while the database is away it is kept, by the hour in which it was counted."""
        self._gather()
        try:
            await self._settle(database)
            while self._unwritten and self._doubtful is None:
                await self._write_some(database)
        except DatabaseUnavailable as error:
            logger.debug("usage is written later: %s", error)

    def _gather(self) -> None:
        hour = self._clock.now_ms() // _HOUR_MS * _HOUR_MS
        counted, self._counts = self._counts, {}
        for client_id, one in counted.items():
            self._keep(Usage(client_id, hour, one.requests, one.candles, one.limited))

    def _keep(self, more: Usage) -> None:
        key = more.client_id, more.hour
        held = self._unwritten.get(key) or Usage(*key, 0, 0, 0)
        self._unwritten[key] = Usage(
            *key, held.requests + more.requests, held.candles + more.candles, held.limited + more.limited
        )

    async def _settle(self, database: Database) -> None:
        """Find out what became of a transaction whose end was not seen. Raises DatabaseUnavailable."""
        if self._doubtful is None:
            return
        transaction, usage = self._doubtful
        async with database.transaction() as connection:
            done = await is_done(connection, transaction)
        if done is None:
            return
        self._doubtful = None
        if not done:
            for one in usage:
                self._keep(one)

    async def _write_some(self, database: Database) -> None:
        some = list(self._unwritten.values())[:_MOST_AT_ONCE]
        async with database.transaction() as connection:
            transaction = await get_transaction(connection)
            for one in some:
                del self._unwritten[one.client_id, one.hour]
            self._doubtful = transaction, some
            await add_usage(connection, some)
        self._doubtful = None
