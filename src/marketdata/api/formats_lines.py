"""CSV and NDJSON: a candle on each line, and in headers what JSON has around the candles.

Both are made from msgspec's bytes, not value by value: NDJSON takes 1.2 times as long as JSON, CSV about twice.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec.structs import astuple

from marketdata.api.answers import CandleRow, GapReport, Meta, Page, WarningReport
from marketdata.core.models import Candle

COLUMNS: Final = (*CandleRow.__struct_fields__, "page_complete", "page_is_last")
"""The last two are those of the page, on each of its rows: for a reader who sees no headers."""

CHUNK: Final = 500
"""Rows to be turned into tuples at a time: they are gone before the garbage collector looks at them."""

_MOST_CHARS: Final = 400
_NOT_ASCII: Final = re.compile(r"[^ -~]")
_CSV_HEADER: Final = ",".join(COLUMNS).encode() + b"\r\n"
_CSV_LINE_ENDS: Final = bytes.maketrans(b"]", b"\r")
_CSV_LEFT_OUT: Final = b'["nulltruefalse'
_WORDS: Final = {False: "false", True: "true"}
_ENCODER: Final = msgspec.json.Encoder()

type Rows = Sequence[Candle | CandleRow]


def encode_csv(rows: Rows, page: Page) -> bytes:
    """RFC 4180 with a header line; null is an empty field. Nothing needs quoting: all values are numbers or times."""
    ends = {
        is_closed: f"{_WORDS[is_closed]},{_WORDS[page.complete]},{_WORDS[page.next is None]}\r".encode()
        for is_closed in _WORDS
    }
    return b"".join((_CSV_HEADER, *(_csv_lines(some, ends[some[0].is_closed]) for some in _alike(rows))))


def _csv_lines(rows: Rows, end: bytes) -> bytes:
    """Each row as a JSON array without brackets, quotes and words; what its words said is in `end`."""
    arrays = _ENCODER.encode_lines(list(map(astuple, rows)))
    return arrays.translate(_CSV_LINE_ENDS, _CSV_LEFT_OUT).replace(b"\r", end)


def _alike(rows: Rows) -> Iterator[Rows]:
    """The rows in pieces of which all are closed or none is.

    Time decides that and rows are in its order, so those between two closed ones are closed.
    """
    for first in range(0, len(rows), CHUNK):
        some = rows[first : first + CHUNK]
        alike = len(some)
        if some[0].is_closed != some[-1].is_closed:
            alike = sum(row.is_closed == some[0].is_closed for row in some)
        yield some[:alike]
        if alike < len(some):
            yield some[alike:]


def encode_ndjson(rows: Rows, page: Page) -> bytes:
    """A JSON object on each line, with the two columns of the page."""
    end = f',"page_complete":{_WORDS[page.complete]},"page_is_last":{_WORDS[page.next is None]}}}'
    return _ENCODER.encode_lines(rows).replace(b"}", end.encode())  # a row has no other brace


def line_headers(page: Page, meta: Meta, warnings: Sequence[WarningReport]) -> dict[str, str]:
    """What JSON says around the rows, as structured fields (RFC 9651): ASCII, below 4 KiB.

    Gaps are summed up by their reason: each is where a row's `open_time` is not the `close_time` before.
    """
    of_reason: dict[str, list[GapReport]] = {}
    for gap in meta.gaps:
        of_reason.setdefault(gap.reason, []).append(gap)
    lists = {
        "Marketdata-Gaps": [
            _item(
                reason, count=len(gaps), missing=sum(gap.missing for gap in gaps), start=gaps[0].start, end=gaps[-1].end
            )
            for reason, gaps in of_reason.items()
        ],
        "Marketdata-Warnings": [
            _item(one.code, start=one.start, end=one.end, count=one.count, detail=one.detail) for one in warnings
        ],
    }
    return {
        "Marketdata-Complete": _WORDS[page.complete],
        "Marketdata-Page": _dictionary(count=page.count, limit=page.limit, order=page.order),
        "Marketdata-Meta": _dictionary(
            exchange=meta.exchange,
            symbol=quote(meta.symbol, safe=""),
            exchange_symbol=quote(meta.exchange_symbol, safe=""),
            interval=meta.interval,
            volume_unit=quote(meta.volume_unit, safe=""),
            source_kind=meta.source.kind,
            source_endpoint=meta.source.endpoint,
        ),
        **{name: ", ".join(items) for name, items in lists.items() if items},
    }


def _dictionary(**members: int | str) -> str:
    return ", ".join(f"{name}={_bare(value)}" for name, value in members.items())


def _item(token: str, **parameters: int | str | None) -> str:
    """An item of a list with those of its parameters that there are."""
    given = [f";{name}={_bare(value)}" for name, value in parameters.items() if value is not None]
    return "".join((token, *given))


def _bare(value: int | str) -> str:
    """An Integer, or a String of printable ASCII."""
    if isinstance(value, int):
        return str(value)
    ascii_text = _NOT_ASCII.sub("?", value[:_MOST_CHARS])
    return '"' + ascii_text.replace("\\", "\\\\").replace('"', '\\"') + '"'
