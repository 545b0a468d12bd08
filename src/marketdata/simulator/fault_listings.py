"""Faults of a whole listing: good JSON that no exchange means. None where the right answer is no listing to spoil.

An exchange's listing may be several answers: each is spoilt alike, and whoever asks for rows is told the same of them.
Of Hyperliquid's these are the universes; the tokens of pairs stay.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from zlib import crc32

import msgspec

from marketdata.simulator.answers import Answer
from marketdata.simulator.fault_scene import Scene

type _Row = dict[str, Any]
type _Change = Callable[[_Row, bool], list[_Row]]
"""The rows in place of one, which is in the share of the rows that the fault is for, or not."""

_UNHEARD_OF = "SOMETHING_NEW"
_INDEXES = 10_000
"""More than there are pairs."""


@dataclass(frozen=True, slots=True)
class _Universe:
    """Rows of one kind in an answer, and what stands beside them."""

    rows: list[_Row]
    contexts: list[_Row]
    """Beside perpetuals by place, beside pairs by `coin`; mostly there are none."""


@dataclass(frozen=True, slots=True)
class _Words:
    """What is what in an exchange's rows."""

    name: str
    needed: str
    """A field without which a row cannot be read."""
    unknown: _Row
    """A status that nobody knows."""
    delisted: _Row
    """A row that says so."""


_PRODUCT_FLAGS = dict.fromkeys(("post_only", "limit_only", "cancel_only", "auction_mode"), False)
_WORDS: Mapping[str, _Words] = {
    "binance_futures": _Words("symbol", "quoteAsset", {"status": _UNHEARD_OF}, {"status": "CLOSE"}),
    "hyperliquid": _Words("name", "szDecimals", {}, {"isDelisted": True}),
    "coinbase": _Words(
        "id",
        "quote_increment",
        {"status": _UNHEARD_OF.lower(), **_PRODUCT_FLAGS, "trading_disabled": False},
        {"status": "delisted", **_PRODUCT_FLAGS, "trading_disabled": True},
    ),
}
_PAIR = replace(_WORDS["hyperliquid"], needed="tokens", delisted={})
"""A Hyperliquid pair has no status at all."""


def empty(scene: Scene) -> Answer | None:
    """No rows."""
    return _listing(scene, lambda _row, _chosen: [])


def shrunk(scene: Scene) -> Answer | None:
    """Without a share of the rows."""
    return _listing(scene, lambda row, chosen: [] if chosen else [row], scene.fault.percent)


def grown(scene: Scene) -> Answer | None:
    """With as large a share of rows more, of coins that nobody has heard of."""
    whole, rest = divmod(scene.fault.percent, 100)
    return _listing(
        scene, lambda row, chosen: [row, *(_stranger(scene, row, number) for number in range(whole + chosen))], rest
    )


def renamed(scene: Scene) -> Answer | None:
    """Each row is one of another coin."""
    return _listing(scene, lambda row, _chosen: [_stranger(scene, row, 0)])


def unknown_status(scene: Scene) -> Answer | None:
    """Each row is in a status that nobody knows."""
    return _listing(scene, lambda row, _chosen: [row | _words(scene, row).unknown])


def delisted(scene: Scene) -> Answer | None:
    """Each row says that it is delisted."""
    return _listing(scene, lambda row, _chosen: [row | _words(scene, row).delisted])


def unreadable(scene: Scene) -> Answer | None:
    """A share of the rows has a needed field of another type or not at all."""

    def spoilt(row: _Row) -> _Row:
        words = _words(scene, row)
        without = {key: value for key, value in row.items() if key != words.needed}
        return without if crc32(row[words.name].encode()) % 2 else row | {words.needed: []}

    return _listing(scene, lambda row, chosen: [spoilt(row) if chosen else row], scene.fault.percent)


def _listing(scene: Scene, change: _Change, percent: int = 0) -> Answer | None:
    """The answer with all its rows changed, `percent` of them chosen; None where it has none or nothing changes."""
    if scene.call.use != "listing" or scene.answer.status != HTTPStatus.OK:
        return None
    tree: Any = msgspec.json.decode(scene.answer.body)
    universes = _universes(tree)
    name = _WORDS[scene.call.exchange].name
    is_changed = False
    for universe, chosen in zip(universes, _share(universes, name, percent), strict=True):
        made = [change(row, row[name] in chosen) for row in universe.rows]
        is_changed |= made != [[row] for row in universe.rows]
        universe.contexts[:] = _contexts(universe, made)
        universe.rows[:] = [row for rows in made for row in rows]
    return replace(scene.answer, body=msgspec.json.encode(tree)) if is_changed else None


def _universes(tree: object) -> list[_Universe]:
    """The rows in an answer: of one universe, perhaps with contexts, of several, or the answer itself."""
    match tree:
        case {"symbols": list(rows)} | {"universe": list(rows)}:
            return [_Universe(rows, [])]
        case [{"universe": list(rows)}, list(contexts)]:
            return [_Universe(rows, contexts)]
        case [{"universe": list(_)}, *_]:
            return [universe for meta in tree for universe in _universes(meta)]
        case [{"id": _}, *_] if isinstance(tree, list):
            return [_Universe(tree, [])]
        case _:
            return []


def _share(universes: Sequence[_Universe], name: str, percent: int) -> list[frozenset[str]]:
    """The names of so many per cent of the rows, of each universe and of all: the same ones in each answer.

    They go by the names, so that a row that comes or goes moves one other row at most.
    """
    counted = taken = 0
    share = []
    for universe in universes:
        counted += len(universe.rows)
        names = sorted((row[name] for row in universe.rows), key=lambda each: crc32(each.encode()))
        share.append(frozenset(names[: counted * percent // 100 - taken]))
        taken = counted * percent // 100
    return share


def _contexts(universe: _Universe, made: Sequence[Sequence[_Row]]) -> list[_Row]:
    """What stands beside the rows that were made of each."""
    if not any("coin" in context for context in universe.contexts):
        return [context for context, rows in zip(universe.contexts, made, strict=False) for _ in rows]
    names = {row["name"]: [each["name"] for each in rows] for row, rows in zip(universe.rows, made, strict=True)}
    return [
        {**context, "coin": coin}
        for context in universe.contexts
        for coin in names.get(context["coin"], [context["coin"]])
    ]


def _words(scene: Scene, row: _Row) -> _Words:
    return _PAIR if "tokens" in row else _WORDS[scene.call.exchange]


def _stranger(scene: Scene, row: _Row, number: int) -> _Row:
    """The same of a coin that nobody has heard of; a pair has another index."""
    coin = "Z" + chr(ord("A") + number // 26) + chr(ord("A") + number % 26)
    match scene.call.exchange:
        case "binance_futures":
            return row | {key: coin + row[key] for key in ("symbol", "pair", "baseAsset")}
        case "coinbase":
            return row | {key: coin + row[key] for key in ("id", "base_currency", "display_name")}
        case _ if "tokens" in row:
            index = row["index"] + (number + 1) * _INDEXES
            return row | {"name": f"@{index}", "index": index, "isCanonical": False}
        case _:
            dex, colon, name = row["name"].rpartition(":")
            return row | {"name": f"{dex}{colon}{coin}{name}"}
