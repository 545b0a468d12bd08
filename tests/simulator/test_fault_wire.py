"""Faults of the connection, as they are on the wire."""

import asyncio
import tracemalloc
import zlib
from time import monotonic
from urllib.parse import urlsplit

import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.controls import Controls
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources
from tests.simulator.raw import REQUESTS, hear

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXCHANGES = ("binance_futures", "hyperliquid", "coinbase")
MEGABYTE = 1 << 20


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_refused_connection_is_reset_before_a_byte(url: str, controls: Controls, exchange: str) -> None:
    controls.faults.add("refuse")
    heard = await hear(url, exchange, "candles")
    assert (heard.data, heard.end) == (b"", "reset")


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_closed_connection_ends_before_a_byte(url: str, controls: Controls, exchange: str) -> None:
    controls.faults.add("close")
    heard = await hear(url, exchange, "candles")
    assert (heard.data, heard.end) == (b"", "closed")


@pytest.mark.parametrize("kind, end", [("reset", "reset"), ("truncate", "closed")])
@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_body_breaks_off(url: str, controls: Controls, exchange: str, kind: str, end: str) -> None:
    right = await hear(url, exchange, "candles")
    controls.faults.add(f"{kind},bytes=100")
    heard = await hear(url, exchange, "candles")
    assert heard.end == end
    assert heard.body == right.body[:100]
    assert heard.length == len(right.body) > 100


async def test_of_a_body_half_comes_unless_told(url: str, controls: Controls) -> None:
    right = await hear(url, "binance_futures", "listing")
    controls.faults.add("truncate")
    assert (await hear(url, "binance_futures", "listing")).body == right.body[: len(right.body) // 2]


async def test_chunks_without_an_end(url: str, controls: Controls) -> None:
    right = await hear(url, "coinbase", "candles")
    controls.faults.add("truncate-chunked,bytes=100")
    heard = await hear(url, "coinbase", "candles")
    assert b"\r\nTransfer-Encoding: chunked" in heard.head
    assert heard.body == b"64\r\n" + right.body[:100] + b"\r\n"
    assert controls.journal.entries()[-1].bytes_sent == 100


async def test_more_than_announced(url: str, controls: Controls) -> None:
    right = await hear(url, "coinbase", "candles")
    controls.faults.add("overlong,bytes=100")
    heard = await hear(url, "coinbase", "candles")
    assert (heard.length, heard.body) == (100, right.body)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_silence(url: str, controls: Controls, exchange: str) -> None:
    controls.faults.add("silence")
    heard = await hear(url, exchange, "candles", patience_s=0.2)
    assert (heard.data, heard.end) == (b"", "silent")


async def test_a_head_and_then_nothing(url: str, controls: Controls) -> None:
    controls.faults.add("stall")
    heard = await hear(url, "hyperliquid", "candles", patience_s=0.5)
    assert heard.head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (heard.body, heard.end) == (b"", "silent")
    assert heard.length > 0


async def test_a_late_answer_is_the_right_one(url: str, controls: Controls) -> None:
    right = await hear(url, "hyperliquid", "candles")
    controls.faults.add("slow,seconds=0.3")
    begun = monotonic()
    heard = await hear(url, "hyperliquid", "candles")
    assert monotonic() - begun >= 0.3
    assert heard.body == right.body


async def test_an_answer_drips(url: str, controls: Controls) -> None:
    controls.faults.add("drip,seconds=0.01,exchange=binance")
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(REQUESTS["binance_futures", "candles"] + b"Host: here\r\n\r\n")
    begun = monotonic()
    dripped = b"".join([await reader.read(1 << 16) for _ in range(20)])
    assert monotonic() - begun >= 0.009 * (len(dripped) - 1)
    assert dripped.startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()
    async with asyncio.timeout(30):
        while controls.journal.entries()[-1].bytes_sent is None:
            await asyncio.sleep(0.01)
    assert controls.journal.entries()[-1].bytes_sent == 0


async def test_what_is_no_http(url: str, controls: Controls) -> None:
    right = await hear(url, "coinbase", "candles")
    controls.faults.add("garbage,nth=1", "http-0.9,nth=2")
    assert not (await hear(url, "coinbase", "candles")).data.startswith(b"HTTP")
    assert (await hear(url, "coinbase", "candles")).data == right.body


@pytest.mark.parametrize("kind", ["huge", "gzip-bomb"])
async def test_what_is_large_for_others_is_small_here(url: str, controls: Controls, kind: str) -> None:
    controls.faults.add(f"{kind},bytes={200 * MEGABYTE},exchange=coinbase")
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(REQUESTS["coinbase", "candles"] + b"Host: here\r\n\r\n")
    tracemalloc.start()
    await reader.readuntil(b"\r\n\r\n")
    unpacker = zlib.decompressobj(31) if kind == "gzip-bomb" else None
    received = unpacked = 0
    begins = b""
    while piece := await reader.read(1 << 16):
        received += len(piece)
        while piece:
            part = unpacker.decompress(piece, MEGABYTE) if unpacker else piece
            piece = unpacker.unconsumed_tail if unpacker else b""
            begins = begins or part[:20]
            unpacked += len(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    writer.close()
    assert begins.startswith(b"[[1773576000,")
    assert 200 * MEGABYTE <= unpacked < 201 * MEGABYTE
    assert peak < 16 * MEGABYTE
    if unpacker:
        assert unpacker.eof
        assert received < 300_000


async def test_a_simulator_stops_while_it_is_silent(sources: Sources, clock: ManualClock) -> None:
    controls = Controls()
    controls.faults.add("silence,nth=1", "stall")
    async with running_simulator(sources, clock, controls) as url:
        waiting = [asyncio.create_task(hear(url, "coinbase", "candles")) for _ in range(2)]
        while len(controls.journal.entries()) < 2:
            await asyncio.sleep(0.01)
    assert {(await each).end for each in waiting} <= {"closed", "reset"}


async def test_a_connection_serves_on_after_a_fault_of_the_answer(url: str, controls: Controls) -> None:
    controls.faults.add("html,first=1")
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    for begins in (b"<!DOCTYPE", b"{}"):
        writer.write(b"GET /binance/fapi/v1/ping HTTP/1.1\r\nHost: here\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert (await reader.read(1 << 16)).startswith(begins)
    writer.close()
