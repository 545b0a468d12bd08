"""`marketdata sync`: what it prints, how it ends, and that being killed leaves the old or the new state."""

import asyncio
import random
import subprocess
from pathlib import Path

import psycopg

from tests.cli.command import MARKETDATA, environment, marketdata
from tests.fake_exchange import Answer, fake_exchange
from tests.syncer.products import NOT_FOUND, Row, product, products, whole_sync

TRIALS = 6
PRODUCTS = 500


async def sync(folder: Path, database_url: str, coinbase: str, *more: str) -> subprocess.CompletedProcess[str]:
    settings = {"database_url": database_url, "coinbase_url": coinbase, "hyperliquid_url": "http://127.0.0.1:9"}
    return await asyncio.to_thread(marketdata, folder, "sync", "--exchange", "coinbase", *more, **settings)


async def test_it_prints_what_changed(postgres_url: str, tmp_path: Path) -> None:
    first: list[Row] = [product("BTC"), product("OLD"), {"id": "BAD-USD"}]
    second = [product("BTC", quote_increment="0.010"), product("NEW")]
    async with fake_exchange(*whole_sync(first), *whole_sync(second)) as coinbase:
        result = await sync(tmp_path, postgres_url, coinbase.url)
        assert (result.returncode, result.stderr) == (0, "")
        counts, refused = result.stdout.splitlines()
        assert counts == "coinbase: 2 instruments, 2 new, 1 refused"
        assert refused.startswith("  ! refused BAD-USD: ")
        result = await sync(tmp_path, postgres_url, coinbase.url)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "coinbase: 2 instruments, 1 new, 1 changed, 1 missing",
        "  ~ BTC-USD changed: tick_size 0.01 → 0.010",
        "  + NEW-USD listed",
        "  ! missing, not delisted yet, 1: OLD-USD",
    ]


async def test_it_is_done_only_if_all_succeeded(postgres_url: str, tmp_path: Path) -> None:
    async with fake_exchange(NOT_FOUND, products([product("BTC")])) as coinbase:
        result = await sync(tmp_path, postgres_url, coinbase.url, "--exchange", "hyperliquid")
    assert result.returncode == 1
    assert sorted(result.stdout.splitlines()) == [
        "coinbase: 1 instruments, 1 new",
        "hyperliquid: not synced: cannot be reached: nothing listens there",
    ]


async def test_an_exchange_that_is_not_there(postgres_url: str, tmp_path: Path) -> None:
    result = await sync(tmp_path, postgres_url, "http://127.0.0.1:9", "--exchange", "atlantis")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: no such exchange; known are binance_futures, hyperliquid, coinbase\n"


async def test_a_database_without_a_schema(empty_postgres_url: str, tmp_path: Path) -> None:
    result = await sync(tmp_path, empty_postgres_url, "http://127.0.0.1:9")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: the database has not the schema of this version: run `marketdata migrate`\n"
    assert marketdata(tmp_path, "migrate", database_url=empty_postgres_url).stdout == "the schema is now the newest\n"
    assert (
        marketdata(tmp_path, "migrate", database_url=empty_postgres_url).stdout == "the schema is the newest already\n"
    )
    assert "cannot be reached" in (await sync(tmp_path, empty_postgres_url, "http://127.0.0.1:9")).stdout


async def test_a_killed_sync_leaves_the_old_or_the_new_state(postgres_url: str, tmp_path: Path) -> None:
    """Each trial changes all products at once; the kill comes between the exchange's answer and the process's end."""
    chance = random.Random(1)
    for trial in range(1, TRIALS + 1):
        before = ticks(postgres_url)
        rows = [product(f"A{number}", quote_increment=f"0.{trial}") for number in range(PRODUCTS)]
        await sync_and_kill(tmp_path, postgres_url, products(rows), chance.uniform(0.0, 0.4))
        after = ticks(postgres_url)
        assert after in (before, {f"0.{trial}": PRODUCTS})
        with psycopg.connect(postgres_url) as connection:
            generation = connection.execute("SELECT coalesce(max(generation), 0) FROM exchanges").fetchone()
            runs = connection.execute("SELECT count(*) FROM sync_runs WHERE outcome = 'succeeded'").fetchone()
        assert generation == runs


async def sync_and_kill(folder: Path, database_url: str, listing: Answer, after_s: float) -> None:
    """Kill it `after_s` after it has been given the listing, unless it has ended by then."""
    answered = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        await listing(writer)
        answered.set()

    async with fake_exchange(NOT_FOUND, answer) as coinbase:
        process = await asyncio.create_subprocess_exec(
            MARKETDATA,
            "sync",
            "--exchange",
            "coinbase",
            cwd=folder,
            env=environment(database_url=database_url, coinbase_url=coinbase.url),
            stdout=subprocess.DEVNULL,
        )
        async with asyncio.timeout(60):
            await answered.wait()
        await asyncio.sleep(after_s)
        if process.returncode is None:
            process.kill()
        await process.wait()


def ticks(database_url: str) -> dict[str, int]:
    """Tick size → how many products have it."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT tick_size::text, count(*) FROM symbols GROUP BY 1").fetchall()
    return {str(tick): int(number) for tick, number in rows}
