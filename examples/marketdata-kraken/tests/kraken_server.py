"""A server that speaks Kraken's bytes over raw sockets, so that the platform can be tried without the internet.

As documented and recorded: `since` is exclusive and there is no end; 720 rows are kept, and the forming one always
comes along; errors have status 200. A row follows from its opening time alone.
"""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

KEPT = 720
DELISTED = "DOGE/EUR"
"""Listed, but its candles are no longer served."""
CONFUSED = "ETH/BTC"
"""Answered with the rows of another pair."""
_LISTING = (Path(__file__).parent / "samples" / "AssetPairs.json").read_bytes()


class KrakenServer(socketserver.ThreadingTCPServer):
    """What it was asked."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running_server() -> Iterator[KrakenServer]:
    """A server on a free loopback port while the block runs."""
    with KrakenServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def is_missing(open_s: int, step_s: int) -> bool:
    """Whether there is no row that opens then."""
    return open_s // step_s % 10 == 3


def row(open_s: int, step_s: int) -> list[int | str]:
    """The row that opens then; one in ten has no trades."""
    price = 80_000 + open_s // step_s % 1000
    if open_s // step_s % 10 == 6:
        return [open_s, f"{price}.0", f"{price}.0", f"{price}.0", f"{price}.0", "0.0", "0.00000000", 0]
    return [open_s, f"{price}.0", f"{price + 5}.0", f"{price - 5}.5", f"{price + 1}.0", f"{price}.2", "1.50000000", 42]


def ohlc(pair: str, minutes: int, since: int, now: int) -> bytes:
    """The answer to a request for rows."""
    step_s = 60 * minutes
    forming = now // step_s * step_s
    opens = range(max(forming - KEPT * step_s, since // step_s * step_s + step_s), forming, step_s)
    rows = [row(one, step_s) for one in (*opens, forming) if one == forming or not is_missing(one, step_s)]
    result = {pair: rows, "last": forming - step_s}
    return json.dumps({"error": [], "result": result}, separators=(",", ":")).encode()


class _Connection(socketserver.StreamRequestHandler):
    server: KrakenServer

    def handle(self) -> None:
        request = self.rfile.readline().decode()
        while self.rfile.readline().strip():
            pass
        if not request:
            return
        target = request.split()[1]
        self.server.asked.append(target)
        status, body = self._answer(target)
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        self.wfile.write(f"{head}Connection: close\r\n\r\n".encode() + body)

    def _answer(self, target: str) -> tuple[str, bytes]:
        parts, now = urlsplit(target), int(time.time())
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/0/public/Time":
            return "200 OK", json.dumps({"error": [], "result": {"unixtime": now}}).encode()
        if parts.path == "/0/public/AssetPairs" and given == {"assetVersion": "1"}:
            return "200 OK", _LISTING
        if parts.path == "/0/public/OHLC" and given.pop("assetVersion") == "1":
            if given["pair"] == DELISTED:
                return "200 OK", b'{"error":["EQuery:Unknown asset pair"],"result":{}}'
            pair = "BTC/USD" if given["pair"] == CONFUSED else given["pair"]
            return "200 OK", ohlc(pair, int(given["interval"]), int(given["since"]), now)
        return "404 Not Found", b'{"error":["EGeneral:Unknown method"]}'
