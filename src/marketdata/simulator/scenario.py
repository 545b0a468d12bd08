"""What a simulator does that its exchange may do or not; all switches of a scenario are here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from marketdata.simulator.listing_changes import ListingChange
from marketdata.simulator.outages import Outage

type _Count = Annotated[int, Meta(ge=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """The switches; their defaults are what the exchanges do as a rule."""

    skew_ms: int = 0
    """How far the exchanges' clocks are ahead of the clock."""
    ending_percent: Annotated[int, Meta(ge=0, le=100)] = 30
    """How many of the invented instruments end one day, in per cent; above 50 most of Binance's listing is SETTLING."""
    limits: bool = True
    """Whether the exchanges refuse who asks too much; they count in any case."""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """The troubles that exchanges begin in, by exchange id: a name of `simulator/*_troubles.py`."""
    foreign_weight: _Count = 0
    """What other programs at the address use of Binance's and Hyperliquid's weight in each minute."""
    weight_limit: _Count = 2400
    """Binance's weight a minute; its testnet's is 6000."""
    documented_weights: bool = False
    """Whether Binance charges klines as documented; else as measured, which is less at limits of 100 and 500."""
    retry_after: bool = False
    """Whether Binance's 429 and 418 say how many seconds to wait; only its other APIs document that."""
    refusals_before_ban: _Count = 5
    """How many 429 Binance answers in a minute before it bans."""
    failing_percent: Annotated[float, Meta(ge=0, le=100)] = 0
    """How many of the requests Hyperliquid answers with a 502 for no reason, in per cent; about 4 were seen to fail."""
    outages: tuple[Outage, ...] = ()
    """When exchanges are off: candles are missing, longer ones have the rest."""
    listing_changes: tuple[ListingChange, ...] = ()
    """What becomes of listed instruments when: absent, renamed, of another tick or status, or something else."""
    corrected_ms: _Count = 0
    """For how long after its close one of the last two closed candles may still change; inferred from Binance."""
    late_flat_ms: _Count = 0
    """How long after its close Hyperliquid shows a candle without trades; minutes were seen."""
    unpadded_until_ms: int = 1_577_836_800_000
    """Binance rows that open before this (2020) are written without zeros at the end, as they were then."""
    coin_margined: bool = False
    """Whether Binance answers klines of COIN-M symbols such as `BTCUSD_PERP` too, whose columns mean other things."""
    new_filters: bool = False
    """Whether some of Binance's contracts have a filter that nobody has heard of, whose fields are of other types."""
    three_days_offset_ms: int = 0
    """Where Binance's three-day candles open, from the epoch; unverified."""
    kept_rows: Annotated[int, Meta(ge=1)] = 5000
    """How many of its newest candles of an interval Hyperliquid keeps; 5000 to 5060 were seen."""
    prelisted_days: Mapping[str, int] | None = None
    """Days before their first trade of which Hyperliquid has made-up rows, by coin; None: as seen, some by chance."""
    old_keys: bool = False
    """Whether Hyperliquid's candles have their keys in the order of the alphabet, as in 2023."""
    calendar_months: bool = True
    """Whether Hyperliquid's months are calendar months; else 30 days."""
    collateral_tokens: bool = True
    """Whether Hyperliquid's universes tell their collateral; those of 2025-08 and before do not."""
    cdn: bool = True
    """Whether a cache stands before Coinbase."""
    float_noise: bool = False
    """Whether Coinbase's volumes carry the noise of binary floats, as old ones do: `4.727521520000001`."""
    newest_lag_ms: _Count = 0
    """How late Coinbase's forming candle is; up to 60 s was seen."""
    preceding_rows: _Count = 0
    """How many candles before `start` Coinbase adds; its documentation warns of them."""
