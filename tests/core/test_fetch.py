import asyncio
import socket
from collections.abc import AsyncIterator

import httpx2
import pytest

from marketdata.core.clock import ManualClock, SystemClock
from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamBanned,
    UpstreamBlocked,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from marketdata.core.exchanges import get_adapter
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.fetch import Fetcher, _why, open_http
from marketdata.core.models import Interval, Source
from tests.fake_exchange import Answer, FakeExchange, fake_exchange, http

BINANCE = get_adapter("binance_futures")
T0 = 1767225600000
QUERY = CandleQuery("BTCUSDT", Interval.HOUR_1, T0, T0 + 7_200_000, 500)
ROW = b'[1767225600000,"1","2","1","2","0",1767229199999,"0",0,"0","0","0"]'


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with open_http() as client:
        yield client


def fetcher(client: httpx2.AsyncClient, exchange: FakeExchange, deadline_s: float = 2.0) -> Fetcher:
    return Fetcher(BINANCE, client, SystemClock(), exchange.url, deadline_s=deadline_s)


async def test_candles_are_checked_and_cut_to_the_range(client: httpx2.AsyncClient) -> None:
    before = ROW.replace(b"1767225600000", b"1767222000000").replace(b"1767229199999", b"1767225599999")
    async with fake_exchange(http(b"[" + before + b"," + ROW + b"]")) as exchange:
        answered, inside = await fetcher(client, exchange).candles(QUERY)
    assert [candle.open_time for candle in answered] == [T0 - 3_600_000, T0]
    assert [candle.open_time for candle in inside] == [T0]
    assert b"GET /fake/fapi/v1/klines?symbol=BTCUSDT&interval=1h&startTime=1767225600000" in exchange.requests[0]


async def test_a_bad_candle_fails_the_answer(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b"[" + ROW.replace(b'"2","1"', b'"0.5","1"') + b"]")) as exchange:
        with pytest.raises(UpstreamBadData) as caught:
            await fetcher(client, exchange).candles(QUERY)
    assert caught.value.candle == T0


async def silence(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(100):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[[")
    await writer.drain()
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


async def garbage(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")


@pytest.mark.parametrize(
    "answer,kind",
    [
        (silence, UpstreamTimeout),
        (drip, UpstreamTimeout),
        (reset, UpstreamUnavailable),
        (garbage, UpstreamUnavailable),
        (http(b"<html>", headers="Content-Type: text/html\r\n"), UpstreamBadData),
        (http(b"\x1f\x8bnot gzip", headers="Content-Encoding: gzip\r\n"), UpstreamBadData),
        (http(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"), UpstreamFailure),
        (http(b"<html>", "451 Unavailable For Legal Reasons"), UpstreamBlocked),
        (http(b"oops", "500 Internal Server Error"), UpstreamUnavailable),
        (http(b'{"code":-1003,"msg":"x"}', "429 Too Many Requests"), UpstreamRateLimited),
    ],
)
async def test_every_failure_has_a_name_within_the_deadline(
    client: httpx2.AsyncClient, answer: Answer, kind: type[Exception]
) -> None:
    async with fake_exchange(answer) as exchange, asyncio.timeout(3):
        with pytest.raises(kind):
            await fetcher(client, exchange, deadline_s=0.4).candles(QUERY)


async def test_nobody_listening_is_unavailable(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(silence) as exchange:
        pass
    with pytest.raises(UpstreamUnavailable, match="cannot be reached: nothing listens there"):
        await fetcher(client, exchange).candles(QUERY)


def test_a_name_that_nobody_knows_is_told_apart_without_naming_it() -> None:
    error = httpx2.ConnectError("secret.example")
    error.__cause__ = socket.gaierror(-2, "secret.example: Name or service not known")
    assert _why(error) == "its name cannot be resolved (is there internet, is DNS right?)"
    assert _why(OSError("secret.example")) == "OSError"


async def test_an_answer_without_end_is_cut_off(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketdata.core.fetch.MAX_BODY_BYTES", 1000)
    async with fake_exchange(http(b" " * 1001)) as exchange:
        with pytest.raises(UpstreamBadData, match="larger than 1000 bytes"):
            await fetcher(client, exchange).candles(QUERY)


async def test_cookies_are_never_sent_back(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b"[]", headers="Set-Cookie: __cf_bm=canary; path=/\r\n")) as exchange:
        asking = fetcher(client, exchange)
        await asking.candles(QUERY)
        await asking.candles(QUERY)
    assert len(exchange.requests) == 2
    assert b"canary" not in exchange.requests[1]


@pytest.mark.parametrize(
    "answer,kind,silent_s",
    [
        (http(b"{}", "429 Too Many Requests", "Retry-After: 7\r\n"), UpstreamRateLimited, 7),
        (http(b"{}", "429 Too Many Requests"), UpstreamRateLimited, 5),
        (http(b'{"code":-1003,"msg":"IP banned until 1767225700000."}', "418 I'm a teapot"), UpstreamBanned, 100),
        (http(b"{}", "418 I'm a teapot"), UpstreamBanned, 120),
    ],
)
async def test_an_exchange_that_says_stop_is_not_asked_again(
    client: httpx2.AsyncClient, answer: Answer, kind: type[Exception], silent_s: int
) -> None:
    clock = ManualClock(T0)
    async with fake_exchange(answer) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        with pytest.raises(kind):
            await asking.candles(QUERY)
        assert asking.banned_until_ms == (T0 + silent_s * 1000 if kind is UpstreamBanned else None)
        clock.advance(silent_s * 1000 - 1)
        with pytest.raises(kind):
            await asking.candles(QUERY)
        assert len(exchange.requests) == 1
        clock.advance(1)
        with pytest.raises(kind):
            await asking.candles(QUERY)
        assert len(exchange.requests) == 2


async def test_a_late_refusal_does_not_cut_a_ban_short(client: httpx2.AsyncClient) -> None:
    banned = http(b'{"code":-1003,"msg":"IP banned until 1767225700000."}', "418 I'm a teapot")
    async with fake_exchange(banned, http(b"{}", "429 Too Many Requests")) as exchange:
        asking = Fetcher(BINANCE, client, ManualClock(T0), exchange.url)
        first, second = await asyncio.gather(asking.candles(QUERY), asking.candles(QUERY), return_exceptions=True)
        assert {type(first), type(second)} == {UpstreamBanned, UpstreamRateLimited}
        assert asking.banned_until_ms == T0 + 100_000


async def test_an_absurd_wait_is_not_believed(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b"{}", "429 Too Many Requests", f"Retry-After: {'9' * 400}\r\n")) as exchange:
        with pytest.raises(UpstreamRateLimited) as caught:
            await fetcher(client, exchange).candles(QUERY)
    assert caught.value.retry_after_s is None


async def test_a_spent_budget_waits_a_little_and_then_says_how_long(client: httpx2.AsyncClient) -> None:
    clock = ManualClock(T0 + 57_000)
    async with fake_exchange(http(b"[]")) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        asking.ledger.spend(1920)
        await asking.candles(QUERY)  # three seconds to the next minute: worth waiting for
        assert clock.now_ms() == T0 + 60_000
        asking.ledger.spend(1918)
        with pytest.raises(UpstreamRateLimited) as caught:
            await asking.candles(QUERY)
        assert caught.value.retry_after_s == 60


async def test_the_exchange_s_clock_decides_and_is_carried_on(client: httpx2.AsyncClient) -> None:
    clock = ManualClock(T0)
    async with fake_exchange(http(b'{"serverTime":1767226200000}'), http(b"oops", "500 Oops")) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        assert await asking.now_ms() == T0 + 600_000
        clock.advance(1234)
        assert await asking.now_ms() == T0 + 601_234
        assert len(exchange.requests) == 1
        clock.advance(700_000)  # a new sample is due, and the exchange does not answer: the old one is carried on
        assert await asking.now_ms() == T0 + 1_301_234
        assert len(exchange.requests) == 2


async def test_without_any_sample_of_the_time_nothing_is_guessed(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b"oops", "500 Oops")) as exchange:
        with pytest.raises(UpstreamUnavailable):
            await fetcher(client, exchange).now_ms()


@pytest.mark.parametrize(
    "answer,source",
    [
        (http(b'{"source":"simulated","seed":1}'), Source.SIMULATED),
        (http(b'{"source":"recorded"}'), Source.RECORDED),
        (http(b'{"source":"live"}'), Source.SIMULATED),  # it is not the exchange's own address, whatever it says
        (http(b"<html>", "404 Not Found"), Source.SIMULATED),
        (http(b"<html>"), Source.SIMULATED),
    ],
)
async def test_nothing_but_the_exchange_itself_is_live(
    client: httpx2.AsyncClient, answer: Answer, source: Source
) -> None:
    async with fake_exchange(answer) as exchange:
        assert await fetcher(client, exchange).source() is source
    assert exchange.requests[0].startswith(b"GET /_control/about ")
    assert await Fetcher(BINANCE, client, SystemClock()).source() is Source.LIVE


async def test_whose_data_it_is_may_change_while_we_run(client: httpx2.AsyncClient) -> None:
    clock = ManualClock(T0)
    answers = http(b'{"source":"recorded"}'), http(b"", "502 Bad Gateway"), http(b'{"source":"simulated"}')
    async with fake_exchange(*answers) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        assert await asking.source() is Source.RECORDED
        assert await asking.source(max_age_s=5) is Source.RECORDED
        with pytest.raises(UpstreamUnavailable):
            await asking.source()
        clock.advance(5000)
        assert await asking.source(max_age_s=5) is Source.SIMULATED
        assert len(exchange.requests) == 3


async def test_a_listing_is_all_parts_or_nothing(client: httpx2.AsyncClient) -> None:
    hyperliquid = get_adapter("hyperliquid")
    async with fake_exchange(http(b"[]"), http(b"oops", "502 Bad Gateway")) as exchange:
        with pytest.raises(UpstreamUnavailable):
            await Fetcher(hyperliquid, client, SystemClock(), exchange.url).listing({})
    async with fake_exchange(http(b"[]"), http(b'{"universe":[],"tokens":[]}')) as exchange:
        listing = await Fetcher(hyperliquid, client, SystemClock(), exchange.url).listing({})
    assert listing.instruments == ()
    assert len(exchange.requests) == 2
