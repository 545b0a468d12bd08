"""One exchange's instruments at one moment, found by any of their names."""

import math
import string
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Self

from marketdata.core.models import Kind, Symbol
from marketdata.core.naming import canonical_spelling
from marketdata.store.symbols import StoredSymbol

_PUNCTUATION: Final = (string.punctuation + string.whitespace).encode()

_KIND_WORDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.SPOT: ("SPOT",),
    Kind.PERPETUAL: ("PERP", "PERPETUAL", "SWAP"),
    Kind.FUTURE: ("FUTURE", "FUTURES"),
}
"""What people call each kind."""


def squeeze(text: str) -> str:
    """The letters and digits of a name in our spelling: `btc/usdt`, `BTC-USDT` and `BTCUSDT` are the same."""
    return canonical_spelling(text).encode().translate(None, _PUNCTUATION).decode()  # as bytes, which is quick


@dataclass(frozen=True, slots=True)
class Spellings:
    """All that an instrument can be searched by, each squeezed."""

    bases: tuple[str, ...]
    """Its base: the asset, and as its symbol spells it, with factor and dex."""
    names: tuple[str, ...]
    """All that it is or was called itself, its symbol first."""
    others: str
    """Its names, and those of its other assets and its dex, one to a line."""
    words: str
    """What its kind and its exchange are called, one to a line; a line end before the first, too."""


class Instruments:
    """One exchange's symbols at one moment, found by any of their names."""

    def __init__(self, stored: Iterable[StoredSymbol]) -> None:
        """`stored`: all that were ever seen until then."""
        self.rows: Sequence[StoredSymbol] = sorted(stored, key=lambda row: row.symbol.symbol)
        self.symbols: Sequence[Symbol] = [row.symbol for row in self.rows]
        self._row_by_symbol = {row.symbol.symbol: row for row in self.rows}
        self._by_exchange_symbol = {
            row.symbol.exchange_symbol: row.symbol for row in self.rows if row.replaced_at is None
        }
        self._by_symbol = {symbol.symbol: symbol for symbol in self.symbols}
        # of several that were once called so the last one: one that was not replaced, else the one replaced last
        newest_last = sorted(self.rows, key=lambda row: math.inf if row.replaced_at is None else row.replaced_at)
        self._by_alias = {alias: row.symbol for row in newest_last for alias in row.symbol.aliases}
        self._by_any: Mapping[str, list[Symbol]] = _index(self.symbols)

    def seen_at(self, at_ms: int) -> Self:
        """The same after a sync at `at_ms`, epoch ms, that changed nothing: those that are listed were seen again."""
        return type(self)(
            replace(row, symbol=row.symbol.model_copy(update={"last_seen_at": at_ms})) if row.listed else row
            for row in self.rows
        )

    def find(self, name: str) -> Symbol | None:
        """The one instrument that a path means: the exchange's symbol as it stands, our symbol, or a former one."""
        exact = self._by_exchange_symbol.get(name)
        if exact is not None:
            return exact
        ours = canonical_spelling(name)
        return self._by_symbol.get(ours) or self._by_alias.get(ours)

    def matches(self, name: str) -> list[Symbol]:
        """Every instrument that anyone calls so, by symbol; letter case counts only where it tells two apart."""
        return self._by_any.get(canonical_spelling(name), [])

    def is_replaced(self, symbol: Symbol) -> bool:
        """Whether its exchange symbol belongs to another instrument, so that its candles cannot be asked for."""
        return self._row_by_symbol[symbol.symbol].replaced_at is not None

    def row_id(self, symbol: Symbol) -> int:
        """Its row in the database."""
        row_id = self._row_by_symbol[symbol.symbol].row_id
        if row_id is None:
            raise ValueError(f"{symbol.id} is not stored")
        return row_id

    def volume_unit(self, symbol: Symbol) -> str:
        """What `volume` of its candles counts: its base as the symbol spells it, with the factor, such as `1000SHIB`.

        Without the dex; not the exchange's own asset field, which can name another asset.
        """
        row = self._row_by_symbol[symbol.symbol]
        dex = symbol.dex
        return row.base if dex is None else row.base.removeprefix(f"{canonical_spelling(dex)}.")

    @cached_property
    def encoded(self) -> Mapping[str, bytes]:
        """Each symbol as JSON, by name, encoded once per generation."""
        return {symbol.symbol: symbol.model_dump_json().encode() for symbol in self.symbols}

    @cached_property
    def spellings(self) -> Sequence[Spellings]:
        """What each of `rows` can be searched by."""
        return [_spellings(row) for row in self.rows]

    @cached_property
    def spelt(self) -> tuple[Sequence[str], Sequence[int]]:
        """Every name of an instrument, squeezed, and beside it where in `rows` that is."""
        pairs = [(name, at) for at, spellings in enumerate(self.spellings) for name in set(spellings.names)]
        return [name for name, _ in pairs], [at for _, at in pairs]


def _names(symbol: Symbol) -> list[str]:
    names = (symbol.symbol, symbol.exchange_symbol, symbol.ccxt_symbol, *symbol.aliases)
    return [name for name in names if name is not None]


def _index(symbols: Iterable[Symbol]) -> Mapping[str, list[Symbol]]:
    index: dict[str, list[Symbol]] = defaultdict(list)
    for symbol in symbols:
        for name in {canonical_spelling(name) for name in (symbol.id, *_names(symbol))}:
            index[name].append(symbol)
    return dict(index)


def _spellings(row: StoredSymbol) -> Spellings:
    symbol = row.symbol
    names = tuple(map(squeeze, _names(symbol)))
    assets = (symbol.quote_asset, symbol.settle_asset, symbol.dex)
    words = (*_KIND_WORDS[symbol.kind], *canonical_spelling(symbol.exchange).split("_"), squeeze(symbol.exchange))
    return Spellings(
        bases=tuple(dict.fromkeys((squeeze(symbol.base_asset), squeeze(row.base)))),
        names=names,
        others="\n".join((*names, *(squeeze(asset) for asset in assets if asset is not None))),
        words="".join(f"\n{word}" for word in words),
    )
