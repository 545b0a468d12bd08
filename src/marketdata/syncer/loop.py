"""The syncer as a running service: every exchange is synced again and again, each for itself."""

import asyncio
import logging
import random
from collections.abc import Iterable

from marketdata.core.clock import Clock
from marketdata.core.errors import AlreadyRunning, DatabaseUnavailable
from marketdata.core.fetch import Fetcher
from marketdata.store.engine import Database
from marketdata.store.syncs import NewSyncRun, SyncRun
from marketdata.syncer.rules import GuardRules
from marketdata.syncer.sync import sync_exchange

logger = logging.getLogger(__name__)

_JITTER = 0.1
"""Waits differ by up to this part, so that many installations do not ask at once."""
_FIRST_RETRY_S = 5.0


async def keep_syncing(
    database: Database,
    fetchers: Iterable[Fetcher],
    clock: Clock,
    interval_s: float,
    chance: random.Random,
    rules: GuardRules | None = None,
) -> None:
    """Sync every exchange now and then every `interval_s`, until cancelled; a failing one is tried again sooner.

    A cancelled sync is undone as a whole. `chance` makes the jitter; `rules`: what makes a listing
    untrustworthy, by default as documented.
    """
    async with asyncio.TaskGroup() as tasks:
        for fetcher in fetchers:
            tasks.create_task(_keep_one(database, fetcher, clock, interval_s, chance, rules))


async def _keep_one(
    database: Database,
    fetcher: Fetcher,
    clock: Clock,
    interval_s: float,
    chance: random.Random,
    rules: GuardRules | None,
) -> None:
    failures = 0
    while True:
        succeeded = await _sync_once(database, fetcher, clock, rules)
        failures = 0 if succeeded else failures + 1
        await clock.sleep(wait_s(failures, interval_s) * chance.uniform(1 - _JITTER, 1 + _JITTER))


def wait_s(failures: int, interval_s: float) -> float:
    """How long until the next sync, seconds: the interval; after failures in a row 5 s, 10 s, … up to it."""
    if failures == 0:
        return interval_s
    return min(interval_s, _FIRST_RETRY_S * 2.0 ** min(failures - 1, 32))


async def _sync_once(database: Database, fetcher: Fetcher, clock: Clock, rules: GuardRules | None) -> bool:
    """Whether it need not be tried again soon."""
    exchange = fetcher.adapter.exchange
    try:
        run = await sync_exchange(database, fetcher, clock, rules)
    except AlreadyRunning as error:
        logger.info("%s", error)
        return True
    except DatabaseUnavailable as error:
        logger.warning("%s not synced: %s", exchange, error)
        return False
    except Exception:
        # a defect while one exchange is synced must not end the syncing of the others
        logger.exception("defect while syncing %s", exchange)
        return False
    if run.outcome == "succeeded":
        logger.info("%s synced: %s", exchange, summary(run))
        return True
    if run.outcome == "quarantined":
        logger.error(
            "%s not synced, its listing is quarantined: %s; %s", exchange, run.error_detail, how_to_accept(run)
        )
        return False
    logger.warning("%s not synced: %s", exchange, run.error_detail)
    return False


def how_to_accept(run: SyncRun) -> str:
    """What to do about a quarantined listing."""
    return f"the last good state stays; if it is true, let it through: marketdata sync --accept {run.id}"


def summary(run: NewSyncRun) -> str:
    """A successful run in one line."""
    changes = {
        "new": run.added,
        "changed": run.changed,
        "delisted": run.delisted,
        "relisted": run.relisted,
        "missing": run.missing,
    }
    told = [f"{count} {what}" for what, count in changes.items() if count] or ["nothing new"]
    reported = {"refused": run.refused, "clashing": run.clashes, "unclassified": run.unclassified}
    told += [f"{count} {what}" for what, count in reported.items() if count]
    return f"{run.listed} instruments, {', '.join(told)}"
