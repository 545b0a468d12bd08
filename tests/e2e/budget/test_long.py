"""What no single run can show: minutes of twenty times the budget while processes die, and a hundred bans.

Run by `make budget-test`; BUDGET_MINUTES and BUDGET_BANS make it shorter.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from marketdata.core.fetch.transport import MAX_AT_ONCE
from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.migrate import migrate
from tests.e2e.budget.installation import (
    ALLOWED,
    TWENTY_TIMES,
    Installation,
    Service,
    fake_exchanges,
    running_installation,
)
from tests.e2e.budget.test_slice import STRAGGLING_S
from tests.store.test_engine import processes

pytestmark = pytest.mark.long

MINUTES = float(os.environ.get("BUDGET_MINUTES", "5"))
BANS = int(os.environ.get("BUDGET_BANS", "100"))
PAUSE_S = 6.0
HANG_S = 9.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A database server that may be hurt: its URL and its cluster."""
    with EmbeddedPostgres(tmp_path).use() as url:
        migrate(url)
        yield url, tmp_path / "postgres"


async def hang(cluster: Path) -> None:
    """Stop the database's processes for a while; some may be gone by then."""
    stopped = processes(cluster)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if number is signal.SIGSTOP:
            await asyncio.sleep(HANG_S)


async def hurt(installation: Installation, cluster: Path, ends: float) -> list[str]:
    """Kill and restart processes, kill the database's server, let it hang: again and again until `ends`."""
    done = []
    while time.monotonic() < ends:
        await asyncio.sleep(PAUSE_S)
        what = installation.chance.choice(("API", "API", "syncer", "database killed", "database hangs"))
        done.append(what)
        match what:
            case "database killed":
                os.kill(processes(cluster)[0], signal.SIGKILL)
            case "database hangs":
                await hang(cluster)
            case _:
                service = installation.syncer if what == "syncer" else installation.chance.choice(installation.apis)
                service.kill()
                service.start()
    return done


async def test_twenty_times_the_budget(server: tuple[str, Path]) -> None:
    url, cluster = server
    with fake_exchanges(skew_s=17.3) as fakes:
        async with running_installation(url, fakes) as installation:
            seconds = MINUTES * 60
            hurting = asyncio.create_task(hurt(installation, cluster, time.monotonic() + seconds - PAUSE_S - HANG_S))
            await installation.load(TWENTY_TIMES, seconds)
            done = await hurting
            report = await fakes.control()
    print(f"\n{MINUTES:g} minutes; {len(done)} times hurt: {', '.join(sorted(set(done)))}")
    for exchange, allowed in ALLOWED.items():
        asked = {outcome: count for (name, outcome), count in installation.outcomes.items() if name == exchange}
        waits = sorted(installation.refusals_s[exchange]) or [0.0]
        print(
            f"{exchange}: at most {max(report['counted'][exchange]):g} of {allowed} in a window"
            f" (all: {[round(one, 1) for one in report['counted'][exchange]]}); users: {asked};"
            f" refused within {waits[len(waits) // 2]:.3f} s (p50), {waits[len(waits) * 99 // 100]:.3f} s (p99)"
        )
    assert report["refused"] == {"binance": 0, "hyperliquid": 0, "coinbase": 0}
    for exchange, allowed in ALLOWED.items():
        assert allowed / 4 < max(report["counted"][exchange]) <= allowed


async def test_a_hundred_bans(server: tuple[str, Path]) -> None:
    """By a slow exchange, with more callers than places; every third time the first answer that tells of it breaks off.

    In every other one an API process or the syncer is killed as soon as it is told, and started again at once.
    """
    latest: list[float] = []
    restarts = 0
    with fake_exchanges(skew_s=-4.2, takes_s=(0.3, 1)) as fakes:
        async with running_installation(server[0], fakes) as installation:
            callers = asyncio.create_task(installation.load({"binance_futures": 8}, seconds=1e6))
            installation.rows["binance_futures"] = (100,)
            for number in range(BANS):
                killed: Service | None = None
                if number % 2:
                    killed = installation.chance.choice((*installation.apis, installation.syncer))
                    restarts += 1
                seconds = 4.0 if killed is None else 4.0 + 2 * installation.started_in_s
                late = await installation.ban(seconds, killed, at_once=MAX_AT_ONCE + 8, is_cut=number % 3 == 0)
                latest.append(max(late, default=0.0))
                assert latest[-1] <= STRAGGLING_S, (number, late)
            callers.cancel()
            report = await fakes.control()
    ordered = sorted(latest)
    print(
        f"\n{BANS} bans, {restarts} of them with a restart: no call later than {ordered[-1]:.3f} s after the first one"
        f" was told of it (p50 {ordered[len(ordered) // 2]:.3f} s), {report['unaware']} came before;"
        f" {report['calls']['binance']} calls in all;"
        f" {installation.outcomes['binance_futures', 'upstream-banned']} users were told"
    )
    assert report["unaware"] > 10 * BANS  # else the exchange answered at once
    assert installation.outcomes["binance_futures", "ok"] > BANS
    assert installation.outcomes["binance_futures", "upstream-banned"] > BANS
