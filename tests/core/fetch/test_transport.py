import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx2
import pytest

from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from marketdata.core.exchanges.adapter import Request
from marketdata.core.fetch import is_answering, open_http
from marketdata.core.fetch.transport import (
    MAX_AT_ONCE,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    PLACE_S,
    Answer,
    Deadline,
    Transport,
    why_unreachable,
)
from marketdata.core.models import ExchangeId
from tests.fake_exchange import Answer as Answering
from tests.fake_exchange import FakeExchange, fake_exchange, http

ANY = Request("GET", "/any")
GZIP = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with open_http() as client:
        yield client


async def refuse_to_hear(_answer: Answer) -> None:
    pytest.fail("nothing was cancelled")


def transport_of(client: httpx2.AsyncClient, tell: Callable[[Answer], Awaitable[None]] = refuse_to_hear) -> Transport:
    return Transport(ExchangeId("x"), client, tell)


async def send(client: httpx2.AsyncClient, exchange: FakeExchange) -> Answer:
    return await transport_of(client).send(exchange.url, ANY, Deadline(3.0))


async def test_a_compressed_answer_is_unpacked(client: httpx2.AsyncClient) -> None:
    body = bytes(range(256)) * 1000
    async with fake_exchange(http(gzip.compress(body), headers=GZIP)) as exchange:
        assert (await send(client, exchange)).body == body
    assert b"accept-encoding: gzip\r\n" in exchange.requests[0].lower()


@pytest.mark.parametrize(
    "answer,complaint",
    [
        (http(b"not gzip", headers=GZIP), "compression is broken"),
        (http(gzip.compress(b"[]" * 5000)[:-9], headers=GZIP), "breaks off"),
        (http(gzip.compress(b"[]") + b"[]", headers=GZIP), "goes on"),
        (http(gzip.compress(b"[]") + b"[]" * 100_000, headers=GZIP), "goes on"),
        (http(zlib.compress(b"[]"), headers="Content-Encoding: deflate\r\n"), "not asked for"),
        (http(b"[]", headers="Content-Encoding: br\r\n"), "not asked for"),
    ],
)
async def test_broken_compression_is_refused(client: httpx2.AsyncClient, answer: Answering, complaint: str) -> None:
    async with fake_exchange(answer) as exchange:
        with pytest.raises(UpstreamGarbled, match=complaint):
            await send(client, exchange)


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"[]", mtime=0)[:-3], b""])
async def test_a_refusal_is_one_whatever_its_body(client: httpx2.AsyncClient, body: bytes) -> None:
    async with fake_exchange(http(body, "429 Too Many Requests", f"{GZIP}Retry-After: 7\r\n")) as exchange:
        answer = await send(client, exchange)
    assert (answer.status, answer.headers["retry-after"], answer.body) == (429, "7", b"")


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1024 * 1024)
    return b"".join([*(packer.compress(zeros) for _ in range(size // len(zeros))), packer.flush()])


@pytest.mark.parametrize("body,headers", [(bomb(300 * 1024 * 1024), GZIP), (b" " * (MAX_BODY_BYTES + 1), "")])
async def test_an_answer_is_unpacked_and_read_no_further_than_it_may_be_large(
    client: httpx2.AsyncClient, body: bytes, headers: str
) -> None:
    async with fake_exchange(http(body, headers=headers)) as exchange:
        with pytest.raises(UpstreamBadData, match="larger than"):
            await send(client, exchange)


@pytest.mark.parametrize("headers", [f"X-Filler: {'x' * MAX_HEAD_BYTES}\r\n", "a:\r\n" * 4000])
async def test_headers_that_no_exchange_sends_are_refused(client: httpx2.AsyncClient, headers: str) -> None:
    async with fake_exchange(http(b"[]", headers=headers)) as exchange:
        with pytest.raises(UpstreamBadData, match="headers are larger than"):
            await send(client, exchange)


async def test_headers_of_exactly_the_largest_size_are_read(client: httpx2.AsyncClient) -> None:
    fixed = len("Content-Length: 2\r\nConnection: close\r\nX-Filler: \r\n")
    for spare in (0, 1):
        async with fake_exchange(
            http(b"[]", headers=f"X-Filler: {'x' * (MAX_HEAD_BYTES - fixed + spare)}\r\n")
        ) as exchange:
            if spare:
                with pytest.raises(UpstreamBadData):
                    await send(client, exchange)
            else:
                assert (await send(client, exchange)).body == b"[]"


async def test_an_answer_of_exactly_the_largest_size_is_read(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b" " * MAX_BODY_BYTES)) as exchange:
        assert len((await send(client, exchange)).body) == MAX_BODY_BYTES


@pytest.mark.parametrize(
    "media_type,is_json",
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True),
        ("text/html", False),
        ("text/plain; x=application/json", False),
        ("", False),
    ],
)
def test_only_json_is_json(media_type: str, is_json: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert Answer(200, {"content-type": media_type}, b"").is_json is is_json
    assert not Answer(200, {}, b"").is_json


async def test_nobody_listening_is_unavailable(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b"")) as exchange:
        pass
    with pytest.raises(UpstreamUnavailable, match="cannot be reached: nothing listens there"):
        await send(client, exchange)
    assert not await is_answering(client, exchange.url)


def test_a_name_that_nobody_knows_is_told_apart_without_naming_it() -> None:
    error = httpx2.ConnectError("secret.example")
    error.__cause__ = socket.gaierror(-2, "secret.example: Name or service not known")
    assert why_unreachable(error) == "its name cannot be resolved (is there internet, is DNS right?)"
    assert why_unreachable(OSError("secret.example")) == "OSError"


async def test_there_are_so_many_places_and_no_more(client: httpx2.AsyncClient) -> None:
    transport = transport_of(client)
    at_once = most = 0

    async def take() -> None:
        nonlocal at_once, most
        async with transport.place(Deadline(3.0)):
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1

    await asyncio.gather(*[take() for _ in range(3 * MAX_AT_ONCE)])
    assert most == MAX_AT_ONCE


async def test_a_place_is_not_waited_for_for_long(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketdata.core.fetch.transport.PLACE_S", 0.05)
    transport = transport_of(client)
    async with AsyncExitStack() as places:
        for _ in range(MAX_AT_ONCE):
            await places.enter_async_context(transport.place(Deadline(3.0)))
        with pytest.raises(UpstreamRateLimited):
            async with transport.place(Deadline(3.0)):
                pytest.fail("there was one more")
    async with transport.place(Deadline(3.0)):  # they are given back
        pass


async def test_a_place_is_waited_for_no_longer_than_the_call_may_take(client: httpx2.AsyncClient) -> None:
    transport = transport_of(client)
    async with AsyncExitStack() as places:
        for _ in range(MAX_AT_ONCE):
            await places.enter_async_context(transport.place(Deadline(3.0)))
        began = asyncio.get_running_loop().time()
        with pytest.raises(UpstreamRateLimited):
            async with transport.place(Deadline(0.0)):
                pytest.fail("there was one more")
        assert asyncio.get_running_loop().time() - began < PLACE_S


async def cut_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 1000\r\nRetry-After: 9\r\n\r\n{")


async def never_ending(writer: asyncio.StreamWriter) -> None:
    await cut_off(writer)
    await writer.drain()
    await asyncio.sleep(60)


async def with_large_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\nRetry-After: 9\r\nX: %s\r\n\r\n" % (b"x" * 20_000))


@pytest.mark.parametrize("answer", [cut_off, never_ending, with_large_headers])
async def test_a_ban_is_one_however_its_answer_goes_on(client: httpx2.AsyncClient, answer: Answering) -> None:
    async with fake_exchange(answer) as exchange, asyncio.timeout(20):
        told = await transport_of(client).send(exchange.url, ANY, Deadline(50.0))
    assert (told.status, told.headers["retry-after"], told.body) == (418, "9", b"")


async def test_a_ban_is_one_when_the_deadline_ends_its_answer(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(never_ending) as exchange:
        told = await transport_of(client).send(exchange.url, ANY, Deadline(0.5))
    assert (told.status, told.headers["retry-after"], told.body) == (418, "9", b"")


async def test_a_ban_is_told_when_its_call_is_cancelled(client: httpx2.AsyncClient) -> None:
    has_come, told = asyncio.Event(), []

    async def noting(writer: asyncio.StreamWriter) -> None:
        await cut_off(writer)
        await writer.drain()
        await asyncio.sleep(0.1)
        has_come.set()
        await asyncio.sleep(60)

    async def tell(answer: Answer) -> None:
        told.append(answer)

    async with fake_exchange(noting) as exchange:
        call = asyncio.create_task(transport_of(client, tell).send(exchange.url, ANY, Deadline(50.0)))
        await has_come.wait()
        assert not told
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert [(one.status, one.headers["retry-after"], one.body) for one in told] == [(418, "9", b"")]


async def silent(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def test_a_deadline_is_told_as_it_was_when_the_call_began(client: httpx2.AsyncClient) -> None:
    deadline = Deadline(0.25)
    await asyncio.sleep(0.1)
    async with fake_exchange(silent) as exchange:
        with pytest.raises(UpstreamTimeout, match=r"no whole answer within 0\.25 s"):
            await transport_of(client).send(exchange.url, ANY, deadline)
