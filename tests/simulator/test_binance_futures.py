"""Binance USD-M futures: its bytes, its selection and its errors (shapes: recorded answers of 2019 to 2026)."""

import re
from datetime import datetime
from typing import Any

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.grids import DAY_MS, HOUR_MS, MINUTE_MS
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import simulated
from tests.simulator.conftest import NOW_MS

KLINES = "/binance/fapi/v1/klines"
HOUR_0_MS = NOW_MS // HOUR_MS * HOUR_MS
GENESIS_MS = 1_567_900_800_000


async def opens(client: httpx2.AsyncClient, interval: str = "1h", symbol: str = "BTCUSDT", **params: Any) -> list[int]:
    answer = await client.get(KLINES, params={"symbol": symbol, "interval": interval, **params})
    assert answer.status_code == 200, answer.content
    return [row[0] for row in answer.json()]


async def symbols(client: httpx2.AsyncClient) -> dict[str, dict[str, Any]]:
    info = (await client.get("/binance/fapi/v1/exchangeInfo")).json()
    return {row["symbol"]: row for row in info["symbols"]}


async def test_a_row_is_twelve_slots_of_the_documented_types(simulator: httpx2.AsyncClient) -> None:
    answer = await simulator.get(KLINES, params={"symbol": "BTCUSDT", "interval": "1m", "limit": 3})
    number = rb'"\d+\.\d{%d}"'
    price, size, quote = number % 2, number % 3, number % 5
    row = rb"\[\d{13},%b,%b,%b,%b,%b,\d{13},%b,\d+,%b,%b,\"0\"\]" % (
        price,
        price,
        price,
        price,
        size,
        quote,
        size,
        quote,
    )
    assert re.fullmatch(rb"\[%b,%b,%b\]" % (row, row, row), answer.content)
    for row in answer.json():
        assert row[6] == row[0] + MINUTE_MS - 1


async def test_old_rows_have_no_zeros_at_the_end(simulator: httpx2.AsyncClient) -> None:
    params: dict[str, str | int] = {"symbol": "BTCUSDT", "interval": "1d", "startTime": 0}
    rows = (await simulator.get(KLINES, params=params)).json()
    old = [text for row in rows if row[0] < 1_577_836_800_000 for text in (*row[1:6], row[7], row[9], row[10])]
    new = [row[1] for row in rows if row[0] >= 1_577_836_800_000]
    assert rows[0][0] == GENESIS_MS
    assert not any("." in text and text.endswith("0") for text in old)
    assert all(len(text.partition(".")[2]) == 2 for text in new)


async def test_both_bounds_are_included_and_unaligned_ones_rounded_inwards(simulator: httpx2.AsyncClient) -> None:
    start, end = HOUR_0_MS - 5 * HOUR_MS, HOUR_0_MS - 2 * HOUR_MS
    aligned = [start, start + HOUR_MS, start + 2 * HOUR_MS, end]
    assert await opens(simulator, startTime=start, endTime=end) == aligned
    assert await opens(simulator, startTime=start - 1, endTime=end + 1) == aligned
    assert await opens(simulator, startTime=start + 1, endTime=end - 1) == aligned[1:-1]
    assert await opens(simulator, startTime=start, endTime=start) == [start]
    assert await opens(simulator, startTime=start + 1, endTime=start + 2) == []


async def test_of_a_range_wider_than_the_limit_the_first_rows_come(simulator: httpx2.AsyncClient) -> None:
    start = HOUR_0_MS - 5 * HOUR_MS
    assert await opens(simulator, startTime=start, endTime=HOUR_0_MS, limit=2) == [start, start + HOUR_MS]
    assert await opens(simulator, startTime=start, limit=2) == [start, start + HOUR_MS]


async def test_without_a_start_the_newest_rows_come(simulator: httpx2.AsyncClient) -> None:
    assert await opens(simulator, limit=2) == [HOUR_0_MS - HOUR_MS, HOUR_0_MS]
    end = HOUR_0_MS - 4 * HOUR_MS
    assert await opens(simulator, endTime=end, limit=2) == [end - HOUR_MS, end]
    assert await opens(simulator, endTime=HOUR_0_MS + DAY_MS, limit=1) == [HOUR_0_MS]


async def test_a_range_before_the_listing_begins_with_the_first_row(simulator: httpx2.AsyncClient) -> None:
    assert await opens(simulator, "1d", startTime=1_546_300_800_000, limit=2) == [GENESIS_MS, GENESIS_MS + DAY_MS]
    assert await opens(simulator, "1d", startTime=0, endTime=GENESIS_MS - 1) == []
    assert await opens(simulator, "1d", startTime=1_546_300_800, endTime=1_546_400_800) == []
    assert await opens(simulator, "1d", startTime=NOW_MS + DAY_MS) == []


async def test_the_default_is_500_rows_and_1500_the_most(simulator: httpx2.AsyncClient) -> None:
    assert len(await opens(simulator)) == 500
    assert len(await opens(simulator, limit=1500)) == 1500


async def test_the_forming_row_comes_last_and_moves(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    params: dict[str, str | int] = {"symbol": "BTCUSDT", "interval": "1m", "limit": 1}
    seen = []
    for _ in range(3):
        seen.append((await simulator.get(KLINES, params=params)).json()[0])
        clock.advance(1_000)
    assert {row[0] for row in seen} == {NOW_MS // MINUTE_MS * MINUTE_MS}
    assert all(row[6] > NOW_MS for row in seen)
    assert seen[0][8] < seen[1][8] < seen[2][8]
    clock.advance(MINUTE_MS)
    closed = (await simulator.get(KLINES, params={**params, "limit": 2})).json()[0]
    clock.advance(DAY_MS)
    assert (await simulator.get(KLINES, params={**params, "endTime": closed[0]})).json() == [closed]


@pytest.mark.parametrize(
    "interval, first, second",
    [
        ("1w", "2019-09-02", "2019-09-09"),  # Mondays
        ("1M", "2019-09-01", "2019-10-01"),
        ("3d", "2019-09-08", "2019-09-11"),  # multiples of three days from the epoch
    ],
)
async def test_long_intervals_open_by_the_calendar(
    simulator: httpx2.AsyncClient, interval: str, first: str, second: str
) -> None:
    expected = [int(datetime.fromisoformat(f"{day}T00:00Z").timestamp() * 1000) for day in (first, second)]
    assert await opens(simulator, interval, startTime=0, limit=2) == expected


async def test_the_phase_of_three_days_may_be_another(clock: ManualClock) -> None:
    scenario = Scenario(three_days_offset_ms=DAY_MS)
    async with (
        running_simulator(simulated(scenario=scenario), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        assert (await opens(client, "3d", limit=1))[0] % (3 * DAY_MS) == DAY_MS


@pytest.mark.parametrize(
    "query, code, message",
    [
        ("interval=1m", -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ("symbol=BTCUSDT", -1102, "Mandatory parameter 'interval' was not sent, was empty/null, or malformed."),
        (
            "symbol=BTCUSDT&interval=",
            -1102,
            "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.",
        ),
        (
            "symbol=BTC%20USDT&interval=1m",
            -1100,
            "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
        ),
        ("symbol=NOPEUSDT&interval=1m", -1121, "Invalid symbol."),
        ("symbol=BTCUSDT&interval=1s", -1120, "Invalid interval."),
        ("symbol=BTCUSDT&interval=1mo", -1120, "Invalid interval."),
        ("symbol=BTCUSDT&interval=6H", -1120, "Invalid interval."),
        ("symbol=BTCUSDT&interval=1m&limit=1501", -1130, "Data sent for parameter 'limit' is not valid."),
        ("symbol=BTCUSDT&interval=1m&limit=0", -1130, "Data sent for parameter 'limit' is not valid."),
        ("symbol=BTCUSDT&interval=1m&limit=-1", -1130, "Data sent for parameter 'limit' is not valid."),
        (
            "symbol=BTCUSDT&interval=1m&startTime=soon",
            -1100,
            "Illegal characters found in parameter 'startTime'; legal range is '^[0-9]{1,20}$'.",
        ),
        (
            "symbol=BTCUSDT&interval=1m&limit=many",
            -1100,
            "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.",
        ),
        ("symbol=BTCUSDT&interval=1m&startTime=2&endTime=1", -1023, "Start time is greater than end time."),
        ("symbol=BTCSTUSDT&interval=1m", -1122, "Invalid symbol status."),
    ],
)
async def test_what_it_refuses(simulator: httpx2.AsyncClient, query: str, code: int, message: str) -> None:
    answer = await simulator.get(f"{KLINES}?{query}")
    assert answer.status_code == 400
    assert answer.content == f'{{"code":{code},"msg":"{message}"}}'.encode()
    assert answer.headers["content-type"] == "application/json"


async def test_contracts_that_are_closed_answer_no_candles_and_settling_ones_do(simulator: httpx2.AsyncClient) -> None:
    listed = await symbols(simulator)
    closed = next(name for name, row in listed.items() if row["status"] == "CLOSE")
    settling = next(name for name, row in listed.items() if row["status"] == "SETTLING")
    refused = await simulator.get(KLINES, params={"symbol": closed, "interval": "1d"})
    assert refused.json() == {"code": -1122, "msg": "Invalid symbol status."}
    assert len(await opens(simulator, "1d", symbol=settling)) > 300


async def test_a_symbol_may_be_in_lower_case_or_chinese(simulator: httpx2.AsyncClient) -> None:
    assert await opens(simulator, symbol="btcusdt", limit=1) == [HOUR_0_MS]
    answer = await simulator.get(f"{KLINES}?symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&interval=1h&limit=1")
    assert answer.json()[0][0] == HOUR_0_MS


CONTINUOUS = "/binance/fapi/v1/continuousKlines"


@pytest.mark.parametrize(
    "pair, contract_type, symbol",
    [
        ("BTCUSDT", "PERPETUAL", "BTCUSDT"),
        ("btcusdt", "CURRENT_QUARTER", "BTCUSDT_260327"),
        ("ETHUSDT", "NEXT_QUARTER", "ETHUSDT_260626"),
        ("XAUUSDT", "TRADIFI_PERPETUAL", "XAUUSDT"),
    ],
)
async def test_a_pair_and_a_contract_type_mean_a_contract(
    simulator: httpx2.AsyncClient, pair: str, contract_type: str, symbol: str
) -> None:
    params = {"interval": "1h", "limit": "3"}
    of_pair = await simulator.get(CONTINUOUS, params={**params, "pair": pair, "contractType": contract_type})
    of_symbol = await simulator.get(KLINES, params={**params, "symbol": symbol})
    assert of_pair.status_code == 200
    assert of_pair.content == of_symbol.content


@pytest.mark.parametrize(
    "query, code",
    [
        ("contractType=PERPETUAL&interval=1h", -1102),
        ("pair=BTCUSDT&interval=1h", -1102),
        ("pair=BTCUSDT&contractType=PERPETUAL", -1102),
        ("pair=BTC%20USDT&contractType=PERPETUAL&interval=1h", -1100),
        ("pair=BTCUSDT&contractType=SPOT&interval=1h", -1130),
        ("pair=NOPEUSDT&contractType=PERPETUAL&interval=1h", -4144),
        ("pair=XRPUSDT&contractType=CURRENT_QUARTER&interval=1h", -4144),
        ("pair=BTCUSDT&contractType=PERPETUAL&interval=1s", -1120),
    ],
)
async def test_what_it_refuses_of_pairs(simulator: httpx2.AsyncClient, query: str, code: int) -> None:
    answer = await simulator.get(f"{CONTINUOUS}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_rows_of_coin_margined_contracts_have_other_columns_and_come_only_if_wanted(
    simulator: httpx2.AsyncClient, clock: ManualClock
) -> None:
    params = {"symbol": "BTCUSD_PERP", "interval": "1h", "limit": "2"}
    assert (await simulator.get(KLINES, params=params)).json()["code"] == -1121
    async with (
        running_simulator(simulated(scenario=Scenario(coin_margined=True)), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        coin = (await client.get(KLINES, params=params)).json()
        dollar = (await client.get(KLINES, params={**params, "symbol": "BTCUSDT"})).json()
        assert "BTCUSD_PERP" not in await symbols(client)
        refused = await client.get(KLINES, params={**params, "symbol": "NOPEUSD_PERP"})
    assert refused.json()["code"] == -1121
    for coin_row, row in zip(coin, dollar, strict=True):
        assert coin_row[:5] == row[:5]
        assert coin_row[5] == str(int(float(row[7]) // 100))  # contracts of 100 dollars
        assert coin_row[7] == row[5]  # the coin's amount, where others have the turnover
        assert (coin_row[6], coin_row[8], coin_row[10]) == (row[6], row[8], row[9])


async def test_the_header_counts_the_weight_of_a_utc_minute(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    used = []
    for limit in (100, 500, 1000, 1500):
        answer = await simulator.get(KLINES, params={"symbol": "BTCUSDT", "interval": "1h", "limit": limit})
        used.append(int(answer.headers["x-mbx-used-weight-1m"]))
    assert used == [1, 3, 8, 18]
    clock.advance(MINUTE_MS)
    assert (await simulator.get("/binance/fapi/v1/ping")).headers["x-mbx-used-weight-1m"] == "1"


async def test_ping(simulator: httpx2.AsyncClient) -> None:
    assert (await simulator.get("/binance/fapi/v1/ping")).content == b"{}"
