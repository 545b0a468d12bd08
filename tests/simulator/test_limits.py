"""The ledgers, each in its own kind of window; the exchanges' refusals are theirs to the byte."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.core.clock import ManualClock
from marketdata.simulator.answers import Answer, Asked
from marketdata.simulator.binance_limits import BinanceLimits
from marketdata.simulator.coinbase_limits import CoinbaseLimits
from marketdata.simulator.grids import DAY_MS, HOUR_MS, MINUTE_MS
from marketdata.simulator.hyperliquid_limits import HyperliquidLimits
from marketdata.simulator.limits import Ledger
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import simulated
from tests.simulator.conftest import NOW_MS

MINUTE_0_MS = NOW_MS // MINUTE_MS * MINUTE_MS
KLINES = "/fapi/v1/klines"
USED = "X-MBX-USED-WEIGHT-1M"


def binance(now_ms: int, path: str = KLINES, **query: str) -> Asked:
    return Asked("GET", path, query, b"", now_ms)


def info(now_ms: int, kind: str) -> Asked:
    return Asked("POST", "/info", {}, f'{{"type":"{kind}"}}'.encode(), now_ms)


def coinbase(now_ms: int) -> Asked:
    return Asked("GET", "/products", {}, b"", now_ms)


def ask(ledger: Ledger, asked: Asked, answer: Answer | None = None) -> Answer:
    """One request as the door makes it, answered with `answer`; what the charge says is in the headers."""
    answer = ledger.admit(asked) or answer or Answer(200, b"")
    charge = ledger.settle(asked, answer)
    return Answer(answer.status, answer.body, {**answer.headers, **charge.headers})


def statuses(ledger: Ledger, asked: Asked, times: int) -> list[int]:
    return [ask(ledger, asked).status for _ in range(times)]


@pytest.mark.parametrize(
    "limit, measured, documented",
    [
        ("1", 1, 1),
        ("99", 1, 1),
        ("100", 1, 2),
        ("101", 2, 2),
        ("499", 2, 2),
        ("500", 2, 5),
        ("501", 5, 5),
        ("1000", 5, 5),
        ("1001", 10, 10),
        ("1500", 10, 10),
        ("1501", 10, 10),
        (None, 5, 5),
        ("-1", 5, 5),
        ("many", 5, 5),
    ],
)
@pytest.mark.parametrize("path", [KLINES, "/fapi/v1/continuousKlines"])
def test_binance_weighs_klines_by_their_limit(path: str, limit: str | None, measured: int, documented: int) -> None:
    query = {} if limit is None else {"limit": limit}
    for weight, switch in ((measured, False), (documented, True)):
        ledger = BinanceLimits(Scenario(documented_weights=switch))
        charge = ledger.settle(binance(NOW_MS, path, **query), Answer(200, b""))
        assert (charge.weight, charge.headers) == (weight, {USED: str(weight)})


def test_binance_weighs_the_rest_one_and_what_it_does_not_have_nothing() -> None:
    ledger = BinanceLimits(Scenario())
    for path in ("ping", "time", "exchangeInfo"):
        ask(ledger, binance(NOW_MS, f"/fapi/v1/{path}"))
    assert USED not in ask(ledger, binance(NOW_MS, "/fapi/v1/nothing")).headers
    assert ledger.usage.used == 3


def test_binance_charges_what_it_refuses_but_not_what_its_firewall_does() -> None:
    ledger = BinanceLimits(Scenario())
    assert ask(ledger, binance(NOW_MS, limit="1501"), Answer(400, b"")).headers[USED] == "10"
    for status in (403, 451):
        assert USED not in ask(ledger, binance(NOW_MS), Answer(status, b"")).headers
    assert ledger.usage.used == 10


def test_binances_minute_is_the_clocks_and_begins_anew() -> None:
    ledger = BinanceLimits(Scenario())
    last_ms = MINUTE_0_MS + MINUTE_MS - 1
    assert set(statuses(ledger, binance(last_ms, limit="1500"), 240)) == {200}
    assert ask(ledger, binance(last_ms, limit="1")).status == 429
    # One millisecond later it is another minute: 4,800 within a second are no offence.
    assert set(statuses(ledger, binance(last_ms + 1, limit="1500"), 240)) == {200}
    assert ledger.usage.most_used == 2401


def test_binances_limit_is_told_in_its_listing() -> None:
    testnet = simulated(scenario=Scenario(weight_limit=6000))
    assert b'"intervalNum":1,"limit":6000}' in testnet.binance.exchange_info(NOW_MS)
    ledger = BinanceLimits(Scenario(weight_limit=6000))
    assert set(statuses(ledger, binance(NOW_MS, limit="1500"), 600)) == {200}
    assert ask(ledger, binance(NOW_MS, limit="1")).status == 429


def exhausted(scenario: Scenario) -> BinanceLimits:
    ledger = BinanceLimits(scenario)
    ledger.add_foreign(scenario.weight_limit, NOW_MS)
    return ledger


def test_binance_refuses_then_bans() -> None:
    ledger = exhausted(Scenario())
    refused = [ask(ledger, binance(NOW_MS, "/fapi/v1/ping")) for _ in range(5)]
    assert {answer.status for answer in refused} == {429}
    assert refused[0].body == (
        b'{"code":-1003,"msg":"Too many requests; current limit is 2400 requests per minute. Please use the websocket'
        b' for live updates to avoid polling the API."}'
    )
    assert [answer.headers[USED] for answer in refused] == ["2401", "2402", "2403", "2404", "2405"]
    banned = ask(ledger, binance(NOW_MS, "/fapi/v1/ping"))
    until_ms = NOW_MS + 2 * MINUTE_MS
    assert banned.status == 418
    assert banned.body == (
        b'{"code":-1003,"msg":"Way too many requests; IP banned until %d. Please use the websocket for live updates to'
        b' avoid bans."}' % until_ms
    )
    assert USED not in banned.headers
    assert not {"Retry-After"} & {*refused[0].headers, *banned.headers}
    assert ledger.usage.refused == 6
    assert ledger.usage.banned_until_ms == until_ms


def test_binance_forgives_refusals_in_the_next_minute() -> None:
    ledger = exhausted(Scenario())
    assert statuses(ledger, binance(NOW_MS), 5) == [429] * 5
    ledger.add_foreign(2400, NOW_MS + MINUTE_MS)
    assert statuses(ledger, binance(NOW_MS + MINUTE_MS), 6) == [429] * 5 + [418]


def test_a_call_during_a_ban_is_counted_and_lengthens_it() -> None:
    ledger = exhausted(Scenario(refusals_before_ban=0))
    assert ask(ledger, binance(NOW_MS)).status == 418
    later_ms = NOW_MS + MINUTE_MS + 1
    assert ask(ledger, binance(later_ms, "/fapi/v1/nothing")).status == 418
    assert ledger.usage.banned_until_ms == later_ms + 2 * MINUTE_MS
    assert ledger.usage.during_ban == 1
    assert ask(ledger, binance(later_ms + 2 * MINUTE_MS)).status == 200
    assert ledger.usage.during_ban == 1


def test_bans_grow_up_to_three_days() -> None:
    ledger = BinanceLimits(Scenario(refusals_before_ban=0))
    now_ms, lengths = NOW_MS, []
    for _ in range(14):
        ledger.add_foreign(2400, now_ms)
        assert ask(ledger, binance(now_ms)).status == 418
        lengths.append(ledger.usage.banned_until_ms - now_ms)
        now_ms = ledger.usage.banned_until_ms
    assert lengths[:3] == [2 * MINUTE_MS, 4 * MINUTE_MS, 8 * MINUTE_MS]
    assert lengths[-2:] == [3 * DAY_MS, 3 * DAY_MS]


def test_binance_may_say_how_long_to_wait() -> None:
    ledger = exhausted(Scenario(retry_after=True, refusals_before_ban=1))
    waits = [ask(ledger, binance(NOW_MS)).headers["Retry-After"] for _ in range(2)]
    assert waits == [str(-(-(MINUTE_0_MS + MINUTE_MS - NOW_MS) // 1000)), "120"]


def test_other_programs_at_the_address_use_the_same_weight() -> None:
    ledger = BinanceLimits(Scenario(foreign_weight=2000))
    for minute in range(2):
        now_ms = NOW_MS + minute * MINUTE_MS
        assert ask(ledger, binance(now_ms, limit="1000")).headers[USED] == "2005"
        ledger.add_foreign(300, now_ms)
        assert ask(ledger, binance(now_ms, limit="1000")).headers[USED] == "2310"
    assert ledger.usage.most_used == 2310
    assert ledger.usage.most_own == 10


def test_hyperliquids_window_slides() -> None:
    ledger = HyperliquidLimits(Scenario())
    assert statuses(ledger, info(NOW_MS, "meta"), 30) == [200] * 30
    assert statuses(ledger, info(NOW_MS + 30_000, "meta"), 31) == [200] * 30 + [429]
    assert ledger.usage.used == 1200
    assert statuses(ledger, info(NOW_MS + 59_999, "allMids"), 1) == [429]
    assert statuses(ledger, info(NOW_MS + 60_000, "meta"), 31) == [200] * 30 + [429]
    assert ledger.usage.most_used == 1200
    assert ledger.usage.refused == 3


@pytest.mark.parametrize("rows, weight", [(0, 20), (1, 21), (60, 21), (61, 22), (100, 22), (5000, 104)])
def test_hyperliquid_charges_by_the_rows_that_came(rows: int, weight: int) -> None:
    ledger = HyperliquidLimits(Scenario())
    charge = ledger.settle(info(NOW_MS, "candleSnapshot"), Answer(200, b"", rows=rows))
    assert (charge.weight, charge.headers) == (weight, {})


@pytest.mark.parametrize("kind, weight", [("allMids", 2), ("exchangeStatus", 2), ("meta", 20), ("nothing", 20)])
def test_hyperliquid_charges_by_the_type(kind: str, weight: int) -> None:
    ledger = HyperliquidLimits(Scenario())
    assert ledger.settle(info(NOW_MS, kind), Answer(200, b"")).weight == weight
    assert ledger.settle(Asked("POST", "/info", {}, b"{", NOW_MS), Answer(422, b"")).weight == 20


def test_hyperliquid_knows_the_cost_only_afterwards_so_it_lets_the_last_page_over_the_limit() -> None:
    ledger = HyperliquidLimits(Scenario())
    page = Answer(200, b"", rows=5000)
    seen = [ask(ledger, info(NOW_MS, "candleSnapshot"), page).status for _ in range(13)]
    assert seen == [200] * 12 + [429]
    assert ledger.usage.most_used == 12 * 104


def test_hyperliquid_may_fail_for_no_reason() -> None:
    ledger = HyperliquidLimits(Scenario(failing_percent=4))
    seen = [ask(ledger, info(NOW_MS + MINUTE_MS * turn, "meta")).status for turn in range(1000)]
    assert set(seen) == {200, 502}, "a failure, not a limit"
    assert 20 < seen.count(502) < 70
    assert ledger.usage.refused == 0
    again = HyperliquidLimits(Scenario(failing_percent=4))
    assert seen == [ask(again, info(NOW_MS + MINUTE_MS * turn, "meta")).status for turn in range(1000)]


def test_hyperliquid_counts_other_programs_too() -> None:
    ledger = HyperliquidLimits(Scenario(foreign_weight=1000))
    assert statuses(ledger, info(NOW_MS, "meta"), 11) == [200] * 10 + [429]
    ledger.add_foreign(1150, NOW_MS + HOUR_MS)
    assert ledger.usage.most_own == 200
    assert statuses(ledger, info(NOW_MS + HOUR_MS, "meta"), 1) == [429]


def test_coinbases_bucket_holds_15_and_gets_10_back_a_second() -> None:
    ledger = CoinbaseLimits(Scenario())
    assert statuses(ledger, coinbase(NOW_MS), 16) == [200] * 15 + [429]
    assert statuses(ledger, coinbase(NOW_MS + 99), 1) == [429]
    assert statuses(ledger, coinbase(NOW_MS + 100), 2) == [200, 429]
    assert statuses(ledger, coinbase(NOW_MS + 1_100), 11) == [200] * 10 + [429]
    assert statuses(ledger, coinbase(NOW_MS + HOUR_MS), 16) == [200] * 15 + [429]
    assert ledger.usage.most_used == 15
    assert ledger.usage.refused == 5


def test_coinbase_counts_other_programs_too() -> None:
    ledger = CoinbaseLimits(Scenario())
    ledger.add_foreign(12, NOW_MS)
    assert statuses(ledger, coinbase(NOW_MS), 4) == [200] * 3 + [429]
    assert (ledger.usage.most_used, ledger.usage.most_own) == (15, 3)
    ledger.add_foreign(99, NOW_MS + HOUR_MS)
    assert statuses(ledger, coinbase(NOW_MS + HOUR_MS), 1) == [429]
    assert statuses(ledger, coinbase(NOW_MS + HOUR_MS + 1_500), 1) == [200]


LEDGERS: list[tuple[type[BinanceLimits | HyperliquidLimits | CoinbaseLimits], Callable[[int], Asked]]] = [
    (BinanceLimits, binance),
    (HyperliquidLimits, lambda now_ms: info(now_ms, "meta")),
    (CoinbaseLimits, coinbase),
]


@pytest.mark.parametrize("kind, asked", LEDGERS)
def test_without_limits_they_count_and_refuse_nothing(
    kind: type[BinanceLimits | HyperliquidLimits | CoinbaseLimits], asked: Callable[[int], Asked]
) -> None:
    ledger = kind(Scenario(limits=False))
    assert set(statuses(ledger, asked(NOW_MS), 500)) == {200}
    assert ledger.usage.most_used > ledger.usage.limit
    assert ledger.usage.refused == 0


@pytest.mark.parametrize("kind, asked", LEDGERS)
def test_a_clock_that_goes_back_locks_nobody_out(
    kind: type[BinanceLimits | HyperliquidLimits | CoinbaseLimits], asked: Callable[[int], Asked]
) -> None:
    ledger = kind(Scenario(refusals_before_ban=10_000))
    statuses(ledger, asked(NOW_MS), 500)
    assert ask(ledger, asked(NOW_MS)).status == 429
    ask(ledger, asked(NOW_MS - HOUR_MS))
    assert ask(ledger, asked(NOW_MS - HOUR_MS + 5_000)).status == 200


def test_a_ban_lies_ahead_of_a_clock_that_goes_back() -> None:
    ledger = exhausted(Scenario(refusals_before_ban=0))
    assert ask(ledger, binance(NOW_MS)).status == 418
    assert ask(ledger, binance(NOW_MS - HOUR_MS)).status == 200


@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 5000)), max_size=80))
def test_hyperliquids_most_used_is_that_of_its_fullest_minute(calls: list[tuple[int, int]]) -> None:
    ledger = HyperliquidLimits(Scenario(limits=False))
    now_ms, charges = NOW_MS, []
    for wait_ms, rows in calls:
        now_ms += wait_ms
        charges.append((now_ms, ledger.settle(info(now_ms, "candleSnapshot"), Answer(200, b"", rows=rows)).weight))
    sums = [sum(weight for at, weight in charges if end - MINUTE_MS < at <= end) for end, _ in charges]
    assert ledger.usage.most_used == max(sums, default=0)


@asynccontextmanager
async def limited(clock: ManualClock, **switches: Any) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        running_simulator(simulated(scenario=Scenario(**switches)), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        yield client


async def test_the_exchanges_refuse_in_their_own_words(clock: ManualClock) -> None:
    async with limited(clock, foreign_weight=2400) as client:
        refused = await client.get("/binance/fapi/v1/ping")
        assert refused.status_code == 429
        assert refused.json()["code"] == -1003
        assert refused.headers[USED] == "2401"
        refused = await client.post("/hyperliquid/info", json={"type": "meta"})
        assert (refused.status_code, refused.content) == (429, b"null")
        assert "retry-after" not in refused.headers
        for _ in range(15):
            assert (await client.get("/coinbase/time")).status_code == 200
        refused = await client.get("/coinbase/time")
        assert (refused.status_code, refused.content) == (429, b'{"message":"Public rate limit exceeded"}')
        assert not [name for name in refused.headers if "limit" in name or "retry" in name]


async def test_hyperliquid_counts_the_rows_it_sends(clock: ManualClock) -> None:
    wanted = {"coin": "BTC", "interval": "15m", "startTime": 0}
    async with limited(clock) as client:
        for status in (*[200] * 12, 429):
            request = {"type": "candleSnapshot", "req": wanted}
            assert (await client.post("/hyperliquid/info", json=request)).status_code == status
