"""Callers who come whether or not those before them were answered, and what each of them was told."""

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.e2e.budget.installation import Service

CANDLES = "candles of a known symbol"
MEMORY = "metadata from memory"
DATABASE = "what needs the database"
TOKEN = "a token"
LIVENESS = "liveness"

RATES: Mapping[str, float] = {CANDLES: 16, MEMORY: 130, DATABASE: 40, TOKEN: 4, LIVENESS: 10}
"""So many a second, 200 in all; candles as many as the exchanges' budgets allow."""

FEW: Mapping[str, float] = {CANDLES: 8, MEMORY: 30, DATABASE: 12, TOKEN: 2, LIVENESS: 4}
"""As many as a machine answers that has other things to do, too."""

_RANGE = "start=1767225600000&end=1767229200000"
_PATHS: Mapping[str, tuple[str, ...]] = {
    CANDLES: (f"/v1/candles/binance_futures/BTC-USDT-PERP/1m?{_RANGE}", f"/v1/candles/coinbase/BTC-USD/1m?{_RANGE}"),
    MEMORY: ("/v1/symbols/coinbase/BTC-USD", "/v1/intervals?exchange=coinbase", "/v1/resolve?name=BTCUSDT"),
    DATABASE: ("/v1/events?limit=3", "/v1/symbols/coinbase/BTC-USD/history"),
    LIVENESS: ("/health/live",),
}
_PATIENCE_S = 30.0
_CHANGES = ("last_seen_at", "valid_to")
"""Members that a sync renews."""


@dataclass
class Callers:
    """What they were told: statuses by kind, wrong answers, and how long the longest wait was."""

    apis: list[Service]
    client: tuple[str, str]
    token: str
    statuses: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: list[str] = field(default_factory=list)
    longest_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _right: dict[str, object] = field(default_factory=dict)
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    def forget(self) -> None:
        """Begin to count anew."""
        self.statuses.clear()
        self.wrong.clear()
        self.longest_s.clear()

    @property
    def told(self) -> dict[str, dict[str, int]]:
        """Kind → status (with the problem's code) → how often."""
        return {kind: dict(counted) for kind, counted in sorted(self.statuses.items())}

    async def ask(self, kind: str, api: Service | None = None) -> str:
        """One call; its status, with the code of a problem."""
        api = api or self._chance.choice(self.apis)
        path = self._chance.choice(_PATHS[kind]) if kind in _PATHS else "/v1/token"
        began = time.monotonic()
        told = "no answer"
        try:
            async with asyncio.timeout(_PATIENCE_S):
                status, body = await api.ask(self._token_request() if kind == TOKEN else self._request(path))
        except (OSError, EOFError, TimeoutError) as error:
            told = f"no answer: {type(error).__name__}"
        else:
            told = str(status) if status == 200 else f"{status} {json.loads(body)['code']}"
            if status == 200 and kind not in {TOKEN, LIVENESS}:
                self._check(path, json.loads(body))
        self.statuses[kind][told] += 1
        self.longest_s[kind] = max(self.longest_s[kind], time.monotonic() - began)
        return told

    def _check(self, path: str, document: object) -> None:
        """The same question has the same answer."""
        right = self._right.setdefault(path, _lasting(document))
        if _lasting(document) != right:
            self.wrong.append(path)

    def _request(self, path: str) -> str:
        return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n\r\n"

    def _token_request(self) -> str:
        form = f"grant_type=client_credentials&client_id={self.client[0]}&client_secret={self.client[1]}"
        head = "POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded"
        return f"{head}\r\nContent-Length: {len(form)}\r\n\r\n{form}"

    @asynccontextmanager
    async def coming(self, rates: Mapping[str, float] = RATES) -> AsyncIterator[None]:
        """They come while the block runs; all have been answered when it is left."""
        ended = asyncio.Event()

        async def come(kind: str, rate: float, callers: asyncio.TaskGroup) -> None:
            due = time.monotonic()
            while not ended.is_set():
                callers.create_task(self.ask(kind))
                due += self._chance.expovariate(rate)
                await asyncio.sleep(max(0.0, due - time.monotonic()))

        async with asyncio.TaskGroup() as callers:
            for kind, rate in rates.items():
                callers.create_task(come(kind, rate, callers))
            yield
            ended.set()


def _lasting(document: object) -> object:
    """A document without what a sync renews."""
    if isinstance(document, dict):
        return {name: _lasting(value) for name, value in document.items() if name not in _CHANGES}
    if isinstance(document, list):
        return [_lasting(value) for value in document]
    return document
