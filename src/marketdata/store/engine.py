"""The way to the database: short transactions, each of whose waits is bounded on this side.

A server that hangs answers neither a ping nor `statement_timeout`, so a transaction that overstays its deadline has its
socket shut down here: whatever waits on it fails at once, the connection leaves the pool, and the next transaction
begins with a new one. So does one that finds its pooled connection ended by the server.
"""

import asyncio
import math
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from select import POLLHUP, POLLIN, poll

import psycopg
from sqlalchemy import URL, event, func, make_url, select
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.exc import DisconnectionError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from marketdata.core.errors import DatabaseUnavailable

_READ_ONLY = "25006"
"""The SQLSTATE of a write to a server that only reads: one that stands by, or is failing over."""


def driver_url(url: str) -> URL:
    """`url` with the driver that we use; `postgresql://` and `postgresql+psycopg://` are both understood."""
    return make_url(url).set(drivername="postgresql+psycopg")


class Database:
    """A pool of connections to one database; belongs to the event loop in which it is first used."""

    def __init__(self, url: str, *, deadline_s: float = 5.0, pool_size: int = 10) -> None:
        """`deadline_s`: the most that connecting may take, and then a whole transaction."""
        self.url = url
        self.around_transaction: Callable[[], AbstractContextManager[None]] = nullcontext
        """What is entered around each transaction, from the wait for a connection to the end: for those who measure."""
        self._deadline_s = deadline_s
        parsed = driver_url(url)
        timeout_ms = math.ceil(deadline_s * 1000)
        limits = {
            "statement_timeout": timeout_ms,
            "lock_timeout": timeout_ms // 2,
            "client_connection_check_interval": 1000,  # a query that nobody waits for any more ends
            "idle_in_transaction_session_timeout": timeout_ms,
            "timezone": "UTC",
            # a client's machine that is gone without a word holds its locks no longer than that
            "tcp_keepalives_idle": 10,
            "tcp_keepalives_interval": 5,
            "tcp_keepalives_count": 3,
        }
        options = " ".join(f"-c {name}={value}" for name, value in limits.items())
        given = parsed.query.get("options", "")
        self._engine = create_async_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=deadline_s,
            hide_parameters=True,
            connect_args={
                "connect_timeout": max(2, math.ceil(deadline_s)),  # libpq takes less than 2 s for 2 s
                "options": f"{options} {given if isinstance(given, str) else ' '.join(given)}".strip(),
                "application_name": "marketdata",
            },
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_ended)

    @asynccontextmanager
    async def transaction(
        self, deadline_s: float | None = None, *, of_one_instant: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        """A connection within a transaction that commits at the end and rolls back on an error.

        `of_one_instant`: nothing is written in it, and all that is read is as it was at its beginning.

        Keep it short: the deadline (`deadline_s`: a shorter one) counts for all of it, so nothing but the database is
        waited for inside. Raises DatabaseUnavailable when the database cannot be reached, does not answer in time, or
        ends the connection.
        """
        deadline_s = self._deadline_s if deadline_s is None else deadline_s
        try:
            async with AsyncExitStack() as held:
                held.enter_context(self.around_transaction())
                connection = await self._connect(deadline_s)
                held.push_async_callback(connection.close)
                driver = (await connection.get_raw_connection()).driver_connection
                held.enter_context(_deadline(driver, deadline_s))
                async with connection.begin():
                    if of_one_instant:
                        await connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                    yield connection
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise DatabaseUnavailable(first_words(error)) from error
        except InternalError as error:
            if getattr(error.orig, "sqlstate", None) != _READ_ONLY:
                raise
            raise DatabaseUnavailable(first_words(error)) from error

    @asynccontextmanager
    async def lock(self, kind: int, name: str) -> AsyncIterator[bool]:
        """Hold an advisory lock while the block runs, which may take long; gives whether it could be had.

        It belongs to a connection without a transaction, so it ends with the process, however that ends. Raises
        DatabaseUnavailable.
        """
        key = (kind, func.hashtext(name))
        try:
            async with AsyncExitStack() as held:
                connection = await self._connect(self._deadline_s)
                held.push_async_callback(connection.close)
                driver = (await connection.get_raw_connection()).driver_connection
                try:
                    await connection.execution_options(isolation_level="AUTOCOMMIT")
                    with _deadline(driver, self._deadline_s):
                        locked = bool(await connection.scalar(select(func.pg_try_advisory_lock(*key))))
                    yield locked
                    if locked:
                        with _deadline(driver, self._deadline_s):
                            await connection.execute(select(func.pg_advisory_unlock(*key)))
                except BaseException:
                    hang_up(driver)  # the lock goes with it
                    await connection.invalidate()
                    raise
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise DatabaseUnavailable(first_words(error)) from error

    async def _connect(self, deadline_s: float) -> AsyncConnection:
        try:
            async with asyncio.timeout(deadline_s):
                return await self._engine.connect()
        except TimeoutError:
            raise DatabaseUnavailable("the database did not accept a connection in time") from None

    async def ping(self) -> None:
        """Return if the database answers; raises DatabaseUnavailable if not."""
        async with self.transaction() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def dispose(self) -> None:
        """Close all connections; the Database can be used again afterwards."""
        await self._engine.dispose()


def _refuse_ended(connection: AdaptedConnection, *_: object) -> None:
    """Let the pool take another connection if this idle one has something to read: that can only be its end."""
    waiting = poll()
    waiting.register(connection.driver_connection.fileno(), POLLIN | POLLHUP)
    if waiting.poll(0):
        raise DisconnectionError


@contextmanager
def _deadline(driver: psycopg.AsyncConnection | None, deadline_s: float) -> Iterator[None]:
    """Hang up on a connection if the block takes longer."""
    watchdog = asyncio.get_running_loop().call_later(deadline_s, hang_up, driver)
    try:
        yield
    finally:
        watchdog.cancel()


def hang_up(driver: psycopg.AsyncConnection | None) -> None:
    """Shut the socket of a psycopg connection down, so that whoever waits on it learns of its end."""
    if driver is not None and not driver.closed:
        with socket.socket(fileno=os.dup(driver.fileno())) as wire, suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)


def first_words(error: Exception) -> str:
    """What the server or the driver said first: no statement, no value, no URL."""
    origin = getattr(error, "orig", None)
    if origin is None:
        return "no connection to the database was free in time"
    lines = str(origin).splitlines()
    return f"the database is not available: {lines[0] if lines else type(origin).__name__}"
