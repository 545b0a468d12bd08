"""All kinds of faults by name: the one table that the simulator, its help and its documentation go by."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from marketdata.simulator import fault_answers, fault_listings, fault_rows, fault_wire
from marketdata.simulator.answers import Answer
from marketdata.simulator.fault_scene import Scene
from marketdata.simulator.wire import Wire


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    name: str
    meaning: str
    defaults: Mapping[str, object]
    """The values of its own that it takes, unless given."""


@dataclass(frozen=True, slots=True)
class WireKind(Kind):
    """One that answers on the wire itself."""

    play: Callable[[Scene, Wire], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class AnswerKind(Kind):
    """One that gives another answer, to be sent in order; None where the right one has no place for the fault."""

    spoil: Callable[[Scene], Answer | None]


def _plays(name: str, meaning: str, play: Callable[[Scene, Wire], Awaitable[None]], **defaults: object) -> WireKind:
    return WireKind(name, meaning, defaults, play)


def _spoils(name: str, meaning: str, spoil: Callable[[Scene], Answer | None], **defaults: object) -> AnswerKind:
    return AnswerKind(name, meaning, defaults, spoil)


_CONNECTION = (
    _plays("refuse", "the connection is reset before a byte", fault_wire.refuse),
    _plays("close", "the connection ends before a byte", fault_wire.close),
    _plays("reset", "reset amid the body, after `bytes` of it (half)", fault_wire.reset, bytes=None),
    _plays("truncate", "ends amid the body, sooner than Content-Length says", fault_wire.truncate, bytes=None),
    _plays("truncate-chunked", "chunks without the last one", fault_wire.truncate_chunked, bytes=None),
    _plays("overlong", "more body than Content-Length says, which is `bytes` (half)", fault_wire.overlong, bytes=None),
    _plays("silence", "never a byte", fault_wire.silence),
    _plays("stall", "the head, then nothing", fault_wire.stall),
    _plays("slow", "the first byte after `seconds`", fault_wire.slow, seconds=5),
    _plays("drip", "one byte each `seconds`, the head too", fault_wire.drip, seconds=0.1),
    _plays("garbage", "bytes that are not HTTP", fault_wire.garbage),
    _plays("http-0.9", "the body without a head", fault_wire.http_09),
    _plays("huge", "the right answer, blank after it up to `bytes`", fault_wire.huge, bytes=315_000_000),
    _plays("gzip-bomb", "the same compressed to a thousandth of that", fault_wire.gzip_bomb, bytes=315_000_000),
)
_ANSWER = (
    _spoils(
        "status",
        "`status` in the exchange's words; Retry-After if `seconds`",
        fault_answers.status,
        status=500,
        seconds=0,
    ),
    _spoils("html", "a page with `status`", fault_answers.html, status=200),
    _spoils("error-body", "the exchange's error, with 200", fault_answers.error_body),
    _spoils("wrong-type", "Content-Type says text/plain", fault_answers.wrong_type),
    _spoils("gzip-plain", "Content-Encoding says gzip, the body is not", fault_answers.gzip_plain),
    _spoils("gzip-broken", "gzip that cannot be unpacked", fault_answers.gzip_broken),
    _spoils(
        "truncated-json", "a part of the JSON with a Content-Length that fits", fault_answers.truncated_json, bytes=None
    ),
    _spoils("empty", "no body", fault_answers.empty),
    _spoils("null", "the body `null`", fault_answers.null),
    _spoils("nan", "`NaN` in place of a number", fault_answers.nan),
    _spoils("infinity", "`Infinity` in place of a number", fault_answers.infinity),
    _spoils("long-number", "200,000 digits in place of a number", fault_answers.long_number),
    _spoils("duplicate-keys", "an object with a key twice", fault_answers.duplicate_keys),
    _spoils("bom", "a byte order mark before the body", fault_answers.bom),
    _spoils("latin-1", "a byte in a text that is not UTF-8", fault_answers.latin_1),
    _spoils("nesting", "200,000 arrays in one another", fault_answers.nesting),
    _spoils("redirect", "with `status` to /elsewhere under the exchange's prefix", fault_answers.redirect, status=302),
    _spoils("redirect-loop", "with `status` to the same URL", fault_answers.redirect_loop, status=302),
    _spoils("huge-header", "a header of `bytes`", fault_answers.huge_header, bytes=65_536),
    _spoils("many-headers", "10,000 headers", fault_answers.many_headers),
)
_ROWS = (
    _spoils("duplicate-row", "a candle or listed symbol twice", fault_rows.duplicate_row),
    _spoils("unordered", "the first row last", fault_rows.unordered),
    _spoils("fewer-rows", "without the last `percent` of the rows", fault_rows.fewer_rows, percent=50),
    _spoils("off-grid", "a candle that opens a second late", fault_rows.off_grid),
    _spoils("high-below-low", "a candle whose high is below its low", fault_rows.high_below_low),
    _spoils("negative-volume", "a candle with a volume below zero", fault_rows.negative_volume),
    _spoils("nan-price", 'a candle with the close `"NaN"`', fault_rows.nan_price),
    _spoils("null-price", "a candle with the close null", fault_rows.null_price),
    _spoils("future-row", "a candle of the year after next", fault_rows.future_row),
    _spoils("other-symbol", "the candles of another symbol", fault_rows.other_symbol),
    _spoils("extra-field", "a row with a field that nobody has heard of", fault_rows.extra_field),
    _spoils("missing-optional", "a row without a field that nobody needs", fault_rows.missing_optional),
    _spoils("missing-required", "a row without a field that it must have", fault_rows.missing_required),
)
_LISTING = (
    _spoils("listing-empty", "nothing is listed", fault_listings.empty),
    _spoils("listing-shrunk", "without `percent` of the rows, the same each time", fault_listings.shrunk, percent=21),
    _spoils("listing-grown", "`percent` more rows, of coins nobody knows", fault_listings.grown, percent=300),
    _spoils("listing-renamed", "each symbol is another one", fault_listings.renamed),
    _spoils("listing-unknown-status", "each row is in a status that nobody knows", fault_listings.unknown_status),
    _spoils("listing-delisted", "each row that has a status says that it is delisted", fault_listings.delisted),
    _spoils("listing-unreadable", "`percent` of the rows cannot be read", fault_listings.unreadable, percent=1),
)

USAGE = """\
A fault is KIND,name=value,… and is played where all that is given holds; of several the first whose turn it is:
  exchange=  binance_futures, hyperliquid, coinbase
  route=     listing, candles, time, other; a path, /products/*/candles; Hyperliquid's types
  symbol=    as the exchange writes it
  from=, until=   the exchange's time, ISO 8601 or epoch ms
  first=3    only the first three requests that it is for; nth=3 only the third; every=3 each third
  chance=0.1 one in ten, chosen by the seed
Examples:
  reset,exchange=coinbase,route=candles,first=3
  status,status=503,chance=0.2
  html,status=502,from=2026-03-15T12:00:00Z,until=2026-03-15T12:05:00Z"""

GROUPS: Mapping[str, tuple[Kind, ...]] = {
    "The connection": _CONNECTION,
    "The answer": _ANSWER,
    "The rows": _ROWS,
    "The listing": _LISTING,
}
KINDS: Mapping[str, Kind] = {kind.name: kind for group in GROUPS.values() for kind in group}


def describe_kinds() -> str:
    """All kinds, a line each, and what may be said of each fault: for a terminal."""
    width = max(map(len, KINDS))
    lines = []
    for group, kinds in GROUPS.items():
        lines += [f"{group}:", *(f"  {kind.name:{width}}  {kind.meaning}{_takes(kind)}" for kind in kinds), ""]
    return "\n".join([*lines, USAGE])


def _takes(kind: Kind) -> str:
    taken = [name if default is None else f"{name}={default}" for name, default in kind.defaults.items()]
    return f" [{' '.join(taken)}]" if taken else ""
