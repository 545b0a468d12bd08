"""How a canonical symbol is formed, and what happens when two instruments want the same one.

`BASE-QUOTE` spot, `BASE-QUOTE-PERP` perpetual, `BASE-QUOTE-YYMMDD` dated future: NFC, upper case, all other characters
kept. Nobody parses a symbol; the fields of the instrument tell.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from marketdata.core.models import Kind, ListedInstrument, Status


def canonical_spelling(text: str) -> str:
    """NFC and upper case, as every canonical symbol is spelt and every symbol on input is compared."""
    if text.isascii():
        return text.upper()
    upper = unicodedata.normalize("NFC", text).upper()
    return unicodedata.normalize("NFC", upper)  # some capitals come decomposed


def yymmdd(time_ms: int) -> str:
    """The UTC date of an epoch time in ms, as the exchanges write it in the names of dated futures."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%y%m%d")


def symbol_name(base: str, quote: str, kind: Kind, expires_at_ms: int | None = None) -> str:
    """The canonical symbol; `base` carries its factor in digits; a future needs `expires_at_ms`, epoch ms."""
    suffix = ""
    if kind is Kind.PERPETUAL:
        suffix = "-PERP"
    elif kind is Kind.FUTURE:
        if expires_at_ms is None:
            raise ValueError("a dated future has an expiry")
        suffix = f"-{yymmdd(expires_at_ms)}"
    return canonical_spelling(f"{base}-{quote}{suffix}")


def unmarked_name(instrument: ListedInstrument) -> str:
    """The canonical symbol that `instrument` has unless another one holds it."""
    return symbol_name(instrument.base, instrument.quote_asset, instrument.kind, instrument.expires_at)


def assign_names(listed: Sequence[ListedInstrument], held: Mapping[str, str]) -> dict[str, str]:
    """Give every listed instrument its canonical symbol, by exchange symbol; nothing is refused.

    `held` maps canonical symbols already given on this exchange, former ones included, to their exchange symbols. The
    holder keeps a name. Within one listing it goes to the instrument whose exchange symbol is base + quote, then to one
    that trades, then to the smaller exchange symbol. The others are `NAME~EXCHANGE_SYMBOL` for good.
    """
    wanted: dict[str, list[ListedInstrument]] = {}
    for instrument in listed:
        wanted.setdefault(unmarked_name(instrument), []).append(instrument)

    names: dict[str, str] = {}
    for name, rivals in wanted.items():
        marked = {rival.exchange_symbol: f"{name}~{canonical_spelling(rival.exchange_symbol)}" for rival in rivals}
        free = [rival for rival in rivals if held.get(marked[rival.exchange_symbol]) != rival.exchange_symbol]
        holder = held.get(name) or (min(free, key=_precedence).exchange_symbol if free else None)
        for rival in rivals:
            is_holder = rival.exchange_symbol == holder
            names[rival.exchange_symbol] = name if is_holder else marked[rival.exchange_symbol]
    return names


def _precedence(instrument: ListedInstrument) -> tuple[bool, bool, str]:
    """Smallest first: spelt base + quote, trading, by exchange symbol."""
    spelt = canonical_spelling(instrument.exchange_symbol).replace("-", "")
    is_base_quote = spelt == canonical_spelling(instrument.base + instrument.quote_asset)
    return (not is_base_quote, instrument.status is not Status.TRADING, instrument.exchange_symbol)
