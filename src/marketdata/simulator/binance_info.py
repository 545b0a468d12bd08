"""How Binance USD-M futures writes its contracts and klines, and where the simulated ones come from.

The shapes are those of recorded answers (exchangeInfo of mainnet 2026-10, klines of 2019 to 2026).
"""

from functools import partial
from zlib import crc32

from marketdata.simulator.answers import Rows, SymbolClosedError, SymbolUnknownError, json_body
from marketdata.simulator.bars import Bar
from marketdata.simulator.binance_contracts import Contract, contracts
from marketdata.simulator.catalogue import Catalogue
from marketdata.simulator.decimals import padded, short
from marketdata.simulator.grids import DAILY, DAY_MS, HOUR_MS, Grid, Months, Steps
from marketdata.simulator.market import Instrument, Market
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.series import Series

_ORDER_LIMITS = (("ORDERS", "MINUTE", 1, 1200), ("ORDERS", "SECOND", 10, 300))
_ASSETS = (("USDT", "-10000"), ("BTC", "-0.00100000"), ("BNB", None), ("ETH", "-5"), ("USDC", "-10000"), ("BUSD", "0"))
_ORDER_TYPES = ("LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
_TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX", "GTD")


class SimulatedBinance:
    """What the simulated market has of Binance USD-M futures."""

    def __init__(self, market: Market, scenario: Scenario) -> None:
        """The contracts of `market`."""
        self.market = market
        self._scenario = scenario
        self._catalogue = Catalogue(contracts(market.seed, scenario.ending_percent))
        self._grids: dict[str, Grid] = {
            **DAILY,
            "3d": Steps(3 * DAY_MS, scenario.three_days_offset_ms),
            "1w": Steps(7 * DAY_MS, 4 * DAY_MS),
            "1M": Months(),
        }

    @property
    def catalogues(self) -> tuple[Catalogue[Contract]]:
        """All that it lists."""
        return (self._catalogue,)

    def count(self, now_ms: int) -> int:
        """How many contracts are listed."""
        return len(self._catalogue.listed(now_ms))

    def instrument(self, symbol: str, now_ms: int) -> Instrument:
        """A contract's instrument. Raises SymbolUnknownError, and SymbolClosedError where it has no candles any more.

        Closed are contracts whose status is CLOSE or DELIVERED, and the one without a contract type.
        """
        contract = self._catalogue.get(symbol, now_ms)
        if contract is None:
            raise SymbolUnknownError(symbol)
        if not contract.kind or contract.status(now_ms) in {"CLOSE", "DELIVERED"}:
            raise SymbolClosedError(symbol)
        return contract.instrument

    def exchange_info(self, now_ms: int) -> bytes:
        """The body of exchangeInfo."""
        rows = [_symbol(contract, now_ms, self._scenario) for contract in self._catalogue.listed(now_ms)]
        limits = [
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
            for kind, interval, number, limit in (
                ("REQUEST_WEIGHT", "MINUTE", 1, self._scenario.weight_limit),
                *_ORDER_LIMITS,
            )
        ]
        assets = [{"asset": name, "marginAvailable": True, "autoAssetExchange": amount} for name, amount in _ASSETS]
        return json_body(
            {
                "timezone": "UTC",
                "serverTime": now_ms,
                "futuresType": "U_MARGINED",
                "rateLimits": limits,
                "exchangeFilters": [],
                "assets": assets,
                "symbols": rows,
            }
        )

    def symbol_of(self, pair: str, contract_type: str, now_ms: int) -> str:
        """The contract that is of that type in a pair now. Raises SymbolUnknownError."""
        for contract in self._catalogue.listed(now_ms):
            if contract.pair == pair and contract.contract_type(now_ms) == contract_type:
                return contract.instrument.symbol
        raise SymbolUnknownError(pair)

    def klines(self, symbol: str, interval: str, now_ms: int) -> Rows:
        """The candles of a contract. Raises SymbolUnknownError and SymbolClosedError."""
        base = symbol.removesuffix("USD_PERP")
        if self._scenario.coin_margined and base != symbol:
            symbol, write = f"{base}USDT", partial(coin_margined_kline, 100 if base == "BTC" else 10)
        else:
            write = partial(kline, self._scenario.unpadded_until_ms)
        instrument = self.instrument(symbol, now_ms)
        series = Series(self.market, instrument, self._grids[interval])

        def rows(first_ms: int, last_ms: int, limit: int, *, newest: bool) -> list[bytes]:
            selected = series.select(first_ms, last_ms, limit, newest=newest, now_ms=now_ms)
            return [write(instrument, open_ms, next_ms, bar) for open_ms, next_ms, bar in selected]

        return rows


def kline(unpadded_until_ms: int, instrument: Instrument, open_ms: int, next_ms: int, bar: Bar) -> bytes:
    """A row of twelve; turnovers have the decimals of price and size together."""
    write = short if open_ms < unpadded_until_ms else padded
    tick, price, size = instrument.tick, instrument.price_scale, instrument.size_scale
    both = price + size
    return (
        f'[{open_ms},"{write(bar.open * tick, price)}","{write(bar.high * tick, price)}",'
        f'"{write(bar.low * tick, price)}","{write(bar.close * tick, price)}","{write(bar.size, size)}",{next_ms - 1},'
        f'"{write(bar.quote * tick, both)}",{bar.trades},"{write(bar.bought, size)}",'
        f'"{write(bar.bought_quote * tick, both)}","0"]'
    ).encode()


def coin_margined_kline(dollars: int, instrument: Instrument, open_ms: int, next_ms: int, bar: Bar) -> bytes:
    """A row of a COIN-M contract worth so many dollars: volumes count contracts, and turnovers are in the coin."""
    tick, price, size = instrument.tick, instrument.price_scale, instrument.size_scale
    contract = dollars * 10 ** (price + size)
    contracts, bought = bar.quote * tick // contract, bar.bought_quote * tick // contract
    prices = ",".join(f'"{padded(value * tick, price)}"' for value in bar[:4])
    return (
        f'[{open_ms},{prices},"{contracts}",{next_ms - 1},"{padded(bar.size, size)}",{bar.trades},"{bought}",'
        f'"{padded(bar.bought, size)}","0"]'
    ).encode()


def _symbol(contract: Contract, now_ms: int, scenario: Scenario) -> dict[str, object]:
    """One symbol object, its keys in the order of the live exchange."""
    instrument = contract.instrument
    crypto = contract.underlying in {"COIN", "PREMARKET"}
    # Seen on BTCUSDT: the onboard date is later than the first candle, so it is no floor of the history.
    onboard_ms = instrument.life.listed_ms + (17 * HOUR_MS + 55 * 60_000 if instrument.first_symbol == "BTCUSDT" else 0)
    return {
        "symbol": instrument.symbol,
        "pair": contract.pair,
        "contractType": contract.contract_type(now_ms),
        "deliveryDate": contract.delivery_ms(now_ms),
        "onboardDate": onboard_ms,
        "status": contract.status(now_ms),
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": contract.base_asset,
        "quoteAsset": instrument.quote.name,
        "marginAsset": contract.margin_asset or instrument.quote.name,
        "pricePrecision": instrument.price_scale,
        "quantityPrecision": instrument.size_scale,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": contract.underlying,
        "underlyingSubType": ["PoW"] if instrument.base.name in {"BTC", "LTC", "BCH"} else [] if crypto else ["TradFi"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.015000",
        "marketTakeBound": "0.10",
        "maxMoveOrderLimit": 10000,
        "filters": _filters(instrument, contract.tick_size, new=scenario.new_filters),
        "orderTypes": _ORDER_TYPES,
        "timeInForce": _TIMES_IN_FORCE,
        "permissionSets": ["GRID", "COPY"],
    }


def _filters(instrument: Instrument, tick_size: str | None, *, new: bool) -> list[dict[str, object]]:
    """The filters; the order of their keys differs from symbol to symbol, as on the live exchange."""
    tick, scale = instrument.tick, instrument.price_scale
    step = padded(1, instrument.size_scale)
    notional = {"BTC": "50", "ETH": "20"}.get(instrument.base.name, "5")
    if instrument.quote.name == "BTC":
        notional = "0.001"
    filters: list[dict[str, object]] = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": tick_size or padded(tick, scale),
            "maxPrice": short(tick * 10**7, scale),
            "tickSize": tick_size or padded(tick, scale),
        },
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "10000000", "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": notional},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.1000", "multiplierDown": "0.9000", "multiplierDecimal": "4"},
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]
    # Removed from live answers at the end of 2025; bots must bear it there and not there.
    if crc32(instrument.name) % 3 == 0:
        filters.insert(4, {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10})
    if new and crc32(instrument.name) % 16 == 0:
        filters.insert(0, {"filterType": "PRICE_COLLAR", "notional": 5, "tickSize": ["0.1"]})
    return [_shuffled(keys, instrument.first_symbol) for keys in filters]


def _shuffled(keys: dict[str, object], symbol: str) -> dict[str, object]:
    order = sorted(keys, key=lambda key: crc32(f"{symbol}/{keys['filterType']}/{key}".encode()))
    return {key: keys[key] for key in order}
