"""The pages about the exchanges say what the adapters do, as far as tables can be compared."""

import re
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from marketdata.core.exchanges import BUILT_IN, binance_futures, coinbase, hyperliquid
from marketdata.core.exchanges.adapter import CandleQuery, ExchangeAdapter, Request
from marketdata.core.models import DAY_MS, Candle, Instrument, IntervalSpec

DOCS = Path(__file__).parents[3] / "docs"
PAGES = DOCS / "exchanges"
MODULES: dict[str, ModuleType] = {
    "binance_futures": binance_futures,
    "hyperliquid": hyperliquid,
    "coinbase": coinbase,
}
OPENS_AT = {
    (None, None): "not verified",
    ("epoch", 0): "multiples since the epoch",
    ("epoch", 4 * DAY_MS): "Monday, 00:00 UTC",
    ("month", 0): "first day of a calendar month, 00:00 UTC",
}

pytestmark = pytest.mark.parametrize("adapter", BUILT_IN)


def page(adapter: type[ExchangeAdapter]) -> str:
    return (PAGES / f"{adapter.exchange}.md").read_text()


def words(text: str) -> set[str]:
    """Everything that stands in code marks."""
    return set(re.findall(r"`([^`\n]+)`", text))


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    _, _, rest = text.partition(f"\n## {heading}\n")
    table = re.search(r"(?:^\|.*\n)+", rest, re.MULTILINE)
    assert table, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


def test_who_it_is(adapter: type[ExchangeAdapter]) -> None:
    text = page(adapter)
    assert {adapter.exchange, adapter.base_url} <= words(text)
    assert f"]({adapter.capabilities.docs_url})" in text
    assert f"({adapter.exchange}.md)" in (PAGES / "README.md").read_text()


def test_every_request_with_its_weight(adapter: type[ExchangeAdapter]) -> None:
    asked = rows(page(adapter), "What we ask")
    for request in requests(adapter):
        place = request.json["type"] if isinstance(request.json, dict) else f"`{request.method} {request.path}`"
        (row,) = [cells for cells in asked if place.replace("SYMBOL", "{id}") in cells[1]]
        assert re.search(rf"\b{request.weight}\b", row[-1]), place
        fields = request.json.get("req", {}) if isinstance(request.json, dict) else request.params
        assert set(fields) <= set(re.findall(r"\w+", f"{row[1]} {row[2]}")), place


def requests(adapter: type[ExchangeAdapter]) -> list[Request]:
    whole = adapter()
    listing = whole.listing_requests()
    found = [next(listing)]
    try:
        while True:
            found.append(listing.send(b""))
    except StopIteration:
        pass
    spec = adapter.capabilities.intervals[0]
    query = CandleQuery("SYMBOL", spec.interval, 0, spec.interval.min_duration_ms, 0)  # no rows: the least weight
    return [*found, whole.time_request(), whole.candles_request(query)]


def test_every_interval_with_its_token_and_alignment(adapter: type[ExchangeAdapter]) -> None:
    documented = [(row[0], row[1], row[2]) for row in rows(page(adapter), "Intervals")]

    def row(spec: IntervalSpec) -> tuple[str, str, str]:
        return f"`{spec.interval}`", f"`{spec.token}`", OPENS_AT[spec.anchor, spec.offset_ms]

    assert documented == [row(spec) for spec in adapter.capabilities.intervals]


def test_every_field_of_a_candle(adapter: type[ExchangeAdapter]) -> None:
    documented = rows(page(adapter), "Candles")
    ours = {word: row for row in documented for word in words(row[0])}
    assert set(ours) == set(Candle.__struct_fields__) - {"is_closed"}
    for name, column in adapter.capabilities.columns.items():
        assert (ours[name][1] == "–") == (not column.published), name
        if column.unit:
            assert ours[name][2].startswith(column.unit), name


def test_every_field_of_an_instrument(adapter: type[ExchangeAdapter]) -> None:
    documented = {word for row in rows(page(adapter), "Instruments") for word in words(row[0])}
    derived = {"kind", "status", "exchange_status"} - documented
    assert documented | derived == set(Instrument.model_fields)


def test_every_word_and_field_that_the_adapter_reads(adapter: type[ExchangeAdapter]) -> None:
    module = MODULES[adapter.exchange]
    read = words(page(adapter))
    for wire in vars(module).values():
        if isinstance(wire, type) and issubclass(wire, msgspec.Struct) and wire.__module__ == module.__name__:
            missing = set(wire.__struct_fields__) - {part for word in read for part in re.findall(r"\w+", word)}
            assert not missing, wire
    for table in ("_KIND", "_STATUS"):
        assert set(getattr(module, table, {})) <= read
    for word, status in getattr(module, "_STATUS", {}).items():
        assert re.search(rf"^\|.*`{word}`.*\| .*`{status}` \|$", page(adapter), re.MULTILINE), word
    for code in getattr(module, "_REFUSALS", {}):
        assert f"`{code}`" in page(adapter)


def test_limits(adapter: type[ExchangeAdapter]) -> None:
    budget = adapter.capabilities.budget
    _, _, limits = page(adapter).partition("\n## Limits\n")
    first = limits.strip().splitlines()[0]
    assert f"{budget.limit:,}" in first
    assert str(budget.burst or "") in first
    numbers = set(re.findall(r"\b\d+\b", page(adapter)))
    assert str(adapter.capabilities.rows_per_call) in numbers
    assert str(adapter.capabilities.look_back_rows or 0) in numbers | {"0"}


def test_links_lead_somewhere(adapter: type[ExchangeAdapter]) -> None:
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page(adapter)):
        assert (PAGES / target).exists(), target
    for name in set(re.findall(r"(?<!\])\[([A-Za-z_.-]+)\](?![(:])", page(adapter))):
        assert f"[{name}]:" in page(adapter), name
