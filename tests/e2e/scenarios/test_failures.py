"""Scenarios 11 and 12: what fails is asked again with measure, told by name, and forgotten when it is over."""

import logging

import pytest

from marketdata.core.models import DAY_MS, MINUTE_MS, Interval
from marketdata.simulator.scenario import Scenario
from tests.e2e.scenarios.conftest import T0, Stage
from tests.e2e.scenarios.problems import assert_problem
from tests.e2e.scenarios.rows import columns, values

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNLIMITED = Scenario(limits=False)  # when nobody waits for a budget, time stands still
PATHS = {
    "binance_futures": "binance_futures/BTC-USDT-PERP/1m",
    "hyperliquid": "hyperliquid/BTC-USDC-PERP/1m",
    "coinbase": "coinbase/BTC-USD/1m",
}
OTHERS = ["BTC", "ETH", "1000PEPE", "KIT"]


async def test_11_one_coin_that_hyperliquid_refuses_is_no_failure_of_hyperliquid(stage: Stage) -> None:
    """11. 500 `null` for one HL coin: other coins continue, breaker not opened."""
    stage.play(UNLIMITED, "status,status=500,exchange=hyperliquid,symbol=BAMOKU")
    for number in range(12):
        document = await stage.read("hyperliquid/BAMOKU-USDC-PERP/1m", limit=5)
        assert (document["data"], document["page"]["complete"]) == ([], False)
        assert [warning["code"] for warning in document["warnings"]] == ["not-served-by-exchange"]
        other = await stage.read(f"hyperliquid/{OTHERS[number % 4]}-USDC-PERP/1m", limit=5)
        assert (other["page"]["count"], other["page"]["complete"], other["warnings"]) == (5, True, [])
    refused = [entry for entry in stage.calls("hyperliquid", "candles") if entry.symbol == "BAMOKU"]
    assert {entry.status for entry in refused} == {500}
    assert 12 < len(refused) <= 24, "each was asked once more at most, for it may be a fault"
    for _ in range(6):  # in a row, with no other coin between
        await stage.read("hyperliquid/BAMOKU-USDC-PERP/1m", limit=5)
    assert (await stage.read("hyperliquid/BTC-USDC-PERP/1m", limit=5))["page"]["count"] == 5


REFUSALS = {"404": (404, 0), "-1121": (400, 0), "-1122": (400, 1)}
"""By what is told of them: the status, and the second in which the simulator says just that with this status."""


@pytest.mark.parametrize("order", [{}, {"start": T0 - DAY_MS}, {"order": "desc"}], ids=["newest", "start", "desc"])
@pytest.mark.parametrize(
    "exchange,symbol,name,said",
    [
        ("coinbase", "BTC-USDC", "BTC-USDC", "404"),  # delisted, and listed as that
        ("coinbase", "ETH-USD", "ETH-USD", "404"),
        ("binance_futures", "ETHUSDT", "ETH-USDT-PERP", "-1121"),
        ("binance_futures", "ETHUSDT", "ETH-USDT-PERP", "-1122"),
    ],
)
async def test_11_what_is_listed_and_not_served_is_no_failure_either(
    stage: Stage, exchange: str, symbol: str, name: str, said: str, order: dict[str, object]
) -> None:
    """11, elsewhere: Coinbase answers candles of delisted products or 404; Binance refuses closed contracts."""
    status, second = REFUSALS[said]
    fault = f"status,status={status},exchange={exchange},route=candles,symbol={symbol}"
    stage.play(UNLIMITED, fault, now_ms=T0 + second * 1000)
    for _ in range(6):
        document = await stage.read(f"{exchange}/{name}/1m", limit=5, **order)
        assert (document["data"], document["page"]["complete"], document["page"]["next"]) == ([], False, None)
        (warning,) = document["warnings"]
        assert warning["code"] == "not-served-by-exchange"
        assert said in warning["detail"]
    calls = [entry.status for entry in stage.calls(exchange, "candles")]
    assert calls == [status] * 6, "each was asked once"
    assert (await stage.read(PATHS[exchange], limit=5))["page"]["count"] == 5


FAULTS = [
    ("status,status=500", "upstream-unavailable", "is in trouble (HTTP status 500)"),
    ("status,status=502", "upstream-unavailable", "is in trouble (HTTP status 502)"),
    ("html,status=503", "upstream-unavailable", "out of service (HTTP status 503)"),
    ("html,status=504", "upstream-unavailable", "is in trouble (HTTP status 504)"),
    ("html", "upstream-bad-data", "does not say that it is JSON"),
    ("truncated-json", "upstream-bad-data", "not of the documented form"),
]
BODIES = {"html": "<!DOCTYPE html>", "truncated-json": "[", "status": ""}


@pytest.mark.parametrize(
    "exchange,fault,code,name",
    [
        (exchange, *fault)
        for exchange in PATHS
        for fault in FAULTS
        if (exchange, fault[0]) != ("hyperliquid", "status,status=500")  # that is `null`, an unknown coin: scenario 11
    ],
)
async def test_12_a_failure_is_asked_again_once_and_logged_with_its_beginning(
    stage: Stage, exchange: str, fault: str, code: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """12. Any 5xx/HTML/truncated JSON: retried with cap, error class recorded with body head."""
    caplog.set_level(logging.WARNING, "marketdata")
    stage.play(UNLIMITED, f"{fault},exchange={exchange},route=candles")
    response = await stage.ask(PATHS[exchange], limit=5)
    assert_problem(response, code)
    assert name in response.json()["detail"]
    assert len(stage.calls(exchange, "candles")) == 2
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("marketdata.core")]
    assert len(logged) == 2
    assert all(name in line and BODIES[fault.partition(",")[0]] in line for line in logged)

    caplog.clear()
    stage.play(UNLIMITED, f"{fault},exchange={exchange},route=candles,first=1")
    assert (await stage.read(PATHS[exchange], limit=5))["page"]["count"] == 5
    assert len(stage.calls(exchange, "candles")) == 2
    assert len(caplog.records) == 1


@pytest.mark.parametrize("exchange", PATHS)
async def test_12_when_everything_fails_asking_again_does_not_double_it(stage: Stage, exchange: str) -> None:
    """12, the cap: five calls may be made again at once; then one for each ten. And the breaker ends it altogether."""
    stage.play(UNLIMITED, f"html,exchange={exchange},route=candles")
    for _ in range(30):
        assert_problem(await stage.ask(PATHS[exchange], limit=5), "upstream-bad-data")
    assert 30 + 5 <= len(stage.calls(exchange, "candles")) <= 30 + 5 + 3
    stage.play(UNLIMITED, f"html,status=502,exchange={exchange},route=candles")
    for _ in range(30):
        assert_problem(await stage.ask(PATHS[exchange], limit=5), "upstream-unavailable")
    assert len(stage.calls(exchange, "candles")) <= 6


@pytest.mark.parametrize("exchange", PATHS)
async def test_12_an_exchange_that_is_back_is_found_by_those_who_ask_for_much(stage: Stage, exchange: str) -> None:
    """12, its end: one call finds out that the exchange is back, also when every page asked for needs many of them."""
    stage.play(UNLIMITED, f"html,status=503,exchange={exchange},route=candles")
    wide = {"start": T0 - 3 * DAY_MS, "end": T0 - T0 % MINUTE_MS, "limit": 4000}
    for _ in range(6):
        assert_problem(await stage.ask(PATHS[exchange], **wide), "upstream-unavailable")
    stage.platform.controls.faults.clear()
    stage.clock.advance(18_001)  # longer than it is left alone between two probes
    assert (await stage.read(PATHS[exchange], **wide))["page"]["count"] == 4000


async def test_12_a_few_answers_that_fail_for_no_reason_are_asked_for_again(stage: Stage) -> None:
    """12, by the way: of Hyperliquid's answers about 4 % fail. That is no limit: nobody is told to wait for it."""
    stage.play(Scenario(failing_percent=4))
    end = T0 - T0 % MINUTE_MS
    for number in range(120):
        coin = OTHERS[number % 2]
        start = end - (number + 1) * 20 * MINUTE_MS
        document = await stage.read(f"hyperliquid/{coin}-USDC-PERP/1m", start=start, end=start + 20 * MINUTE_MS)
        assert values(document["data"]) == columns(
            stage.truth("hyperliquid", coin, Interval.MIN_1, start, start + 20 * MINUTE_MS)
        )
        stage.clock.advance(3000)
    statuses = [entry.status for entry in stage.calls("hyperliquid")]
    assert set(statuses) == {200, 502}
    assert 0.02 < statuses.count(502) / len(statuses) < 0.08
