"""Candle answers as bytes. Equal data gives equal bytes: nothing here depends on when or how it was fetched."""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, Literal

import msgspec

from marketdata.api.timestamps import to_rfc3339
from marketdata.core.candles import CandlePage, CandleWarning, Gap
from marketdata.core.models import Candle, Source, Symbol

Numbers = Literal["string", "number"]
Order = Literal["asc", "desc"]
TimeFormat = Literal["ms", "iso"]

ORDERS: Final[tuple[Order, ...]] = ("asc", "desc")
NUMBERS: Final[tuple[Numbers, ...]] = ("string", "number")
TIME_FORMATS: Final[tuple[TimeFormat, ...]] = ("ms", "iso")
FORMATS: Final = ("json",)

Time = Annotated[int | str, msgspec.Meta(description="Epoch ms, UTC; RFC 3339 with `time_format=iso`.")]
Number = Annotated[
    str | msgspec.Raw,
    msgspec.Meta(description="Decimal text as the exchange sent it; the same as JSON number with `numbers=number`."),
]


class CandleRow(msgspec.Struct, gc=False):
    """One candle. A column that the exchange does not publish is null, never zero."""

    # the canonical model's columns in its order; only used where another form than its own is asked for

    open_time: Time
    close_time: Time
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number
    quote_volume: Number | None
    trades: int | None
    taker_buy_volume: Number | None
    taker_buy_quote_volume: Number | None
    is_closed: bool


class Page(msgspec.Struct):
    """Where an answer stands in its range."""

    count: int
    limit: int
    order: Order
    complete: bool
    next: str | None


class GapReport(msgspec.Struct):
    """Candles missing between the first and the last one served; `end` is exclusive."""

    start: Time
    end: Time
    missing: int
    reason: str


class Origin(msgspec.Struct):
    """Where the rows come from."""

    kind: Source
    endpoint: str


class Meta(msgspec.Struct):
    """What the rows are."""

    exchange: str
    symbol: str
    exchange_symbol: str
    interval: str
    volume_unit: Annotated[
        str,
        msgspec.Meta(
            description="What `volume` counts: the base as `symbol` spells it, with its factor (`1000SHIB`), without a"
            " builder dex (`TSLA` of `XYZ.TSLA-USDC-PERP`). From the exchange's identifier, so it differs from"
            " `base_asset` where the exchange's own asset field does."
        ),
    ]
    gaps: list[GapReport]
    source: Origin


class WarningReport(msgspec.Struct, omit_defaults=True):
    """Something that the caller should know about the answer."""

    code: str
    detail: str
    start: Time | None = None
    end: Time | None = None
    count: int | None = None


class CandleAnswer[AnyRow](msgspec.Struct):
    """The envelope of every candle answer."""

    data: Sequence[AnyRow]
    page: Page
    meta: Meta
    warnings: list[WarningReport]


_ENCODER: Final = msgspec.json.Encoder()


def encode_candles(
    found: CandlePage,
    page: Page,
    symbol: Symbol,
    volume_unit: str,
    interval: str,
    origin: Origin,
    *,
    numbers: Numbers,
    times: TimeFormat,
) -> bytes:
    """The answer's body."""
    time: Callable[[int], Time] = to_rfc3339 if times == "iso" else _as_is
    data: Sequence[Candle | CandleRow] = found.candles
    if numbers != "string" or times != "ms":
        number: Callable[[str], Number] = _json_number if numbers == "number" else _as_is
        data = [_row(candle, time, number) for candle in found.candles]
    answer = CandleAnswer(
        data=data,
        page=page,
        meta=Meta(
            exchange=symbol.exchange,
            symbol=symbol.symbol,
            exchange_symbol=symbol.exchange_symbol,
            interval=interval,
            volume_unit=volume_unit,
            gaps=[_gap(gap, time) for gap in found.gaps],
            source=origin,
        ),
        warnings=[_warning(warning, time) for warning in found.warnings],
    )
    return _ENCODER.encode(answer)


def _as_is[T](value: T) -> T:
    return value


def _json_number(text: str) -> msgspec.Raw:
    """The same digits without quotes; JSON allows no leading zeros, which no number needs."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    if digits.startswith("0") and digits[1:2] not in {"", "."}:
        digits = digits.lstrip("0")
        digits = digits if digits[:1].isdigit() else f"0{digits}"
    return msgspec.Raw(f"{sign}{digits}".encode())


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
