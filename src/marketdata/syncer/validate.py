"""The second step of a sync: instruments that could not be kept exactly as listed are refused by name.

The adapter has read the rows; here stands what the database can hold and give back digit for digit.
"""

import re

from marketdata.core.models import ListedInstrument, Listing, Refusal

_DECIMALS = frozenset({"tick_size", "step_size", "min_quantity", "min_notional", "contract_size"})
_TIMES = frozenset({"listed_at", "expires_at"})
_PLAIN_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_TEXT = 200
_END_OF_TIME_MS = 253_402_300_800_000
"""The year 10000, where RFC 3339 ends."""
_LARGEST_INTEGER = 2**63 - 1


def validate(listing: Listing) -> Listing:
    """The listing without the instruments that cannot be kept; those are refused, each with its reason."""
    kept = []
    refused = list(listing.refused)
    for instrument in listing.instruments:
        fault = _fault(instrument)
        if fault is None:
            kept.append(instrument)
        else:
            refused.append(Refusal(exchange_symbol=instrument.exchange_symbol, reason=fault))
    return listing.model_copy(
        update={
            "instruments": tuple(kept),
            "refused": tuple(_printable_refusal(refusal) for refusal in refused),
            "unclassified": tuple(map(_printable, listing.unclassified)),
            "base_mismatches": tuple(map(_printable, listing.base_mismatches)),
            "unknown_words": {_printable(word): number for word, number in listing.unknown_words.items()},
        }
    )


def _fault(instrument: ListedInstrument) -> str | None:
    """The first field that cannot be kept and why; None when all can."""
    for name, value in instrument:
        if name in _DECIMALS:
            if value is not None and (len(value) > _LONGEST_TEXT or not _PLAIN_DECIMAL.fullmatch(value)):
                return f"{name}: not a plain decimal number"
        elif name in _TIMES:
            if value is not None and not 0 <= value < _END_OF_TIME_MS:
                return f"{name}: not a time before the year 10000"
        elif isinstance(value, str):
            if not value or len(value) > _LONGEST_TEXT or _CONTROL.search(value):
                return f"{name}: empty, longer than {_LONGEST_TEXT} characters or with control characters"
        elif isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
            return f"{name}: too large"
    return None


def _printable(text: str) -> str:
    """What can be stored of a text of the exchange that is only reported."""
    return _CONTROL.sub("?", text[:_LONGEST_TEXT])


def _printable_refusal(refusal: Refusal) -> Refusal:
    symbol = refusal.exchange_symbol
    return Refusal(
        exchange_symbol=None if symbol is None else _printable(symbol), reason=_CONTROL.sub("?", refusal.reason)
    )
