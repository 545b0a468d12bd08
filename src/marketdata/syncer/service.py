"""How a syncer is put together from its settings, for one sync and for the loop."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from marketdata.core.budget import ExchangeBudget
from marketdata.core.clock import Clock
from marketdata.core.exchanges import get_adapter
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.settings import ExchangeSettings
from marketdata.store.budgets import open_budgets
from marketdata.store.engine import Database
from marketdata.syncer.loop import keep_syncing
from marketdata.syncer.rules import GuardRules

_DEADLINE_S = 20.0
"""For a transaction that reads or writes a whole exchange; as a rule it takes a fraction of a second."""


@dataclass(frozen=True, slots=True)
class Syncer:
    """A database and the exchanges that are kept in it."""

    database: Database
    fetchers: Sequence[Fetcher]


@asynccontextmanager
async def open_syncer(database_url: str, settings: ExchangeSettings, clock: Clock) -> AsyncIterator[Syncer]:
    """The syncer of these settings for as long as the block lasts."""
    # each sync holds a connection for its right to sync while it uses another
    database = Database(database_url, deadline_s=_DEADLINE_S, pool_size=2 * len(settings.exchanges) + 1)
    try:
        async with open_http() as http, open_budgets(database_url, clock) as budgets:
            fetchers = []
            for exchange in settings.exchanges:
                adapter = get_adapter(exchange)
                budget = ExchangeBudget(exchange, adapter.capabilities.budget, clock, pool=budgets, role="syncer")
                fetchers.append(Fetcher(adapter, http, clock, settings.base_url(exchange), budget=budget))
            yield Syncer(database, fetchers)
    finally:
        await database.dispose()


async def serve(database_url: str, settings: ExchangeSettings, rules: GuardRules, clock: Clock) -> None:
    """Sync until SIGINT or SIGTERM; a sync under way is then undone as a whole."""
    async with open_syncer(database_url, settings, clock) as syncer:
        syncing = asyncio.create_task(
            keep_syncing(
                syncer.database,
                syncer.fetchers,
                clock,
                settings.sync_interval,
                random.Random(),  # noqa: S311 - for jitter
                rules,
            )
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, syncing.cancel)
        with suppress(asyncio.CancelledError):
            await syncing
