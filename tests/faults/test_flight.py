"""500 who ask the same at once cost one call; its outcome is everyone's, and who leaves takes it from nobody (U7)."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from marketdata.core.clock import SystemClock
from marketdata.core.exchanges import get_adapter
from marketdata.core.fetch import Fetcher
from marketdata.core.models import HOUR_MS, ExchangeId
from tests.fake_exchange import Answer, http, read_request
from tests.faults.api import FaultyApi, faulty_api
from tests.faults.good import EXCHANGES, asked

CALLERS = 500
BINANCE = ExchangeId("binance_futures")
START_MS = 1767225600000
TARGET = f"/v1/candles/{BINANCE}/BTC-USDT-PERP/1h?start={START_MS}&end={START_MS + 3 * HOUR_MS}"


class PatientExchange:
    """Binance, whose candles come only once it is told to answer."""

    def __init__(self, failure: Answer | None = None) -> None:
        self.calls = 0
        self.may_answer = asyncio.Event()
        self._failure = failure

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await read_request(reader)
        if b"/klines" not in head:
            await http(b'{"serverTime":%d}' % SystemClock().now_ms())(writer)
        else:
            self.calls += 1
            await self.may_answer.wait()
            good = http(EXCHANGES[BINANCE](asked(head, body, "")).body)
            await (self._failure or good)(writer)
        await writer.drain()
        writer.close()


@pytest.fixture
def many_sockets() -> Iterator[None]:
    """Two for each caller and some more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4 * CALLERS:
        pytest.skip(f"this machine gives a process {hard} open files, and each caller takes two")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4 * CALLERS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is slow to make so many connections must not run into the deadline of an answer."""
    monkeypatch.setattr("marketdata.api.envelope.REQUEST_DEADLINE_S", 120.0)


@asynccontextmanager
async def patient_api(database_url: str, exchange: PatientExchange) -> AsyncIterator[FaultyApi]:
    server = await asyncio.start_server(exchange.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with faulty_api(database_url, SystemClock()) as api:
        # a machine that is slow to make so many connections must not run into the deadline
        api.fetchers[BINANCE] = Fetcher(get_adapter(BINANCE), api.upstream, SystemClock(), url, deadline_s=60)
        await api.fetchers[BINANCE].now_ms()
        yield api
    server.close()


async def call(api: FaultyApi) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A caller with a connection of its own, who has asked."""
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    fields = {"Host": "api", "Connection": "close", **api.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"GET {TARGET} HTTP/1.1\r\n{lines}\r\n".encode())
    return reader, writer


async def all_wait(api: FaultyApi, number: int = CALLERS) -> None:
    """Return when so many share a call."""
    async with asyncio.timeout(60):
        while sum(flight.aboard for flight in api.fetchers[BINANCE]._candles._under_way.values()) < number:
            await asyncio.sleep(0.01)


async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, dict[str, Any]]:
    """Status and document of the answer."""
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), msgspec.json.decode(body)


@pytest.mark.usefixtures("many_sockets")
async def test_500_who_ask_the_same_cost_one_call(postgres_url: str) -> None:
    exchange = PatientExchange()
    async with patient_api(postgres_url, exchange) as api:
        callers = [await call(api) for _ in range(CALLERS)]
        await all_wait(api)
        exchange.may_answer.set()
        answers = [await hear(*caller) for caller in callers]
    assert exchange.calls == 1
    assert answers[0][0] == 200
    assert len(answers[0][1]["data"]) == 3
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.usefixtures("many_sockets")
async def test_a_failure_is_the_same_for_all_500(postgres_url: str) -> None:
    exchange = PatientExchange(http(b"<html>", "451 Unavailable For Legal Reasons"))
    async with patient_api(postgres_url, exchange) as api:
        callers = [await call(api) for _ in range(CALLERS)]
        await all_wait(api)
        exchange.may_answer.set()
        answers = [await hear(*caller) for caller in callers]
    assert exchange.calls == 1
    assert {(status, document["code"]) for status, document in answers} == {(503, "upstream-blocked")}
    assert len({document["request_id"] for _, document in answers}) == CALLERS
    assert len({document["detail"] for _, document in answers}) == 1


@pytest.mark.usefixtures("many_sockets")
async def test_the_first_caller_s_leaving_is_nobody_s_loss(postgres_url: str) -> None:
    exchange = PatientExchange()
    async with patient_api(postgres_url, exchange) as api:
        first_reader, first = await call(api)
        await all_wait(api, 1)
        callers = [await call(api) for _ in range(CALLERS - 1)]
        await all_wait(api)
        connection = first.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        first.close()
        await asyncio.sleep(0.1)  # the server hears of it
        exchange.may_answer.set()
        answers = [await hear(*caller) for caller in callers]
        del first_reader
    assert exchange.calls == 1
    assert {status for status, _ in answers} == {200}
