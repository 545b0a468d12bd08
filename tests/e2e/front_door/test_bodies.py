"""Whatever a body holds, it is taken or refused in words, shortly, and nothing breaks."""

import asyncio
import logging
import time
from collections.abc import Iterator

import pytest

from tests.e2e.front_door.bodies import Body, bodies
from tests.e2e.front_door.conftest import Door
from tests.e2e.front_door.operations import REQUESTS, Request, operations
from tests.e2e.front_door.raw import Answer, RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONGEST = 4096


def changing(door: Door) -> Iterator[tuple[str, Request]]:
    """Every operation that may come with a body."""
    for name, _ in operations(door.document):
        if REQUESTS[name].method != "GET":
            yield name, REQUESTS[name]


async def asks(client: RawClient, door: Door, request: Request, body: Body) -> Answer:
    who = ((b"Authorization", b"Bearer " + door.forge.good()),) if "/admin/" in request.path else ()
    return await client.ask(request.path, (*body.headers, *who), method=request.method, body=body.raw)


async def test_no_body_breaks_anything(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    every = bodies()
    assert len({body.name for body in every}) == len(every) >= 60
    async with RawClient(str(door.http.base_url)) as client:
        for name, request in changing(door):
            for body in every:
                answer = await asks(client, door, request, body)
                place = (name, body.name, answer.status, answer.body[:300])
                assert answer.status < 500, place
                assert (answer.status == 413) == body.is_too_large, place
                assert len(answer.body) <= LONGEST, place
                if answer.status >= 400:
                    assert answer.headers["content-type"] == "application/problem+json", place
                    assert answer.json()["request_id"] == answer.headers["x-request-id"], place
    assert caplog.records == []


async def test_a_body_that_never_ends_holds_up_nobody(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    base = str(door.http.base_url)
    head = b"POST /v1/token HTTP/1.1\r\nHost: api\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    unending = [RawClient(base) for _ in range(20)]
    for number, client in enumerate(unending):
        more = (
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" if number % 2 else b"Content-Length: 60000\r\n\r\nhello"
        )
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await client.send(head + more)
    async with RawClient(base) as client:
        assert (await client.ask("/health/live")).status == 200
    for client in unending:
        await client.close()
    assert caplog.records == []


async def test_what_announces_too_much_is_refused_before_it_comes(door: Door) -> None:
    async with RawClient(str(door.http.base_url)) as client:
        head = b"POST /v1/token HTTP/1.1\r\nHost: api\r\nContent-Length: 300000000\r\n\r\n"
        answer = await client.send(head)
        assert (answer.status, answer.json()["max"]) == (413, 65_536)


@pytest.mark.long
async def test_a_body_is_judged_in_little_time(door: Door) -> None:
    """Those that are read whole; the best of three, for the machine may be busy."""
    slowest = []
    async with RawClient(str(door.http.base_url)) as client:
        for name, request in changing(door):
            for body in bodies():
                taken = []
                for _ in range(3):
                    began = time.perf_counter()
                    await asks(client, door, request, body)
                    taken.append(time.perf_counter() - began)
                slowest.append((min(taken), name, body.name))
    print(sorted(slowest)[-5:])
    assert max(slowest)[0] < 0.1
