"""A platform whose database's disk runs full, in a mount namespace of its own; prints what became of each request.

unshare --mount [--map-root-user] python -m tests.e2e.memory.full_disk FOLDER
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from marketdata.core.clock import ManualClock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.models import ExchangeId
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import simulated
from marketdata.store.clients import create_client
from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.migrate import migrate
from marketdata.syncer.sync import sync_exchange
from tests.e2e.memory.world import BEFORE_MS, DAY_MS, everything
from tests.e2e.platform import Platform, running_platform

SIZE = "150m"
READS = (
    "/v1/symbols?limit=5",
    "/v1/symbols/coinbase/BTC-USD",
    "/v1/candles/coinbase/BTC-USD/1h?limit=5",
    "/v1/exchanges",
    "/health/ready",
)


def fill(folder: Path) -> None:
    """Take all the space that is left."""
    with (folder / "filler").open("ab", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(1 << 16))
    with (folder / "rest").open("ab", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(512))


def free(folder: Path) -> None:
    (folder / "filler").unlink()
    (folder / "rest").unlink()


async def ask_while(
    platform: Platform, ask_token: Callable[[], Awaitable[tuple[int, str | None]]], url: str, folder: Path
) -> tuple[Counter[str], Counter[int]]:
    """What tokens and reads were answered with while the server lost all place, three times over."""
    tokens: Counter[str] = Counter()
    reads: Counter[int] = Counter()
    for _ in range(3):
        exhausting = asyncio.create_task(asyncio.to_thread(exhaust, url))
        while not exhausting.done():
            status, code = await ask_token()
            tokens[f"{status} {code or ''}".strip()] += 1
            reads.update([(await platform.get(path)).status_code for path in READS])
        await exhausting
        fill(folder)
    return tokens, reads


def exhaust(url: str) -> None:
    """Write until the server has no place for its log either, and stops."""
    for _ in range(100):
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE TEMPORARY TABLE filler AS SELECT 1")
                connection.execute("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 4000000))")
        except psycopg.errors.DiskFull:
            continue
        except psycopg.OperationalError:
            return


def is_torn(before: dict[str, list[str]], after: dict[str, list[str]], exchange: str) -> bool:
    """Whether only a part of what a sync of `exchange` writes has changed."""
    tables = ("exchanges", "symbols", "versions", "events")
    mark = f'"exchange": "{exchange}"'
    changed = {
        table: [row for row in before[table] if mark in row] != [row for row in after[table] if mark in row]
        for table in tables
        if table != "versions"
    }
    return len(set(changed.values())) > 1


async def sync_one(platform: Platform, exchange: ExchangeId) -> str:
    """How a sync ends."""
    try:
        run = await sync_exchange(platform.database, platform.fetchers[exchange], platform.clock)
    except DatabaseUnavailable:
        return "database-unavailable"
    return run.outcome


async def token(platform: Platform, client_id: str, secret: str) -> tuple[int, str | None]:
    """Status and problem code of asking for a token, which writes that the client was there."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    answer = await platform.http.post("/v1/token", data=form)
    return answer.status_code, answer.json().get("code")


async def run(folder: Path, url: str) -> dict[str, Any]:
    """All of it, before the disk is full, while it is, and afterwards."""
    told: dict[str, Any] = {}
    clock = ManualClock(BEFORE_MS)
    async with running_platform(simulated(scenario=Scenario(limits=False)), clock, url) as platform:
        async with platform.database.transaction() as connection:
            client, secret = await create_client(connection, "t", ("metadata:read",), clock.now_ms())

        async def ask_token() -> tuple[int, str | None]:
            clock.advance(60_000)  # when a client was last seen is kept to the minute
            return await token(platform, client.client_id, secret)

        async def look(when: str) -> None:
            told[f"{when}: reads"] = [(await platform.get(path)).status_code for path in READS]
            told[f"{when}: token"] = await ask_token()

        await look("before")
        fill(folder)
        clock.advance(20 * DAY_MS)
        before = everything(url)
        told["full: syncs"] = [await sync_one(platform, exchange) for exchange in platform.fetchers]
        with psycopg.connect(url) as reader:
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader.execute(
                "SELECT 1 FROM api_clients"
            )  # as long as somebody may see them, no row's place is free again
            fill(folder)
            told["full: tokens"] = Counter([str(await ask_token()) for _ in range(300)])
            await look("full")
        told["full: torn"] = [name for name in platform.fetchers if is_torn(before, everything(url), name)]
        told["exhausting: tokens"], told["exhausting: reads"] = await ask_while(platform, ask_token, url, folder)
        told["exhausted: syncs"] = [await sync_one(platform, exchange) for exchange in platform.fetchers]
        await look("exhausted")
        free(folder)
        for attempt in range(100):
            told["freed: syncs"] = [await sync_one(platform, exchange) for exchange in platform.fetchers]
            told["freed: attempts"] = attempt + 1
            if "database-unavailable" not in told["freed: syncs"]:
                break
            await asyncio.sleep(0.1)
        await platform.services.refresh()
        await look("freed")
        told["freed: more events"] = len(everything(url)["events"]) > len(before["events"])
    return told


def main() -> None:
    """Do all of it in the folder named on the command line."""
    folder = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], check=True)
    with EmbeddedPostgres(folder, ("max_wal_size=48MB", "min_wal_size=32MB")).use() as url:
        migrate(url)
        print(json.dumps({**asyncio.run(run(folder, url))}))


if __name__ == "__main__":
    main()
