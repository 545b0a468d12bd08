"""The whole platform with this package in it: `marketdata up`, its PostgreSQL, its API, and a server for Kraken."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from kraken_server import CONFUSED, DELISTED, KEPT, KrakenServer, is_missing, row, running_server

MARKETDATA = Path(sys.executable).with_name("marketdata")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PATIENCE_S = 60


@dataclass
class Platform:
    """A platform that runs, and a token for it."""

    api: httpx2.Client
    kraken: KrakenServer

    def get(self, path: str, **params: str | int) -> httpx2.Response:
        """GET; while Kraken's budget is spent, when the platform says to come back."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            response = self.api.get(path, params=params)
            is_spent = response.status_code == 503 and response.json()["code"] == "upstream-rate-limited"
            if not is_spent or time.monotonic() > deadline:
                return response
            time.sleep(float(response.headers["retry-after"]))

    def read(self, path: str, **params: str | int) -> Any:
        """The document of a good answer."""
        response = self.get(path, **params)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MARKETDATA_")}
    with running_server() as kraken:
        up = subprocess.Popen(
            [MARKETDATA, "up", "--port", "0"],
            cwd=tmp_path_factory.mktemp("platform"),
            env={
                **inherited,
                "MARKETDATA_EXCHANGES": "kraken",
                "MARKETDATA_KRAKEN_URL": kraken.url,
                "MARKETDATA_GUARD_FLOOR": "6",  # so many of the sample's rows cannot be read, on purpose
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert up.stdout is not None
        too_late = threading.Timer(PATIENCE_S, up.kill)
        too_late.start()
        try:
            lines = []
            for line in up.stdout:
                lines.append(line)
                if "Ctrl-C stops everything" in line:
                    break
            curl = next(line for line in lines if line.startswith("curl -H"))
            _, _, header, url = shlex.split(curl)
            name, _, value = header.partition(": ")
            too_late.cancel()
            with httpx2.Client(base_url=httpx2.URL(url).join("/"), headers={name: value}, timeout=30) as api:
                yield Platform(api, kraken)
        finally:
            too_late.cancel()
            up.send_signal(signal.SIGINT)
            assert up.wait(PATIENCE_S) == 0
            up.stdout.close()


def test_its_symbols_are_listed(platform: Platform) -> None:
    symbols = {one["id"]: one for one in platform.read("/v1/symbols", exchange="kraken")["data"]}
    assert len(symbols) == 7
    bitcoin = symbols["kraken:BTC-USD"]
    assert (bitcoin["exchange_symbol"], bitcoin["kind"], bitcoin["status"]) == ("BTC/USD", "spot", "trading")
    assert symbols["kraken:ETH-BTC"]["tick_size"] == "0.00001"
    (found,) = platform.read("/v1/resolve", name="btc/usd", exchange="kraken")["data"]
    assert found["id"] == "kraken:BTC-USD"


def test_a_foreign_row_is_refused_and_reported(platform: Platform) -> None:
    run = platform.read("/v1/syncs", limit=1)["data"][0]
    assert (run["exchange"], run["outcome"], run["listed"], run["refused"]) == ("kraken", "succeeded", 7, 6)
    reasons = {row["exchange_symbol"]: row["reason"] for row in run["report"]["refused"]}
    assert reasons["BTC/USD:BTNL"] == "its order book is another venue's"


def test_its_capabilities_are_told(platform: Platform) -> None:
    kraken = platform.read("/v1/exchanges/kraken")
    assert {one["interval"]: one["token"] for one in kraken["intervals"]}["4h"] == "240"
    assert kraken["look_back_rows"] == KEPT
    assert platform.get("/v1/candles/kraken/BTC-USD/2h").json()["code"] == "unsupported-interval"


def test_its_candles_are_served_with_the_missing_ones_as_gaps(platform: Platform) -> None:
    answer = platform.read("/v1/candles/kraken/BTC%2FUSD/1h", limit=20)  # its own spelling resolves, too
    opens = range(answer["data"][0]["open_time"], answer["data"][-1]["close_time"], HOUR_MS)
    missing = [one for one in opens if is_missing(one // 1000, HOUR_MS // 1000)]
    assert [candle["open_time"] for candle in answer["data"]] == [one for one in opens if one not in missing]
    assert len(missing) >= 2
    assert answer["meta"]["gaps"] == [
        {"start": one, "end": one + HOUR_MS, "missing": 1, "reason": "missing"} for one in missing
    ]
    for candle in answer["data"]:
        _, *prices, _, volume, count = row(candle["open_time"] // 1000, HOUR_MS // 1000)
        assert [candle[name] for name in ("open", "high", "low", "close")] == prices
        assert (candle["volume"], candle["trades"], candle["quote_volume"]) == (volume, count, None)
        assert candle["is_closed"]
    assert any(candle["trades"] == 0 for candle in answer["data"])
    assert answer["page"]["complete"]
    assert (answer["meta"]["symbol"], answer["meta"]["volume_unit"]) == ("BTC-USD", "BTC")


def test_what_it_no_longer_keeps_is_said(platform: Platform) -> None:
    newest_ms = platform.read("/v1/candles/kraken/BTC-USD/1d", limit=1)["data"][0]["open_time"]
    answer = platform.read("/v1/candles/kraken/BTC-USD/1d", start=newest_ms - 1000 * DAY_MS, limit=2)
    first_ms = answer["data"][0]["open_time"]
    assert KEPT - 3 <= (newest_ms - first_ms) // DAY_MS <= KEPT
    assert not answer["page"]["complete"]
    (warning,) = answer["warnings"]
    assert (warning["code"], warning["end"]) == ("no-longer-served", first_ms)


def test_rows_of_another_pair_are_never_passed_on(platform: Platform) -> None:
    problem = platform.get(f"/v1/candles/kraken/{CONFUSED.replace('/', '-')}/1h", limit=1)
    assert problem.status_code == 502
    assert problem.json()["code"] == "upstream-bad-data"
    assert "another pair" in problem.json()["detail"]


def test_a_pair_that_is_listed_and_not_served_is_an_incomplete_answer(platform: Platform) -> None:
    answer = platform.read(f"/v1/candles/kraken/{DELISTED.replace('/', '-')}/1h", limit=1)
    assert (answer["data"], answer["page"]["complete"]) == ([], False)
    assert answer["warnings"][0]["code"] == "not-served-by-exchange"
