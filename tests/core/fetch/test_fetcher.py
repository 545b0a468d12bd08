import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from marketdata.core.budget import ExchangeBudget, Silence
from marketdata.core.clock import ManualClock, SystemClock
from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamBanned,
    UpstreamBlocked,
    UpstreamError,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from marketdata.core.exchanges import get_adapter
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.fetch.transport import MAX_AT_ONCE
from marketdata.core.models import DAY_MS, Interval, Source
from tests.core.budget.books import Books
from tests.fake_exchange import Answer, FakeExchange, fake_exchange, http

BINANCE = get_adapter("binance_futures")
T0 = 1767225600000
NOW = T0 + 7_200_000
QUERY = CandleQuery("BTCUSDT", Interval.HOUR_1, T0, T0 + 7_200_000, 500)
HOUR_MS = 3_600_000
JSON = "Content-Type: application/json\r\n"
OTHER_QUERY = replace(QUERY, exchange_symbol="ETHUSDT")
ROW = b'[1767225600000,"1","2","1","2","0",1767229199999,"0",0,"0","0","0"]'


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with open_http() as client:
        yield client


def fetcher(client: httpx2.AsyncClient, exchange: FakeExchange, deadline_s: float = 2.0) -> Fetcher:
    return Fetcher(BINANCE, client, SystemClock(), exchange.url, deadline_s=deadline_s)


async def test_candles_are_checked_and_cut_to_the_range(client: httpx2.AsyncClient) -> None:
    rows = b"[[1767225600,1,2,1,2,0],[1767222000,1,2,1,2,0]]"  # Coinbase's may precede the range
    async with fake_exchange(http(rows)) as exchange:
        asking = Fetcher(get_adapter("coinbase"), client, SystemClock(), exchange.url)
        answered, inside = await asking.candles(replace(QUERY, exchange_symbol="BTC-USD"), NOW)
    assert [candle.open_time for candle in answered] == [T0 - HOUR_MS, T0]
    assert [candle.open_time for candle in inside] == [T0]
    assert b"GET /fake/products/BTC-USD/candles?granularity=3600&start=2026-01-01T00%3A00%3A00Z" in exchange.requests[0]


def at(exchange: str, open_ms: int) -> bytes:
    """An hour's candle."""
    last_ms = open_ms + HOUR_MS - 1
    if exchange == "binance_futures":
        return ROW.replace(b"1767225600000", b"%d" % open_ms).replace(b"1767229199999", b"%d" % last_ms)
    if exchange == "coinbase":
        return b"[%d,1,2,1,2,0]" % (open_ms // 1000)
    return b'{"t":%d,"T":%d,"s":"X","i":"1h","o":"1","c":"2","h":"2","l":"1","v":"0","n":0}' % (open_ms, last_ms)


@pytest.mark.parametrize(
    "exchange, opens, outside",
    [
        ("binance_futures", [-1, 0, 1], -1),
        ("binance_futures", [0, 1, 2], 2),
        ("binance_futures", [-2, -1], -2),
        ("binance_futures", [3, 4], 4),
        ("coinbase", [1, 2], 2),
        ("hyperliquid", [-3, -2], -3),
        ("hyperliquid", [-1], -1),
    ],
)
async def test_an_answer_to_another_question_is_none(
    client: httpx2.AsyncClient, exchange: str, opens: list[int], outside: int
) -> None:
    in_order = opens[::-1] if exchange == "coinbase" else opens
    rows = b",".join(at(exchange, T0 + hours * HOUR_MS) for hours in in_order)
    async with fake_exchange(http(b"[" + rows + b"]")) as fake:
        asking = Fetcher(get_adapter(exchange), client, SystemClock(), fake.url)
        with pytest.raises(UpstreamBadData, match="outside the range") as caught:
            await asking.candles(replace(QUERY, exchange_symbol="X"), NOW + 9 * HOUR_MS)
    assert caught.value.candle == T0 + outside * HOUR_MS


@pytest.mark.parametrize("exchange, opens", [("coinbase", [-2, -1]), ("hyperliquid", [-1, 0]), ("hyperliquid", [2, 3])])
async def test_what_an_exchange_may_send_around_a_range_is_cut(
    client: httpx2.AsyncClient, exchange: str, opens: list[int]
) -> None:
    in_order = opens[::-1] if exchange == "coinbase" else opens
    rows = b",".join(at(exchange, T0 + hours * HOUR_MS) for hours in in_order)
    async with fake_exchange(http(b"[" + rows + b"]")) as fake:
        asking = Fetcher(get_adapter(exchange), client, SystemClock(), fake.url)
        answered, inside = await asking.candles(replace(QUERY, exchange_symbol="X"), NOW + 9 * HOUR_MS)
    assert [candle.open_time for candle in answered] == [T0 + hours * HOUR_MS for hours in opens]
    assert [candle.open_time for candle in inside] == [T0 + hours * HOUR_MS for hours in opens if hours in {0, 1}]


async def test_room_is_asked_for_only_for_calls_that_are_not_under_way(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        await http(b"[" + ROW + b"]")(writer)

    async with fake_exchange(slowly) as exchange:
        asking = fetcher(client, exchange)
        first = asyncio.create_task(asking.candles(QUERY, NOW))
        await asyncio.sleep(0)
        asked: list[int] = []
        monkeypatch.setattr(asking.budget, "check_room", asked.append)
        asking.check_room([QUERY, OTHER_QUERY], NOW)
        asking.check_room([QUERY], NOW + 60_000)  # another minute is another call
        await first
        asking.check_room([QUERY], NOW)
    assert asked == [2, 2, 2]


async def test_a_bad_candle_fails_the_answer(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b"[" + ROW.replace(b'"2","1"', b'"0.5","1"') + b"]")) as exchange:
        with pytest.raises(UpstreamBadData) as caught:
            await fetcher(client, exchange).candles(QUERY, NOW)
    assert caught.value.candle == T0


async def test_a_candle_of_the_future_fails_the_answer(client: httpx2.AsyncClient) -> None:
    later = ROW.replace(b"1767225600000", b"1767232800000").replace(b"1767229199999", b"1767236399999")
    async with fake_exchange(http(b"[" + ROW + b"," + later + b"]")) as exchange:
        asking = fetcher(client, exchange)
        query = replace(QUERY, end_ms=NOW + HOUR_MS)
        answered, inside = await asking.candles(query, NOW - 60_000)  # our time may be a bit behind
        assert (len(answered), len(inside), answered[-1].open_time) == (2, 2, NOW)
        with pytest.raises(UpstreamBadData, match="opens in the future") as caught:
            await asking.candles(query, NOW - 60_001)
    assert caught.value.candle == NOW


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
            await fetcher(client, exchange, deadline_s=0.4).candles(QUERY, NOW)


async def test_nobody_listening_is_unavailable(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(silence) as exchange:
        pass
    with pytest.raises(UpstreamUnavailable, match="cannot be reached: nothing listens there"):
        await fetcher(client, exchange).candles(QUERY, NOW)


async def test_an_address_that_is_none_is_unavailable(client: httpx2.AsyncClient) -> None:
    asking = Fetcher(BINANCE, client, SystemClock(), "http://10.0.0.256")
    with pytest.raises(UpstreamUnavailable, match="cannot be reached: its address is none"):
        await asking.candles(QUERY, NOW)


async def test_cookies_are_never_sent_back(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b"[]", headers=f"{JSON}Set-Cookie: __cf_bm=canary; path=/\r\n")) as exchange:
        asking = fetcher(client, exchange)
        await asking.candles(QUERY, NOW)
        await asking.candles(QUERY, NOW)
    assert len(exchange.requests) == 2
    assert b"canary" not in exchange.requests[1]


async def test_what_may_succeed_a_moment_later_is_asked_once_more(client: httpx2.AsyncClient) -> None:
    for failure in (http(b"oops", "503 Service Unavailable"), http(b"<html>", headers=JSON), reset):
        async with fake_exchange(failure, http(b"[" + ROW + b"]")) as exchange:
            answered, _ = await fetcher(client, exchange).candles(QUERY, NOW)
        assert len(answered) == 1
        assert len(exchange.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        http(b'{"code":-1121,"msg":"Invalid symbol."}', "400 Bad Request"),
        http(b"[" + ROW.replace(b'"2","1"', b'"0.5","1"') + b"]"),
        http(b"oops", "503 Service Unavailable", "Retry-After: 1\r\n"),
        http(b"{}", "429 Too Many Requests"),
        http(b"oops", "451 Unavailable For Legal Reasons"),
        silence,
    ],
)
async def test_what_would_not_change_is_not_asked_again(client: httpx2.AsyncClient, answer: Answer) -> None:
    async with fake_exchange(answer) as exchange:
        with pytest.raises(UpstreamError):
            await fetcher(client, exchange, deadline_s=0.3).candles(QUERY, NOW)
    assert len(exchange.requests) == 1


async def test_a_retry_has_what_is_left_of_the_deadline(client: httpx2.AsyncClient) -> None:
    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        await http(b"oops", "500 Oops")(writer)

    async with fake_exchange(late, silence) as exchange, asyncio.timeout(4):
        began = asyncio.get_running_loop().time()
        with pytest.raises(UpstreamTimeout):
            await fetcher(client, exchange, deadline_s=2.0).candles(QUERY, NOW)
        assert asyncio.get_running_loop().time() - began < 2.4


async def test_with_too_little_left_of_the_deadline_a_failure_keeps_its_name(client: httpx2.AsyncClient) -> None:
    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.85)
        await http(b"oops", "500 Oops")(writer)

    async with fake_exchange(late, silence) as exchange:
        with pytest.raises(UpstreamUnavailable):
            await fetcher(client, exchange, deadline_s=1.0).candles(QUERY, NOW)
        assert len(exchange.requests) == 1


async def test_retries_are_few_when_everything_fails(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b"<html>")) as exchange:
        asking = Fetcher(BINANCE, client, ManualClock(T0), exchange.url)
        for _ in range(100):
            with pytest.raises(UpstreamBadData):
                await asking.candles(QUERY, NOW)
    assert 100 < len(exchange.requests) <= 100 + 5 + 10


async def test_an_exchange_that_fails_again_and_again_is_left_alone(client: httpx2.AsyncClient) -> None:
    clock = ManualClock(T0)
    failing = http(b"oops", "500 Oops")
    async with fake_exchange(*[failing] * 5, http(b"[" + ROW + b"]")) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        for _ in range(4):
            with pytest.raises(UpstreamUnavailable):
                await asking.candles(QUERY, NOW)
        asked = len(exchange.requests)
        with pytest.raises(UpstreamUnavailable, match="left alone") as caught:
            await asking.candles(QUERY, NOW)
        assert len(exchange.requests) == asked == 5
        assert caught.value.retry_after_s is not None
        clock.advance(round(caught.value.retry_after_s * 1000) + 1)
        answered, _ = await asking.candles(QUERY, NOW)
        assert len(answered) == 1


async def test_what_looks_like_a_refusal_after_another_fault_is_that_fault(client: httpx2.AsyncClient) -> None:
    query = replace(QUERY, exchange_symbol="X")
    null = http(b"null", "500 Internal Server Error")
    async with fake_exchange(http(b"<html>"), null, null, null) as exchange:
        asking = Fetcher(get_adapter("hyperliquid"), client, SystemClock(), exchange.url)
        with pytest.raises(UpstreamBadData):
            await asking.candles(query, NOW)
        with pytest.raises(UpstreamRefused):
            await asking.candles(query, NOW)


async def test_the_probe_that_fails_says_so_at_once(client: httpx2.AsyncClient) -> None:
    clock = ManualClock(T0)
    async with fake_exchange(http(b"oops", "500 Oops")) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        for _ in range(5):
            with pytest.raises(UpstreamUnavailable):
                await asking.candles(QUERY, NOW)
        clock.advance(20_000)
        began_ms, asked = clock.now_ms(), len(exchange.requests)
        with pytest.raises(UpstreamUnavailable, match="HTTP status 500"):
            await asking.candles(QUERY, NOW)
        assert (clock.now_ms(), len(exchange.requests)) == (began_ms, asked + 1)


async def test_the_same_at_the_same_time_is_one_call(client: httpx2.AsyncClient) -> None:
    async def slowly(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        await http(b"[" + ROW + b"]")(writer)

    async with fake_exchange(slowly) as exchange:
        asking = fetcher(client, exchange)
        callers = [asyncio.create_task(asking.candles(QUERY, NOW)) for _ in range(500)]
        await asyncio.sleep(0.05)
        callers[0].cancel()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert len(exchange.requests) == 1
        assert isinstance(outcomes[0], asyncio.CancelledError)
        assert all(outcome == outcomes[1] for outcome in outcomes[1:])
        await asking.candles(OTHER_QUERY, NOW)
        await asking.candles(QUERY, NOW)
        assert len(exchange.requests) == 3


async def test_a_shared_call_that_fails_fails_for_all(client: httpx2.AsyncClient) -> None:
    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        await http(b"oops", "451 Unavailable For Legal Reasons")(writer)

    async with fake_exchange(late) as exchange:
        asking = fetcher(client, exchange)
        outcomes = await asyncio.gather(*[asking.candles(QUERY, NOW) for _ in range(500)], return_exceptions=True)
    assert len(exchange.requests) == 1
    assert {type(outcome) for outcome in outcomes} == {UpstreamBlocked}


async def test_the_time_is_asked_once_for_all_and_its_failure_is_everyone_s(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(silence) as exchange, asyncio.timeout(3):
        asking = fetcher(client, exchange, deadline_s=0.5)
        outcomes = await asyncio.gather(*[asking.now_ms() for _ in range(50)], return_exceptions=True)
    assert len(exchange.requests) == 1
    assert {type(outcome) for outcome in outcomes} == {UpstreamTimeout}


async def test_the_first_traded_day_is_asked_once_and_remembered(client: httpx2.AsyncClient) -> None:
    days = b",".join(
        b'{"t":%d,"T":%d,"s":"X","i":"1d","o":"1.0","c":"1.0","h":"1.0","l":"1.0","v":"%s","n":%d}'
        % (day * DAY_MS, (day + 1) * DAY_MS - 1, b"1.0" if trades else b"0.0", trades)
        for day, trades in enumerate([0, 0, 7, 0])
    )
    async with fake_exchange(http(b"[" + days + b"]")) as exchange:
        asking = Fetcher(get_adapter("hyperliquid"), client, ManualClock(T0), exchange.url)
        assert [await asking.first_traded_ms("X", 4 * DAY_MS) for _ in range(3)] == [2 * DAY_MS] * 3
        assert len(exchange.requests) == 1


async def test_that_an_instrument_has_not_traded_is_believed_for_some_minutes(client: httpx2.AsyncClient) -> None:
    clock = ManualClock(T0)
    async with fake_exchange(http(b"[]")) as exchange:
        asking = Fetcher(get_adapter("hyperliquid"), client, clock, exchange.url)
        assert [await asking.first_traded_ms("X", 4 * DAY_MS) for _ in range(9)] == [None] * 9
        assert len(exchange.requests) == 1
        clock.advance(600_000)
        assert await asking.first_traded_ms("X", 4 * DAY_MS) is None
        assert len(exchange.requests) == 2


async def test_a_listing_with_a_repeated_key_is_refused(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b'{"symbols":[],"symbols":[]}')) as exchange:
        with pytest.raises(UpstreamBadData, match="a key twice"):
            await fetcher(client, exchange).listing({})


@pytest.mark.parametrize(
    "answer,kind,silent_s",
    [
        (http(b"{}", "429 Too Many Requests", "Retry-After: 7\r\n"), UpstreamRateLimited, 7),
        (http(b"{}", "429 Too Many Requests"), UpstreamRateLimited, 5),
        (http(b'{"code":-1003,"msg":"IP banned until 1767225900000."}', "418 I'm a teapot"), UpstreamBanned, 300.5),
        (http(b"{}", "418 I'm a teapot"), UpstreamBanned, 120),
    ],
)
async def test_an_exchange_that_says_stop_is_not_asked_again(
    client: httpx2.AsyncClient, answer: Answer, kind: type[Exception], silent_s: float
) -> None:
    clock = ManualClock(T0)
    async with fake_exchange(answer) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        with pytest.raises((UpstreamRateLimited, UpstreamBanned)) as caught:
            await asking.candles(QUERY, NOW)
        assert type(caught.value) is kind
        if isinstance(caught.value, UpstreamRateLimited):
            assert caught.value.retry_after_s == silent_s
        if isinstance(caught.value, UpstreamBanned):
            assert caught.value.until_ms == T0 + silent_s * 1000
        assert asking.budget.banned_until_ms == (T0 + silent_s * 1000 if kind is UpstreamBanned else None)
        clock.advance(round(silent_s * 1000) - 1)
        with pytest.raises(kind):
            await asking.candles(QUERY, NOW)
        assert len(exchange.requests) == 1
        clock.advance(1)
        with pytest.raises(kind):
            await asking.candles(QUERY, NOW)
        assert len(exchange.requests) == 2


@pytest.mark.parametrize(
    "date,silent_s",
    [
        ("Thu, 01 Jan 2026 00:10:00 GMT", 60.5),  # it tells the exchange's time, ten minutes from ours
        ("Mon, 01 Jan 0001 00:00:00 GMT", 660.5),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 660.5),
        ("yesterday", 660.5),
    ],
)
async def test_a_ban_s_own_date_tells_how_long_it_is_where_it_is_a_date(
    client: httpx2.AsyncClient, date: str, silent_s: float
) -> None:
    body = b'{"code":-1003,"msg":"IP banned until 1767226260000."}'  # eleven minutes after T0
    async with fake_exchange(http(body, "418 I'm a teapot", f"Date: {date}\r\n")) as exchange:
        asking = Fetcher(BINANCE, client, ManualClock(T0), exchange.url)
        with pytest.raises(UpstreamBanned):
            await asking.candles(QUERY, NOW)
        assert asking.budget.banned_until_ms == T0 + silent_s * 1000


@pytest.mark.parametrize("source", [None, Source.RECORDED])
async def test_nobody_asks_whose_data_it_is_during_a_ban(client: httpx2.AsyncClient, source: Source | None) -> None:
    clock = ManualClock(T0)
    async with fake_exchange(http(b'{"source":"recorded"}')) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        if source:
            await asking.source()
        asked = len(exchange.requests)
        await asking.budget.silence(UpstreamBanned(BINANCE.exchange, None))
        if source:
            assert await asking.source() is source
        else:
            with pytest.raises(UpstreamBanned) as caught:
                await asking.source()
            assert caught.value.until_ms == T0 + 120_000
        assert len(exchange.requests) == asked
        clock.advance(120_000)
        assert await asking.source() is Source.RECORDED
        assert len(exchange.requests) == asked + 1


@pytest.mark.parametrize(
    "status,kind,silent_s",
    [("418 I'm a teapot", UpstreamBanned, 120.0), ("429 Too Many Requests", UpstreamRateLimited, 5.0)],
)
async def test_a_ban_is_one_whatever_was_asked(
    client: httpx2.AsyncClient, status: str, kind: type[Exception], silent_s: float
) -> None:
    clock = ManualClock(T0)
    async with fake_exchange(http(b"{}", status), http(b'{"source":"recorded"}')) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        for ask in (asking.source, asking.source, asking.now_ms):
            with pytest.raises(kind):
                await ask()
        clock.advance(round(silent_s * 1000) - 1)
        with pytest.raises(kind):
            await asking.now_ms()
        assert len(exchange.requests) == 1
        clock.advance(1)
        assert await asking.source() is Source.RECORDED


def banned_and_stalled(has_come: asyncio.Semaphore) -> Answer:
    """A ban whose body never comes; `has_come` is released when its head has been sent."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 418 I'm a teapot\r\nRetry-After: 300\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0.1)
        has_come.release()
        await asyncio.sleep(60)

    return answer


async def test_a_ban_is_kept_although_the_deadline_ends_its_answer(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(banned_and_stalled(asyncio.Semaphore(0))) as exchange:
        asking = Fetcher(BINANCE, client, ManualClock(T0), exchange.url, deadline_s=0.5)
        for _ in range(2):
            with pytest.raises(UpstreamBanned) as caught:
                await asking.candles(QUERY, NOW)
            assert caught.value.until_ms == T0 + 300_000
        assert len(exchange.requests) == 1


async def test_a_ban_is_kept_and_told_to_all_although_its_calls_are_cancelled(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketdata.core.fetch.transport.REFUSAL_S", 30.0)
    clock, have_come = ManualClock(T0), asyncio.Semaphore(0)
    books = Books(clock)
    one, other = (
        ExchangeBudget(BINANCE.exchange, BINANCE.capabilities.budget, clock, pool=books.process()) for _ in range(2)
    )
    async with fake_exchange(banned_and_stalled(have_come)) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url, budget=one, deadline_s=50.0)
        calls = [asyncio.create_task(asking.candles(query, NOW)) for query in many(5)]
        for _ in calls:
            await have_come.acquire()
        one.heed()  # not yet: the rest may tell more
        for call in calls:
            call.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
        with pytest.raises(UpstreamBanned):  # at once
            await asking.candles(QUERY, NOW)
        assert one.banned_until_ms == T0 + 300_000
        assert len(exchange.requests) == 5
        await asyncio.sleep(0.05)
        assert other.banned_until_ms == T0 + 300_000
        assert books.silences == {"banned": Silence(300.0, 300.0)}


async def test_a_call_that_is_cancelled_before_it_is_answered_says_nothing(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(silence) as exchange:
        asking = fetcher(client, exchange)
        call = asyncio.create_task(asking.candles(QUERY, NOW))
        await settled(exchange, 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        asking.budget.heed()


async def test_a_late_refusal_does_not_cut_a_ban_short(client: httpx2.AsyncClient) -> None:
    async def banned(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        await http(b'{"code":-1003,"msg":"IP banned until 1767225700000."}', "418 I'm a teapot")(writer)

    async with fake_exchange(banned, http(b"{}", "429 Too Many Requests")) as exchange:
        asking = Fetcher(BINANCE, client, ManualClock(T0), exchange.url)
        first, second = await asyncio.gather(
            asking.candles(QUERY, NOW), asking.candles(OTHER_QUERY, NOW), return_exceptions=True
        )
        assert {type(first), type(second)} == {UpstreamBanned, UpstreamRateLimited}
        assert asking.budget.banned_until_ms == T0 + 120_000


async def test_an_absurd_wait_is_not_believed(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b"{}", "429 Too Many Requests", f"Retry-After: {'9' * 400}\r\n")) as exchange:
        with pytest.raises(UpstreamRateLimited) as caught:
            await fetcher(client, exchange).candles(QUERY, NOW)
    assert 0 < (caught.value.retry_after_s or 0) <= 5


@pytest.mark.parametrize("told,believed_s", [("901", 900.0), ("899", 899.0), ("0", 0.0), ("soon", None)])
@pytest.mark.parametrize("status", ["503 Service Unavailable", "502 Bad Gateway"])
async def test_an_exchange_that_is_down_is_not_waited_for_for_days(
    client: httpx2.AsyncClient, status: str, told: str, believed_s: float | None
) -> None:
    async with fake_exchange(http(b"oops", status, f"Retry-After: {told}\r\n")) as exchange:
        with pytest.raises(UpstreamUnavailable) as caught:
            await fetcher(client, exchange).candles(QUERY, NOW)
    assert caught.value.retry_after_s == believed_s


async def test_a_spent_budget_says_at_once_how_long(client: httpx2.AsyncClient) -> None:
    clock = ManualClock(T0 + 45_000)
    async with fake_exchange(http(b'{"serverTime":1767225645000}'), http(b"[]")) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        await asking.now_ms()
        clock.advance(1000)
        await asking.budget.spend(1919)
        with pytest.raises(UpstreamRateLimited) as caught:
            await asking.candles(QUERY, NOW)
        assert caught.value.retry_after_s == 14.5
        assert len(exchange.requests) == 1
        clock.advance(14_500)
        await asking.candles(QUERY, NOW)


async def test_what_the_exchange_says_was_used_is_heeded(client: httpx2.AsyncClient) -> None:
    used = "Content-Type: application/json\r\nX-MBX-USED-WEIGHT-1M: 1920\r\n"
    clock = ManualClock(T0)
    async with fake_exchange(http(b'{"serverTime":1767225630000}'), http(b"[]", headers=used)) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        await asking.now_ms()
        await asking.candles(QUERY, NOW)
        assert asking.budget.used == 1920
        with pytest.raises(UpstreamRateLimited) as caught:
            await asking.candles(QUERY, NOW)
        assert caught.value.retry_after_s == 30.5


async def test_the_exchange_s_clock_decides_and_is_carried_on(client: httpx2.AsyncClient) -> None:
    clock = ManualClock(T0)
    async with fake_exchange(http(b'{"serverTime":1767226200000}'), http(b"oops", "500 Oops")) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        assert await asking.now_ms() == T0 + 600_000
        clock.advance(1234)
        assert await asking.now_ms() == T0 + 601_234
        assert len(exchange.requests) == 1
        clock.advance(
            700_000
        )  # a new sample is due, for which nobody waits; the exchange fails: the old one is carried on
        assert await asking.now_ms() - clock.now_ms() == 600_000
        await settled(exchange, 3)  # asked again once
        assert await asking.now_ms() - clock.now_ms() == 600_000
        clock.advance(61_000)
        assert await asking.now_ms() - clock.now_ms() == 600_000
        await settled(exchange, 4)


class SleepingClock(ManualClock):
    """A clock of a machine that can sleep: its monotonic time then stands still."""

    slept_ms = 0

    def sleep_through(self, ms: int) -> None:
        self.slept_ms += ms
        self.advance(ms)

    def monotonic(self) -> float:
        return super().monotonic() - self.slept_ms / 1000


async def settled(exchange: FakeExchange, requests: int) -> None:
    async with asyncio.timeout(5):
        while len(exchange.requests) < requests:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert len(exchange.requests) >= requests


async def test_a_clock_that_stood_still_while_the_machine_slept_is_noticed(client: httpx2.AsyncClient) -> None:
    clock = SleepingClock(T0)
    async with fake_exchange(http(b'{"serverTime":1767225600000}'), http(b'{"serverTime":1767254400000}')) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        assert await asking.now_ms() == T0
        clock.sleep_through(8 * 3_600_000)
        assert await asking.now_ms() == T0 + 8 * 3_600_000
        assert len(exchange.requests) == 2


async def test_the_exchange_s_time_is_never_ahead_however_long_the_way_to_it(client: httpx2.AsyncClient) -> None:
    clock = ManualClock(T0)

    async def after_a_while(writer: asyncio.StreamWriter) -> None:
        clock.advance(4000)
        await http(b'{"serverTime":%d}' % clock.now_ms())(writer)

    async with fake_exchange(after_a_while) as exchange:
        asking = Fetcher(BINANCE, client, clock, exchange.url)
        assert await asking.now_ms() == clock.now_ms()


@pytest.mark.parametrize("time_ms", [0, 1767225600, 4102444800000])
async def test_a_clock_that_is_years_off_is_no_clock(client: httpx2.AsyncClient, time_ms: int) -> None:
    async with fake_exchange(http(b'{"serverTime":%d}' % time_ms)) as exchange:
        with pytest.raises(UpstreamBadData, match="clock is years off"):
            await fetcher(client, exchange).now_ms()


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


def many(count: int) -> list[CandleQuery]:
    return [replace(QUERY, exchange_symbol=f"X{number}USDT") for number in range(count)]


@pytest.mark.parametrize("body", [b'{"code":-1003,"msg":"x"}', None])
async def test_nobody_who_waits_for_a_place_asks_during_a_ban(client: httpx2.AsyncClient, body: bytes | None) -> None:
    told_at = 0.0
    late = 0

    async def banned(writer: asyncio.StreamWriter) -> None:
        nonlocal told_at, late
        if told_at:
            late += asyncio.get_running_loop().time() > told_at + 0.1
        await asyncio.sleep(0.3)
        told_at = told_at or asyncio.get_running_loop().time()
        writer.write(b"HTTP/1.1 418 I'm a teapot\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n")
        writer.write(body or b"{")  # its body breaks off
        await writer.drain()

    async with fake_exchange(banned) as exchange:
        asking = fetcher(client, exchange, deadline_s=5.0)
        outcomes = await asyncio.gather(*[asking.candles(one, NOW) for one in many(100)], return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {UpstreamBanned}
        assert asking.budget.banned_until_ms is not None
    assert (len(exchange.requests), late) == (MAX_AT_ONCE, 0)


async def test_our_own_queue_is_not_taken_for_an_exchange_that_is_down(client: httpx2.AsyncClient) -> None:
    async def slowly(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        await http(b"[]")(writer)

    async with fake_exchange(slowly) as exchange:
        asking = fetcher(client, exchange, deadline_s=5.0)
        outcomes = await asyncio.gather(*[asking.candles(one, NOW) for one in many(300)], return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {tuple, UpstreamRateLimited}
        assert sum(isinstance(outcome, tuple) for outcome in outcomes) == len(exchange.requests) > MAX_AT_ONCE
        assert not asking.is_on_probation
        assert asking.budget.used == 2 * len(exchange.requests)  # nothing is booked for what was not sent


async def test_more_rows_than_an_exchange_gives_are_not_read(client: httpx2.AsyncClient) -> None:
    async with fake_exchange(http(b"[" + b",".join([ROW] * 6000) + b"]")) as exchange:
        with pytest.raises(UpstreamBadData, match="larger than 384000 bytes"):
            await fetcher(client, exchange).candles(QUERY, NOW)
