"""The endpoints that steer a simulator."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from marketdata.core.clock import ManualClock
from marketdata.simulator.controls import Controls
from marketdata.simulator.fault_kinds import KINDS
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources, simulated
from tests.simulator.conftest import NOW_MS

MINUTE_MS = 60_000


@pytest.fixture
def controls() -> Controls:
    return Controls()


@pytest.fixture(scope="module")
def market() -> Sources:
    """A market whose outages are this module's."""
    return simulated(scenario=Scenario(limits=False))


@pytest.fixture
async def control(market: Sources, clock: ManualClock, controls: Controls) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a simulator without outages."""
    assert market.outages is not None
    market.outages.clear()
    async with running_simulator(market, clock, controls) as url, httpx2.AsyncClient(base_url=url) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def refusing(market: Sources) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a simulator that all tests share that change nothing."""
    async with running_simulator(market, ManualClock(NOW_MS)) as url, httpx2.AsyncClient(base_url=url) as client:
        yield client


async def test_all_endpoints_are_listed_and_answer(control: httpx2.AsyncClient) -> None:
    listed = (await control.get("/_control")).json()["endpoints"]
    assert len(listed) > 10
    for line in listed:
        method, path = line.partition(":")[0].split(" ")
        assert path.startswith("/_control")
        answer = await control.request(method, path.replace("{id}", "1"), json={"now_ms": NOW_MS})
        assert answer.status_code in {200, 400, 404}, line
        assert answer.headers["content-type"] == "application/json"
        assert method == "POST" or "error" not in answer.json() or "{id}" in path


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "method, path, status, says",
    [
        ("GET", "/_control/nothing", 404, "GET /_control lists what there is"),
        ("GET", "/_control/", 404, "GET /_control lists what there is"),
        ("POST", "/_control/about", 405, "this takes GET"),
        ("PUT", "/_control/faults", 405, "this takes GET and POST and DELETE"),
        ("DELETE", "/_control/faults/7", 404, "no fault has the id 7"),
        ("GET", "/_control/journal?limit=many", 400, "Expected `int`"),
        ("GET", "/_control/journal?route=klines", 400, "no route is called 'klines'; there are: listing"),
        ("GET", "/_control/journal?limit=-1", 400, "Expected `int` >= 0"),
        ("GET", "/_control/journal?exchange=kraken", 400, "no exchange is called 'kraken'; there are: binance_futures"),
        ("GET", "/_control/journal?sincee=3", 400, "unknown field `sincee`"),
    ],
)
async def test_a_wrong_request_is_told_what_is_right(
    refusing: httpx2.AsyncClient, method: str, path: str, status: int, says: str
) -> None:
    answer = await refusing.request(method, path)
    assert answer.status_code == status
    assert says in answer.json()["error"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "path, body, says",
    [
        ("/faults", b"", "truncated"),
        ("/faults", b"reset", "malformed"),
        ("/faults", b"7", "Expected `str | object | array`"),
        ("/faults", b'"explode"', "no kind of fault is called 'explode'; there are: refuse,"),
        ("/faults", b'["reset", {"kind": "explode"}]', "no kind of fault is called 'explode'"),
        ("/faults", b'{"kind": "reset", "first": "x"}', "Expected `int | null`, got `str` - at `$.first`"),
        ("/faults", b'{"kind": "reset", "route": ["x"]}', "Expected `str | null`, got `array` - at `$.route`"),
        ("/clock", b"", "truncated"),
        ("/clock", b'{"now": 3}', "unknown field `now`"),
        ("/clock", b'{"now_ms": -1}', "the clock goes from 1970 to 2100"),
        ("/clock", b'{"advance_ms": -9000000000000}', "the clock goes from 1970 to 2100"),
        ("/clock", b'{"rate": -1}', "Expected `float` >= 0"),
        ("/limits", b'{"exchange": "coinbase", "foreign": -1}', "Expected `int` >= 0"),
        ("/limits", b'{"exchange": "kraken", "foreign": 1}', "no exchange is called 'kraken'"),
        ("/troubles", b'{"exchange": "kraken", "trouble": null}', "no exchange is called 'kraken'"),
        ("/troubles", b'{"exchange": "coinbase", "trouble": "boredom"}', "is called 'boredom'; there are:"),
        ("/listings", b"{}", "missing required field `exchange`"),
        (
            "/listings",
            b'{"exchange": "kraken", "symbol": "X", "change": "absent", "from": 0}',
            "no exchange is called 'kr",
        ),
        (
            "/listings",
            b'{"exchange": "coinbase", "symbol": "X", "change": "lost", "from": 0}',
            "Invalid enum value 'lost'",
        ),
        (
            "/listings",
            b'{"exchange": "coinbase", "symbol": "X", "change": "absent", "from": 9}',
            "nothing of that name",
        ),
        ("/listings", b'{"exchange": "coinbase", "symbol": "X", "change": "tick", "from": 0}', "other says `to` what"),
        (
            "/listings",
            b'{"exchange": "coinbase", "symbol": "X", "change": "absent", "to": "Y", "from": 0}',
            "changes to nothing",
        ),
        (
            "/listings",
            b'{"exchange": "coinbase", "symbol": "X", "change": "absent", "from": 9, "until": 9}',
            "from is not before until",
        ),
        ("/outages", b"{}", "missing required field `exchange`"),
        ("/outages", b'{"exchange": "kraken", "from": 0, "until": 60000}', "no exchange is called 'kraken'"),
        ("/outages", b'[{"exchange": "coinbase", "from": 0, "until": 60000}, {}]', "missing required field `exchange`"),
        ("/outages", b'{"exchange": "coinbase", "from": "noon", "until": 60000}', "Invalid isoformat string: 'noon'"),
        ("/outages", b'{"exchange": "coinbase", "from": 60000, "until": 60000}', "from a whole minute until a later"),
        ("/outages", b'{"exchange": "coinbase", "from": 1, "until": 60000}', "from a whole minute until a later"),
    ],
)
async def test_a_wrong_body_is_told_and_changes_nothing(
    refusing: httpx2.AsyncClient, path: str, body: bytes, says: str
) -> None:
    before = (await refusing.get(f"/_control{path}")).json()
    answer = await refusing.post(f"/_control{path}", content=body)
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert (await refusing.get(f"/_control{path}")).json() == before


async def test_faults_come_and_go(control: httpx2.AsyncClient) -> None:
    planted = await control.post("/_control/faults", json=["html,route=time,first=1", {"kind": "empty"}])
    assert [(each["id"], each["fault"]["kind"]) for each in planted.json()["faults"]] == [(1, "html"), (2, "empty")]
    assert (await control.get("/binance/fapi/v1/time")).text.startswith("<!DOCTYPE")
    assert (await control.get("/binance/fapi/v1/time")).content == b""
    assert (await control.get("/_control/faults")).json() == {
        "faults": [
            {"id": 1, "fault": {"kind": "html", "route": "time", "first": 1}, "matched": 2, "played": 1},
            {"id": 2, "fault": {"kind": "empty"}, "matched": 2, "played": 1},
        ]
    }
    assert (await control.delete("/_control/faults/2")).json()["faults"][0]["id"] == 1
    assert (await control.get("/binance/fapi/v1/time")).json() == {"serverTime": NOW_MS}
    assert (await control.post("/_control/faults", json="null")).json()["faults"][0]["id"] == 3
    assert (await control.delete("/_control/faults")).json() == {"faults": []}
    assert (await control.get("/binance/fapi/v1/time")).json() == {"serverTime": NOW_MS}


async def test_all_kinds_can_be_read(control: httpx2.AsyncClient) -> None:
    groups = (await control.get("/_control/faults/kinds")).json()
    assert {kind["kind"] for kinds in groups.values() for kind in kinds} == set(KINDS)
    assert {"kind": "html", "meaning": "a page with `status`", "takes": {"status": 200}} in groups["The answer"]


async def test_the_journal_can_be_read_and_cleared(control: httpx2.AsyncClient) -> None:
    for path in ("/binance/fapi/v1/time", "/coinbase/time", "/coinbase/products/BTC-USD/candles"):
        await control.get(path)
    journal = (await control.get("/_control/journal")).json()
    assert journal["last_id"] == 3
    assert [entry["id"] for entry in journal["entries"]] == [1, 2, 3]
    assert [entry["route"] for entry in journal["entries"]][:2] == ["/fapi/v1/time", "/time"]

    async def ids(**wanted: Any) -> list[int]:
        entries = (await control.get("/_control/journal", params=wanted)).json()["entries"]
        return [entry["id"] for entry in entries]

    assert await ids(exchange="coinbase") == [2, 3]
    assert await ids(exchange="binance") == [1]
    assert await ids(route="time", since=1) == [2]
    assert await ids(symbol="BTC-USD") == [3]
    assert await ids(limit=1) == [3]
    assert await ids(limit=1, since=0) == [1]
    assert (await control.delete("/_control/journal")).json() == {"entries": [], "last_id": 3}
    assert await ids() == []


async def test_the_clock_can_be_set_moved_frozen_and_run(control: httpx2.AsyncClient, clock: ManualClock) -> None:
    async def set_clock(**change: Any) -> dict[str, Any]:
        answer: dict[str, Any] = (await control.post("/_control/clock", json=change)).json()
        return answer

    assert (await control.get("/_control/clock")).json() == {"now_ms": NOW_MS, "rate": 1.0}
    assert await set_clock(now_ms=NOW_MS - 86_400_000) == {"now_ms": NOW_MS - 86_400_000, "rate": 1.0}
    assert (await control.get("/_control/about")).json()["now_ms"] == NOW_MS - 86_400_000
    assert (await control.get("/binance/fapi/v1/time")).json() == {"serverTime": NOW_MS - 86_400_000}
    assert (await control.get("/coinbase/time")).json()["iso"] == "2026-03-14T12:34:56.789Z"
    answer = await control.post("/hyperliquid/info", json={"type": "allMids"})
    assert answer.headers["date"] == "Sat, 14 Mar 2026 12:34:56 GMT"
    assert (await set_clock(advance_ms=3_000, rate=0))["now_ms"] == NOW_MS - 86_397_000
    clock.advance(10_000)
    assert (await control.get("/_control/clock")).json() == {"now_ms": NOW_MS - 86_397_000, "rate": 0.0}
    await set_clock(rate=60)
    clock.advance(1_000)
    assert (await control.get("/_control/clock")).json()["now_ms"] == NOW_MS - 86_337_000


async def test_outages_can_be_announced_and_taken_back(control: httpx2.AsyncClient) -> None:
    async def opens() -> list[int]:
        path = f"/coinbase/products/BTC-USD/candles?granularity=60&start={first_s}&end={first_s + 299}"
        answer = await control.get(path, headers={"Cache-Control": "no-cache"})
        return [row[0] - first_s for row in reversed(answer.json())]

    first_s = (NOW_MS - NOW_MS % MINUTE_MS) // 1000 - 3600
    assert await opens() == [0, 60, 120, 180, 240]
    outage = {"exchange": "coinbase", "from": (first_s + 60) * 1000, "until": "2026-03-15T11:37:00Z"}
    announced = await control.post("/_control/outages", json=outage)
    assert announced.json() == {
        "outages": [{"exchange": "coinbase", "from": (first_s + 60) * 1000, "until": (first_s + 180) * 1000}]
    }
    assert await opens() == [0, 180, 240]
    others = [
        {"exchange": "binance", "from": (first_s + 180) * 1000, "until": (first_s + 240) * 1000},
        {"exchange": "coinbase", "from": (first_s + 240) * 1000, "until": (first_s + 300) * 1000},
    ]
    announced = await control.post("/_control/outages", json=others)
    assert [each["exchange"] for each in announced.json()["outages"]] == ["coinbase", "binance_futures", "coinbase"]
    assert await opens() == [0, 180]
    assert (await control.delete("/_control/outages")).json() == {"outages": []}
    assert await opens() == [0, 60, 120, 180, 240]


async def test_what_the_exchanges_count_can_be_read_and_used_up(control: httpx2.AsyncClient) -> None:
    await control.get("/binance/fapi/v1/klines", params={"symbol": "BTCUSDT", "interval": "1h", "limit": 101})
    assert (await control.get("/_control/limits")).json()["limits"]["binance_futures"]["used"] == 2
    used = (await control.post("/_control/limits", json={"exchange": "binance", "foreign": 500})).json()["limits"]
    assert (used["binance_futures"]["used"], used["binance_futures"]["most_own"]) == (502, 2)
    assert (used["hyperliquid"]["used"], used["coinbase"]["used"]) == (0, 0)


async def test_exchanges_can_be_in_trouble_and_be_well_again(control: httpx2.AsyncClient) -> None:
    troubles = (await control.get("/_control/troubles")).json()["troubles"]
    assert [each["trouble"] for each in troubles.values()] == [None, None, None]
    for exchange, each in troubles.items():
        for trouble in each["known"]:
            now = await control.post("/_control/troubles", json={"exchange": exchange, "trouble": trouble})
            assert now.json()["troubles"][exchange]["trouble"] == trouble
            assert (await control.get("/coinbase/time")).is_success == (exchange != "coinbase")
        await control.post("/_control/troubles", json={"exchange": exchange, "trouble": None})
    assert (await control.get("/coinbase/time")).is_success
    await control.post("/_control/troubles", json={"exchange": "coinbase", "trouble": "maintenance"})
    well = (await control.delete("/_control/troubles")).json()["troubles"]
    assert well == troubles


async def test_the_scenario_can_be_read(control: httpx2.AsyncClient) -> None:
    scenario = (await control.get("/_control/scenario")).json()
    assert (scenario["limits"], scenario["kept_rows"], scenario["outages"]) == (False, 5000, [])
