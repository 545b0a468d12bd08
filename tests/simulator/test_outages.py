"""When an exchange is off."""

import pytest

from marketdata.core.models import Interval
from marketdata.simulator.grids import Months, Steps
from marketdata.simulator.outages import Outage, Outages
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import Sources, simulated
from marketdata.simulator.truth import truth
from tests.simulator.conftest import NOW_MS

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def off(*spans: tuple[int, int], exchange: str = "coinbase") -> Outages:
    """So many minutes, until so many."""
    return Outages(
        Outage(exchange=exchange, from_ms=start * MINUTE_MS, until_ms=end * MINUTE_MS) for start, end in spans
    )


@pytest.mark.parametrize(
    "spans, on",
    [
        ([], [(10, 20)]),
        ([(0, 10)], [(10, 20)]),
        ([(20, 30)], [(10, 20)]),
        ([(0, 12)], [(12, 20)]),
        ([(18, 30)], [(10, 18)]),
        ([(12, 14)], [(10, 12), (14, 20)]),
        ([(16, 18), (12, 14)], [(10, 12), (14, 16), (18, 20)]),
        ([(12, 15), (13, 14), (14, 17)], [(10, 12), (17, 20)]),
        ([(12, 14), (14, 16)], [(10, 12), (16, 20)]),
        ([(10, 20)], []),
        ([(0, 15), (15, 30)], []),
    ],
)
def test_what_is_left_of_a_span(spans: list[tuple[int, int]], on: list[tuple[int, int]]) -> None:
    expected = [(start * MINUTE_MS, end * MINUTE_MS) for start, end in on]
    assert off(*spans).on("coinbase", 10 * MINUTE_MS, 20 * MINUTE_MS) == expected
    assert off(*spans).on("hyperliquid", 10 * MINUTE_MS, 20 * MINUTE_MS) == [(10 * MINUTE_MS, 20 * MINUTE_MS)]


@pytest.mark.parametrize(
    "spans, runs",
    [
        ([], [[2, 3, 4, 5, 6]]),
        ([(0, 10)], [[2, 3, 4, 5, 6]]),
        ([(15, 25)], [[2], [5, 6]]),
        ([(16, 17)], [[2], [3], [4, 5, 6]]),
        ([(14, 26)], [[2], [5], [6]]),
        ([(0, 100)], []),
        ([(30, 100)], [[2, 3, 4, 5]]),
        ([(16, 17), (18, 19)], [[2], [3], [4, 5, 6]]),
        ([(10, 20), (25, 30)], [[4], [6]]),
    ],
)
def test_which_candles_of_five_minutes_may_exist(spans: list[tuple[int, int]], runs: list[list[int]]) -> None:
    found = off(*spans).runs("coinbase", Steps(5 * MINUTE_MS), 2, 6)
    assert [list(run) for run in found] == runs


def test_months_are_cut_too() -> None:
    january, march = Months().index(0), Months().index(60 * 24 * HOUR_MS)
    outages = off((31 * 1440, 59 * 1440))
    assert [list(run) for run in outages.runs("coinbase", Months(), january, march)] == [[january], [march]]


@pytest.mark.parametrize("from_ms, until_ms", [(0, 0), (MINUTE_MS, 0), (1, MINUTE_MS), (0, MINUTE_MS + 1)])
def test_an_outage_is_whole_minutes(from_ms: int, until_ms: int) -> None:
    with pytest.raises(ValueError, match="whole minute"):
        Outage(exchange="coinbase", from_ms=from_ms, until_ms=until_ms)


@pytest.fixture(scope="module")
def hour_ms() -> int:
    """The beginning of an hour in whose second quarter all exchanges are off."""
    return NOW_MS - NOW_MS % HOUR_MS - 48 * HOUR_MS


@pytest.fixture(scope="module")
def interrupted(hour_ms: int) -> Sources:
    outages = [
        Outage(exchange=exchange, from_ms=hour_ms + 15 * MINUTE_MS, until_ms=hour_ms + 30 * MINUTE_MS)
        for exchange in ("binance_futures", "hyperliquid", "coinbase")
    ]
    return simulated(scenario=Scenario(outages=tuple(outages)))


@pytest.mark.parametrize(
    "exchange, symbol", [("binance_futures", "BTCUSDT"), ("hyperliquid", "BTC"), ("coinbase", "BTC-USD")]
)
def test_nothing_of_that_time_is_in_any_candle(interrupted: Sources, hour_ms: int, exchange: str, symbol: str) -> None:
    def served(interval: Interval, until: Sources) -> list[tuple[int, str, float]]:
        candles = truth(until, exchange, symbol, interval, hour_ms, hour_ms + HOUR_MS, NOW_MS)
        return [((candle.open_time - hour_ms) // MINUTE_MS, candle.open, float(candle.volume)) for candle in candles]

    usual = simulated()
    minutes = served(Interval.MIN_1, interrupted)
    assert [minute for minute, *_ in minutes] == [*range(15), *range(30, 60)]
    assert minutes == [row for row in served(Interval.MIN_1, usual) if not 15 <= row[0] < 30]
    assert [minute for minute, *_ in served(Interval.MIN_15, interrupted)] == [0, 30, 45]
    ((_, opened, volume),) = served(Interval.HOUR_1, interrupted)
    ((_, usually_opened, usual_volume),) = served(Interval.HOUR_1, usual)
    assert opened == usually_opened
    assert volume == pytest.approx(sum(row[2] for row in minutes))
    assert volume < usual_volume
