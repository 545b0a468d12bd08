"""Where a client's answer differs from ours, why, and what in the client makes it so.

Each entry says exactly what the difference is: one that looks otherwise, or is gone, fails the matrix.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.clients.clients import Refused

type Rows = list[list[Any]]
type Shows = Callable[[Rows | Refused, Rows | Refused], bool]
"""Whether the answers, theirs and ours, differ in just that way."""


@dataclass(frozen=True)
class Explained:
    """A difference between candles that is understood."""

    reason: str
    place: str
    shows: Shows


@dataclass(frozen=True)
class ExplainedField:
    """A difference between a client's market and our symbol that is understood."""

    client: str
    field: str
    reason: str
    place: str
    shows: Callable[[Mapping[str, Any], Any], bool]
    """Whether our symbol and the client's value of the field differ in just that way."""


def _is_beginning(rows: int | None = None) -> Shows:
    """They give the first of our rows, so many or at least one."""
    return lambda theirs, ours: (
        isinstance(theirs, list)
        and isinstance(ours, list)
        and 0 < len(theirs) < len(ours)
        and rows in {None, len(theirs)}
        and theirs == ours[: len(theirs)]
    )


def _has_one_before(theirs: Rows | Refused, ours: Rows | Refused) -> bool:
    """They give one row more, in front of ours."""
    return isinstance(theirs, list) and isinstance(ours, list) and theirs[1:] == ours and len(theirs) == len(ours) + 1


def _is_two_older(theirs: Rows | Refused, ours: Rows | Refused) -> bool:
    """Their rows end where ours, of which there are three, begin."""
    return isinstance(theirs, list) and isinstance(ours, list) and len(ours) == 3 and theirs[-1][0] == ours[0][0]


def _begins_earlier(theirs: Rows | Refused, ours: Rows | Refused) -> bool:
    """They give rows without a trade before ours."""
    if not (isinstance(theirs, list) and isinstance(ours, list) and len(theirs) > len(ours) > 0):
        return False
    earlier, same = theirs[: -len(ours)], theirs[-len(ours) :]
    return same == ours and all(float(row[_VOLUME[len(row)]]) == 0 for row in earlier)


_VOLUME = {6: 5, 8: 6}
"""Where the volume stands: in ccxt's rows, in those of Hyperliquid's own client."""


def _refuses(words: str, *, rows: bool) -> Shows:
    """They raise an error with these words; we give rows, or an empty answer."""
    return lambda theirs, ours: (
        isinstance(theirs, Refused) and words in theirs.words and isinstance(ours, list) and bool(ours) is rows
    )


CANDLES = {
    "capped": Explained(
        "ccxt asks Binance for 1,000 rows at most, whatever the limit, and says nothing of the rest; we give them all.",
        "ccxt `binance.fetch_ohlcv`: `maxLimit`",
        _is_beginning(1000),
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
        _is_beginning(),
    ),
    "one short": Explained(
        "From a start between two candles ccxt asks Coinbase for a time that holds one candle less than `limit`.",
        "ccxt `coinbaseexchange.fetch_ohlcv`: `is_round_number(since % ...)`, which is true of every whole number",
        _is_beginning(4),
    ),
    "cached": Explained(
        "Coinbase's cache answers the same URL with the same candles for 300 seconds, unless asked with `no-cache`, as"
        " we ask for the newest candles.",
        "ccxt `coinbaseexchange.fetch_ohlcv`, which sends no `Cache-Control`",
        _is_two_older,
    ),
    "overlap": Explained(
        "Hyperliquid gives each candle that overlaps the range, and its client passes them on; ours open within it.",
        "Hyperliquid, `candleSnapshot`",
        _has_one_before,
    ),
    "made up": Explained(
        "Hyperliquid gives candles for the time before a coin's first trade, made up from prices elsewhere; we leave"
        " them out, with the warning `prelisting-omitted`, unless asked for them with `include_prelisting=true`.",
        "Hyperliquid, `candleSnapshot`",
        _begins_earlier,
    ),
    "ten dexes": Explained(
        "ccxt loads the markets of the first ten builder dexes alone; we list all of them.",
        "ccxt `hyperliquid.fetch_hip3_markets`: `maxLimit`",
        _refuses("does not have market symbol", rows=True),
    ),
}

_PARSE_MARKET = "ccxt `hyperliquid.parse_market`"
_SPOT_MAPPING = "ccxt `hyperliquid`: `spotCurrencyMapping`"
_SPOT_NAMES = {"UBTC": "BTC", "UETH": "ETH", "USOL": "SOL", "UPUMP": "PUMP", "USDT0": "USDT"}
_LATER_DEXES = {"asia", "forx"}


def _is_multiplied(symbol: Mapping[str, Any], theirs: Any) -> bool:
    multiplied = symbol["base_multiplier"] is not None and symbol["base_multiplier"] > 1
    return multiplied and theirs == symbol["exchange_symbol"].removesuffix(symbol["quote_asset"])


MARKETS = (
    ExplainedField(
        "binanceusdm",
        "base_asset",
        "ccxt has no multipliers: the factor stays in the base, as in `baseAsset`; ours is in `base_multiplier`.",
        "ccxt `binance.parse_market`: `baseId`",
        _is_multiplied,
    ),
    ExplainedField(
        "binanceusdm",
        "contract_size",
        "ccxt says 1 where the exchange says nothing; ours is null.",
        "ccxt `binance.parse_market`: `contractSize`",
        lambda symbol, theirs: symbol["contract_size"] is None and theirs == 1,
    ),
    ExplainedField(
        "binanceusdm",
        "reached by ccxt_symbol",
        "`IDOL` and `IDOLUSDT` have one name in ccxt, which reaches the one that is listed later alone.",
        "ccxt `set_markets`, where a symbol is one key",
        lambda symbol, theirs: symbol["exchange_symbol"] == "IDOLUSDT" and theirs is False,
    ),
    ExplainedField(
        "hyperliquid",
        "listed",
        "ccxt loads the first ten builder dexes, unless it is told a `limit` or their names; we list all of them.",
        "ccxt `hyperliquid.fetch_hip3_markets`: `maxLimit`",
        lambda symbol, theirs: symbol["dex"] in _LATER_DEXES and theirs is False,
    ),
    ExplainedField(
        "hyperliquid",
        "base_asset",
        "ccxt has no multipliers: `kPEPE` is `KPEPE`; ours is `PEPE`, with 1000 in `base_multiplier`.",
        _PARSE_MARKET,
        lambda symbol, theirs: symbol["base_multiplier"] == 1000 and theirs == symbol["exchange_symbol"].upper(),
    ),
    ExplainedField(
        "hyperliquid",
        "base_asset",
        "ccxt puts the builder dex in the base, `XYZ-TSLA`; ours is `TSLA`, with `xyz` in `dex`.",
        _PARSE_MARKET,
        lambda symbol, theirs: symbol["dex"] and theirs == symbol["exchange_symbol"].replace(":", "-").upper(),
    ),
    ExplainedField(
        "hyperliquid",
        "base_asset",
        "ccxt calls wrapped tokens as what they stand for: `UBTC` is `BTC`; ours is the token.",
        _SPOT_MAPPING,
        lambda symbol, theirs: symbol["kind"] == "spot" and theirs == _SPOT_NAMES.get(symbol["base_asset"]),
    ),
    ExplainedField(
        "hyperliquid",
        "quote_asset",
        "ccxt calls `USDT0` `USDT`; to us they are different assets.",
        _SPOT_MAPPING,
        lambda symbol, theirs: symbol["kind"] == "spot" and theirs == _SPOT_NAMES.get(symbol["quote_asset"]),
    ),
    ExplainedField(
        "hyperliquid",
        "tick_size",
        "There is no static tick. ccxt takes the five digits of the price of the moment; ours is null, with the rule in"
        " `price_significant_digits` and `price_max_decimals`.",
        "ccxt `hyperliquid.calculate_price_precision`",
        lambda symbol, theirs: (
            symbol["tick_size"] is None and theirs in [10.0**-n for n in range(symbol["price_max_decimals"] + 1)]
        ),
    ),
    ExplainedField(
        "hyperliquid",
        "min_notional",
        "ccxt has the documentation's 10 dollars written in its code; ours is null, for the listing does not say.",
        _PARSE_MARKET,
        lambda symbol, theirs: symbol["min_notional"] is None and theirs == 10,
    ),
    ExplainedField(
        "hyperliquid",
        "contract_size",
        "ccxt says 1 where the exchange says nothing; ours is null.",
        _PARSE_MARKET,
        lambda symbol, theirs: symbol["contract_size"] is None and theirs == 1,
    ),
    ExplainedField(
        "coinbaseexchange",
        "base_asset",
        "ccxt takes the base from the id; ours is the exchange's own field, which says `BTC` for `BTCAUCTION-USD`.",
        "ccxt `coinbaseexchange.fetch_markets`: `id.split`",
        lambda symbol, theirs: symbol["exchange_symbol"] == "BTCAUCTION-USD" and theirs == "BTCAUCTION",
    ),
    ExplainedField(
        "coinbaseexchange",
        "trading",
        "ccxt looks at `status` alone; to us a book that is post-only, cancel-only or in an auction does not trade.",
        "ccxt `coinbaseexchange.fetch_markets`: `active`",
        lambda symbol, theirs: (
            symbol["exchange_status"] == "online"
            and symbol["status"] in {"post_only", "cancel_only", "pre_trading"}
            and theirs is True
        ),
    ),
    ExplainedField(
        "binance-sdk",
        "base_asset",
        "The client passes on `baseAsset`, with the factor; ours is in `base_multiplier`.",
        "Binance, `exchangeInfo`",
        _is_multiplied,
    ),
    ExplainedField(
        "binance-sdk",
        "expires_at",
        "Binance gives perpetuals a delivery date, too: in 2100, or when they are delisted; ours is null.",
        "Binance, `exchangeInfo`",
        lambda symbol, theirs: symbol["kind"] == "perpetual" and theirs > 0,
    ),
)
