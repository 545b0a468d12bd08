"""All candle requests of the matrix."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from marketdata.core.models import DAY_MS, HOUR_MS, MINUTE_MS, Interval
from tests.clients.case import Case

NOW_MS = 1_742_042_096_789
"""2025-03-15 12:34:56.789, a Saturday: in the past for ccxt, which asks Hyperliquid for all until its own time."""

NOON = NOW_MS // HOUR_MS * HOUR_MS


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


Y2019, FEB_2019, Y2024, Y2025 = _ms("2019-01-01"), _ms("2019-02-01"), _ms("2024-01-01"), _ms("2025-01-01")


def cases() -> list[Case]:
    """The matrix, by client."""
    return [
        *_binance(Case(client="binanceusdm", call="", exchange_symbol="BTCUSDT", interval="1h", rows=500), wide=1000),
        *_ccxt_binance(Case(client="binanceusdm", call="", exchange_symbol="BTCUSDT", interval="1h", rows=1000)),
        *_binance(Case(client="binance-sdk", call="", exchange_symbol="BTCUSDT", interval="1h", rows=500), wide=500),
        *_binance_sdk(Case(client="binance-sdk", call="", exchange_symbol="BTCUSDT", interval="1h", rows=500)),
        *_hyperliquid(Case(client="hyperliquid", call="", exchange_symbol="BTC", interval="1h", rows=5000)),
        *_ccxt_hyperliquid(Case(client="hyperliquid", call="", exchange_symbol="BTC", interval="1h", rows=5000)),
        *_hyperliquid(Case(client="hyperliquid-sdk", call="", exchange_symbol="BTC", interval="1h", rows=5000)),
        *_hyperliquid_sdk(Case(client="hyperliquid-sdk", call="", exchange_symbol="BTC", interval="1h", rows=5000)),
        *_coinbase(Case(client="coinbaseexchange", call="", exchange_symbol="BTC-USD", interval="1h", rows=300)),
    ]


def _binance(one: Case, wide: int) -> Iterator[Case]:
    """What ccxt and Binance's own client are asked alike."""
    for interval in Interval:
        yield replace(
            one, call="the first 5 from a start between two candles", interval=interval, start=Y2024 + 1, limit=5
        )
    for forming in ("1m", "1h", "1w", "1M"):
        yield replace(one, call="the newest 3, the forming one too", interval=forming, limit=3)
    yield replace(one, call="the newest, no limit", interval="15m")
    yield replace(one, call="the last 10 before an end", end=NOON, limit=10)
    yield replace(one, call="a range", interval="5m", start=NOON - 6 * HOUR_MS, end=NOON, rows=wide)
    yield replace(
        one, call="a range between candles", interval="30m", start=Y2025 + 1, end=Y2025 + 11 * HOUR_MS + 1, rows=wide
    )
    yield replace(
        one, call="a range wider than one answer", interval="1m", start=Y2025, end=Y2025 + 3000 * MINUTE_MS, rows=wide
    )
    yield replace(one, call="from the beginning of all time", interval="1d", start=0, limit=200)
    yield replace(
        one, call="a range before the listing", interval="1d", start=Y2019, end=FEB_2019, rows=wide, empty=True
    )
    for symbol in (
        "1000SHIBUSDT", "1MBABYDOGEUSDT", "1000XUSDT", "4USDT", "币安人生USDT", "BTCUSDT_250328", "ETHUSDT_250627",
        "XAUUSDT", "BTCUSDC", "ETHBTC", "DEFIUSDT", "CRVUSDT", "CHZUSDT", "IDOL", "ADABUSD",
    ):  # fmt: skip
        yield replace(one, call="the newest 20 of an odd contract", exchange_symbol=symbol, limit=20)
    yield replace(one, call="a contract that is only announced", exchange_symbol="JOPUSDT", limit=20, empty=True)
    for symbol in ("BTCSTUSDT", "ETHBUSD"):
        yield replace(one, call="a closed contract", exchange_symbol=symbol, limit=20, explained="closed")
    yield replace(
        one,
        call="an interval that there is not",
        interval="1s",
        limit=20,
        refused=("Invalid interval.", "unsupported-interval"),
    )
    after = ("Start time is greater than end time.", "invalid-range")
    yield replace(one, call="an end before the start", start=Y2025, end=Y2024, limit=20, refused=after)


def _ccxt_binance(one: Case) -> Iterator[Case]:
    yield replace(one, call="more than ccxt asks for", start=Y2024, limit=1500, explained="capped")
    yield replace(one, call="many pages, by ccxt", start=Y2024, end=Y2024 + 2500 * HOUR_MS, rows=5000, paginate=True)
    yield replace(one, call="a range, ours in ccxt's format", start=Y2025, end=Y2025 + DAY_MS, form="ccxt")


def _binance_sdk(one: Case) -> Iterator[Case]:
    yield replace(one, call="as many as one answer holds", start=Y2024, limit=1500)
    yield replace(one, call="more than one answer holds", start=Y2024, limit=1501, explained="row limit")


def _hyperliquid(one: Case) -> Iterator[Case]:
    """What ccxt and Hyperliquid's own client are asked alike."""
    for interval in Interval:
        if interval is not Interval.HOUR_6:
            step_ms = interval.min_duration_ms
            start = Y2024 if interval is Interval.MONTH_1 else NOON - NOON % step_ms - 6 * step_ms
            yield replace(one, call="a range", interval=interval, start=start, end=NOON)
    for forming in ("1h", "1d"):
        yield replace(
            one,
            call="all that is kept, the forming one too",
            interval=forming,
            end=NOW_MS + 30 * DAY_MS,
            prelisting=True,
        )
    yield replace(
        one, call="a range that is no longer kept", interval="1m", start=Y2025, end=Y2025 + HOUR_MS, empty=True
    )
    yield replace(one, call="a range before the first trade", interval="1d", start=Y2019, end=FEB_2019, prelisting=True)
    for coin in (
        "kPEPE", "kSHIB", "2Z", "PURR/USDC", "@1", "@107", "@142", "@207", "xyz:TSLA", "hyna:BTC", "hyna:kPEPE",
        "flx:XAU*", "vntl:STRIPE?",
    ):  # fmt: skip
        yield replace(one, call="a range of an odd coin", exchange_symbol=coin, start=NOON - DAY_MS, end=NOON)
    yield replace(one, call="all days, made-up ones left out", interval="1d", end=NOON, explained="made up")
    yield replace(
        one, call="a delisted coin", exchange_symbol="MATIC", interval="1d", start=Y2019, end=NOON, prelisting=True
    )
    yield replace(
        one,
        call="an interval that there is not",
        interval="6h",
        start=NOON - DAY_MS,
        end=NOON,
        refused=("Failed to deserialize", "unsupported-interval"),
    )


def _ccxt_hyperliquid(one: Case) -> Iterator[Case]:
    yield replace(one, call="the newest, no limit", interval="4h")
    yield replace(one, call="the last 10 before an end", end=NOON, limit=10)
    yield replace(one, call="the first 5 from a start between two candles", start=NOON - DAY_MS + 1, limit=5)
    yield replace(one, call="a range, ours in ccxt's format", start=NOON - DAY_MS, end=NOON, form="ccxt")
    yield replace(one, call="the first 5 that are kept", interval="15m", start=0, limit=5)
    yield replace(one, call="a range between candles", start=NOON - DAY_MS + 1, end=NOON + 1)
    yield replace(
        one, call="a coin of the eleventh dex", exchange_symbol="asia:HYNIX", end=NOON, limit=5, explained="ten dexes"
    )


def _hyperliquid_sdk(one: Case) -> Iterator[Case]:
    yield replace(one, call="a range between candles", start=NOON - DAY_MS + 1, end=NOON + 1, explained="overlap")
    yield replace(one, call="a coin of the eleventh dex", exchange_symbol="asia:HYNIX", start=NOON - DAY_MS, end=NOON)


def _coinbase(one: Case) -> Iterator[Case]:
    intervals = ("1m", "5m", "15m", "1h", "6h", "1d")
    for interval in intervals:
        yield replace(one, call="the first 5 from a start", interval=interval, start=Y2024, limit=5)
    for interval in intervals:
        yield replace(
            one,
            call="the first 5 from a start between two candles",
            interval=interval,
            start=Y2024 + 1000,
            limit=5,
            explained="one short",
        )
    for interval in ("1m", "1h", "1d"):
        yield replace(one, call="the newest 3, the forming one too", interval=interval, limit=3)
    yield replace(one, call="the newest, no limit", interval="15m", rows=350)
    yield replace(one, call="a range", interval="5m", start=NOON - 6 * HOUR_MS, end=NOON)
    yield replace(one, call="a range between candles", interval="5m", start=Y2025 + 1000, end=Y2025 + HOUR_MS + 1000)
    yield replace(
        one, call="a range, ours in ccxt's format", interval="15m", start=Y2025, end=Y2025 + DAY_MS, form="ccxt"
    )
    yield replace(one, call="as many as one answer holds", start=Y2024, limit=300)
    yield replace(
        one,
        call="a range wider than one answer",
        start=Y2024,
        end=Y2024 + 301 * HOUR_MS,
        rows=5000,
        explained="too wide",
    )
    yield replace(
        one, call="many pages, one after the other", start=Y2024, end=Y2024 + 900 * HOUR_MS, rows=5000, page=300
    )
    yield replace(
        one,
        call="many pages, by ccxt",
        start=Y2024,
        end=Y2024 + 900 * HOUR_MS,
        rows=5000,
        paginate=True,
        explained="too wide",
    )
    eth = replace(one, exchange_symbol="ETH-USD", interval="1m")
    yield replace(
        eth,
        call="the newest 3, asked two minutes after the same question",
        limit=3,
        before_ms=2 * MINUTE_MS,
        explained="cached",
    )
    yield replace(one, call="a range before the listing", interval="1d", start=Y2019, end=FEB_2019, empty=True)
    for product in ("BTCAUCTION-USD", "SHIB-USD", "ETH-BTC", "USDT-USD", "USDC-EUR", "WBTC-BTC"):
        yield replace(
            one, call="a range of an odd product", exchange_symbol=product, start=NOON - 20 * HOUR_MS, end=NOON
        )
    yield replace(
        one,
        call="a delisted product",
        exchange_symbol="BTC-USDC",
        interval="1d",
        start=_ms("2022-06-01"),
        end=_ms("2022-12-01"),
    )
    thin = replace(one, exchange_symbol="LESO-USDT", interval="1m")
    yield replace(thin, call="a range with buckets left out", start=NOON - 5 * HOUR_MS, end=NOON)
    yield replace(thin, call="the newest 20 with buckets left out", limit=20)
    yield replace(
        thin, call="the first 20 with buckets left out", start=NOON - 30 * HOUR_MS, limit=20, explained="window"
    )
    yield replace(
        one,
        call="an interval that there is not",
        interval="30m",
        limit=20,
        refused=("Unsupported granularity", "unsupported-interval"),
    )
    yield replace(
        one,
        call="an end before the start",
        start=Y2025,
        end=Y2024,
        limit=20,
        refused=("start must be before end", "invalid-range"),
    )
