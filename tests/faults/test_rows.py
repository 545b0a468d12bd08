"""Wrong data never leaves as candles (U2): what exchanges send is drawn by lot, and spoilt in 23 ways.

Through adapter, Fetcher and `get_candles` in memory; a part of it through the whole API, with sockets on both sides.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal
from zlib import crc32

import httpx2
import msgspec
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from marketdata.core.candles import CandlePage, CandleRange, get_candles
from marketdata.core.clock import ManualClock
from marketdata.core.errors import UpstreamBadData
from marketdata.core.fetch import Fetcher
from marketdata.core.models import Candle, ExchangeId
from tests.fake_exchange import read_request
from tests.faults.api import FaultyApi, faulty_api
from tests.faults.damage import DAMAGES, spoil
from tests.faults.world import ADAPTERS, DATE, NOW_MS, SYMBOLS, World, opens_until_now
from tests.sound import complaint


@st.composite
def worlds(draw: st.DrawFn, exchange: str, damage: str | None) -> tuple[World, CandleRange]:
    """An exchange that spoils one of its answers, and what is asked of it."""
    interval = draw(st.sampled_from([spec.interval for spec in ADAPTERS[exchange].capabilities.intervals]))
    opens = opens_until_now(exchange, interval, draw(st.integers(1, 18)))
    missing = frozenset(draw(st.sets(st.sampled_from(opens), max_size=3)))
    seed = draw(st.integers(0, 2**32))
    world = World(
        exchange=exchange,
        interval=interval,
        opens=opens,
        missing=missing,
        seed=seed,
        spoil=spoil(damage, seed) if damage else None,
        page=draw(st.sampled_from([0, 0, 0, 1, 2])),
    )
    order: Literal["asc", "desc"] = draw(st.sampled_from(["asc", "desc"]))
    first = draw(st.integers(0, len(opens) - 1))
    asked = CandleRange(
        exchange_symbol=SYMBOLS[exchange],
        interval=interval,
        start_ms=opens[first] - draw(st.sampled_from([0, 0, 1])),
        end_ms=draw(st.one_of(st.none(), st.sampled_from([one + 1 for one in opens[first:]]))),
        limit=draw(st.integers(1, 20)),
        order=order,
        include_partial=draw(st.booleans()),
    )
    return world, asked


def expected(world: World, asked: CandleRange) -> list[list[str | None]]:
    """What is to be served if nothing is spoilt."""
    end_ms = NOW_MS + 1 if asked.end_ms is None else asked.end_ms
    closes = dict(zip(world.opens, world.opens[1:], strict=False))
    rows = [world.canonical(row) for row in world.rows()]
    inside = [row for row in rows if (asked.start_ms or 0) <= int(row[0] or 0) < end_ms]
    if not asked.include_partial:
        inside = [row for row in inside if closes[int(row[0] or 0)] <= _now_ms(world)]
    return inside[: asked.limit] if asked.order == "asc" else inside[::-1][: asked.limit]


def _now_ms(world: World) -> int:
    """The exchange's time, as its answers tell it."""
    return NOW_MS // 1000 * 1000 if world.exchange == "hyperliquid" else NOW_MS


def columns(candles: Sequence[Candle]) -> list[list[str | None]]:
    return [
        [
            str(candle.open_time),
            *[None if (value := getattr(candle, name)) is None else str(value) for name in _COLUMNS],
        ]
        for candle in candles
    ]


_COLUMNS = [name for name in Candle.__struct_fields__ if name not in {"open_time", "close_time", "is_closed"}]


def check(world: World, asked: CandleRange, damage: str | None, candles: Sequence[Candle]) -> None:
    """What is served is sound, and digit for digit what was sent; something harmful is not served at all."""
    spec = ADAPTERS[world.exchange].capabilities.spec(asked.interval)
    assert spec is not None
    assert all(candle.is_closed is (candle.close_time <= _now_ms(world)) for candle in candles)
    ascending = list(candles) if asked.order == "asc" else list(candles)[::-1]
    assert complaint(spec, ascending, asked.start_ms or 0, asked.end_ms) is None
    may_pass = damage is not None and (DAMAGES[damage].is_harmless or DAMAGES[damage].is_outside)
    assert not world.spoilt or may_pass, f"served although {damage}"
    assert columns(candles) == expected(world, asked)


class Memory:
    """A Fetcher whose exchange is a World in the same process."""

    def __init__(self, world: World) -> None:
        def respond(request: httpx2.Request) -> httpx2.Response:
            body = world.answer(request.method, str(request.url), request.content)
            headers = {"Content-Type": "application/json", "Date": DATE}
            return httpx2.Response(200, stream=httpx2.ByteStream(body), headers=headers)

        self._http = httpx2.AsyncClient(transport=httpx2.MockTransport(respond))
        self.fetcher = Fetcher(ADAPTERS[world.exchange], self._http, ManualClock(NOW_MS), "http://exchange")

    async def get(self, asked: CandleRange) -> CandlePage:
        async with self._http:
            return await get_candles(self.fetcher, asked)


def is_refused(loop: asyncio.AbstractEventLoop, world: World, asked: CandleRange, damage: str | None) -> bool:
    """Whether it was."""
    try:
        page = loop.run_until_complete(Memory(world).get(asked))
    except UpstreamBadData:
        return True
    check(world, asked, damage, page.candles)
    return False


def count(loop: asyncio.AbstractEventLoop, exchange: str, damage: str | None, examples: int) -> tuple[int, int]:
    """In how many examples something spoilt was sent, and how many were refused."""
    spoilt = refused = 0

    @seed(crc32(f"{exchange} {damage}".encode()))  # else each damage would meet the same few worlds
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(worlds(exchange, damage))
    def run(case: tuple[World, CandleRange]) -> None:
        nonlocal spoilt, refused
        refused += is_refused(loop, *case, damage)
        spoilt += case[0].spoilt

    run()
    return spoilt, refused


OUTSIDE_IS_CUT = {"it is later than asked": {"hyperliquid"}, "it is earlier than asked": {"coinbase", "hyperliquid"}}
"""Who may send it."""


@pytest.mark.parametrize("exchange", ADAPTERS)
@pytest.mark.parametrize("examples", [8, pytest.param(150, marks=pytest.mark.long)])
def test_nothing_wrong_is_served(exchange: str, examples: int) -> None:
    """8 × 24 × 3 = 576 row sets; in the long run 10,800."""
    with asyncio.Runner() as runner:
        assert count(runner.get_loop(), exchange, None, examples) == (0, 0)
        spoilt_in_all = 0
        for name, damage in DAMAGES.items():
            spoilt, refused = count(runner.get_loop(), exchange, name, examples)
            if damage.is_outside:
                assert refused <= spoilt, name
                assert refused or exchange in OUTSIDE_IS_CUT[name], name
            else:
                assert refused == (0 if damage.is_harmless else spoilt), name
            spoilt_in_all += spoilt
    assert spoilt_in_all > examples * len(DAMAGES) / 3


class Sockets:
    """An API whose exchange is a World, with a socket between."""

    def __init__(self, api: FaultyApi) -> None:
        self.url = ""
        self._api = api
        self._world: World | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The exchange."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head, body = await read_request(reader)
            method, target = head.decode().split(" ")[:2]
            assert self._world is not None
            found = b"{}" if target == "/_control/about" else self._world.answer(method, target, body)
            headers = f"Content-Type: application/json\r\nDate: {DATE}\r\nContent-Length: {len(found)}\r\n"
            writer.write(f"HTTP/1.1 200 OK\r\n{headers}Connection: close\r\n\r\n".encode() + found)
            await writer.drain()
        writer.close()

    async def get(self, world: World, asked: CandleRange) -> httpx2.Response:
        """What the API answers to `asked`."""
        self._world = world
        fetcher = Fetcher(ADAPTERS[world.exchange], self._api.upstream, ManualClock(NOW_MS), self.url)
        self._api.fetchers[ExchangeId(world.exchange)] = fetcher
        given = {"start": asked.start_ms, "end": asked.end_ms, "limit": asked.limit, "order": asked.order}
        params = {name: str(value) for name, value in given.items() if value is not None}
        params["include_partial"] = "true" if asked.include_partial else "false"
        path = f"/v1/candles/{world.exchange}/{SYMBOLS[world.exchange]}/{asked.interval}"
        return await self._api.http.get(path, params=params)


def check_answer(world: World, asked: CandleRange, damage: str, answer: httpx2.Response) -> None:
    document = answer.json()
    if answer.status_code == 200:
        check(world, asked, damage, [msgspec.convert(row, Candle) for row in document["data"]])
        return
    assert world.spoilt
    assert not DAMAGES[damage].is_harmless
    assert (answer.status_code, document["code"]) == (502, "upstream-bad-data")
    assert document["detail"].startswith(f"{world.exchange}: ")
    # what can be read is named by its candle and its rule
    assert re.search(r": candle \d+: [a-z]|not of the documented form|a key twice", document["detail"]), document


@pytest.mark.parametrize("exchange", ADAPTERS)
def test_nothing_wrong_passes_the_api(exchange: str, postgres_url: str) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with faulty_api(postgres_url, ManualClock(NOW_MS)) as api:
            sockets = Sockets(api)
            server = await asyncio.start_server(sockets.serve, "127.0.0.1", 0)
            sockets.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

            def try_all() -> None:
                for name in DAMAGES:

                    @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), database=None)
                    @given(worlds(exchange, name))
                    def one(case: tuple[World, CandleRange]) -> None:
                        answer = asyncio.run_coroutine_threadsafe(sockets.get(*case), loop).result(60)
                        check_answer(*case, name, answer)  # noqa: B023 - it runs at once

                    one()

            await asyncio.to_thread(try_all)
            server.close()

    asyncio.run(run())
