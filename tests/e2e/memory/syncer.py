"""A syncer that can be killed at any instant: a process that has everything loaded and starts another for each sync.

It reads one order per line, JSON, and answers with the id of the process that syncs, then with how that ended.
"""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.budget import ExchangeBudget
from marketdata.core.clock import ManualClock
from marketdata.core.errors import AlreadyRunning
from marketdata.core.exchanges import get_adapter
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId
from marketdata.store.engine import Database
from marketdata.store.migrate import migrate
from marketdata.syncer.sync import sync_exchange

SUCCEEDED, REFUSED, FAILED = 0, 3, 4
"""How a process ends: synced; another one is at work; anything else."""


class Order(msgspec.Struct, kw_only=True):
    """One sync, and where it is to end."""

    database_url: str
    exchange: str
    base_url: str
    now_ms: int
    kill_before: int | None = None
    """Before which of its statements it is killed, counted from 1."""
    kill_after: int | None = None
    """After which of them."""
    is_torn: bool = False
    """Whether each statement is a transaction of its own: the fault that the tests have to see."""
    is_migration: bool = False
    """Whether the schema is migrated, and nothing synced."""


class TornDatabase(Database):
    """A database whose transactions are none."""

    @asynccontextmanager
    async def transaction(
        self, deadline_s: float | None = None, *, of_one_instant: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        async with super().transaction(deadline_s, of_one_instant=of_one_instant), self._engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection


def sync(order: Order) -> int:
    """Sync as ordered, in this process, which may not live to tell how it ended."""
    if order.is_migration:
        migrate(order.database_url)
        return SUCCEEDED
    return asyncio.run(_sync(order))


async def _sync(order: Order) -> int:
    clock, exchange = ManualClock(order.now_ms), ExchangeId(order.exchange)
    database = (TornDatabase if order.is_torn else Database)(order.database_url, deadline_s=20)
    sent = 0

    def before(*_: object) -> None:
        nonlocal sent
        sent += 1
        if sent == order.kill_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def after(*_: object) -> None:
        if sent == order.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(database._engine.sync_engine, "before_cursor_execute", before)
    event.listen(database._engine.sync_engine, "after_cursor_execute", after)
    async with open_http() as http:
        adapter = get_adapter(exchange)
        budget = ExchangeBudget(exchange, adapter.capabilities.budget, clock)
        fetcher = Fetcher(adapter, http, clock, order.base_url, budget=budget, deadline_s=60)
        try:
            run = await sync_exchange(database, fetcher, clock)
        except AlreadyRunning:
            return REFUSED
    await database.dispose()
    print(json.dumps({"statements": sent}), flush=True)
    return SUCCEEDED if run.outcome == "succeeded" else FAILED


def main() -> None:
    """Take orders until there are no more."""
    random.seed(1)
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        child = os.fork()
        if child == 0:
            status = FAILED
            try:
                status = sync(order)
            finally:
                os._exit(status)
        print(json.dumps({"pid": child}), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
