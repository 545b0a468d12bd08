"""The services as commands: they start, say how they are, and end in order on a signal."""

import asyncio
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from marketdata.store.engine import Database
from marketdata.store.syncs import last_runs
from tests.cli.command import MARKETDATA, environment, marketdata
from tests.fake_exchange import fake_exchange
from tests.syncer.products import NOT_FOUND, product, products

PATIENCE_S = 60


@asynccontextmanager
async def service(folder: Path, *arguments: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        MARKETDATA, *arguments, cwd=folder, env=environment(**settings), stdin=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def stop(process: asyncio.subprocess.Process, number: int) -> int:
    process.send_signal(number)
    async with asyncio.timeout(PATIENCE_S):
        return await process.wait()


async def get(url: str) -> httpx2.Response:
    """The answer, as soon as there is a server."""
    async with asyncio.timeout(PATIENCE_S), httpx2.AsyncClient() as http:
        while True:
            try:
                return await http.get(url)
            except httpx2.ConnectError:
                await asyncio.sleep(0.05)


def free_port() -> str:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return str(tried.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_simulator(number: int, tmp_path: Path) -> None:
    port = free_port()
    async with service(tmp_path, "simulate", "--port", port, "--seed", "7") as process:
        about = (await get(f"http://127.0.0.1:{port}/_control/about")).json()
        assert (about["source"], about["seed"]) == ("simulated", 7)
        assert await stop(process, number) == 0


async def test_the_simulator_plays_faults_at_another_time(tmp_path: Path) -> None:
    port, base = free_port(), "http://127.0.0.1"
    told = "--now 2021-05-19T12:00:00Z --scenario old,kept_rows=5060"
    told += " --fault html,route=time,first=1 --fault null,exchange=coinbase"
    async with service(tmp_path, "simulate", "--port", port, *told.split()) as process:
        now_ms = (await get(f"{base}:{port}/_control/clock")).json()["now_ms"]
        assert 0 <= now_ms - 1_621_425_600_000 < 300_000
        scenario = (await get(f"{base}:{port}/_control/scenario")).json()
        assert (scenario["old_keys"], scenario["kept_rows"], scenario["calendar_months"]) == (True, 5060, True)
        assert (await get(f"{base}:{port}/binance/fapi/v1/time")).text.startswith("<!DOCTYPE html>")
        assert (await get(f"{base}:{port}/binance/fapi/v1/time")).json()["serverTime"] >= now_ms
        assert (await get(f"{base}:{port}/coinbase/time")).content == b"null"
        assert await stop(process, signal.SIGTERM) == 0


async def test_a_silent_simulator_can_be_stopped(tmp_path: Path) -> None:
    port = free_port()
    async with (
        service(tmp_path, "simulate", "--port", port, "--fault", "silence") as process,
        httpx2.AsyncClient() as http,
    ):
        await get(f"http://127.0.0.1:{port}/_control/about")
        asked = asyncio.create_task(http.get(f"http://127.0.0.1:{port}/coinbase/time", timeout=PATIENCE_S))
        while not (await get(f"http://127.0.0.1:{port}/_control/journal")).json()["entries"]:
            await asyncio.sleep(0.05)
        assert await stop(process, signal.SIGTERM) == 0
        with pytest.raises(httpx2.HTTPError):
            await asked


def test_all_faults_are_listed(tmp_path: Path) -> None:
    result = marketdata(tmp_path, "simulate", "--fault", "list")
    assert (result.returncode, result.stderr) == (0, "")
    assert "  gzip-bomb  " in result.stdout
    assert "reset,exchange=coinbase,route=candles,first=3" in result.stdout


@pytest.mark.parametrize(
    "option, value, told",
    [
        ("--fault", "explode", "no kind of fault is called 'explode'; there are: refuse,"),
        ("--fault", "reset,first=0", "reset cannot be played: Expected `int` >= 1"),
        ("--scenario", "nice", "there are: usual, unlimited,"),
        ("--scenario", "kept_rows=none", "it cannot be: Expected `int`, got `str` - at `$.kept_rows`"),
        ("--now", "noon", "Invalid isoformat string: 'noon'"),
        ("--now", "1969-12-31", "the clock goes from 1970 to 2100"),
    ],
)
def test_a_simulator_is_not_started_wrongly(tmp_path: Path, option: str, value: str, told: str) -> None:
    result = marketdata(tmp_path, "simulate", "--port", free_port(), option, value)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"Invalid value for {option}: {told}" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "manifest, told", [(None, "No such file"), ("[]", "Expected `object`"), ("{", "truncated"), ("{}", "no listing of")]
)
def test_a_folder_without_recordings(manifest: str | None, told: str, tmp_path: Path) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    result = marketdata(tmp_path, "simulate", "--port", free_port(), "--recorded", str(tmp_path))
    assert (result.returncode, result.stdout) == (2, "")
    shown = " ".join(result.stderr.split())
    assert "Invalid value for --recorded: no recordings can be read there: " in shown
    assert told in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_api(number: int, postgres_url: str, tmp_path: Path) -> None:
    port = free_port()
    async with service(tmp_path, "api", database_url=postgres_url, port=port) as process:
        assert (await get(f"http://127.0.0.1:{port}/health/ready")).json()["code"] == "metadata-not-ready"
        assert await stop(process, number) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_syncer_and_its_health(number: int, database: Database, postgres_url: str, tmp_path: Path) -> None:
    settings = {"database_url": postgres_url, "exchanges": "coinbase"}
    unhealthy = await asyncio.to_thread(marketdata, tmp_path, "syncer", "--health", **settings)
    assert (unhealthy.returncode, unhealthy.stderr) == (1, "error: no syncer has tried to sync coinbase for too long\n")
    async with (
        fake_exchange(NOT_FOUND, products([product("BTC")])) as coinbase,
        service(tmp_path, "syncer", coinbase_url=coinbase.url, **settings) as process,
        asyncio.timeout(PATIENCE_S),
    ):
        synced = False
        while not synced:
            async with database.transaction() as connection:
                synced = bool(await last_runs(connection))
        healthy = await asyncio.to_thread(marketdata, tmp_path, "syncer", "--health", **settings)
        assert (healthy.returncode, healthy.stdout, healthy.stderr) == (0, "", "")
        assert await stop(process, number) == 0
