"""A connection of its own on which the database tells at once what others have done, and who else listens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import LiteralString

import psycopg

from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.engine import hang_up

_PRESENCE_LOCK = 0x48455245
"""First half of the advisory lock that each listener shares with all others of its kind; the second is the kind."""

_LISTENERS = """
    SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE datname = current_database() AND locktype = 'advisory' AND classid = %s AND objid = %s AND granted
"""


class Presence(IntEnum):
    """As what a listener is counted."""

    BUDGETS = 0
    """Whoever asks exchanges: the API and the syncer."""
    LIMITS = 1
    """Whoever serves clients: the API alone."""


class Listener:
    """Listens on a channel; if it is counted, as present while its connection stands."""

    def __init__(self, connection: psycopg.AsyncConnection, deadline_s: float) -> None:
        """`deadline_s`: the most that an answer may take."""
        self._connection = connection
        self._deadline_s = deadline_s

    async def wait(self, seconds: float) -> None:
        """Return when somebody has told something, at the latest after `seconds`. Raises DatabaseUnavailable."""
        try:
            async for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.Error as error:
            raise _away(error) from error

    async def count(self, presence: Presence) -> int:
        """How many are counted as that, this one included. Raises DatabaseUnavailable when no answer comes in time."""
        row = await (await self.ask(_LISTENERS, _PRESENCE_LOCK, int(presence))).fetchone()
        return 1 if row is None else max(1, int(row[0]))

    async def ask(self, query: LiteralString, *values: object) -> psycopg.AsyncCursor:
        """Ask something within the deadline. Raises DatabaseUnavailable."""
        watchdog = asyncio.get_running_loop().call_later(self._deadline_s, hang_up, self._connection)
        try:
            return await self._connection.execute(query, values or None)
        except psycopg.Error as error:
            raise _away(error) from error
        finally:
            watchdog.cancel()


@asynccontextmanager
async def listen(
    url: str,
    channel: LiteralString | None,
    *,
    connect_s: float,
    deadline_s: float,
    presence: Presence | None = None,
) -> AsyncIterator[Listener]:
    """A listener on `channel` (None: it only learns of its connection's end), counted as `presence`.

    `connect_s`: the most that connecting may take. Raises DatabaseUnavailable.
    """
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        async with asyncio.timeout(connect_s):
            connection = await psycopg.AsyncConnection.connect(plain, autocommit=True, application_name="marketdata")
    except TimeoutError:
        raise DatabaseUnavailable("the database did not accept a connection in time") from None
    except psycopg.Error as error:
        raise _away(error) from error
    try:
        listener = Listener(connection, deadline_s)
        if presence is not None:
            await listener.ask("SELECT pg_advisory_lock_shared(%s, %s)", _PRESENCE_LOCK, int(presence))
        if channel is not None:
            await listener.ask(f"LISTEN {channel}")
        yield listener
    finally:
        hang_up(connection)  # a server that hangs must not be waited for
        await connection.close()


def _away(error: psycopg.Error) -> DatabaseUnavailable:
    # the driver quotes parts of a URL that it cannot read, and they may be its password
    told = str(error).partition("\n")[0] if isinstance(error, psycopg.OperationalError) else type(error).__name__
    return DatabaseUnavailable(f"the database is not available: {told}")
