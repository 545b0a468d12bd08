"""What becomes of a query when the server is away, hangs, or comes back."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.engine import Database, driver_url


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server that may be hurt."""
    folder = tmp_path_factory.mktemp("hurt")
    with EmbeddedPostgres(folder, ["fsync=off"]).use() as url:
        yield url, folder / "postgres"


@pytest.fixture
async def impatient(server: tuple[str, Path]) -> AsyncIterator[Database]:
    database = Database(server[0], deadline_s=0.4, pool_size=2)
    yield database
    await database.dispose()


def processes(cluster: Path) -> list[int]:
    """The postmaster and its children."""
    postmaster = int((cluster / "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [postmaster, *map(int, children)]


@contextlib.contextmanager
def hung(cluster: Path) -> Iterator[None]:
    stopped = processes(cluster)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


async def test_commits_at_the_end_and_rolls_back_on_an_error(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await connection.exec_driver_sql("CREATE TABLE kept (one int)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction() as connection:
        await connection.exec_driver_sql("CREATE TABLE kept (one int)")
    async with database.transaction() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM kept")).scalar() == 0


async def test_hung_server(impatient: Database, server: tuple[str, Path]) -> None:
    await impatient.ping()
    with hung(server[1]):
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable), at_most(4):
                await impatient.ping()
    await impatient.ping()


async def test_server_hangs_within_a_transaction(impatient: Database, server: tuple[str, Path]) -> None:
    async def ask() -> None:
        async with impatient.transaction() as connection:
            await connection.exec_driver_sql("SELECT 1")
            with hung(server[1]):
                await connection.exec_driver_sql("SELECT 1")

    with at_most(3), pytest.raises(DatabaseUnavailable):
        await ask()
    await impatient.ping()


async def test_cancelled_while_the_server_hangs(impatient: Database, server: tuple[str, Path]) -> None:
    await impatient.ping()
    with hung(server[1]), at_most(8):  # psycopg gives the server 5 s to take notice
        asking = asyncio.create_task(impatient.ping())
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises((asyncio.CancelledError, DatabaseUnavailable)):
            await asking
    await impatient.ping()


async def test_slow_query(impatient: Database) -> None:
    with pytest.raises(DatabaseUnavailable), at_most(3):
        async with impatient.transaction() as connection:
            await connection.exec_driver_sql("SELECT pg_sleep(60)")
    await impatient.ping()


async def test_killed_server(impatient: Database, server: tuple[str, Path]) -> None:
    await asyncio.gather(impatient.ping(), impatient.ping())
    os.kill(processes(server[1])[0], signal.SIGKILL)
    end = time.monotonic() + 20
    while True:
        try:
            await impatient.ping()
            break
        except DatabaseUnavailable:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)


async def test_pooled_connections_ended_by_the_server_cost_no_request(postgres_url: str) -> None:
    database = Database(postgres_url)
    await asyncio.gather(*(database.ping() for _ in range(5)))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'marketdata'"
        )
    for _ in range(5):
        await database.ping()
    await database.dispose()


async def test_exhausted_pool(impatient: Database) -> None:
    async with impatient.transaction(), impatient.transaction():
        with pytest.raises(DatabaseUnavailable), at_most(3):
            await impatient.ping()
    await impatient.ping()


async def test_no_server() -> None:
    database = Database("postgresql://someone:hidden-password@127.0.0.1:9/nowhere", deadline_s=0.5)
    with pytest.raises(DatabaseUnavailable) as caught:
        await database.ping()
    assert "hidden-password" not in f"{caught.value} {caught.value.__cause__!r} {database!r}"
    await database.dispose()


async def test_a_defect_keeps_its_name_and_shows_no_value(database: Database) -> None:
    with pytest.raises(ProgrammingError) as caught:
        async with database.transaction() as connection:
            await connection.exec_driver_sql("SELECT no_such_column, %(value)s", {"value": "hidden"})
    assert "hidden'" not in str(caught.value)


async def test_settings_of_a_connection(postgres_url: str) -> None:
    database = Database(f"{postgres_url}&options=-c%20work_mem%3D3MB", deadline_s=2)
    async with database.transaction() as connection:
        row = (
            await connection.exec_driver_sql(
                "SELECT current_setting('statement_timeout'), current_setting('timezone'), current_setting('work_mem')"
            )
        ).one()
    assert tuple(row) == ("2s", "UTC", "3MB")
    await database.dispose()


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgres"])
def test_spellings_of_the_url(scheme: str) -> None:
    assert driver_url(f"{scheme}://a:b@h/d").drivername == "postgresql+psycopg"
