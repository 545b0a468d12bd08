"""Faults of the data: good JSON with wrong rows. None where the right answer has no place for it.

Numbers of candles stay the literals that they are. A listing's rows are its symbols, universe or products; of them the
first is spoilt.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Raw

from marketdata.simulator.answers import Answer
from marketdata.simulator.fault_scene import Scene

type _Key = int | str
type _Row = dict[_Key, Any]
type _Change = Callable[[list[_Row]], list[_Row]]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where an exchange's candle has what."""

    open_time: _Key
    high: _Key
    low: _Key
    close: _Key
    volume: _Key
    needed: frozenset[_Key]
    """What is missing when something is: a row that is a list ends early."""
    ignored: frozenset[_Key] = frozenset()
    """What nobody needs."""
    second: int = 1000
    """How it counts time."""


_COLUMNS: Mapping[str, _Columns] = {
    "binance_futures": _Columns(0, 2, 3, 4, 5, frozenset({10, 11}), ignored=frozenset({11})),
    "hyperliquid": _Columns("t", "h", "l", "c", "v", frozenset({"c"})),
    "coinbase": _Columns(0, 2, 1, 4, 5, frozenset({5}), second=1),
}
_FAR_S = 420 * 86_400
"""A whole number of weeks, so that the row is on the grid of all intervals but months."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """What a row of a listing must have, and what it may do without."""

    required: str
    optional: frozenset[str]


_LISTED: Mapping[str, _Listed] = {
    "binance_futures": _Listed("symbol", frozenset({"underlyingSubType", "permissionSets"})),
    "hyperliquid": _Listed("name", frozenset({"marginTableId", "isCanonical"})),
    "coinbase": _Listed("id", frozenset({"display_name"})),
}
_OTHERS: Mapping[str, tuple[str, str]] = {
    "binance_futures": ("BTCUSDT", "ETHUSDT"),
    "hyperliquid": ("BTC", "ETH"),
    "coinbase": ("BTC-USD", "ETH-USD"),
}


def duplicate_row(scene: Scene) -> Answer | None:
    """The first row twice."""
    return _rows(scene, lambda rows: [rows[0], *rows])


def unordered(scene: Scene) -> Answer | None:
    """The first row at the end."""
    return _rows(scene, lambda rows: [*rows[1:], rows[0]])


def fewer_rows(scene: Scene) -> Answer | None:
    """Only some of the rows, from the first on."""
    return _rows(scene, lambda rows: rows[: len(rows) * (100 - scene.fault.percent) // 100])


def off_grid(scene: Scene) -> Answer | None:
    """A candle that opens a second late."""
    columns = _COLUMNS[scene.call.exchange]
    return _candle(scene, lambda row: _later(row, 1, columns))


def future_row(scene: Scene) -> Answer | None:
    """The newest candle once more, long after now, at the newest end."""
    columns = _COLUMNS[scene.call.exchange]

    def add(rows: list[_Row]) -> list[_Row]:
        if scene.call.exchange == "coinbase":
            return [_later(rows[0], _FAR_S, columns), *rows]
        return [*rows, _later(rows[-1], _FAR_S, columns)]

    return _candles(scene, add)


def high_below_low(scene: Scene) -> Answer | None:
    """A low with a 9 before its digits."""
    columns = _COLUMNS[scene.call.exchange]
    return _candle(scene, lambda row: {**row, columns.low: _prefixed(row[columns.low], b"9")})


def negative_volume(scene: Scene) -> Answer | None:
    """A volume below zero."""
    columns = _COLUMNS[scene.call.exchange]
    return _candle(scene, lambda row: {**row, columns.volume: _prefixed(row[columns.volume], b"-1")})


def nan_price(scene: Scene) -> Answer | None:
    """A close that is the text NaN."""
    columns = _COLUMNS[scene.call.exchange]
    return _candle(scene, lambda row: {**row, columns.close: Raw(b'"NaN"')})


def null_price(scene: Scene) -> Answer | None:
    """A close that is null."""
    columns = _COLUMNS[scene.call.exchange]
    return _candle(scene, lambda row: {**row, columns.close: Raw(b"null")})


def other_symbol(scene: Scene) -> Answer | None:
    """The candles of another symbol for the same request."""
    if scene.call.use != "candles" or scene.answer.status != HTTPStatus.OK:
        return None
    one, another = _OTHERS[scene.call.exchange]
    asked, symbol = scene.asked, another if scene.call.symbol == one else one
    match scene.call.exchange:
        case "binance_futures":
            asked = replace(asked, query={**asked.query, "symbol": symbol})
        case "coinbase":
            asked = replace(asked, path=f"/products/{symbol}/candles")
        case _:
            wanted: Any = msgspec.json.decode(asked.body)
            wanted["req"]["coin"] = symbol
            asked = replace(asked, body=msgspec.json.encode(wanted))
    return replace(scene.answer, body=scene.venue.exchange.answer(asked).body)


def extra_field(scene: Scene) -> Answer | None:
    """One more field in a row."""

    def add(row: _Row) -> _Row:
        return {**row, len(row) if 0 in row else "unheardOf": "of"}

    return _candle(scene, add) or _listed(scene, add)


def missing_optional(scene: Scene) -> Answer | None:
    """A row without something that it may do without."""
    listed, ignored = _LISTED[scene.call.exchange], _COLUMNS[scene.call.exchange].ignored
    return _candle(scene, lambda row: _without(row, ignored)) or _listed(
        scene, lambda row: _without(row, listed.optional)
    )


def missing_required(scene: Scene) -> Answer | None:
    """A row without something that it must have."""
    listed, needed = _LISTED[scene.call.exchange], _COLUMNS[scene.call.exchange].needed
    return _candle(scene, lambda row: _without(row, needed)) or _listed(
        scene, lambda row: _without(row, {listed.required})
    )


def _rows(scene: Scene, change: _Change) -> Answer | None:
    """The answer with its rows changed, whatever rows they are."""
    return _candles(scene, change) or _listing(scene, change)


def _candle(scene: Scene, change: Callable[[_Row], _Row]) -> Answer | None:
    """The answer with one candle changed, in the middle."""

    def one(rows: list[_Row]) -> list[_Row]:
        middle = len(rows) // 2
        return [*rows[:middle], change(rows[middle]), *rows[middle + 1 :]]

    return _candles(scene, one)


def _listed(scene: Scene, change: Callable[[_Row], _Row]) -> Answer | None:
    """The answer with the first row of a listing changed."""
    return _listing(scene, lambda rows: [change(rows[0]), *rows[1:]])


def _candles(scene: Scene, change: _Change) -> Answer | None:
    """The answer with its candles changed; None where it has none or nothing changes."""
    if scene.call.use != "candles" or scene.answer.status != HTTPStatus.OK:
        return None
    rows: list[list[Raw] | _Row] = msgspec.json.decode(scene.answer.body, type=list[list[Raw] | dict[str, Raw]])
    keyed: list[_Row] = [dict(enumerate(row)) if isinstance(row, list) else row for row in rows]
    changed = change(keyed) if keyed else keyed
    if changed == keyed:
        return None
    body = msgspec.json.encode([list(row.values()) if 0 in row else row for row in changed])
    return replace(scene.answer, body=body)


def _listing(scene: Scene, change: _Change) -> Answer | None:
    """The answer with the rows of a listing changed; None where it has none or nothing changes."""
    if scene.call.use != "listing" or scene.answer.status != HTTPStatus.OK:
        return None
    tree: Any = msgspec.json.decode(scene.answer.body)
    first = tree[0] if isinstance(tree, list) and tree else tree
    rows = next((first[name] for name in ("symbols", "universe") if name in first), tree) if first else tree
    if not (isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)):
        return None
    changed = change(rows)
    if changed == rows:
        return None
    rows[:] = changed
    return replace(scene.answer, body=msgspec.json.encode(tree))


def _later(row: _Row, seconds: int, columns: _Columns) -> _Row:
    return {**row, columns.open_time: Raw(b"%d" % (int(bytes(row[columns.open_time])) + seconds * columns.second))}


def _prefixed(literal: Raw, digits: bytes) -> Raw:
    """A number, or the text of one, with something before its digits."""
    text = bytes(literal)
    return Raw(b'"' + digits + text[1:] if text.startswith(b'"') else digits + text)


def _without(row: _Row, keys: Collection[_Key]) -> _Row:
    return {key: value for key, value in row.items() if key not in keys}
