"""What is fuzzed: everything that reads what an exchange sends. Whatever comes, it is read or refused by name.

One function of bytes per exchange and reader; what is read must keep the rules of candles and listings, too. Seeds are
the samples of the adapters' own tests.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from marketdata.core.errors import UpstreamError
from marketdata.core.exchanges import get_adapter
from marketdata.core.exchanges.adapter import CandleQuery, ExchangeAdapter
from marketdata.core.validate import check_candles
from marketdata.core.wire import refuse_repeated_keys
from marketdata.syncer.compare import Moment, compare
from marketdata.syncer.rules import GuardRules
from marketdata.syncer.validate import validate
from tests.built_in import ADAPTERS
from tests.sound import complaint

SAMPLES = Path(__file__).parents[1] / "samples"
NOW_MS = 1767240000000

type Target = Callable[[bytes], None]


def read_candles(adapter: ExchangeAdapter, data: bytes) -> None:
    """The first byte chooses the interval, the rest is the body."""
    specs = adapter.capabilities.intervals
    spec = specs[data[0] % len(specs)] if data else specs[0]
    try:
        candles = adapter.parse_candles(data[1:], CandleQuery("kPEPE", spec.interval, 0, NOW_MS, 300))
        check_candles(adapter.exchange, spec, candles)
    except UpstreamError:
        return
    assert complaint(spec, candles) is None


def read_listing(adapter: ExchangeAdapter, data: bytes) -> None:
    """The bodies, with a zero byte between them, as far as a sync goes before it writes."""
    bodies = data.split(b"\0")
    if len(bodies) != len(_LISTINGS[adapter.exchange]):
        return
    try:
        for body in bodies:
            refuse_repeated_keys(adapter.exchange, body)
        listing = validate(adapter.parse_listing(bodies, {}))
    except UpstreamError:
        return
    for written in compare(adapter.exchange, [], listing, Moment(NOW_MS, 1), GuardRules()).symbols:
        written.symbol.model_dump_json().encode()


def read_answer(adapter: ExchangeAdapter, data: bytes) -> None:
    """Lines of status and headers, an empty one, then the body: what is read of any answer."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    status = int(first) % 1000 if first.isascii() and first[:9].isdecimal() and len(first) < 9 else 200
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    adapter.used_weight(headers)
    error = adapter.classify(status, headers, body)
    assert error is None or str(error).startswith(f"{adapter.exchange}: ")
    with suppress(UpstreamError):
        adapter.parse_time(headers, body)


TARGETS: Mapping[str, Target] = {
    f"{exchange}.{name}": partial(read, adapter)
    for exchange, adapter in ADAPTERS.items()
    for name, read in (("candles", read_candles), ("listing", read_listing), ("answer", read_answer))
}

_CANDLES = {"binance_futures": "klines", "coinbase": "candles", "hyperliquid": "candleSnapshot"}
_LISTINGS = {
    "binance_futures": ["exchangeInfo"],
    "coinbase": ["products"],
    "hyperliquid": ["allPerpMetas", "spotMeta"],
}
_TIMES = {
    "binance_futures": b'{"serverTime":1767225600000}',
    "coinbase": b'{"iso":"2026-01-01T00:00:00.123Z","epoch":1767225600.123}',
    "hyperliquid": b'{"BTC":"87000.5"}',
}


def seeds(target: str) -> list[bytes]:
    """Good inputs to begin with."""
    exchange, _, reader = target.partition(".")
    folder = SAMPLES / exchange
    if reader == "candles":
        body = (folder / f"{_CANDLES[exchange]}.json").read_bytes()
        intervals = [spec.interval for spec in get_adapter(exchange).capabilities.intervals]
        return [bytes([number]) + body.replace(b'"1h"', f'"{one}"'.encode()) for number, one in enumerate(intervals)]
    if reader == "listing":
        return [b"\0".join((folder / f"{name}.json").read_bytes() for name in _LISTINGS[exchange])]
    date = b"date: Thu, 01 Jan 2026 00:00:00 GMT\n"
    return [
        b"200\n" + date + b"x-mbx-used-weight-1m: 17\n\n" + _TIMES[exchange],
        b'418\nretry-after: 7\n\n{"code":-1003,"msg":"IP banned until 1767225700000."}',
        b"500\n" + date + b"\nnull",
        b'503\nretry-after: 30\n\n{"message":"under maintenance"}',
        b'200\n\n{"code":-1121,"msg":"Invalid symbol."}',
    ]
