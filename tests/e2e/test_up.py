"""`marketdata up` from its first start to its end, however that comes."""

import asyncio
import json
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from marketdata.core.models import Source
from marketdata.store.engine import Database
from marketdata.store.installation import claim_source
from marketdata.store.migrate import migrate
from marketdata.store.opening import open_database
from marketdata.store.settings import DatabaseSettings
from tests.cli.command import MARKETDATA, environment, marketdata
from tests.e2e.processes import Up, processes, up, wait_until_none
from tests.fake_exchange import fake_exchange, http
from tests.syncer.products import product, products

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def paste(command: str) -> Any:
    """The answer to a printed `curl` line, as pasted; without curl, as curl would send it."""
    if shutil.which("curl"):
        shown = subprocess.run(["sh", "-c", f"{command} -sS"], capture_output=True, text=True, check=True)
        return json.loads(shown.stdout)
    words = shlex.split(command)
    options = dict(zip(words[1:-1:2], words[2:-1:2], strict=True))
    if "-d" in options:
        user, _, password = options["-u"].partition(":")
        return httpx2.post(words[-1], data=dict([options["-d"].split("=")]), auth=(user, password)).json()
    name, _, value = options["-H"].partition(": ")
    return httpx2.get(words[-1], headers={name: value}).json()


def ask(running: Up, path: str) -> Any:
    """GET with the token of the printed line."""
    candles = running.commands()[0]
    return paste(candles.replace(shlex.split(candles)[-1], f"{address(running)}{path}"))


def address(running: Up) -> str:
    return running.fact("API").split()[0]


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port


def assert_candles(answer: Any) -> None:
    assert answer["page"]["count"] == 3
    assert (answer["meta"]["symbol"], answer["meta"]["interval"]) == ("BTC-USDT-PERP", "1h")
    assert answer["meta"]["source"]["kind"] == "simulated"


def test_the_demo_from_its_first_start_to_its_end(tmp_path: Path) -> None:
    with up(tmp_path, "--demo", "--port", "0") as running:
        lines = running.wait_for()
        assert any("SIMULATED" in line for line in lines)
        assert running.fact("data") == str(tmp_path / ".marketdata-demo")
        assert running.fact("binance_futures").endswith("instruments")
        candles, next_token = running.commands()
        assert_candles(paste(candles))
        client_id, secret = running.fact("client id"), running.fact("client secret").split()[0]
        assert f"{client_id}:{secret}" in next_token
        token = paste(next_token)
        assert (token["token_type"], set(token["scope"].split())) == ("Bearer", {"candles:read", "metadata:read"})
        status = ask(running, "/v1/status")
        assert {exchange["source"] for exchange in status["exchanges"]} == {"simulated"}

        # commands beside it join its database; a second one on the same data is refused at once
        data = str(tmp_path / ".marketdata-demo")
        assert client_id in marketdata(tmp_path, "clients", "list", data_dir=data).stdout
        for command in (("up", "--demo", "--port", "0"), ("syncer",), ("api",)):
            refused = marketdata(tmp_path, *command, data_dir=data, port="0")
            assert (refused.returncode, refused.stdout) == (3, "")
            assert refused.stderr == f"error: `marketdata up` already runs on {data}\n"

        assert running.stop(signal.SIGINT) == 0
        assert processes(tmp_path) == {}

    with up(tmp_path, "--demo", "--port", "0") as running:
        running.wait_for()
        assert not any(line.startswith("client secret") for line in running.lines)
        candles, next_token = running.commands()
        assert_candles(paste(candles))
        assert f'"{client_id}:$CLIENT_SECRET"' in next_token
        assert running.fact("more clients").startswith("MARKETDATA_DATA_DIR=.marketdata-demo ")
        assert "access_token" in paste(f"CLIENT_SECRET={secret}; {next_token}") if shutil.which("curl") else True

        running.process.kill()
        running.process.wait()
        wait_until_none(tmp_path, patience_s=15)

    with up(tmp_path, "--demo", "--port", "0") as running:
        running.wait_for()
        assert_candles(paste(running.commands()[0]))
        assert running.stop(signal.SIGTERM, group=False) == 0
        assert processes(tmp_path) == {}


def test_unreachable_exchanges_do_not_keep_it_from_starting(tmp_path: Path) -> None:
    port, elsewhere = free_port(), free_port()
    settings = {
        "binance_futures_url": f"http://127.0.0.1:{port}/binance",
        "coinbase_url": f"http://127.0.0.1:{elsewhere}/coinbase",
        "exchanges": "binance_futures,coinbase",
    }
    with up(tmp_path, "--port", "0", **settings) as running:
        running.wait_for("No metadata yet")
        assert running.fact("data") == str(tmp_path / ".marketdata")
        for exchange in ("binance_futures", "coinbase"):
            assert running.fact(exchange) == "not synced: cannot be reached: nothing listens there; still trying"
        assert httpx2.get(f"{address(running)}/health/live").status_code == 200
        assert httpx2.get(f"{address(running)}/health/ready").status_code == 503

        command = [str(MARKETDATA), "--quiet", "simulate", "--port", str(port)]
        with subprocess.Popen(command, cwd=tmp_path, env=environment()) as simulator:
            lines = running.wait_for()
            assert sum("SIMULATED" in line for line in lines) == 1
            assert_candles(paste(running.commands()[0]))
            simulator.terminate()
            assert simulator.wait(30) == 0
        assert running.stop() == 0


@pytest.mark.parametrize("source", ["simulated", "recorded"])
async def test_exchanges_that_are_not_the_real_ones_are_told_without_the_demo(source: str, tmp_path: Path) -> None:
    about = http(json.dumps({"source": source}).encode())
    async with fake_exchange(about, products([product("BTC")]), about) as coinbase:
        with up(tmp_path, "--port", "0", exchanges="coinbase", coinbase_url=coinbase.url) as running:
            lines = await asyncio.to_thread(running.wait_for)
            assert lines[1].split()[:2] == [source.upper(), "exchanges:"]
            assert await asyncio.to_thread(running.stop) == 0


def test_data_of_another_source_is_not_touched(tmp_path: Path) -> None:
    async def claim(url: str) -> None:
        database = Database(url)
        async with database.transaction() as connection:
            await claim_source(connection, Source.LIVE, 1_767_225_600_000)
        await database.dispose()

    with open_database(DatabaseSettings(data_dir=tmp_path / "live")) as url:
        migrate(url)
        asyncio.run(claim(url))
    result = marketdata(tmp_path, "up", "--demo", "--port", "0", data_dir=str(tmp_path / "live"))
    assert (result.returncode, result.stdout) == (1, "")
    assert "error: this database holds live data and the exchanges are simulated; nothing was changed" in result.stderr
    assert processes(tmp_path) == {}


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = marketdata(tmp_path, "up", "--demo", "--port", str(port))
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == f"error: port {port} of 127.0.0.1 is taken; choose another one\n"
    assert processes(tmp_path) == {}
