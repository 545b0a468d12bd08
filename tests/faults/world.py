"""Exchanges whose candles are drawn by lot, and spoilt in one way or another before they are sent (U2).

What they send is made of JSON tokens, so that every digit of it is known; it is sent in memory or through a socket.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import formatdate
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from marketdata.core.exchanges.adapter import ExchangeAdapter
from marketdata.core.exchanges.binance_futures import BinanceFutures
from marketdata.core.exchanges.coinbase import Coinbase
from marketdata.core.exchanges.hyperliquid import Hyperliquid
from marketdata.core.models import Capabilities, Interval

NOW_MS = 1767252345678  # 2026-01-01T07:25:45.678Z
ROWS_PER_CALL = 4
"""So few that a handful of candles takes several calls."""


class FewBinanceFutures(BinanceFutures):
    """Binance with short answers."""

    capabilities: ClassVar[Capabilities] = BinanceFutures.capabilities.model_copy(
        update={"rows_per_call": ROWS_PER_CALL}
    )


class FewCoinbase(Coinbase):
    """Coinbase with short answers."""

    capabilities: ClassVar[Capabilities] = Coinbase.capabilities.model_copy(update={"rows_per_call": ROWS_PER_CALL})


ADAPTERS: Mapping[str, ExchangeAdapter] = {
    "binance_futures": FewBinanceFutures(),
    "coinbase": FewCoinbase(),
    "hyperliquid": Hyperliquid(),
}
SYMBOLS = {"binance_futures": "BTCUSDT", "coinbase": "BTC-USD", "hyperliquid": "BTC"}

_ORDER = {
    "binance_futures": "t o h l c v T q n tb tq junk",
    "coinbase": "t l h o c v",
    "hyperliquid": "t T s i o c h l v n",
}
PRICES = ("o", "h", "l", "c")
_COLUMNS = ("o", "h", "l", "c", "v", "q", "n", "tb", "tq")

type Tokens = dict[str, str]
"""One row: JSON tokens by the short name of what they say."""


def plain(token: str) -> str:
    """The digits of a token in plain notation, by decimal arithmetic alone."""
    text = token.strip('"')
    return format(Decimal(text), "f") if "e" in text.lower() else text


@dataclass(frozen=True)
class Call:
    """What one call asks: both ends inclusive, epoch ms; start None: as many as the limit before the end."""

    symbol: str
    interval: Interval
    start_ms: int | None
    end_ms: int
    limit: int | None


type Spoil = Callable[["World", Call, list[Tokens]], str | None]
"""Changes the rows of an answer in place, or gives a whole other body; see `damage`."""


@dataclass
class World:
    """One exchange with candles of one instrument and interval."""

    exchange: str
    interval: Interval
    opens: Sequence[int]
    """When its candles open, and at the end when the one after them would."""
    missing: frozenset[int]
    seed: int
    spoil: Spoil | None
    page: int
    """Which of the calls is spoilt, from 0."""
    calls: list[Call] = field(default_factory=list)
    spoilt: bool = False
    """Whether something spoilt was sent."""

    def rows(self) -> list[Tokens]:
        """All of them, as they should be."""
        pairs = zip(self.opens, self.opens[1:], strict=False)
        return [self.row(opens, closes) for opens, closes in pairs if opens not in self.missing]

    def row(self, opens: int, closes: int) -> Tokens:
        """The candle that opens then."""
        chance = random.Random(self.seed ^ opens)
        places = chance.randrange(1, 9)
        low, *inner, high = sorted(chance.sample(range(1, 10 ** chance.randrange(2, 12)), 4))
        chance.shuffle(inner)
        number = chance.choice(_NUMBERS[self.exchange])
        prices = {
            name: number(value, places) for name, value in zip("lohc", (low, inner[0], high, inner[1]), strict=True)
        }
        amounts = {name: number(chance.randrange(10**9), places) for name in ("v", "q", "tb", "tq")}
        times = {"t": str(opens), "T": str(closes - 1), "n": str(chance.randrange(1, 10**6)), "junk": '"0"'}
        if self.exchange == "coinbase":
            times["t"] = str(opens // 1000)
        names = {"s": json.dumps(SYMBOLS[self.exchange]), "i": f'"{self.interval}"'}
        everything = {**prices, **amounts, **times, **names}
        return {name: everything[name] for name in _ORDER[self.exchange].split()}

    def canonical(self, row: Tokens) -> list[str | None]:
        """Open time and columns as they are to be served; None where the exchange has no such column."""
        opens = int(row["t"]) * (1000 if self.exchange == "coinbase" else 1)
        return [str(opens), *[plain(row[name]) if name in row else None for name in _COLUMNS]]

    def answer(self, method: str, target: str, body: bytes) -> bytes:
        """The JSON that it sends."""
        call = _CALLS[self.exchange](method, target, body)
        if isinstance(call, bytes):
            return call
        if call not in self.calls:
            self.calls.append(call)
        rows = [
            dict(row) for row in self.rows() if (call.start_ms or 0) <= int(self.canonical(row)[0] or 0) <= call.end_ms
        ]
        if call.limit is not None:
            rows = rows[-call.limit :] if call.start_ms is None else rows[: call.limit]
        if self.spoil is not None and self.calls.index(call) == self.page:
            before = [dict(row) for row in rows]
            other = self.spoil(self, call, rows)
            if other is not None or rows != before:
                self.spoilt = True
            if other is not None:
                return other.encode()
        return self.render(rows).encode()

    def render(self, rows: Sequence[Tokens]) -> str:
        """The whole answer."""
        if self.exchange == "hyperliquid":
            return "[" + ",".join("{" + ",".join(f'"{n}":{t}' for n, t in row.items()) + "}" for row in rows) + "]"
        texts = ["[" + ",".join(row.values()) + "]" for row in rows]
        return "[" + ",".join(texts[::-1] if self.exchange == "coinbase" else texts) + "]"


_NUMBERS: Mapping[str, Sequence[Callable[[int, int], str]]] = {
    **dict.fromkeys(
        ("binance_futures", "hyperliquid"),
        (
            lambda value, places: f'"{Decimal(value).scaleb(-places):f}"',
            lambda value, places: f'"{Decimal(value).scaleb(-places):f}000"',
            lambda value, _: f'"{value}"',
        ),
    ),
    "coinbase": (
        lambda value, places: f"{Decimal(value).scaleb(-places):f}",
        lambda value, places: f"{value}.25e-{places}",
        lambda value, places: f"{value}E+{places}",
        lambda value, _: f"{value}.5",
        lambda value, _: f"{value}",
    ),
}
"""How each exchange may write a number."""


def _binance_futures(_method: str, target: str, _body: bytes) -> Call | bytes:
    if "/time" in target:
        return b'{"serverTime":%d}' % NOW_MS
    query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    start_ms = int(query["startTime"]) if "startTime" in query else None
    return Call(query["symbol"], Interval(query["interval"]), start_ms, int(query["endTime"]), int(query["limit"]))


def _hyperliquid(_method: str, _target: str, body: bytes) -> Call | bytes:
    document = json.loads(body)
    if document["type"] == "allMids":
        return b"{}"  # the Date header tells
    asked = document["req"]
    return Call(asked["coin"], Interval(asked["interval"]), asked["startTime"], asked["endTime"], None)


def _coinbase(_method: str, target: str, _body: bytes) -> Call | bytes:
    if target.endswith("/time"):
        return json.dumps({"iso": datetime.fromtimestamp(NOW_MS / 1000, UTC).isoformat()}).encode()
    path = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(path.query).items()}
    interval = next(one for one in Interval if one.min_duration_ms == int(query["granularity"]) * 1000)
    ends = [int(datetime.fromisoformat(query[name]).timestamp()) * 1000 for name in ("start", "end")]
    return Call(path.path.split("/")[-2], interval, ends[0], ends[1], None)


_CALLS: Mapping[str, Callable[[str, str, bytes], Call | bytes]] = {
    "binance_futures": _binance_futures,
    "coinbase": _coinbase,
    "hyperliquid": _hyperliquid,
}

DATE = formatdate(NOW_MS // 1000, usegmt=True)


def opens_until_now(exchange: str, interval: Interval, count: int) -> list[int]:
    """When the newest `count` candles open, ascending, the last one forming; and when that one closes."""
    if interval is Interval.MONTH_1:
        months = [divmod(2026 * 12 - count + 1 + number, 12) for number in range(count + 1)]
        return [int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000 for year, month in months]
    step = interval.min_duration_ms
    monday = 4 * 86_400_000 if interval is Interval.WEEK_1 and exchange == "binance_futures" else 0
    newest = NOW_MS - (NOW_MS - monday) % step
    return [newest + (number - count + 1) * step for number in range(count + 1)]
