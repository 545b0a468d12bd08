"""The database is killed, hangs, has no room or is locked while callers come: what is known is served on, the rest is
refused as it should be, and all is well again soon after."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest

from tests.e2e.front_door.callers import CANDLES, DATABASE, FEW, LIVENESS, MEMORY, RATES, TOKEN, Callers
from tests.e2e.front_door.front import Front, running_front
from tests.store.test_engine import hung, processes

UNAVAILABLE = "503 database-unavailable"
RECOVERY_S = 5.0
"""How soon after the database all is well again."""

_END_CONNECTIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'marketdata'"

LONG = pytest.param(50, RATES, marks=pytest.mark.long)


def kill_backend(front: Front) -> None:
    """One of the server's processes is killed: the server ends all others and begins anew."""
    with psycopg.connect(front.url, autocommit=True) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'marketdata' ORDER BY random() LIMIT 1"
        row = connection.execute(query).fetchone()
    assert row is not None
    with suppress(ProcessLookupError):
        os.kill(row[0], signal.SIGKILL)


def kill_server(front: Front) -> None:
    """The server itself is killed, with all its processes."""
    for process in reversed(processes(front.cluster)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def end_connections(front: Front) -> None:
    """An operator ends all of our connections."""
    with psycopg.connect(front.url, autocommit=True) as connection:
        connection.execute(_END_CONNECTIONS)


async def is_up(front: Front) -> None:
    """Return when the server takes connections again."""
    async with asyncio.timeout(60):
        while True:
            with suppress(psycopg.OperationalError):
                async with await psycopg.AsyncConnection.connect(front.url, connect_timeout=2) as connection:
                    await connection.execute("SELECT 1")
                return
            await asyncio.sleep(0.02)


async def recovers(front: Front) -> float:
    """The seconds until every process serves what needs the database."""
    began = time.monotonic()
    for api in front.apis:
        while {await front.callers.ask(kind, api) for kind in (DATABASE, TOKEN)} != {"200"}:
            assert time.monotonic() - began < RECOVERY_S * 10, front.callers.told
            await asyncio.sleep(0.02)
    return time.monotonic() - began


def check(callers: Callers, least_candles: float) -> None:
    """What holds in every fault: good answers and refusals that say why, and what is in memory is served.

    `least_candles`: the share of those who want candles that must get them. Until it is clear how the processes share
    the exchanges' budgets without the database they wait, and some are refused.
    """
    print(callers.told, {kind: round(seconds, 2) for kind, seconds in callers.longest_s.items()})
    assert callers.wrong == []
    for kind in (MEMORY, LIVENESS):
        assert set(callers.told[kind]) == {"200"}, kind
    for kind in (DATABASE, TOKEN):
        assert set(callers.told[kind]) <= {"200", UNAVAILABLE}, kind
    assert set(callers.told[CANDLES]) <= {"200", "503 upstream-rate-limited"}
    served = callers.told[CANDLES]["200"] / sum(callers.told[CANDLES].values())
    print(f"candles served: {served:.1%}")
    assert served >= least_candles


@pytest.mark.parametrize("times,rates", [(1, FEW), LONG])
@pytest.mark.parametrize("fault", [kill_backend, kill_server, end_connections])
async def test_killed(fault: Callable[[Front], None], times: int, rates: Mapping[str, float], tmp_path: Path) -> None:
    async with running_front(tmp_path) as front:
        took = []
        async with front.callers.coming(rates):
            for _ in range(times):
                await asyncio.sleep(0.5)
                fault(front)
                await is_up(front)
                took.append(await recovers(front))
    check(front.callers, least_candles=0.6)
    print(f"{fault.__name__}: well again after {max(took):.2f} s at most")
    assert max(took) <= RECOVERY_S


@pytest.mark.parametrize("times,seconds,rates", [(1, 7.0, FEW), pytest.param(20, 30.0, RATES, marks=pytest.mark.long)])
async def test_hangs(times: int, seconds: float, rates: Mapping[str, float], tmp_path: Path) -> None:
    async with running_front(tmp_path) as front:
        took = []
        async with front.callers.coming(rates):
            for _ in range(times):
                await asyncio.sleep(0.5)
                with hung(front.cluster):
                    await asyncio.sleep(seconds)
                took.append(await recovers(front))
        check(front.callers, least_candles=0.5)
        print(f"well again after {max(took):.2f} s at most")
        assert UNAVAILABLE in front.callers.told[DATABASE]
        assert max(took) <= RECOVERY_S
        assert max(front.callers.longest_s.values()) < 10  # in front of a deadline of 5 s: the machine may be slow


async def test_no_room(tmp_path: Path) -> None:
    """All places of the server are taken by others, and more callers than it has places want what needs it."""
    async with running_front(tmp_path, ("max_connections=30",), processes=1) as front:
        with ExitStack() as others:
            operator = others.enter_context(psycopg.connect(front.url, autocommit=True))
            operator.execute(_END_CONNECTIONS)
            with suppress(psycopg.OperationalError):
                while True:
                    others.enter_context(psycopg.connect(front.url))
            operator.execute(_END_CONNECTIONS)
            with suppress(psycopg.OperationalError):
                while True:
                    others.enter_context(psycopg.connect(front.url))
            front.callers.forget()
            await asyncio.gather(*(front.callers.ask(DATABASE) for _ in range(200)))
            await asyncio.gather(*(front.callers.ask(MEMORY) for _ in range(50)))
            print(front.callers.told, dict(front.callers.longest_s))
            assert set(front.callers.told[DATABASE]) <= {"200", UNAVAILABLE}
            assert UNAVAILABLE in front.callers.told[DATABASE]
            assert set(front.callers.told[MEMORY]) == {"200"}
        assert await recovers(front) <= RECOVERY_S


async def test_locked(tmp_path: Path) -> None:
    """Another session locks what is read: callers are refused in time, and no query of theirs is left behind."""
    async with running_front(tmp_path) as front:
        async with await psycopg.AsyncConnection.connect(front.url) as connection:
            await connection.execute("LOCK TABLE events, symbol_versions, client_secrets IN ACCESS EXCLUSIVE MODE")
            front.callers.forget()
            async with front.callers.coming(FEW):
                await asyncio.sleep(4)
            check(front.callers, least_candles=0.6)
            assert set(front.callers.told[DATABASE]) == {UNAVAILABLE}
            assert front.callers.longest_s[DATABASE] < 10
            waiting = await connection.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            assert await waiting.fetchone() == (0,)
            await connection.rollback()
        assert await recovers(front) <= RECOVERY_S
