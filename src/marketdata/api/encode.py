"""Candle answers as bytes. Equal data gives equal bytes: nothing here depends on when or how it was fetched."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from marketdata.api.answers import (
    CandleAnswer,
    CandleRow,
    GapReport,
    Meta,
    Number,
    Numbers,
    Origin,
    Page,
    Time,
    TimeFormat,
    WarningReport,
)
from marketdata.api.formats import Format
from marketdata.api.formats_lines import CHUNK, encode_csv, encode_ndjson, line_headers
from marketdata.api.timestamps import to_rfc3339
from marketdata.core.candles import CandlePage, CandleWarning, Gap
from marketdata.core.models import Candle, Symbol


class Form(msgspec.Struct, frozen=True, array_like=True):
    """How an answer is written."""

    format: Format = "json"
    numbers: Numbers = "string"
    time_format: TimeFormat = "ms"


class Encoded(NamedTuple):
    """An answer's body, and the headers that say what the body cannot."""

    body: bytes
    headers: Mapping[str, str]


_ENCODER: Final = msgspec.json.Encoder()
_JSON: Final = msgspec.json.Decoder(msgspec.Raw)


def encode_candles(
    found: CandlePage, page: Page, symbol: Symbol, volume_unit: str, interval: str, origin: Origin, form: Form
) -> Encoded:
    """The answer in the form that was asked for."""
    time: Callable[[int], Time] = to_rfc3339 if form.time_format == "iso" else _as_is
    meta = Meta(
        exchange=symbol.exchange,
        symbol=symbol.symbol,
        exchange_symbol=symbol.exchange_symbol,
        interval=interval,
        volume_unit=volume_unit,
        gaps=[_gap(gap, time) for gap in found.gaps],
        source=origin,
    )
    warnings = [_warning(warning, time) for warning in found.warnings]
    if form.format == "ccxt":
        return Encoded(_ENCODER.encode(CandleAnswer(_ccxt_rows(found.candles), page, meta, warnings)), {})
    rows: Sequence[Candle | CandleRow] = found.candles
    as_numbers = form.numbers == "number" and form.format != "csv"  # where a number is text anyway
    if as_numbers or form.time_format != "ms":
        number: Callable[[str], Number] = _json_number if as_numbers else _as_is
        rows = [_row(candle, time, number) for candle in found.candles]
    match form.format:
        case "csv":
            return Encoded(encode_csv(rows, page), line_headers(page, meta, warnings))
        case "ndjson":
            return Encoded(encode_ndjson(rows, page), line_headers(page, meta, warnings))
        case "json":
            return Encoded(_ENCODER.encode(CandleAnswer(rows, page, meta, warnings)), {})


def _as_is[T](value: T) -> T:
    return value


def _json_number(text: str) -> msgspec.Raw:
    """The same digits without quotes; JSON allows no leading zeros, which no number needs."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    if digits.startswith("0") and digits[1:2] not in {"", "."}:
        digits = digits.lstrip("0")
        digits = digits if digits[:1].isdigit() else f"0{digits}"
    return msgspec.Raw(f"{sign}{digits}".encode())


def _ccxt_rows(candles: Sequence[Candle]) -> msgspec.Raw:
    """The candles as `[ms, o, h, l, c, v]`: as arrays of decimal text, from which the quotes are taken away.

    Never through a float. Digits that are no JSON number, for their leading zeros, are written one by one.
    """
    pieces = [
        _ENCODER.encode([(one.open_time, one.open, one.high, one.low, one.close, one.volume) for one in some])[1:-1]
        for some in (candles[first : first + CHUNK] for first in range(0, len(candles), CHUNK))
    ]
    rows = b"[%b]" % b",".join(pieces).translate(None, b'"')
    try:
        return _JSON.decode(rows)
    except msgspec.DecodeError:
        columns = ("open", "high", "low", "close", "volume")
        return msgspec.Raw(
            _ENCODER.encode(
                [(one.open_time, *(_json_number(getattr(one, name)) for name in columns)) for one in candles]
            )
        )


def _row(candle: Candle, time: Callable[[int], Time], number: Callable[[str], Number]) -> CandleRow:
    def optional(text: str | None) -> Number | None:
        return None if text is None else number(text)

    return CandleRow(
        time(candle.open_time),
        time(candle.close_time),
        number(candle.open),
        number(candle.high),
        number(candle.low),
        number(candle.close),
        number(candle.volume),
        optional(candle.quote_volume),
        candle.trades,
        optional(candle.taker_buy_volume),
        optional(candle.taker_buy_quote_volume),
        candle.is_closed,
    )


def _gap(gap: Gap, time: Callable[[int], Time]) -> GapReport:
    return GapReport(time(gap.start), time(gap.end), gap.missing, gap.reason)


def _warning(warning: CandleWarning, time: Callable[[int], Time]) -> WarningReport:
    start = None if warning.start is None else time(warning.start)
    end = None if warning.end is None else time(warning.end)
    return WarningReport(warning.code, warning.detail, start, end, warning.count)
