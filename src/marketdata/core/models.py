"""The canonical model: what every exchange is translated into, and the only words used inside.

Prices, volumes and step sizes are decimal **text** in plain notation, exactly the digits that the exchange sent. Times
are integers, epoch milliseconds UTC. A thing that an exchange does not publish is None, never zero.
Candles come in bulk and are msgspec Structs; metadata is pydantic, from which the API documents itself.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, NewType

import msgspec
from pydantic import BaseModel, ConfigDict, Field

ExchangeId = NewType("ExchangeId", str)
"""One id per exchange API that we speak to, `[a-z][a-z0-9_]*`; the registry is the list."""

DecimalText = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", examples=["0.10"])]
"""A decimal number as text in plain notation, digit for digit what the exchange sent."""

EpochMs = Annotated[int, Field(examples=[1767225600000])]
"""A time: integer epoch milliseconds, UTC."""

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Interval(StrEnum):
    """The canonical candle intervals. Case matters: `m` is a minute, `M` a month."""

    MIN_1 = "1m"
    MIN_3 = "3m"
    MIN_5 = "5m"
    MIN_15 = "15m"
    MIN_30 = "30m"
    HOUR_1 = "1h"
    HOUR_2 = "2h"
    HOUR_4 = "4h"
    HOUR_6 = "6h"
    HOUR_8 = "8h"
    HOUR_12 = "12h"
    DAY_1 = "1d"
    DAY_3 = "3d"
    WEEK_1 = "1w"
    MONTH_1 = "1M"

    @property
    def min_duration_ms(self) -> int:
        """The shortest time a candle of this interval lasts, ms; only a month varies (28 days)."""
        return _DURATION_MS[self]

    @property
    def max_duration_ms(self) -> int:
        """The longest time a candle of this interval lasts, ms; only a month varies (31 days)."""
        return 31 * DAY_MS if self is Interval.MONTH_1 else _DURATION_MS[self]


_DURATION_MS: Mapping[Interval, int] = {
    Interval.MIN_1: MINUTE_MS,
    Interval.MIN_3: 3 * MINUTE_MS,
    Interval.MIN_5: 5 * MINUTE_MS,
    Interval.MIN_15: 15 * MINUTE_MS,
    Interval.MIN_30: 30 * MINUTE_MS,
    Interval.HOUR_1: HOUR_MS,
    Interval.HOUR_2: 2 * HOUR_MS,
    Interval.HOUR_4: 4 * HOUR_MS,
    Interval.HOUR_6: 6 * HOUR_MS,
    Interval.HOUR_8: 8 * HOUR_MS,
    Interval.HOUR_12: 12 * HOUR_MS,
    Interval.DAY_1: DAY_MS,
    Interval.DAY_3: 3 * DAY_MS,
    Interval.WEEK_1: 7 * DAY_MS,
    Interval.MONTH_1: 28 * DAY_MS,
}


class Kind(StrEnum):
    """What sort of instrument a symbol is."""

    SPOT = "spot"
    PERPETUAL = "perpetual"
    FUTURE = "future"


class Status(StrEnum):
    """What an instrument is doing, in our words; the exchange's own word is kept beside it."""

    PRE_TRADING = "pre_trading"
    TRADING = "trading"
    HALTED = "halted"
    CANCEL_ONLY = "cancel_only"
    POST_ONLY = "post_only"
    SETTLING = "settling"
    DELISTED = "delisted"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Where the data of an installation comes from; a database belongs to one of them for good."""

    LIVE = "live"
    SIMULATED = "simulated"
    RECORDED = "recorded"


class Authority(StrEnum):
    """Who says that something happened at some time."""

    EXCHANGE = "exchange"
    OBSERVED = "observed"


class EventType(StrEnum):
    """What can change about an exchange's catalogue."""

    LISTED = "listed"
    DELISTED = "delisted"
    RELISTED = "relisted"
    STATUS_CHANGED = "status_changed"
    FIELD_CHANGED = "field_changed"
    INTERVAL_ADDED = "interval_added"
    INTERVAL_REMOVED = "interval_removed"


class Candle(msgspec.Struct, kw_only=True, gc=False):
    """One candle. `open_time` is its identity, `close_time` is exclusive: the next candle's open."""

    open_time: int
    close_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str | None = None
    trades: int | None = None
    taker_buy_volume: str | None = None
    taker_buy_quote_volume: str | None = None
    is_closed: bool = False
    """Judged by the fetcher, who knows the exchange's time; an adapter leaves it False."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Instrument(_Model):
    """What an exchange's listing says about one instrument, in our words."""

    exchange_symbol: Annotated[str, Field(description="The exchange's own spelling, case kept.", examples=["BTCUSDT"])]
    kind: Kind
    dex: Annotated[str | None, Field(description="Hyperliquid builder dex (HIP-3); null elsewhere.", examples=["xyz"])]
    base_asset: Annotated[str, Field(description="The exchange's asset name without a multiplier.", examples=["SHIB"])]
    base_multiplier: Annotated[
        int | None, Field(description="Units of `base_asset` per unit traded; null: looks multiplied, not classified.")
    ]
    quote_asset: Annotated[str, Field(description="What it is quoted in; USD, USDT and USDC are different assets.")]
    settle_asset: Annotated[str | None, Field(description="What a derivative settles in; null for spot.")]
    ccxt_symbol: Annotated[str | None, Field(description="ccxt 4.5's name where known; not unique.")]
    status: Status
    exchange_status: Annotated[str | None, Field(description="The exchange's own word for the status.")]
    tick_size: DecimalText | None
    step_size: DecimalText | None
    price_significant_digits: Annotated[int | None, Field(description="Most significant digits of a price.")]
    price_max_decimals: Annotated[int | None, Field(description="Most decimals of a price.")]
    min_quantity: DecimalText | None
    min_notional: DecimalText | None
    contract_size: DecimalText | None
    listed_at: Annotated[EpochMs | None, Field(description="When it was listed, if the exchange says so.")]
    expires_at: Annotated[EpochMs | None, Field(description="When it is delivered or ends, if the exchange says so.")]


class ListedInstrument(Instrument):
    """An instrument as one listing shows it, before the names of that exchange are settled."""

    base: str
    """The base as its canonical symbol spells it: from the exchange's identifier, its factor in digits."""
    identity: str
    """What must stay the same for it to be the same instrument: kind, assets, expiry, token index, as one text."""


class _Named(_Model):
    """Stands last among the bases of Symbol, so that its fields come first."""

    id: Annotated[str, Field(description="`exchange:symbol`.", examples=["binance_futures:BTC-USDT-PERP"])]
    exchange: str
    symbol: Annotated[str, Field(description="The canonical name.", examples=["BTC-USDT-PERP"])]


class SymbolState(Instrument, _Named):
    """All that is told of an instrument but when it was last seen."""

    aliases: Annotated[tuple[str, ...], Field(description="Former canonical names; they still resolve.")]
    delisted_at: Annotated[
        EpochMs | None,
        Field(description="The first listing that said that it is delisted, or that no longer had it; see the source."),
    ]
    delisted_at_source: Annotated[
        Authority | None,
        Field(
            description="`exchange`: its listing says that it is delisted; `observed`: it was missing from so many"
            " listings in a row that it counts as delisted, or its exchange symbol was given to another instrument."
        ),
    ]
    first_seen_at: Annotated[EpochMs, Field(description="The first of our syncs that saw it: observed.")]


class Symbol(SymbolState):
    """One instrument under its canonical name."""

    last_seen_at: Annotated[EpochMs, Field(description="The last good sync whose listing had it: observed.")]


class Refusal(_Model):
    """A row of a listing that could not be read, and why."""

    exchange_symbol: str | None
    reason: str


class Listing(_Model):
    """One exchange's whole catalogue as its adapter read it."""

    instruments: tuple[ListedInstrument, ...]
    refused: tuple[Refusal, ...] = ()
    unclassified: tuple[str, ...] = ()
    """Exchange symbols whose base looks multiplied but is not in the table of multipliers."""
    base_mismatches: tuple[str, ...] = ()
    """Exchange symbols whose own base asset field disagrees with their identifier."""
    unknown_words: Mapping[str, int] = Field(default_factory=dict)
    """`field=word` → count, for words of the exchange's enumerations that we do not know."""
    payload_sha256: str | None = None
    """Of the answers that it was read from, one after the other; None where it was not fetched."""
    payload_bytes: int | None = None


class IntervalSpec(_Model):
    """An interval as one exchange offers it natively."""

    interval: Interval
    token: Annotated[str, Field(description="The exchange's own spelling.", examples=["1h", "3600"])]
    anchor: Annotated[
        Literal["epoch", "month"] | None,
        Field(
            description="`epoch`: opens at offset_ms + n × duration since 1970-01-01T00:00Z; `month`: at 00:00 UTC of a"
            " calendar month's first day; null: the alignment is not verified."
        ),
    ]
    offset_ms: Annotated[int | None, Field(description="With anchor `epoch`; a Monday week is 345600000.")]


class Column(_Model):
    """Whether an exchange publishes a candle column, and in which unit."""

    published: bool
    unit: Annotated[Literal["base", "quote", "count"] | None, Field(description="null where it is not published")]


class Budget(_Model):
    """What an exchange allows one address to ask: weight per window, with the kind of window."""

    limit: int
    window_s: float
    window: Annotated[
        Literal["fixed", "sliding", "bucket"],
        Field(
            description="`fixed`: UTC-aligned windows; `sliding`: any window; `bucket`: a lazily filled token bucket."
        ),
    ]
    burst: Annotated[int | None, Field(description="Bucket size of a token bucket; null for windows.")] = None


class Capabilities(_Model):
    """What one exchange can be asked, stated by its adapter; the adapter itself works from the same constants."""

    intervals: tuple[IntervalSpec, ...]
    rows_per_call: Annotated[int, Field(description="Most candles that one call to the exchange returns.")]
    rows_per_page: Annotated[
        int | None, Field(description="As many are asked for in one call of several; null: as many as it returns.")
    ] = None
    wide_range: Annotated[
        Literal["oldest", "newest", "rejected"],
        Field(description="What the exchange does with a range wider than rows_per_call: which end it keeps."),
    ]
    look_back_rows: Annotated[
        int | None, Field(description="About how many newest candles of an interval the exchange keeps; null: all.")
    ]
    omits_empty: Annotated[bool, Field(description="Intervals without a trade have no candle at all.")]
    makes_up_prelisting: Annotated[
        bool, Field(description="Candles are made up for the time before an instrument's first trade.")
    ] = False
    columns: Mapping[str, Column]
    budget: Budget
    docs_url: str

    def spec(self, interval: Interval) -> IntervalSpec | None:
        """How the exchange offers `interval`; None where it does not."""
        return next((spec for spec in self.intervals if spec.interval is interval), None)
