"""A service that is told to stop finishes what is under way, tells that it will be gone, and is gone in time."""

import asyncio
import signal
import time
from dataclasses import dataclass

import pytest

from tests.e2e.budget.installation import Service, fake_exchanges, make_token
from tests.e2e.front_door.alone import api_alone

UNDER_WAY = 20
EXIT_S = 30.0
DRAIN_S = 4
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


async def ask(api: Service, path: str, token: str) -> Answer:
    """The answer on a connection of its own."""
    reader, writer = await send(api, path, token)
    try:
        return await answer(reader)
    finally:
        writer.close()


@pytest.mark.parametrize("trials", [2, pytest.param(100, marks=pytest.mark.long)])
async def test_what_is_under_way_is_answered(postgres_url: str, trials: int) -> None:
    with fake_exchanges(skew_s=0, takes_s=(0.5, 1.0)) as fakes:
        async with api_alone(postgres_url, **fakes.settings()) as api:
            await stop_again_and_again(api, await make_token(postgres_url, api), trials)


async def stop_again_and_again(api: Service, token: str, trials: int) -> None:
    dropped, slowest_s = 0, 0.0
    for trial in range(trials):
        starts = [_START_MS + (trial * UNDER_WAY + number) * _STEP_MS for number in range(UNDER_WAY)]
        asked = [await send(api, _PATH.format(start, start + _STEP_MS), token) for start in starts]
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


async def test_readiness_goes_first(postgres_url: str) -> None:
    async with api_alone(postgres_url, drain=str(DRAIN_S)) as api:
        process = api.process
        assert process is not None
        reader, writer = await send(api, "/health/live", "")
        assert b"connection: close" not in (await answer(reader)).head
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        while (told := await ask(api, "/health/ready", "")).head.startswith(b"http/1.1 200"):
            assert time.monotonic() - began < DRAIN_S
        assert told.head.startswith(b"http/1.1 503")
        assert b'"code":"metadata-not-ready"' in told.body
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n")
        served = [await answer(reader), await ask(api, "/.well-known/jwks.json", "")]
        writer.close()
        assert all(one.head.startswith(b"http/1.1 200") for one in served)
        assert all(b"\r\nconnection: close\r\n" in one.head for one in (told, *served))
        assert await asyncio.to_thread(process.wait, EXIT_S) == 0
        assert time.monotonic() - began >= DRAIN_S
