"""Where a client's answer differs from ours, why, and what in the client makes it so.

Each entry says exactly what the difference is: one that looks otherwise, or is gone, fails the matrix.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.clients.clients import Refused

type Rows = list[list[Any]]
type Shows = Callable[[Rows | Refused, Rows | Refused], bool]
"""Whether the answers, theirs and ours, differ in just that way."""


@dataclass(frozen=True)
class Explained:
    """A difference that is understood."""

    reason: str
    place: str
    shows: Shows


def _is_beginning(theirs: Rows | Refused, ours: Rows | Refused) -> bool:
    """They give the first of our rows."""
    return isinstance(theirs, list) and isinstance(ours, list) and theirs == ours[: len(theirs)] != ours


def _has_one_before(theirs: Rows | Refused, ours: Rows | Refused) -> bool:
    """They give one row more, in front of ours."""
    return isinstance(theirs, list) and isinstance(ours, list) and theirs[1:] == ours and len(theirs) == len(ours) + 1


def _refuses(words: str, *, rows: bool) -> Shows:
    """They raise an error with these words; we give rows, or an empty answer."""
    return lambda theirs, ours: (
        isinstance(theirs, Refused) and words in theirs.words and isinstance(ours, list) and bool(ours) is rows
    )


CANDLES = {
    "capped": Explained(
        "ccxt asks Binance for 1,000 rows at most, whatever the limit, and says nothing of the rest; we give them all.",
        "ccxt `binance.fetch_ohlcv`: `maxLimit`",
        _is_beginning,
    ),
    "row limit": Explained(
        "Binance takes no limit above 1,500, and its client passes that on; our limit is 5,000, in as many calls.",
        "Binance, code -1130",
        _refuses("-1130", rows=True),
    ),
    "closed": Explained(
        "Binance lists the contract and refuses its candles; the client raises that as an error, we answer without"
        " candles and with the warning `not-served-by-exchange`.",
        "Binance, code -1122",
        _refuses("Invalid symbol status", rows=False),
    ),
    "too wide": Explained(
        "Coinbase refuses a range of more than 300 candles, and ccxt passes that on, also with `paginate`, which sends"
        " the whole range's end with each page; we cut the range into pages.",
        "ccxt `coinbaseexchange.fetch_ohlcv`: `request['end']`",
        _refuses("Count of aggregations requested exceeds 300", rows=True),
    ),
    "window": Explained(
        "ccxt asks Coinbase for the time that `limit` candles would take; buckets without trades leave fewer. We go on"
        " until there are as many as asked for.",
        "ccxt `coinbaseexchange.fetch_ohlcv`: `cappedLimit * parsedTimeframeMilliseconds`",
        _is_beginning,
    ),
    "one short": Explained(
        "From a start between two candles ccxt asks Coinbase for a time that holds one candle less than `limit`.",
        "ccxt `coinbaseexchange.fetch_ohlcv`: `is_round_number(since % ...)`, which is true of every whole number",
        _is_beginning,
    ),
    "overlap": Explained(
        "Hyperliquid gives each candle that overlaps the range, and its client passes them on; ours open within it.",
        "Hyperliquid, `candleSnapshot`",
        _has_one_before,
    ),
    "ten dexes": Explained(
        "ccxt loads the markets of the first ten builder dexes alone; we list all of them.",
        "ccxt `hyperliquid.fetch_hip3_markets`: `maxLimit`",
        _refuses("does not have market symbol", rows=True),
    ),
}
