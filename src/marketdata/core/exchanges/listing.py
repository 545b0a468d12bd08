"""Reading a catalogue row by row: what cannot be read is refused by name, what is unfamiliar is counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import pydantic

from marketdata.core.models import ListedInstrument, Listing, Refusal, Status
from marketdata.core.multipliers import Multiplied, classify_base


class RowRefused(Exception):
    """This row cannot become an instrument; the message says why."""


class ListingDraft:
    """A Listing in the making."""

    def __init__(self, factors: Mapping[str, Multiplied]) -> None:
        """`factors`: the exchange's own table of multiplied bases."""
        self._factors = factors
        self._instruments: dict[str, ListedInstrument] = {}
        self._refused: list[Refusal] = []
        self._unclassified: list[str] = []
        self._mismatches: list[str] = []
        self._unknown_words: Counter[str] = Counter()

    def read[Row](
        self,
        rows: Iterable[Any],
        symbol_field: str,
        row_type: type[Row],
        to_instrument: Callable[[Row], ListedInstrument],
    ) -> None:
        """Turn decoded JSON rows into instruments; a row that fails is refused with its reason, never the listing."""
        for row in rows:
            name = row.get(symbol_field) if isinstance(row, dict) else None
            exchange_symbol = name if isinstance(name, str) else None
            try:
                instrument = to_instrument(msgspec.convert(row, row_type))
            except (RowRefused, msgspec.ValidationError) as error:
                self.refuse(exchange_symbol, str(error))
            except pydantic.ValidationError as error:
                self.refuse(exchange_symbol, "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors()))
            else:
                if not instrument.exchange_symbol or not instrument.base or not instrument.quote_asset:
                    self.refuse(exchange_symbol, "its symbol, its base or its quote asset is empty")
                elif instrument.exchange_symbol in self._instruments:
                    self.refuse(exchange_symbol, "it is listed twice; the first row counts")
                else:
                    self._instruments[instrument.exchange_symbol] = instrument

    def refuse(self, exchange_symbol: str | None, reason: str) -> None:
        """Leave a row out, and say so."""
        self._refused.append(Refusal(exchange_symbol=exchange_symbol, reason=reason))

    def multiplied(self, exchange_symbol: str, base: str) -> Multiplied | None:
        """Factor and asset of a base; None, and reported as unclassified, where it cannot be told."""
        multiplied = classify_base(base, self._factors)
        if multiplied is None:
            self._unclassified.append(exchange_symbol)
        return multiplied

    def compare_base(self, exchange_symbol: str, base: str, asset_field: str) -> None:
        """Count an identifier whose base is not what the exchange's own asset field says."""
        if base != asset_field:
            self._mismatches.append(exchange_symbol)

    def status(self, word: str, table: Mapping[str, Status]) -> Status:
        """The exchange's status word in our words; an unfamiliar one is `unknown` and counted."""
        if word not in table:
            self.unknown_word("status", word)
        return table.get(word, Status.UNKNOWN)

    def unknown_word(self, field: str, word: str) -> None:
        """Count a word of an enumeration that we do not know."""
        self._unknown_words[f"{field}={word}"] += 1

    def finish(self) -> Listing:
        """The Listing, in the order of the rows."""
        return Listing(
            instruments=tuple(self._instruments.values()),
            refused=tuple(self._refused),
            unclassified=tuple(self._unclassified),
            base_mismatches=tuple(self._mismatches),
            unknown_words=dict(self._unknown_words),
        )


def readable[Row](rows: Iterable[Any], row_type: type[Row]) -> Iterator[Row]:
    """Those of decoded JSON rows that are of the documented form; what refers to the others is refused by name."""
    for row in rows:
        with suppress(msgspec.ValidationError):
            yield msgspec.convert(row, row_type)
