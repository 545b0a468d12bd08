"""Faults of the answer: in good HTTP, and only what they say is wrong."""

import gzip
import json
import zlib

import httpx2
import msgspec
import pytest

from marketdata.simulator.controls import Controls
from tests.simulator.raw import Heard, hear

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXCHANGES = ("binance_futures", "hyperliquid", "coinbase")
ROUTES = ("listing", "candles")


@pytest.fixture(params=[(exchange, route) for exchange in EXCHANGES for route in ROUTES], ids="-".join)
def asked(request: pytest.FixtureRequest) -> tuple[str, str]:
    """An exchange and what it is asked for."""
    exchange, route = request.param
    return exchange, route


async def both(url: str, controls: Controls, asked: tuple[str, str], spec: str) -> tuple[Heard, Heard]:
    """The right answer, and the one with a fault."""
    right = await hear(url, *asked)
    controls.faults.add(spec)
    wrong = await hear(url, *asked)
    assert wrong.end == "closed"
    assert wrong.length == len(wrong.body)
    return right, wrong


@pytest.mark.parametrize("spec, line", [("html", b"200 OK"), ("html,status=502", b"502 Bad Gateway")])
async def test_a_page_for_people(url: str, controls: Controls, asked: tuple[str, str], spec: str, line: bytes) -> None:
    _, wrong = await both(url, controls, asked, spec)
    assert wrong.head.startswith(b"HTTP/1.1 " + line)
    assert b"\r\ncontent-type: text/html; charset=UTF-8" in wrong.head
    assert wrong.body.startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 418, 403, 451])
@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_status(url: str, controls: Controls, exchange: str, status: int) -> None:
    _, wrong = await both(url, controls, (exchange, "candles"), f"status,status={status}")
    assert wrong.head.startswith(b"HTTP/1.1 %d " % status)
    assert b"retry-after" not in wrong.head
    assert wrong.body


async def test_a_status_may_say_when_to_come_back(url: str, controls: Controls) -> None:
    _, wrong = await both(url, controls, ("coinbase", "candles"), "status,status=429,seconds=7")
    assert b"\r\nretry-after: 7\r\n" in wrong.head


async def test_an_error_called_good(url: str, controls: Controls, asked: tuple[str, str]) -> None:
    _, wrong = await both(url, controls, asked, "error-body")
    assert wrong.head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert isinstance(msgspec.json.decode(wrong.body), dict)
    assert len(wrong.body) < 100


async def test_a_wrong_content_type(url: str, controls: Controls, asked: tuple[str, str]) -> None:
    right, wrong = await both(url, controls, asked, "wrong-type")
    assert wrong.body == right.body
    assert wrong.head.count(b"content-type:") == 1
    assert b"\r\ncontent-type: text/plain; charset=utf-8" in wrong.head


async def test_compression_that_is_none(url: str, controls: Controls, asked: tuple[str, str]) -> None:
    right, wrong = await both(url, controls, asked, "gzip-plain")
    assert b"\r\ncontent-encoding: gzip" in wrong.head
    assert wrong.body == right.body


async def test_compression_that_is_broken(url: str, controls: Controls, asked: tuple[str, str]) -> None:
    _, wrong = await both(url, controls, asked, "gzip-broken")
    assert b"\r\ncontent-encoding: gzip" in wrong.head
    assert wrong.body.startswith(b"\x1f\x8b")
    with pytest.raises((zlib.error, gzip.BadGzipFile, EOFError)):
        gzip.decompress(wrong.body)


async def test_json_that_ends_early(url: str, controls: Controls, asked: tuple[str, str]) -> None:
    right, wrong = await both(url, controls, asked, "truncated-json,bytes=70")
    assert wrong.body == right.body[:70]


@pytest.mark.parametrize(
    "kind, body", [("empty", b""), ("null", b"null"), ("nesting", b"[" * 200_000 + b"]" * 200_000)]
)
async def test_another_body(url: str, controls: Controls, asked: tuple[str, str], kind: str, body: bytes) -> None:
    _, wrong = await both(url, controls, asked, kind)
    assert wrong.body == body


@pytest.mark.parametrize("kind, literal", [("nan", b"NaN"), ("infinity", b"Infinity"), ("long-number", b"9" * 200_000)])
async def test_something_in_place_of_a_number(
    url: str, controls: Controls, asked: tuple[str, str], kind: str, literal: bytes
) -> None:
    right, wrong = await both(url, controls, asked, kind)
    before, found, after = wrong.body.partition(literal)
    assert found
    assert right.body.startswith(before)
    assert right.body.endswith(after)
    was = right.body[len(before) : len(right.body) - len(after)]
    assert was.isdigit() or (asked == ("coinbase", "listing") and was.startswith(b'"'))


async def test_a_key_twice(url: str, controls: Controls, asked: tuple[str, str]) -> None:
    right, wrong = await both(url, controls, asked, "duplicate-keys")
    if asked in {("binance_futures", "candles"), ("coinbase", "candles")}:
        assert wrong.body == right.body  # arrays have no keys
        assert controls.journal.entries()[-1].fault is None
        return
    twice: list[set[str]] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        keys = [key for key, _ in pairs]
        if len(keys) != len(set(keys)):
            twice.append({repr(value) for key, value in pairs if keys.count(key) == 2})

    json.loads(wrong.body, object_pairs_hook=look)
    assert [len(values) for values in twice] == [2]


async def test_a_byte_order_mark(url: str, controls: Controls, asked: tuple[str, str]) -> None:
    right, wrong = await both(url, controls, asked, "bom")
    assert wrong.body == b"\xef\xbb\xbf" + right.body


async def test_a_byte_of_another_encoding(url: str, controls: Controls, asked: tuple[str, str]) -> None:
    right, wrong = await both(url, controls, asked, "latin-1")
    before = wrong.body.index(b"\xe9")
    assert wrong.body[:before] + wrong.body[before + 1 :] == right.body
    with pytest.raises(UnicodeDecodeError):
        wrong.body.decode()


async def test_elsewhere_can_be_told_by_the_journal(url: str, controls: Controls) -> None:
    controls.faults.add("redirect,route=time,status=307")
    async with httpx2.AsyncClient(base_url=url, follow_redirects=True) as client:
        assert (await client.get("/coinbase/time")).status_code == 404
    assert [(entry.route, entry.fault, entry.status) for entry in controls.journal.entries()] == [
        ("/time", "redirect", 307),
        ("/elsewhere", None, 404),
    ]


async def test_a_redirect_without_end(url: str, controls: Controls) -> None:
    controls.faults.add("redirect-loop")
    async with httpx2.AsyncClient(base_url=url, follow_redirects=True) as client:
        with pytest.raises(httpx2.TooManyRedirects):
            await client.get("/binance/fapi/v1/klines", params={"symbol": "币安人生USDT", "interval": "1h"})
    assert len({(entry.path, *entry.query.items()) for entry in controls.journal.entries()}) == 1


async def test_a_large_head(url: str, controls: Controls, asked: tuple[str, str]) -> None:
    right, wrong = await both(url, controls, asked, "huge-header")
    assert wrong.body == right.body
    assert 65_536 < len(wrong.head) < 67_000


async def test_many_headers(url: str, controls: Controls, asked: tuple[str, str]) -> None:
    right, wrong = await both(url, controls, asked, "many-headers")
    assert wrong.body == right.body
    assert wrong.head.count(b"\r\n") > 10_000
