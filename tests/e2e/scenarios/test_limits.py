"""Scenarios 1 and 10: what exchanges allow is kept, and callers are told the truth about it."""

import asyncio
from collections import Counter

import httpx2
import pytest

from marketdata.core.models import MINUTE_MS
from marketdata.simulator.presets import PRESETS
from marketdata.simulator.scenario import Scenario
from tests.e2e.platform import PREFIXES
from tests.e2e.scenarios.conftest import T0, Stage
from tests.e2e.scenarios.problems import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")

SYMBOLS = ["BTC", "ETH", "SOL", "XRP", "DOGE", "LTC", "LINK", "DOT", "AVAX", "ADA"]
ROWS = 2000
PAGE_WEIGHT = ROWS // 500 * 2


class Reader:
    """Reads the 1m candles of one symbol, `pages` of them up to T0, waiting as long as it is told to."""

    def __init__(self, stage: Stage, symbol: str, pages: int) -> None:
        self._stage = stage
        self.symbol = symbol
        end = T0 - T0 % MINUTE_MS
        self.wanted = range(end - pages * ROWS * MINUTE_MS, end, MINUTE_MS)
        self.opens: list[int] = []
        path = f"/v1/candles/binance_futures/{symbol}-USDT-PERP/1m"
        self._next: str | None = f"{path}?start={self.wanted.start}&end={end}&limit={ROWS}"

    @property
    def is_done(self) -> bool:
        return self._next is None

    async def read(self) -> httpx2.Response | None:
        """Read on until the end, or until a page is refused."""
        while self._next is not None:
            response = await self._stage.platform.get(self._next)
            if response.status_code != 200:
                return response
            document = response.json()
            self.opens += [row["open_time"] for row in document["data"]]
            self._next = document["page"]["next"]
        return None


@pytest.mark.parametrize(
    "limit,foreign,pages",
    [(240, 0, 3), (240, 100, 2), pytest.param(2400, 0, 30, marks=pytest.mark.long)],
)
async def test_1_a_cold_reading_of_ten_symbols_never_meets_a_429(
    stage: Stage, limit: int, foreign: int, pages: int
) -> None:
    """1. Cold back-fill of 1m for 10 symbols through a 2400-weight minute: no 429 ever, total weight asserted.

    Callers beyond the budget are told so at once, and how long to wait: a second less would have been too short. With
    a tenth of the exchange's limit it takes seconds. `foreign`: others at the address use so much in each minute, which
    is known only when the first answer of a minute has told; so what is asked before may go beyond our share.
    """
    stage.play(Scenario(weight_limit=limit, foreign_weight=foreign), now_ms=T0 - T0 % MINUTE_MS + 7_300)
    stage.allow("binance_futures", limit)
    readers = [Reader(stage, symbol, pages) for symbol in SYMBOLS]
    minutes = 0
    while left := [reader for reader in readers if not reader.is_done]:
        read = sum(len(reader.opens) for reader in readers)
        answers = await asyncio.gather(*(reader.read() for reader in left))
        assert sum(len(reader.opens) for reader in readers) > read, "each minute brings some on"
        minutes += 1
        waits = {
            reader.symbol: assert_problem(answer, "upstream-rate-limited")
            for reader, answer in zip(left, answers, strict=True)
            if answer is not None
        }
        if not waits:
            continue
        wait_s = max(waits.values())
        assert wait_s <= 61
        asked = len(stage.calls("binance_futures"))
        stage.clock.advance((wait_s - 1) * 1000)
        early = await next(reader for reader in left if waits.get(reader.symbol) == wait_s).read()
        assert early is not None
        assert assert_problem(early, "upstream-rate-limited") == 1
        assert len(stage.calls("binance_futures")) == asked, "who is told to wait costs nothing"
        stage.clock.advance(1000)

    assert all(reader.opens == list(reader.wanted) for reader in readers)
    entries = stage.calls("binance_futures")
    assert {entry.status for entry in entries} == {200}
    spent = Counter[int]()
    for entry in entries:
        spent[entry.time_ms // MINUTE_MS] += entry.weight
    assert len(spent) > 1
    assert max(spent.values()) + foreign <= (limit if foreign else limit * 0.8)
    assert max(spent.values()) + foreign > limit * 0.8 - PAGE_WEIGHT, "what is allowed is used"
    needed = len(SYMBOLS) * pages * PAGE_WEIGHT + 1
    assert needed <= sum(spent.values()) <= needed + PAGE_WEIGHT * minutes, "a page a minute at most is asked in vain"


async def test_10_a_banned_address_is_silent_until_it_may_speak(stage: Stage) -> None:
    """10. 418 with ban-until: adapter silent until then, other venues unaffected.

    The exchange's clock is 40 s ahead of ours: the wait is until the end of the ban as the exchange has it.
    """
    stage.play(Scenario(skew_ms=40_000), "status,status=418,exchange=binance_futures,route=candles,first=1")
    binance, hyperliquid, coinbase = (
        "binance_futures/BTC-USDT-PERP/1m",
        "hyperliquid/BTC-USDC-PERP/1m",
        "coinbase/BTC-USD/1m",
    )
    wait_s = assert_problem(await stage.ask(binance, limit=5), "upstream-banned")
    assert wait_s == 121  # two minutes, and half a second for a clock that is not quite ours
    asked = len(stage.calls("binance_futures"))
    ends_ms = stage.clock.now_ms() + wait_s * 1000
    for _ in range(10):
        stage.clock.advance(11_000)
        left_s = assert_problem(await stage.ask(binance, limit=5), "upstream-banned")
        assert ends_ms - 1000 < stage.clock.now_ms() + left_s * 1000 <= ends_ms
        for other in (hyperliquid, coinbase):
            assert (await stage.ask(other, limit=5)).status_code == 200
    status = {one["exchange"]: one for one in (await stage.platform.read("/v1/status"))["exchanges"]}
    assert ends_ms - 1000 < status["binance_futures"]["banned_until"] <= ends_ms
    assert [status[other]["banned_until"] for other in ("hyperliquid", "coinbase")] == [None, None]
    assert len(stage.calls("binance_futures")) == asked
    assert all(entry.status == 200 for other in ("hyperliquid", "coinbase") for entry in stage.calls(other))
    stage.clock.set(ends_ms)
    assert (await stage.ask(binance, limit=5)).status_code == 200


async def test_at_a_crowded_address_what_is_left_is_enough_for_the_patient(stage: Stage) -> None:
    """The preset `crowded`: others use much of each minute, Hyperliquid fails now and then, Binance bans at once."""
    stage.play(PRESETS["crowded"])
    end = T0 - T0 % MINUTE_MS
    for number in range(1, 41):
        for path in ("binance_futures/BTC-USDT-PERP/1m", "hyperliquid/BTC-USDC-PERP/1m", "coinbase/BTC-USD/1m"):
            start = end - number * 30 * MINUTE_MS
            document = await stage.read(path, start=start, end=start + 30 * MINUTE_MS)
            assert (len(document["data"]), document["page"]["complete"]) == (30, True)
        stage.clock.advance(5000)
    seen = {exchange: {entry.status for entry in stage.calls(exchange)} for exchange in PREFIXES}
    assert seen == {"binance_futures": {200}, "hyperliquid": {200, 502}, "coinbase": {200}}
