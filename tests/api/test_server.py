"""The service on a real socket."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from marketdata.api.app import create_app
from marketdata.api.server import Server, listen, serve
from marketdata.api.settings import ApiSettings
from marketdata.core.clock import SystemClock
from marketdata.core.errors import InvalidSetting
from marketdata.core.settings import ExchangeSettings, load_exchange_settings
from tests.api.conftest import Api, problem


@asynccontextmanager
async def on_a_socket(api: Api) -> AsyncIterator[str]:
    """The application without its lifespan's polling, which a clock that stands still would turn into a spin."""
    app = create_app(api.services.database, api.services.fetchers, SystemClock(), api.services.settings)
    app.state.services = api.services
    with listen("127.0.0.1", 0) as listening:
        server = Server(app)
        server.config.lifespan = "off"
        serving = asyncio.create_task(server.serve_on(listening))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving


@pytest.fixture
async def url(api: Api) -> AsyncIterator[str]:
    async with on_a_socket(api) as url:
        yield url


async def raw(url: str, request: bytes) -> bytes:
    """The answer to a request exactly as written."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(url).port)
    writer.write(request)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def head(api: Api, method: str, path: str, *headers: str) -> bytes:
    """A request that closes the connection."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: x",
        "Connection: close",
        f"Authorization: Bearer {api.token()}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_symbols_with_special_characters(api: Api, url: str) -> None:
    for name in ("PURR%2FUSDC", "PURR/USDC", "purr-usdc", "%40107", "@107", "xyz%3ATSLA", "xyz:TSLA", "kPEPE"):
        answer = await raw(url, head(api, "GET", f"/v1/symbols/hyperliquid/{name}"))
        assert answer.startswith(b"HTTP/1.1 200"), answer


async def test_symbols_in_chinese(api: Api, url: str) -> None:
    path = "/v1/symbols/binance_futures/%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9F-usdt-perp"
    answer = await raw(url, head(api, "GET", path))
    assert "币安人生-USDT-PERP".encode() in answer


async def test_hostile_symbols_are_just_unknown(api: Api, url: str) -> None:
    for name in ("PURR%252FUSDC", "%FF%FE", "%00", "..%2f..", "x" * 5000, "%E5%B8"):
        answer = await raw(url, head(api, "GET", f"/v1/symbols/hyperliquid/{name}"))
        assert answer.startswith(b"HTTP/1.1 404"), answer
        assert b'"code":"unknown-symbol"' in answer


async def test_head_is_a_get_without_its_body(api: Api, url: str) -> None:
    answer = await raw(url, head(api, "HEAD", "/v1/exchanges"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


async def test_the_request_id_is_kept_if_sane_else_made(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url) as http:
        kept = await http.get("/health/live", headers={"X-Request-ID": "A-1_b.2"})
        assert kept.headers["x-request-id"] == "A-1_b.2"
        for bad in ("", "a b", "x" * 65, "<script>"):
            made = await http.get("/nothing", headers={"X-Request-ID": bad})
            assert problem(made)["code"] == "not-found"
            assert len(made.headers["x-request-id"]) == 36


async def test_a_body_above_the_bound(url: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"a" * 10_000

    async with httpx2.AsyncClient(base_url=url) as http:
        for content in (b"a" * 65_537, endless()):
            answer = await http.post(
                "/v1/token", content=content, headers={"Content-Type": "application/x-www-form-urlencoded"}
            )
            document = problem(answer)
            assert (document["code"], document["max"], document["error"]) == ("too-large", 65_536, "invalid_request")


async def test_a_client_who_leaves_in_the_middle_of_its_request(
    api: Api, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(url).port)
    form = "Content-Type: application/x-www-form-urlencoded"
    writer.write(head(api, "POST", "/v1/token", form, "Content-Length: 100") + b"grant_type=")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.sleep(0.1)
    assert not caplog.records


async def test_a_taken_port_is_named() -> None:
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(InvalidSetting, match=f"MARKETDATA_PORT: cannot listen on 127.0.0.1 port {port}: "):
            await serve("postgresql://127.0.0.1:9/x", ExchangeSettings(), ApiSettings(port=port), SystemClock())


def test_a_host_that_is_none_is_named() -> None:
    with pytest.raises(InvalidSetting, match="MARKETDATA_HOST"), listen("256.256.256.256", 0):
        pass


async def test_it_serves_without_a_database_and_ends_by_a_signal() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = ApiSettings(port=port)
    serving = asyncio.create_task(
        serve("postgresql://127.0.0.1:9/nothing", load_exchange_settings(), settings, SystemClock())
    )
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
        for _ in range(500):
            await asyncio.sleep(0.02)
            try:
                assert (await http.get("/health/live")).json() == {"status": "live"}
                break
            except httpx2.ConnectError:
                continue
        assert problem(await http.get("/health/ready"))["database"] == "unreachable"
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 60)
