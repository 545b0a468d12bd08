"""An exchange that is not well as a whole: what the API says of it tells what it is, and what a caller can do."""

from typing import NamedTuple

import httpx2
import pytest

from marketdata.core.models import ExchangeId
from marketdata.simulator.scenario import Scenario
from marketdata.syncer.sync import sync_exchange
from tests.e2e.scenarios.conftest import Stage
from tests.e2e.scenarios.problems import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATHS = {
    "binance_futures": "binance_futures/BTC-USDT-PERP/1m",
    "hyperliquid": "hyperliquid/BTC-USDC-PERP/1m",
    "coinbase": "coinbase/BTC-USD/1m",
}


class State(NamedTuple):
    """How an exchange is, and what is said of it."""

    exchange: str
    trouble: str
    code: str
    words: str
    """A part of the detail."""
    wait_s: tuple[int, int]
    """The shortest and the longest `Retry-After`; 0: it does not say."""


FIREWALL = ("upstream-blocked", "its firewall refuses this address", (0, 0))
REGION = ("upstream-blocked", "does not serve this region", (0, 0))
LIMITED = ("upstream-rate-limited", "as one too many", (1, 5))
OUT_OF_SERVICE = ("upstream-unavailable", "out of service (HTTP status 503)", (1, 6))

STATES = [
    State("binance_futures", "firewall", *FIREWALL),
    State("binance_futures", "geo-block", *REGION),
    State("binance_futures", "geo-block-page", *REGION),
    State("binance_futures", "ban", "upstream-banned", "has banned this address for a while", (100, 121)),
    State("binance_futures", "rate-limit", *LIMITED),
    *(
        State("binance_futures", trouble, *OUT_OF_SERVICE)
        for trouble in ("unknown-error", "unavailable", "internal-error", "overload", "edge-error")
    ),
    State("binance_futures", "timeout", "upstream-unavailable", "is in trouble (HTTP status 408)", (1, 6)),
    State("binance_futures", "fault", "upstream-unavailable", "is in trouble (HTTP status 500)", (1, 6)),
    State("hyperliquid", "firewall", *FIREWALL),
    State("hyperliquid", "geo-block", *REGION),
    State("hyperliquid", "rate-limit", *LIMITED),
    State("hyperliquid", "maintenance", "upstream-unavailable", "is in trouble (HTTP status 502)", (1, 6)),
    State("hyperliquid", "unavailable", *OUT_OF_SERVICE),
    State("hyperliquid", "null", "upstream-unavailable", "is in trouble (HTTP status 500)", (1, 6)),
    State("coinbase", "firewall", *FIREWALL),
    State("coinbase", "challenge", *FIREWALL),
    State("coinbase", "geo-block", *REGION),
    State("coinbase", "rate-limit", *LIMITED),
    State("coinbase", "edge-rate-limit", *LIMITED),
    State("coinbase", "maintenance", "upstream-unavailable", "is under maintenance (503)", (1, 6)),
    State("coinbase", "edge-down", "upstream-unavailable", "is in trouble (HTTP status 521)", (1, 6)),
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state.exchange}-{state.trouble}")
async def test_a_trouble_is_told_by_its_name_and_passes(stage: Stage, state: State) -> None:
    stage.play(Scenario(limits=False, troubles={state.exchange: state.trouble}))
    shortest, longest = state.wait_s
    for number in range(4):  # the breaker opens meanwhile, where it is one for it
        for path in (PATHS[state.exchange], f"{PATHS[state.exchange]}/latest"):
            response = await stage.ask(path)
            assert shortest <= assert_problem(response, state.code) <= longest
            assert state.words in response.json()["detail"], number
    assert len(stage.calls(state.exchange)) <= 6, "it is left alone"
    for other in PATHS.keys() - {state.exchange}:
        assert (await stage.read(PATHS[other], limit=3))["page"]["count"] == 3

    fetcher = stage.platform.fetchers[ExchangeId(state.exchange)]
    before = await stage.platform.read("/v1/symbols", exchange=state.exchange, limit=100)
    run = await sync_exchange(stage.platform.database, fetcher, stage.clock)
    assert (run.outcome, run.error_code) == ("failed", state.code)
    await stage.platform.services.refresh()
    assert await stage.platform.read("/v1/symbols", exchange=state.exchange, limit=100) == before

    async with httpx2.AsyncClient(base_url=stage.platform.simulator, trust_env=False) as control:
        assert (await control.delete("/_control/troubles")).status_code == 200
    stage.clock.advance(122_000)
    assert (await stage.read(PATHS[state.exchange], limit=3))["page"]["count"] == 3


async def test_each_state_that_matters_is_there_for_each_exchange() -> None:
    told = {(state.exchange, state.words) for state in STATES}
    for exchange in PATHS:
        assert (exchange, FIREWALL[1]) in told
        assert (exchange, REGION[1]) in told
        assert (exchange, LIMITED[1]) in told
        assert any(state.code == "upstream-unavailable" for state in STATES if state.exchange == exchange)
