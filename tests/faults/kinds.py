"""The faults of an exchange, each with the problem that it has to become: 27, counted one by one.

Two pairs that are often named together are counted apart: a body and a JSON text that break off, NaN and Infinity.
"""

import asyncio
import gzip
import re
import socket
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from tests.faults.good import Good, date

JSON = "Content-Type: application/json\r\n"
MB = 1_000_000


@dataclass(frozen=True)
class Scene:
    """What an answer is made from."""

    exchange: str
    good: Good
    itself: str
    """The URL that was asked."""
    inside: str
    """A URL that nobody may be led to."""


type Play = Callable[[asyncio.StreamWriter, Scene], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """How an exchange fails, and what is made of it."""

    play: Play
    code: str
    """The problem's code, for a caller as in the record of a sync."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """The code at exchanges where it is another one."""
    asked: int = 1
    """How often the exchange is asked at most: once more where that may help."""
    is_slow: bool = False
    is_large: bool = False
    without: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Exchange and call where there can be no such fault, and why."""

    def code_at(self, exchange: str) -> str:
        """The problem's code at one exchange."""
        return self.codes.get(exchange, self.code)


def whole(change: Callable[[bytes], bytes] = bytes, status: str = "200 OK", headers: str = JSON) -> Play:
    """A well-formed answer, whose body is what `change` makes of the good one."""

    async def play(writer: asyncio.StreamWriter, scene: Scene) -> None:
        body = change(scene.good.body)
        writer.write(_head(len(body), status, headers) + body)

    return play


def _head(length: int, status: str = "200 OK", headers: str = JSON) -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}{date()}Content-Length: {length}\r\nConnection: close\r\n\r\n".encode()


def with_value(token: bytes) -> Callable[[bytes], bytes]:
    """The first number or text that stands after another one is `token` instead: a price in candles."""
    return lambda body: re.sub(rb'(?<=[:,])\s*("[^"]*"|-?[0-9.]+)(?=\s*[,}\]])', token, body, count=1)


def with_stranger(token: bytes) -> Callable[[bytes], bytes]:
    """`token` stands in addition where nobody reads: as a key's value, else as a row's last slot."""

    def change(body: bytes) -> bytes:
        if b"{" in body:
            return body.replace(b"{", b'{"stranger":' + token + b",", 1)
        return body.replace(b"]", b"," + token + b"]", 1)

    return change


def with_a_key_twice(body: bytes) -> bytes:
    """The first key and its value stand twice."""
    return re.sub(rb'\{\s*("[^"]+"\s*:\s*("[^"]*"|[0-9]+|\[\s*\{)?)', _twice, body, count=1)


def _twice(found: re.Match[bytes]) -> bytes:
    name = found[1].partition(b":")[0]
    return b"{" + name + b":0," + found[1]


async def error_with_200(writer: asyncio.StreamWriter, scene: Scene) -> None:
    await whole(lambda _: _ERRORS[scene.exchange])(writer, scene)


_ERRORS = {
    "binance_futures": b'{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}',
    "hyperliquid": b'{"error":"internal"}',
    "coinbase": b'{"message":"Internal server error"}',
}


async def broken_off(writer: asyncio.StreamWriter, scene: Scene) -> None:
    writer.write(_head(len(scene.good.body) + 1) + scene.good.body)


async def redirect_inside(writer: asyncio.StreamWriter, scene: Scene) -> None:
    await whole(status="302 Found", headers=f"{JSON}Location: {scene.inside}\r\n")(writer, scene)


async def redirect_loop(writer: asyncio.StreamWriter, scene: Scene) -> None:
    await whole(status="307 Temporary Redirect", headers=f"{JSON}Location: {scene.itself}\r\n")(writer, scene)


@cache
def bomb() -> bytes:
    """300 MB of blanks, packed."""
    packer, blanks = zlib.compressobj(9, zlib.DEFLATED, 31), b" " * MB
    return b"".join([*(packer.compress(blanks) for _ in range(300)), packer.flush()])


async def huge(writer: asyncio.StreamWriter, _scene: Scene) -> None:
    writer.write(_head(315 * MB))
    blanks = b" " * MB
    for _ in range(315):
        writer.write(blanks)
        await writer.drain()


async def drip(writer: asyncio.StreamWriter, scene: Scene) -> None:
    """One byte now and then, from the first one on: always something, never a whole answer."""
    answer = _head(len(scene.good.body)) + scene.good.body + b" " * 1000
    for at in range(len(answer)):
        writer.write(answer[at : at + 1])
        await writer.drain()
        await asyncio.sleep(0.03)


async def silence(_writer: asyncio.StreamWriter, _scene: Scene) -> None:
    await asyncio.sleep(60)


async def reset(writer: asyncio.StreamWriter, scene: Scene) -> None:
    writer.write(_head(1000) + scene.good.body[:10])
    await writer.drain()
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


async def garbage(writer: asyncio.StreamWriter, _: Scene) -> None:
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xff\xfe no HTTP at all\r\n\r\n")


async def http_0_9(writer: asyncio.StreamWriter, scene: Scene) -> None:
    writer.write(scene.good.body)


BAD, DOWN, LATE, ERROR = "upstream-bad-data", "upstream-unavailable", "upstream-timeout", "upstream-error"

_NO_KEYS = "its candles are arrays: there is no key"

FAULTS: Mapping[str, Fault] = {
    "body-breaks-off": Fault(broken_off, DOWN, asked=2),
    "json-breaks-off": Fault(whole(lambda body: body[:-1]), BAD, asked=2),
    "html": Fault(whole(lambda _: b"<html><h1>Sorry</h1></html>", headers="Content-Type: text/html\r\n"), BAD, asked=2),
    "wrong-content-type": Fault(whole(headers="Content-Type: text/plain\r\n"), BAD, asked=2),
    "error-with-200": Fault(error_with_200, BAD, {"binance_futures": DOWN}, asked=2),
    "empty": Fault(whole(lambda _: b""), BAD, asked=2),
    "nan": Fault(whole(with_value(b"NaN")), BAD, asked=2),
    "infinity": Fault(whole(with_value(b"-Infinity")), BAD, asked=2),
    "key-twice": Fault(
        whole(with_a_key_twice),
        BAD,
        asked=2,
        without={(one, call): _NO_KEYS for one in ("binance_futures", "coinbase") for call in ("candles", "latest")},
    ),
    "byte-order-mark": Fault(whole(lambda body: b"\xef\xbb\xbf" + body), BAD, asked=2),
    "latin-1": Fault(whole(with_stranger(b'"caf\xe9"')), BAD, asked=2),
    "nesting": Fault(whole(with_value(b"[" * 200_000 + b"]" * 200_000)), BAD, asked=2, is_large=True),
    "long-integer": Fault(whole(with_value(b"9" * 200_000)), BAD, asked=2, is_large=True),
    "redirect-inside": Fault(redirect_inside, ERROR),
    "redirect-loop": Fault(redirect_loop, ERROR),
    "bad-gzip": Fault(
        whole(lambda body: gzip.compress(body)[:-6], headers=f"{JSON}Content-Encoding: gzip\r\n"), BAD, asked=2
    ),
    "gzip-bomb": Fault(whole(lambda _: bomb(), headers=f"{JSON}Content-Encoding: gzip\r\n"), BAD, is_large=True),
    "huge-body": Fault(huge, BAD, is_large=True),
    "huge-header": Fault(whole(headers=f"{JSON}X-Filler: {'x' * 65536}\r\n"), BAD, is_large=True),
    "many-headers": Fault(whole(headers=JSON + "a:\r\n" * 10_000), BAD, is_large=True),
    "drip": Fault(drip, LATE, is_slow=True),
    "silence": Fault(silence, LATE, is_slow=True),
    "reset": Fault(reset, DOWN, asked=2),
    "garbage": Fault(garbage, DOWN, asked=2),
    "http-0.9": Fault(http_0_9, DOWN, asked=2),
    "429": Fault(whole(lambda _: b"{}", "429 Too Many Requests"), "upstream-rate-limited"),
    "418": Fault(whole(lambda _: b'{"code":-1003,"msg":"banned"}', "418 I'm a teapot"), "upstream-banned"),
}
"""By name. Statuses of codes are the API's own table, which a test of it holds."""
