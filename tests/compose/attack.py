"""Callers who want the API to run out of memory: endless bodies, huge heads and tokens, half-sent requests, the largest
pages in every format and encoding, past moments and unknown names, all at once."""

import itertools
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import httpx2

_CHUNK = b"a" * 65_536
_UPLOAD_BYTES = 300 * 2**20
_HALF_SENT = 100
_PLACES = (
    ("binance_futures", "BTC-USDT-PERP"),
    ("hyperliquid", "BTC-USDC-PERP"),
    ("coinbase", "BTC-USD"),
)


@dataclass
class Attack:
    """Many threads of it; `answers` counts what each kind was told."""

    address: tuple[str, int]
    token: str
    answers: Counter[str] = field(default_factory=Counter)
    _ends_at: float = 0.0

    def run(self, seconds: float) -> None:
        """All kinds at once, for so long."""
        self._ends_at = time.monotonic() + seconds
        kinds: tuple[Callable[[random.Random], str], ...] = (
            self._upload,
            self._huge_head,
            self._huge_token,
            self._half_sent,
            self._page,
            self._moment,
            self._name,
        )
        threads = [
            threading.Thread(target=self._repeat, args=(kind, random.Random(number)))
            for number, kind in enumerate(kinds * 3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _repeat(self, kind: Callable[[random.Random], str], chance: random.Random) -> None:
        while time.monotonic() < self._ends_at:
            told = "cut off"
            with suppress(OSError, httpx2.HTTPError):
                told = kind(chance)
            self.answers[f"{kind.__name__.strip('_')}: {told}"] += 1

    def _upload(self, _: random.Random) -> str:
        def endless() -> Iterator[bytes]:
            yield from itertools.repeat(_CHUNK, _UPLOAD_BYTES // len(_CHUNK))

        with self._http() as http:
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            return str(http.post("/v1/token", content=endless(), headers=form).status_code)

    def _huge_head(self, _: random.Random) -> str:
        with socket.create_connection(self.address, timeout=20) as wire:
            wire.sendall(b"GET /v1/symbols HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: a\r\n" % n for n in range(9000)))
            return wire.recv(100).split(b" ")[1].decode()

    def _huge_token(self, chance: random.Random) -> str:
        with self._http() as http:
            token = chance.choice(("a" * 20_000, f"{'e30' * 5000}.{'e30' * 2000}.aaaa"))
            return str(http.get("/v1/symbols", headers={"Authorization": f"Bearer {token}"}).status_code)

    def _half_sent(self, _: random.Random) -> str:
        wires = [socket.create_connection(self.address, timeout=20) for _ in range(_HALF_SENT)]
        for wire in wires:
            wire.sendall(b"POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + b"a" * 50_000)
        time.sleep(1)
        for wire in wires:
            wire.close()
        return "given up"

    def _page(self, chance: random.Random) -> str:
        exchange, symbol = chance.choice(_PLACES)
        form, encoding = chance.choice(("json", "csv", "ndjson", "ccxt")), chance.choice(("zstd", "gzip", "identity"))
        with self._http() as http:
            path = f"/v1/candles/{exchange}/{symbol}/1m?limit=5000&format={form}"
            return str(self._get(http, path, encoding))

    def _moment(self, chance: random.Random) -> str:
        with self._http() as http:
            moment = int(time.time() * 1000) - chance.randrange(1, 60_000)
            return str(self._get(http, f"/v1/symbols?limit=1000&as_of={moment}"))

    def _name(self, chance: random.Random) -> str:
        with self._http() as http:
            name = "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=chance.randrange(1, 2000)))
            return str(self._get(http, f"/v1/resolve?name={name}"))

    def _get(self, http: httpx2.Client, path: str, encoding: str = "gzip") -> int:
        headers = {"Authorization": f"Bearer {self.token}", "Accept-Encoding": encoding}
        return http.get(path, headers=headers).status_code

    def _http(self) -> httpx2.Client:
        host, port = self.address
        return httpx2.Client(base_url=f"http://{host}:{port}", timeout=30, trust_env=False)
