"""What is found of the range that an exchange serves: on simulated exchanges, and on trades held in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache

import httpx2
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.core.candles import MAX_CALLS
from marketdata.core.clock import ManualClock
from marketdata.core.coverage import Coverage, find_coverage
from marketdata.core.errors import (
    UnsupportedInterval,
    UpstreamBadData,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from marketdata.core.exchanges import get_adapter
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import DAY_MS, HOUR_MS, MINUTE_MS, Candle, ExchangeId, Interval
from marketdata.simulator.binance_info import SimulatedBinance
from marketdata.simulator.coinbase_products import SimulatedCoinbase
from marketdata.simulator.controls import Controls
from marketdata.simulator.faults import Faults
from marketdata.simulator.hyperliquid_meta import SimulatedHyperliquid
from marketdata.simulator.journal import Journal
from marketdata.simulator.market import Instrument
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources, simulated
from marketdata.simulator.truth import first_traded_day_ms, truth
from tests.built_in import ADAPTERS

T0 = 1780000000000  # 2026-05-28T20:26:40Z
PREFIXES = {"binance_futures": "binance", "hyperliquid": "hyperliquid", "coinbase": "coinbase"}


def instrument_of(sources: Sources, exchange: str, symbol: str, now_ms: int) -> Instrument:
    source = {"binance_futures": sources.binance, "hyperliquid": sources.hyperliquid, "coinbase": sources.coinbase}[
        exchange
    ]
    assert isinstance(source, SimulatedBinance | SimulatedHyperliquid | SimulatedCoinbase)
    return source.instrument(symbol, now_ms)


def expected(sources: Sources, exchange: str, symbol: str, interval: Interval, now_ms: int) -> tuple[int, int] | None:
    """First and last closed candle by the simulator's truth; None: there is none."""
    life = instrument_of(sources, exchange, symbol, now_ms).life
    step_ms = interval.max_duration_ms
    begins_ms = life.listed_ms
    if exchange == "hyperliquid":
        first_day_ms = first_traded_day_ms(sources, exchange, symbol, now_ms)
        if first_day_ms is None:
            return None
        begins_ms = max(first_day_ms, now_ms - 5001 * step_ms)
    end_ms = min(now_ms, life.ended_ms or now_ms)

    def closed(start_ms: int, end_ms: int) -> list[int]:
        rows = truth(sources, exchange, symbol, interval, max(0, start_ms), end_ms, now_ms, prelisting=False)
        return [row.open_time for row in rows if row.is_closed]

    chunk_ms = 20 * step_ms
    first_ms = next(
        (one for at in range(begins_ms - step_ms, end_ms, chunk_ms) for one in closed(at, at + chunk_ms)), None
    )
    if first_ms is None:
        return None
    last_ms = next(one for at in range(end_ms + 1, 0, -chunk_ms) for one in closed(at - chunk_ms, at)[::-1])
    return first_ms, last_ms


class World:
    """Simulated exchanges on a socket, whose clock the test holds."""

    def __init__(
        self, sources: Sources, clock: ManualClock, journal: Journal, http: httpx2.AsyncClient, url: str
    ) -> None:
        self.sources = sources
        self.clock = clock
        self.journal = journal
        self._http = http
        self._url = url

    async def find(self, exchange: str, symbol: str, interval: Interval, now_ms: int) -> Coverage:
        """What is found at `now_ms` by a process that has just begun."""
        self.clock.set(now_ms)
        fetcher = Fetcher(get_adapter(exchange), self._http, self.clock, f"{self._url}/{PREFIXES[exchange]}")
        return await find_coverage(fetcher, symbol, interval)

    async def check(self, exchange: str, symbol: str, interval: Interval, now_ms: int) -> Coverage:
        """That it is the truth, and told how much it cost."""
        last_id = self.journal.last_id
        found = await self.find(exchange, symbol, interval, now_ms)
        truly = expected(self.sources, exchange, symbol, interval, self.clock.now_ms())
        assert (found.first_open_time, found.last_open_time) == (truly or (None, None)), (symbol, interval, found)
        asked = self.journal.entries(route="candles", since=last_id)
        assert len(asked) - 1 <= found.calls <= len(asked)  # one may be for the first traded day
        return found


@asynccontextmanager
async def world(*faults: str, scenario: Scenario | None = None) -> AsyncIterator[World]:
    clock, journal = ManualClock(T0), Journal()
    sources = simulated(scenario=scenario or Scenario(limits=False))
    async with open_http() as http, running_simulator(sources, clock, Controls(Faults(faults, seed=1), journal)) as url:
        yield World(sources, clock, journal, http, url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def usual() -> AsyncIterator[World]:
    """Exchanges on a good day."""
    async with world() as one:
        yield one


OLD = {"binance_futures": "BTCUSDT", "hyperliquid": "BTC", "coinbase": "BTC-USD"}
YOUNG = {"binance_futures": "ZOMABEUSDT", "hyperliquid": "NINOLA", "coinbase": "BEB-USD"}
ENDED = {"binance_futures": "PARIDIUSDT", "hyperliquid": "TAGE", "coinbase": "VOR-USD"}
THIN = {"binance_futures": "NIKUUSDT", "hyperliquid": "JUPI", "coinbase": "ATOM-GBP"}
INSTANTS = [T0, T0 - T0 % DAY_MS, T0 - T0 % DAY_MS + 1, T0 + 4 * HOUR_MS - 1]
INTERVALS = {Interval.MIN_1, Interval.HOUR_1, Interval.HOUR_6, Interval.DAY_1, Interval.DAY_3, Interval.MONTH_1}
CALLS = {"binance_futures": 2, "hyperliquid": 2, "coinbase": 16}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("exchange", OLD)
@pytest.mark.parametrize("symbols", [OLD, YOUNG, ENDED, THIN], ids=["old", "young", "ended", "thin"])
async def test_first_and_last_are_those_of_the_exchange(usual: World, exchange: str, symbols: dict[str, str]) -> None:
    offered = [spec.interval for spec in ADAPTERS[ExchangeId(exchange)].capabilities.intervals]
    chosen = [interval for interval in offered if interval in INTERVALS]
    for number, interval in enumerate(chosen):
        found = await usual.check(exchange, symbols[exchange], interval, INSTANTS[number % len(INSTANTS)])
        assert found.calls <= CALLS[exchange]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("exchange", OLD)
async def test_an_instrument_from_its_announcement_on(usual: World, exchange: str) -> None:
    life = instrument_of(usual.sources, exchange, YOUNG[exchange], T0).life
    ages_ms = [-1, 30_000, 61_000, HOUR_MS + 59_000, 25 * HOUR_MS]
    for age_ms in ages_ms:
        for interval in (Interval.MIN_1, Interval.HOUR_1, Interval.DAY_1):
            found = await usual.check(exchange, YOUNG[exchange], interval, life.listed_ms + age_ms)
            assert age_ms > 0 or found.first_open_time is None


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("exchange", OLD)
async def test_what_the_exchange_refuses_has_none_and_no_error(usual: World, exchange: str) -> None:
    found = await usual.find(exchange, "NEVER-WAS", Interval.HOUR_1, T0)
    assert (found.first_open_time, found.last_open_time, found.method) == (None, None, "refused")
    assert found.calls == 1
    assert found.is_exact


async def test_made_up_rows_alone_are_no_candles() -> None:
    # JUT was listed some days ago; of the time before there are a thousand days at all intervals
    scenario = Scenario(limits=False, prelisted_days={"JUT": 1000})
    async with world(scenario=scenario) as made_up:
        listed_ms = instrument_of(made_up.sources, "hyperliquid", "JUT", T0).life.listed_ms
        for interval in (Interval.MIN_1, Interval.HOUR_4, Interval.DAY_1, Interval.WEEK_1, Interval.MONTH_1):
            found = await made_up.check("hyperliquid", "JUT", interval, T0)
            assert found.first_open_time is None or found.first_open_time > listed_ms - 31 * DAY_MS


async def test_all_that_is_kept_counts_though_it_is_more_than_promised() -> None:
    async with world(scenario=Scenario(limits=False, kept_rows=5060)) as generous:
        found = await generous.find("hyperliquid", "BTC", Interval.MIN_1, T0)
        newest_ms = T0 // MINUTE_MS * MINUTE_MS
        assert found.last_open_time == newest_ms - MINUTE_MS
        assert found.first_open_time == newest_ms - 5059 * MINUTE_MS


@pytest.mark.parametrize("exchange", OLD)
@pytest.mark.parametrize(
    "fault,error",
    [
        ("html,status=503,route=candles", UpstreamUnavailable),
        ("off-grid,route=candles", UpstreamBadData),
        ("status,status=429,route=candles", UpstreamRateLimited),
    ],
)
async def test_what_is_wrong_with_the_exchange_is_told(exchange: str, fault: str, error: type[UpstreamError]) -> None:
    async with world(fault) as bad:
        with pytest.raises(error):
            await bad.find(exchange, OLD[exchange], Interval.HOUR_1, T0)


@cache
def no_http() -> httpx2.AsyncClient:
    """A client that nobody uses; to make one takes longer than a test of what is held in memory."""
    return httpx2.AsyncClient()


class TradesFetcher(Fetcher):
    """A Fetcher whose exchange has a candle wherever there was a trade, of whatever interval is asked for."""

    def __init__(self, exchange: str, trades_ms: Sequence[int], now_ms: int) -> None:
        super().__init__(get_adapter(exchange), no_http(), ManualClock(now_ms))
        self.trades_ms = trades_ms
        self.calls: list[CandleQuery] = []
        self.time_ms = now_ms
        self.refuses_after: int | None = None

    async def now_ms(self) -> int:
        return self.time_ms

    async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
        if len(self.calls) == self.refuses_after:
            raise UpstreamRefused(self.adapter.exchange, "it does not serve this product")
        self.calls.append(query)
        step_ms, start_ms = query.interval.min_duration_ms, query.start_ms or 0
        assert query.end_ms - start_ms <= self.adapter.capabilities.rows_per_call * step_ms
        opens_ms = sorted({trade_ms // step_ms * step_ms for trade_ms in self.trades_ms if trade_ms <= now_ms})
        rows = [
            Candle(
                open_time=open_ms,
                close_time=open_ms + step_ms,
                open="1",
                high="1",
                low="1",
                close="1",
                volume="1",
                is_closed=open_ms + step_ms <= now_ms,
            )
            for open_ms in opens_ms
            if start_ms <= open_ms < query.end_ms
        ]
        return rows, rows


def bisected(fetcher: TradesFetcher, interval: Interval) -> Coverage:
    found = asyncio.run(find_coverage(fetcher, "X", interval))
    assert found.calls == len(fetcher.calls) <= MAX_CALLS
    assert not found.is_exact
    return found


WINDOW_MS = 300 * DAY_MS
MOMENT = st.integers(0, 4200 * DAY_MS).map(lambda age_ms: T0 - age_ms)
COINBASE = [spec.interval for spec in get_adapter("coinbase").capabilities.intervals]


@settings(max_examples=200, deadline=None)
@given(
    trades_ms=st.lists(MOMENT | st.integers(T0 - 3 * DAY_MS, T0) | st.integers(T0 - 10 * MINUTE_MS, T0), max_size=12),
    interval=st.sampled_from(COINBASE),
)
def test_of_any_trades_the_last_is_found_and_nothing_right_before_the_first(
    trades_ms: list[int], interval: Interval
) -> None:
    found = bisected(TradesFetcher("coinbase", trades_ms, T0), interval)
    step_ms = interval.min_duration_ms
    opens_ms = sorted({trade_ms // step_ms * step_ms for trade_ms in trades_ms})
    closed_ms = [open_ms for open_ms in opens_ms if open_ms + step_ms <= T0]
    if found.method == "search-bounded":
        return
    if found.last_open_time is None:
        newest_ms = T0 // DAY_MS * DAY_MS + DAY_MS - WINDOW_MS
        assert [open_ms for open_ms in closed_ms if open_ms >= newest_ms] == []
        return
    assert found.last_open_time == closed_ms[-1]
    assert found.first_open_time is not None
    assert found.first_open_time in closed_ms
    day_ms = found.first_open_time // DAY_MS * DAY_MS
    assert [open_ms for open_ms in closed_ms if day_ms - WINDOW_MS <= open_ms < found.first_open_time] == []


@settings(max_examples=200, deadline=None)
@given(
    first_ms=MOMENT,
    rests_ms=st.lists(st.integers(MINUTE_MS, WINDOW_MS - DAY_MS), max_size=50),
    interval=st.sampled_from(COINBASE),
)
def test_without_a_rest_of_300_days_the_first_is_the_first(
    first_ms: int, rests_ms: list[int], interval: Interval
) -> None:
    trades_ms = [first_ms]
    for rest_ms in rests_ms:
        if trades_ms[-1] + rest_ms < T0:
            trades_ms.append(trades_ms[-1] + rest_ms)
    step_ms = interval.min_duration_ms
    closed_ms = [open_ms for one in trades_ms if (open_ms := one // step_ms * step_ms) + step_ms <= T0]
    found = bisected(TradesFetcher("coinbase", trades_ms, T0), interval)
    if found.method == "search-bounded":
        assert trades_ms[-1] < T0 - 9 * WINDOW_MS
        return
    assert (found.first_open_time, found.last_open_time) == (
        (closed_ms[0], closed_ms[-1]) if closed_ms else (None, None)
    )


def test_what_has_never_traded_costs_half_of_the_calls() -> None:
    found = bisected(TradesFetcher("coinbase", [], T0), Interval.MIN_1)
    assert found == Coverage(None, None, "search-bounded", MAX_CALLS // 2)


def test_candles_before_a_long_rest_may_be_missed_and_that_is_said() -> None:
    long_ago = T0 - 2000 * DAY_MS
    found = bisected(TradesFetcher("coinbase", [long_ago, T0 - DAY_MS], T0), Interval.HOUR_1)
    assert found.first_open_time == (T0 - DAY_MS) // HOUR_MS * HOUR_MS
    assert (found.method, found.is_exact) == ("bisection", False)


def test_a_refusal_after_candles_is_a_contradiction() -> None:
    fetcher = TradesFetcher("coinbase", [T0 - DAY_MS], T0)
    fetcher.refuses_after = 1
    with pytest.raises(UpstreamBadData, match="refuses others"):
        asyncio.run(find_coverage(fetcher, "X", Interval.HOUR_1))


def test_an_interval_that_the_exchange_does_not_offer() -> None:
    with pytest.raises(UnsupportedInterval):
        asyncio.run(find_coverage(TradesFetcher("coinbase", [], T0), "X", Interval.WEEK_1))


def test_a_search_without_room_for_its_least_calls_asks_nothing() -> None:
    fetcher = TradesFetcher("coinbase", [T0 - DAY_MS], T0)
    asyncio.run(fetcher.budget.silence(UpstreamRateLimited(fetcher.adapter.exchange, 60.0)))
    with pytest.raises(UpstreamRateLimited):
        asyncio.run(find_coverage(fetcher, "X", Interval.MIN_1))
    assert fetcher.calls == []


async def test_an_exchange_that_is_too_slow_for_all_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketdata.core.coverage.DEADLINE_S", 0.05)
    fetcher = TradesFetcher("coinbase", [T0 - DAY_MS], T0)

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(fetcher, "candles", hang)
    with pytest.raises(UpstreamTimeout):
        await find_coverage(fetcher, "X", Interval.HOUR_1)
