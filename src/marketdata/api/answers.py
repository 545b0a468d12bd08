"""What a candle answer consists of; the API documents itself from these."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from marketdata.core.models import Source

Numbers = Literal["string", "number"]
Order = Literal["asc", "desc"]
TimeFormat = Literal["ms", "iso"]

ORDERS: Final[tuple[Order, ...]] = ("asc", "desc")
NUMBERS: Final[tuple[Numbers, ...]] = ("string", "number")
TIME_FORMATS: Final[tuple[TimeFormat, ...]] = ("ms", "iso")

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
