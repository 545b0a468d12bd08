"""The health check: when an exchange counts as neglected, and that asking costs little."""

import subprocess
import sys

from marketdata.core.clock import ManualClock
from marketdata.core.models import ExchangeId
from marketdata.core.settings import ExchangeSettings
from marketdata.store.engine import Database
from marketdata.store.exchanges import upsert_exchange
from marketdata.store.syncs import NewSyncRun, record_run
from marketdata.syncer.health import list_neglected
from tests.syncer.conftest import NOW_MS

COINBASE, HYPERLIQUID = ExchangeId("coinbase"), ExchangeId("hyperliquid")


async def test_an_exchange_is_neglected_after_two_intervals_and_the_time_of_a_sync(
    database: Database, postgres_url: str, clock: ManualClock
) -> None:
    settings = ExchangeSettings(exchanges=(COINBASE, HYPERLIQUID), sync_interval=100)
    assert list_neglected(postgres_url, settings, clock) == [COINBASE, HYPERLIQUID]
    run = NewSyncRun(exchange=COINBASE, started_at=NOW_MS - 1, finished_at=NOW_MS, outcome="failed", generation=0)
    async with database.transaction() as connection:
        await upsert_exchange(connection, COINBASE, "http://127.0.0.1")
        await record_run(connection, run)
    for age_s, neglected in ((260, [HYPERLIQUID]), (261, [COINBASE, HYPERLIQUID])):
        clock.set(NOW_MS + age_s * 1000)
        assert list_neglected(postgres_url, settings, clock) == neglected


def test_asking_imports_nothing_large_that_it_does_not_need() -> None:
    """It is a process of its own, every few seconds."""
    modules = "marketdata.cli.main, marketdata.syncer.health, marketdata.store.opening, marketdata.store.settings"
    large = {"alembic", "fastapi", "httpx2", "rich", "sqlalchemy", "uvicorn"}
    asked = f"import sys, {modules}; print(sorted({large} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "[]\n"
