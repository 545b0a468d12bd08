"""A service that is told to stop finishes what is under way, tells that it will be gone, and is gone in time."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.e2e.budget.installation import Installation, Service, fake_exchanges, running_installation

UNDER_WAY = 20
EXIT_S = 30.0
_START_MS = 1_600_000_000_000
_STEP_MS = 100 * 60_000
_PATH = "/v1/candles/binance_futures/BTC-USDT-PERP/1m?start={}&end={}&limit=100"


@dataclass(frozen=True)
class Answer:
    head: bytes
    body: bytes


async def answer(reader: asyncio.StreamReader) -> Answer:
    """One answer, of the length that it says."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return Answer(head, await reader.readexactly(length))


async def send(api: Service, path: str, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    await writer.drain()
    return reader, writer


@pytest.fixture
async def installation(postgres_url: str) -> AsyncIterator[Installation]:
    with fake_exchanges(skew_s=0, takes_s=(0.8, 1.2)) as fakes:
        async with running_installation(postgres_url, fakes) as installation:
            installation.apis[1].kill()
            yield installation


@pytest.mark.parametrize("trials", [2, pytest.param(100, marks=pytest.mark.long)])
async def test_what_is_under_way_is_answered(installation: Installation, trials: int) -> None:
    api = installation.apis[0]
    dropped, slowest_s = 0, 0.0
    for trial in range(trials):
        starts = [_START_MS + (trial * UNDER_WAY + number) * _STEP_MS for number in range(UNDER_WAY)]
        asked = [await send(api, _PATH.format(start, start + _STEP_MS), installation.token) for start in starts]
        api.hang_up()
        process = api.process
        assert process is not None
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*(answer(reader) for reader, _ in asked), return_exceptions=True)
        good = [one for one in answers if isinstance(one, Answer) and one.head.startswith(b"http/1.1 200")]
        dropped += UNDER_WAY - len(good)
        assert all(b"\r\nconnection: close\r\n" in one.head for one in good)
        status = await asyncio.to_thread(process.wait, EXIT_S)
        slowest_s = max(slowest_s, time.monotonic() - began)
        assert status == 0
        with pytest.raises(ConnectionError):
            await send(api, "/health/live", "")
        for _, writer in asked:
            writer.close()
        api.start()
        await api.ready()
    print(f"{trials} times {UNDER_WAY} under way: {dropped} dropped; gone after {slowest_s:.1f} s at most")
    assert dropped == 0


async def test_readiness_goes_first(installation: Installation) -> None:
    api = installation.apis[0]
    api.kill(signal.SIGTERM)
    api.settings["drain"] = "3"
    api.start()
    await api.ready()
    assert api.process is not None
    api.hang_up()
    idle = await send(api, "/health/live", "")
    assert b"connection: close" not in (await answer(idle[0])).head
    began = time.monotonic()
    api.process.send_signal(signal.SIGTERM)
    while (told := await answer((await send(api, "/health/ready", ""))[0])).head.startswith(b"http/1.1 200"):
        assert time.monotonic() - began < 2
    assert told.head.startswith(b"http/1.1 503")
    assert b"\r\nconnection: close\r\n" in told.head
    assert b'"code":"metadata-not-ready"' in told.body
    for path in ("/health/live", "/v1/exchanges", _PATH.format(_START_MS, _START_MS + _STEP_MS)):
        served = await answer((await send(api, path, installation.token))[0])
        assert served.head.startswith(b"http/1.1 200")
        assert b"\r\nconnection: close\r\n" in served.head
    idle[1].write(b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n")
    assert b"\r\nconnection: close\r\n" in (await answer(idle[0])).head
    assert await asyncio.to_thread(api.process.wait, EXIT_S) == 0
    assert time.monotonic() - began > 3
