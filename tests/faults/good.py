"""What the three exchanges would say if nothing were wrong, in self-written bytes of their own shapes."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

HOUR_MS = 3_600_000
SAMPLES = Path(__file__).parents[1] / "samples"

type Call = Literal["first part", "listing", "candles", "time"]
"""What an exchange is asked; where a listing comes in parts it is the last one that is called so."""


@dataclass(frozen=True)
class Asked:
    """One request: the path below the exchange's own base, the query, and the JSON body where there is one."""

    path: str
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Good:
    """What kind of call it was, and the right answer's body."""

    call: Call
    body: bytes


def asked(head: bytes, body: bytes, below: str) -> Asked:
    """The request that these bytes are."""
    target = urlsplit(head.split(b" ", 2)[1].decode())
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    return Asked(target.path.removeprefix(below), query, body)


def date() -> str:
    """A Date header, which tells Hyperliquid's time."""
    return f"Date: {formatdate(time.time(), usegmt=True)}\r\n"


def opens(start_ms: int, end_ms: int) -> list[int]:
    """The hours that open in a range, both ends inclusive; the newest 300 of them."""
    last = end_ms // HOUR_MS * HOUR_MS
    return list(range(max(-(-start_ms // HOUR_MS) * HOUR_MS, last - 299 * HOUR_MS), last + 1, HOUR_MS))


def binance_futures(request: Asked) -> Good:
    match request.path:
        case "/fapi/v1/time":
            return Good("time", b'{"serverTime":%d}' % (time.time() * 1000))
        case "/fapi/v1/exchangeInfo":
            return Good("listing", _sample("binance_futures/exchangeInfo"))
        case _:
            pass
    end_ms, limit = int(request.query["endTime"]), int(request.query["limit"])
    start_ms = int(request.query.get("startTime", "0"))
    hours = opens(start_ms, end_ms)
    rows = [
        [at, "42000.10", "42010.00", "41990.00", "42001.20", "12.345", at + HOUR_MS - 1, "518500.11", 321, "6.1", "2.5"]
        for at in (hours[:limit] if start_ms else hours[-limit:])
    ]
    return Good("candles", _compact([[*row, "0"] for row in rows]))


def hyperliquid(request: Asked) -> Good:
    document = json.loads(request.body)
    match document["type"]:
        case "allMids":
            return Good("time", b'{"BTC":"42000.5"}')
        case "allPerpMetas":
            return Good("first part", _sample("hyperliquid/allPerpMetas"))
        case "spotMeta":
            return Good("listing", _sample("hyperliquid/spotMeta"))
        case _:
            pass
    wanted = document["req"]
    rows = [
        {
            "t": at,
            "T": at + HOUR_MS - 1,
            "s": wanted["coin"],
            "i": wanted["interval"],
            "o": "42000.1",
            "c": "42001.2",
            "h": "42010.0",
            "l": "41990.0",
            "v": "12.345",
            "n": 321,
        }
        for at in opens(wanted["startTime"], wanted["endTime"])
    ]
    return Good("candles", _compact(rows))


def coinbase(request: Asked) -> Good:
    match request.path:
        case "/time":
            return Good("time", json.dumps({"iso": time.strftime("%Y-%m-%dT%H:%M:%S.5Z", time.gmtime())}).encode())
        case "/products":
            return Good("listing", _sample("coinbase/products"))
        case _:
            pass
    start_ms, end_ms = (_epoch_ms(request.query[name]) for name in ("start", "end"))
    rows = [[at // 1000, 41990, 42010, 42000.1, 42001.2, 12.345] for at in reversed(opens(start_ms, end_ms))]
    return Good("candles", _compact(rows))


EXCHANGES: Mapping[str, Callable[[Asked], Good]] = {
    "binance_futures": binance_futures,
    "hyperliquid": hyperliquid,
    "coinbase": coinbase,
}


def _sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def _compact(rows: object) -> bytes:
    return json.dumps(rows, separators=(",", ":")).encode()


def _epoch_ms(iso: str) -> int:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", iso)
    return int(time.mktime(time.strptime(iso + "+0000", "%Y-%m-%dT%H:%M:%SZ%z")) - time.timezone) * 1000
