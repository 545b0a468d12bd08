"""Faults of the data: good JSON, and wrong in just one thing."""

from typing import Any

import msgspec
import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.controls import Controls
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources
from tests.simulator.raw import hear

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXCHANGES = ("binance_futures", "hyperliquid", "coinbase")
COLUMNS: dict[str, dict[str, Any]] = {
    "binance_futures": {"time": 0, "high": 2, "low": 3, "close": 4, "volume": 5, "last": 11},
    "hyperliquid": {"time": "t", "high": "h", "low": "l", "close": "c", "volume": "v"},
    "coinbase": {"time": 0, "high": 2, "low": 1, "close": 4, "volume": 5},
}


async def rows(url: str, exchange: str, route: str) -> list[Any]:
    """Candles, or what a listing lists."""
    answer = msgspec.json.Decoder(float_hook=str).decode((await hear(url, exchange, route)).body)
    if route == "listing" and exchange != "coinbase":
        answer = answer["symbols" if exchange == "binance_futures" else "universe"]
    assert len(answer) >= 3
    return list(answer)


async def both(url: str, controls: Controls, exchange: str, route: str, spec: str) -> tuple[list[Any], list[Any]]:
    """The right rows and the wrong ones."""
    right = await rows(url, exchange, route)
    controls.faults.add(spec)
    wrong = await rows(url, exchange, route)
    assert controls.journal.entries()[-1].fault == spec.partition(",")[0]
    return right, wrong


def changed(right: list[Any], wrong: list[Any]) -> list[tuple[Any, Any, Any]]:
    """Key, right and wrong value of all fields that differ."""
    assert len(right) == len(wrong)
    pairs = [(one, other) for one, other in zip(right, wrong, strict=True) if one != other]
    assert len(pairs) == 1
    one, other = (row if isinstance(row, dict) else dict(enumerate(row)) for row in pairs[0])
    return [(key, one.get(key), other.get(key)) for key in {**one, **other} if one.get(key) != other.get(key)]


@pytest.mark.parametrize("route", ["listing", "candles"])
@pytest.mark.parametrize("exchange", EXCHANGES)
class TestAllRows:
    async def test_a_row_twice(self, url: str, controls: Controls, exchange: str, route: str) -> None:
        right, wrong = await both(url, controls, exchange, route, "duplicate-row")
        assert wrong == [right[0], *right]

    async def test_the_first_row_last(self, url: str, controls: Controls, exchange: str, route: str) -> None:
        right, wrong = await both(url, controls, exchange, route, "unordered")
        assert wrong == [*right[1:], right[0]]

    async def test_fewer_rows(self, url: str, controls: Controls, exchange: str, route: str) -> None:
        right, wrong = await both(url, controls, exchange, route, "fewer-rows,percent=21")
        assert wrong == right[: len(right) * 79 // 100]

    async def test_a_field_nobody_has_heard_of(self, url: str, controls: Controls, exchange: str, route: str) -> None:
        right, wrong = await both(url, controls, exchange, route, "extra-field")
        ((key, was, is_now),) = changed(right, wrong)
        assert (was, is_now) == (None, "of")
        assert key not in right[0]

    async def test_a_missing_field(self, url: str, controls: Controls, exchange: str, route: str) -> None:
        right, wrong = await both(url, controls, exchange, route, "missing-required")
        missing = {key: was for key, was, is_now in changed(right, wrong) if is_now is None}
        names: dict[tuple[str, str], Any] = {
            ("binance_futures", "listing"): {"symbol"},
            ("binance_futures", "candles"): {10, 11},
            ("hyperliquid", "listing"): {"name"},
            ("hyperliquid", "candles"): {"c"},
            ("coinbase", "listing"): {"id"},
            ("coinbase", "candles"): {5},
        }
        assert set(missing) == names[exchange, route]


@pytest.mark.parametrize(
    "exchange, route, names",
    [
        ("binance_futures", "listing", {"underlyingSubType", "permissionSets"}),
        ("binance_futures", "candles", {11}),
        ("hyperliquid", "listing", {"marginTableId"}),
        ("coinbase", "listing", {"display_name"}),
    ],
)
async def test_a_missing_field_that_nobody_needs(
    url: str, controls: Controls, exchange: str, route: str, names: set[Any]
) -> None:
    right, wrong = await both(url, controls, exchange, route, "missing-optional")
    assert {key for key, _, is_now in changed(right, wrong) if is_now is None} == names


@pytest.mark.parametrize("exchange", EXCHANGES)
class TestCandles:
    async def test_a_candle_off_the_grid(self, url: str, controls: Controls, exchange: str) -> None:
        right, wrong = await both(url, controls, exchange, "candles", "off-grid")
        ((key, was, is_now),) = changed(right, wrong)
        assert key == COLUMNS[exchange]["time"]
        assert is_now - was == (1 if exchange == "coinbase" else 1000)

    async def test_a_high_below_its_low(self, url: str, controls: Controls, exchange: str) -> None:
        right, wrong = await both(url, controls, exchange, "candles", "high-below-low")
        ((key, was, is_now),) = changed(right, wrong)
        assert key == COLUMNS[exchange]["low"]
        assert str(is_now) == f"9{was}"

    async def test_a_negative_volume(self, url: str, controls: Controls, exchange: str) -> None:
        right, wrong = await both(url, controls, exchange, "candles", "negative-volume")
        ((key, was, is_now),) = changed(right, wrong)
        assert key == COLUMNS[exchange]["volume"]
        assert str(is_now) == f"-1{was}"

    @pytest.mark.parametrize("spec, value", [("nan-price", "NaN"), ("null-price", None)])
    async def test_no_price(self, url: str, controls: Controls, exchange: str, spec: str, value: object) -> None:
        right, wrong = await both(url, controls, exchange, "candles", spec)
        ((key, _, is_now),) = changed(right, wrong)
        assert (key, is_now) == (COLUMNS[exchange]["close"], value)

    async def test_a_candle_of_the_future(self, url: str, controls: Controls, exchange: str) -> None:
        right, wrong = await both(url, controls, exchange, "candles", "future-row")
        time = COLUMNS[exchange]["time"]
        end = 0 if exchange == "coinbase" else -1
        later = wrong.pop(end)
        assert wrong == right
        assert (later[time] - right[end][time]) % 604_800 == 0
        assert later[time] > right[end][time]

    async def test_another_symbols_candles(self, url: str, controls: Controls, exchange: str) -> None:
        right, wrong = await both(url, controls, exchange, "candles", "other-symbol")
        time, close = COLUMNS[exchange]["time"], COLUMNS[exchange]["close"]
        assert [row[time] for row in wrong] == [row[time] for row in right]
        assert all(float(one[close]) > 5 * float(other[close]) for one, other in zip(right, wrong, strict=True))
        if exchange == "hyperliquid":
            assert {row["s"] for row in wrong} == {"ETH"}


async def test_numbers_stay_the_literals_that_they_were(url: str, controls: Controls) -> None:
    right = (await hear(url, "coinbase", "candles")).body
    controls.faults.add("duplicate-row")
    wrong = (await hear(url, "coinbase", "candles")).body
    assert wrong == b"[" + right[1 : right.index(b"]")] + b"]," + right[1:]


@pytest.mark.parametrize(
    "kind", ["off-grid", "high-below-low", "negative-volume", "nan-price", "null-price", "future-row", "other-symbol"]
)
@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_listing_has_no_candles_to_spoil(url: str, controls: Controls, exchange: str, kind: str) -> None:
    right = await hear(url, exchange, "listing")
    controls.faults.add(kind)
    assert (await hear(url, exchange, "listing")).body == right.body
    assert controls.journal.entries()[-1].fault is None


async def test_a_refusal_has_no_rows_to_spoil(sources: Sources) -> None:
    controls = Controls()
    controls.faults.add("duplicate-row", "other-symbol")
    async with running_simulator(sources, ManualClock(0), controls) as url:
        await hear(url, "coinbase", "candles")
    entry = controls.journal.entries()[-1]
    assert (entry.status, entry.fault) == (404, None)
