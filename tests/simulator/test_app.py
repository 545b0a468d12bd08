"""What the simulator says of itself, and what all its answers have in common."""

import httpx2
import pytest

from marketdata import __version__
from marketdata.core.clock import ManualClock
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import simulated
from tests.simulator.conftest import NOW_MS

TIMES = [("/binance/fapi/v1/time", "GET"), ("/coinbase/time", "GET")]


async def test_about_says_what_it_is(simulator: httpx2.AsyncClient) -> None:
    answer = await simulator.get("/_control/about")
    about = answer.json()
    counts = about.pop("symbols")
    assert about == {"source": "simulated", "seed": 1, "version": __version__, "now_ms": NOW_MS}
    assert counts["binance_futures"] >= 600
    assert counts["hyperliquid"] >= 400
    assert counts["coinbase"] >= 500


async def test_every_exchange_tells_the_clocks_time(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    clock.advance(1_000)
    assert (await simulator.get("/binance/fapi/v1/time")).content == b'{"serverTime":1773578097789}'
    coinbase = await simulator.get("/coinbase/time")
    assert coinbase.content == b'{"iso":"2026-03-15T12:34:57.789Z","epoch":1773578097.789}'
    hyperliquid = await simulator.post("/hyperliquid/info", json={"type": "perpDexs"})
    for answer in (coinbase, hyperliquid):
        assert answer.headers.get_list("date") == ["Sun, 15 Mar 2026 12:34:57 GMT"]


async def test_the_exchanges_clocks_may_be_wrong(clock: ManualClock) -> None:
    async with (
        running_simulator(simulated(scenario=Scenario(skew_ms=-5_000)), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        assert (await client.get("/binance/fapi/v1/time")).json() == {"serverTime": NOW_MS - 5_000}
        assert (await client.get("/_control/about")).json()["now_ms"] == NOW_MS


@pytest.mark.parametrize(
    "path", ["/", "/kraken/time", "/binance/fapi/v1/nothing", "/hyperliquid/exchange", "/coinbase/x"]
)
async def test_elsewhere_is_nothing(simulator: httpx2.AsyncClient, path: str) -> None:
    assert (await simulator.get(path)).status_code == 404


async def test_only_the_exchange_names_its_server(simulator: httpx2.AsyncClient) -> None:
    servers = [
        (await simulator.get("/binance/fapi/v1/ping")).headers.get_list("server"),
        (await simulator.post("/hyperliquid/info", json={"type": "perpDexs"})).headers.get_list("server"),
        (await simulator.get("/coinbase/time")).headers.get_list("server"),
    ]
    assert servers == [["Bengine"], ["nginx/1.22.1"], ["cloudflare"]]
