"""A crowd of peers who send half of a request, or never read: they are cut off, and nobody else notices."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.budget.installation import Service
from tests.e2e.front_door.alone import api_alone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process has open is read from /proc")

HALF_HEAD = b"GET /v1/symbols HTTP/1.1\r\nHost: here\r\nX-A: "
HALF_BODY = b"POST /v1/token HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\ngrant_type=client"
UNREAD = b"GET /openapi.json HTTP/1.1\r\nHost: here\r\n\r\n"
GONE_S = 10.0
BUSY = b"GET /health/live HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
RATE = 50
"""So many good requests a second come meanwhile."""


@pytest.fixture
async def api(postgres_url: str) -> AsyncIterator[Service]:
    async with api_alone(postgres_url) as service:
        yield service


def open_sockets(api: Service) -> int:
    """How many sockets the process has."""
    assert api.process is not None
    found = 0
    for entry in Path(f"/proc/{api.process.pid}/fd").iterdir():
        with suppress(OSError):
            found += entry.readlink().name.startswith("socket:")
    return found


def spent_s(api: Service) -> float:
    """The time of processors that the process has taken."""
    assert api.process is not None
    fields = Path(f"/proc/{api.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def crowd(api: Service, halves: int, unread: int) -> Iterator[None]:
    """So many peers with half a head, as many with half a body, and those who ask and never read."""
    peers = []
    try:
        for sent, count in ((HALF_HEAD, halves), (HALF_BODY, halves), (UNREAD, unread)):
            for _ in range(count):
                peer = socket.socket()
                if sent is UNREAD:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                peer.connect(("127.0.0.1", api.port))
                peer.sendall(sent)
                peers.append(peer)
        yield
    finally:
        for peer in peers:
            peer.close()


async def ask(api: Service) -> float:
    """Seconds that a good request takes from its connection to the end of its answer."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(BUSY)
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return time.monotonic() - began


async def good_traffic(api: Service, until: asyncio.Event) -> list[float]:
    """How long good requests took that come at an even rate, whether or not those before were answered."""
    due, asked = time.monotonic(), []
    async with asyncio.TaskGroup() as asking:
        while not until.is_set():
            asked.append(asking.create_task(ask(api)))
            due += 1 / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    return sorted(one.result() for one in asked)


def percentile(sorted_s: list[float], share: float) -> float:
    return sorted_s[min(len(sorted_s) - 1, int(len(sorted_s) * share))]


@pytest.mark.parametrize("halves,unread", [(60, 20), pytest.param(500, 200, marks=pytest.mark.long)])
async def test_all_are_cut_off_and_nobody_notices(api: Service, halves: int, unread: int) -> None:
    before = open_sockets(api)
    quiet = asyncio.Event()
    asyncio.get_running_loop().call_later(3, quiet.set)
    baseline = await good_traffic(api, quiet)

    gone = asyncio.Event()
    began, spent_before_s = time.monotonic(), spent_s(api)
    with crowd(api, halves, unread):
        while open_sockets(api) < before + halves // 2:  # a slow machine has not let all of them in yet
            await asyncio.sleep(0.05)
            assert time.monotonic() - began < 5, "they are not there"
        traffic = asyncio.create_task(good_traffic(api, gone))
        while open_sockets(api) > before + RATE // 5:  # with good requests that are being answered
            await asyncio.sleep(0.2)
            assert time.monotonic() - began < 60
        took_s = time.monotonic() - began
        gone.set()
        meanwhile = await traffic
    p99 = [percentile(times, 0.99) for times in (baseline, meanwhile)]
    print(
        f"{2 * halves + unread} cut off within {took_s:.1f} s; p99 of {len(meanwhile)} good requests"
        f" {p99[1] * 1000:.1f} ms, alone {p99[0] * 1000:.1f} ms: {p99[1] / p99[0]:.2f} times;"
        f" {spent_s(api) - spent_before_s:.1f} s of a processor"
    )
    assert len(meanwhile) > RATE
    assert took_s < GONE_S + 5  # on a machine that is busy; the figure is printed
