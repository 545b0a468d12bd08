"""A client that hears what is really on the wire."""

import asyncio
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

CANDLES_BODY = b'{"type":"candleSnapshot","req":{"coin":"BTC","interval":"1h","startTime":1773500000000}}'
REQUESTS = {
    ("binance_futures", "listing"): b"GET /binance/fapi/v1/exchangeInfo HTTP/1.1\r\n",
    ("binance_futures", "candles"): b"GET /binance/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=5 HTTP/1.1\r\n",
    ("hyperliquid", "listing"): b'POST /hyperliquid/info HTTP/1.1\r\n{"type":"meta"}',
    ("hyperliquid", "candles"): b"POST /hyperliquid/info HTTP/1.1\r\n" + CANDLES_BODY,
    ("coinbase", "listing"): b"GET /coinbase/products HTTP/1.1\r\n",
    ("coinbase", "candles"): b"GET /coinbase/products/BTC-USD/candles?granularity=3600 HTTP/1.1\r\n",
}
"""One request of each kind to each exchange: request line and body."""


@dataclass(frozen=True)
class Heard:
    """All that came, and how it ended."""

    data: bytes
    end: Literal["closed", "reset", "silent"]

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def length(self) -> int:
        """What Content-Length says."""
        lines = self.head.lower().split(b"\r\n")
        return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))


async def hear(url: str, exchange: str, route: str, patience_s: float = 30.0) -> Heard:
    """Ask and listen until the connection is over or nothing has come for `patience_s`."""
    line, _, body = REQUESTS[exchange, route].partition(b"\r\n")
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"%b\r\nHost: here\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (line, len(body), body))
    data = bytearray()
    try:
        while piece := await asyncio.wait_for(reader.read(1 << 16), patience_s):
            data += piece
    except TimeoutError:
        return Heard(bytes(data), "silent")
    except ConnectionResetError:
        return Heard(bytes(data), "reset")
    finally:
        writer.close()
    return Heard(bytes(data), "closed")
