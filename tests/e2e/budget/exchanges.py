"""Three exchanges made of raw sockets, a process of their own: they count as the real ones do, each by its own clock.

Nothing of the product is used here. Candles are asked of it, and there never are any: it is about the counting. What
was counted is told at `/_report`; `/_ban?s=6` bans for six seconds with the next call to Binance (`&cut=1`: that answer
breaks off in its body), `/_foreign?weight=5` is another program at the same address, and `/_silence` refuses the next
call to Hyperliquid.
"""

import asyncio
import json
import math
import random
import sys
import time
from collections import defaultdict, deque
from email.utils import formatdate
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

SAMPLES = Path(__file__).parents[2] / "samples"
STEP_MS = {"1m": 60_000, "1h": 3_600_000}

Answered = tuple[str, dict[str, str], bytes]


class Binance:
    """2400 weight in each minute of its clock; a ban by hand."""

    limit = 2400

    def __init__(self) -> None:
        self.windows: defaultdict[int, int] = defaultdict(int)
        self.foreign = 0
        self.ban_s = 0.0
        self.cuts = False
        self.banned_until = 0.0
        self.told_at: float | None = None
        self.unaware = 0  # calls during a ban before the first caller was told of it
        self.bans: list[list[float]] = []  # for each the seconds after it was told at which calls came all the same

    def answer(self, now: float, path: str, query: dict[str, str], body: bytes) -> Answered:
        del body
        if self.ban_s:
            self.banned_until, self.ban_s = now + self.ban_s, 0.0
            self.bans.append([])
            self.told_at = None
        elif now < self.banned_until and self.told_at is not None:
            self.bans[-1].append(round(now - self.told_at, 4))
        if now < self.banned_until:
            self.unaware += self.told_at is None
            told = f"Way too many requests; IP banned until {round(self.banned_until * 1000)}."
            retry_after = {"Retry-After": str(math.ceil(self.banned_until - now))}
            return "418 I'm a teapot", retry_after, json.dumps({"code": -1003, "msg": told}).encode()
        minute = int(now // 60)
        rows = int(query.get("limit", 500))
        weight = (
            1 if path != "/fapi/v1/klines" else next((w for r, w in ((100, 1), (500, 2), (1000, 5)) if rows <= r), 10)
        )
        self.windows[minute] += weight
        used = {"X-MBX-USED-WEIGHT-1M": str(self.windows[minute])}
        if self.windows[minute] > self.limit:
            return "429 Too Many Requests", used, b'{"code":-1003,"msg":"Too many requests"}'
        if path == "/fapi/v1/time":
            return "200 OK", used, json.dumps({"serverTime": int(now * 1000)}).encode()
        if path == "/fapi/v1/exchangeInfo":
            return "200 OK", used, (SAMPLES / "binance_futures/exchangeInfo.json").read_bytes()
        return "200 OK", used, b"[]"

    def tell(self, now: float, status: str) -> bool:
        """Take note that an answer is written now; whether it breaks off."""
        if not status.startswith("418") or self.told_at is not None:
            return False
        self.told_at = now
        return self.cuts

    def add_foreign(self, now: float, weight: int) -> None:
        self.windows[int(now // 60)] += weight

    def counted(self) -> list[float]:
        return list(self.windows.values())


class Hyperliquid:
    """1200 weight in any 60 seconds."""

    limit = 1200

    def __init__(self) -> None:
        self.charges: deque[tuple[float, int]] = deque()
        self.used = 0
        self.most = 0
        self.refuses_next = False
        self.refused_at = 0.0
        self.stragglers: list[float] = []

    def answer(self, now: float, path: str, query: dict[str, str], body: bytes) -> Answered:
        del path, query
        if self.refused_at and now < self.refused_at + 5:
            self.stragglers.append(round(now - self.refused_at, 4))
        if self.refuses_next:
            self.refuses_next = False
            return "429 Too Many Requests", {}, b"null"
        asked = json.loads(body)
        weight = 2 if asked["type"] == "allMids" else 20
        if asked["type"] == "candleSnapshot":  # as if all the rows had come
            window = asked["req"]
            rows = min(5000, (window["endTime"] - window["startTime"]) // STEP_MS[window["interval"]] + 1)
            weight += -(-rows // 60)
        while self.charges and self.charges[0][0] <= now - 60:
            self.used -= self.charges.popleft()[1]
        self.charges.append((now, weight))
        self.used += weight
        self.most = max(self.most, self.used)
        if self.used > self.limit:
            return "429 Too Many Requests", {}, b"null"
        sample = {"allPerpMetas": "allPerpMetas", "spotMeta": "spotMeta"}.get(asked["type"])
        return "200 OK", {}, (SAMPLES / f"hyperliquid/{sample}.json").read_bytes() if sample else b"[]"

    def tell(self, now: float, status: str) -> bool:
        if status.startswith("429") and not self.refused_at:
            self.refused_at = now
        return False

    def counted(self) -> list[float]:
        return [self.most]


class Coinbase:
    """A bucket of 15 that gets 10 back each second."""

    limit = 15

    def __init__(self) -> None:
        self.taken = 0.0
        self.at = 0.0
        self.most = 0.0

    def answer(self, now: float, path: str, query: dict[str, str], body: bytes) -> Answered:
        del query, body
        self.taken = max(0.0, self.taken - 10 * (now - self.at)) + 1
        self.at = now
        self.most = max(self.most, self.taken)
        if self.taken > self.limit:
            return "429 Too Many Requests", {}, b'{"message":"Public rate limit exceeded"}'
        if path == "/time":
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
            return "200 OK", {}, json.dumps({"iso": f"{stamp}.{int(now % 1 * 1000):03}Z", "epoch": now}).encode()
        return "200 OK", {}, (SAMPLES / "coinbase/products.json").read_bytes() if path == "/products" else b"[]"

    def tell(self, now: float, status: str) -> bool:
        del now, status
        return False

    def counted(self) -> list[float]:
        return [self.most]


class Venue(Protocol):
    def answer(self, now: float, path: str, query: dict[str, str], body: bytes) -> Answered: ...
    def tell(self, now: float, status: str) -> bool: ...


class Exchanges:
    """All three on one port.

    `skew_s`: how far their clocks are ahead of this machine's; `takes_s`: how long answers take, at least and at most.
    A call counts when it comes.
    """

    def __init__(self, skew_s: float, takes_s: tuple[float, float]) -> None:
        self.skew_s = skew_s
        self.takes_s = takes_s
        self.chance = random.Random(1)
        self.binance, self.hyperliquid, self.coinbase = Binance(), Hyperliquid(), Coinbase()
        self.venues: dict[str, Venue] = {
            "binance": self.binance,
            "hyperliquid": self.hyperliquid,
            "coinbase": self.coinbase,
        }
        self.calls: defaultdict[str, int] = defaultdict(int)
        self.refused: defaultdict[str, int] = defaultdict(int)

    def now(self) -> float:
        return time.time() + self.skew_s

    async def answer(self, target: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        name, _, path = parts.path.removeprefix("/").partition("/")
        if name.startswith("_"):
            write(writer, "200 OK", {}, json.dumps(self.control(parts.path, query, self.now())).encode())
            return
        venue = self.venues[name]
        status, headers, content = venue.answer(self.now(), f"/{path}", query, body)
        self.calls[name] += 1
        self.refused[name] += status.startswith("429")
        await asyncio.sleep(self.chance.uniform(*self.takes_s))
        now = self.now()
        breaks_off = venue.tell(now, status)
        write(writer, status, {**headers, "Date": formatdate(now, usegmt=True)}, content, breaks_off=breaks_off)

    def control(self, path: str, query: dict[str, str], now: float) -> object:
        match path:
            case "/_control/about":
                return {"source": "simulated"}
            case "/_ban":
                self.binance.ban_s, self.binance.cuts = float(query["s"]), "cut" in query
            case "/_silence":
                self.hyperliquid.refuses_next = True
            case "/_foreign":
                self.binance.add_foreign(now, int(query["weight"]))
            case _:
                pass
        return {
            "now": now,
            "calls": self.calls,
            "refused": self.refused,
            "counted": {
                "binance_futures": self.binance.counted(),
                "hyperliquid": self.hyperliquid.counted(),
                "coinbase": self.coinbase.counted(),
            },
            "bans": self.binance.bans,
            "unaware": self.binance.unaware,
            "banned": now < self.binance.banned_until,
            "stragglers": self.hyperliquid.stragglers,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = [
                    line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length:")
                ]
                body = await reader.readexactly(int(length[0])) if length else b""
                await self.answer(head.split(" ")[1], body, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def write(
    writer: asyncio.StreamWriter, status: str, headers: dict[str, str], content: bytes, *, breaks_off: bool = False
) -> None:
    headers |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + content[: len(content) // 2 if breaks_off else None])
    if breaks_off:
        writer.close()


async def main(skew_s: float, takes_s: tuple[float, float]) -> None:
    server = await asyncio.start_server(Exchanges(skew_s, takes_s).serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), (float(sys.argv[2]), float(sys.argv[3]))))
