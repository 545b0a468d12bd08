"""What candle answers say about how long they hold and how they were got."""

import asyncio

import pytest

from marketdata.core.fetch import Fetcher
from tests.api.conftest import MARKET_NOW_MS, Market

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("fresh")]

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
BTC = "/v1/candles/binance_futures/BTC-USDT-PERP"
HOUR = MARKET_NOW_MS // HOUR_MS * HOUR_MS
LONG, SHORT = "private, max-age=86400", "private, no-cache"


async def control(market: Market, url: str) -> str:
    answer = await market.get(url)
    assert answer.status_code == 200, answer.text
    held: str = answer.headers["cache-control"]
    return held


async def test_a_closed_range_of_the_past_holds_for_long(market: Market) -> None:
    past = f"start={HOUR - 9 * HOUR_MS}&end={HOUR - 3 * HOUR_MS}"
    for query in (past, f"{past}&order=desc", f"end={HOUR - 3 * HOUR_MS}", f"{past}&limit=2", f"{past}&format=csv"):
        assert await control(market, f"{BTC}/1h?{query}") == LONG, query


async def test_the_next_page_of_a_closed_range_holds_as_long(market: Market) -> None:
    first = await market.candles(f"{BTC}/1h?start={HOUR - 9 * HOUR_MS}&end={HOUR - 3 * HOUR_MS}&limit=2")
    page = first["page"]
    assert isinstance(page, dict)
    assert await control(market, page["next"]) == LONG


async def test_an_open_end_is_asked_for_again(market: Market) -> None:
    start = f"start={HOUR - 9 * HOUR_MS}"
    for query in ("", "limit=2", start, f"{start}&limit=2", f"{start}&end={HOUR + DAY_MS}", f"{start}&order=desc"):
        assert await control(market, f"{BTC}/1h?{query}") == SHORT, query
    assert await control(market, f"{BTC}/1h/latest") == SHORT
    assert await control(market, f"{BTC}/1h/latest?include_partial=true") == SHORT


async def test_a_forming_candle_or_one_left_out_is_not_kept(market: Market) -> None:
    """The last candle of the range opened before its end and has not closed yet."""
    day = MARKET_NOW_MS // DAY_MS * DAY_MS
    market.clock.set(day + DAY_MS // 2)
    url = f"{BTC}/1d?start={day - 3 * DAY_MS}&end={day + HOUR_MS}"
    partial = await market.candles(f"{url}&include_partial=true")
    rows = partial["data"]
    assert isinstance(rows, list)
    assert rows[-1]["is_closed"] is False
    assert await control(market, f"{url}&include_partial=true") == SHORT
    assert await control(market, url) == SHORT


@pytest.mark.parametrize("interval,length_ms", [("1m", MINUTE_MS), ("1h", HOUR_MS), ("1d", DAY_MS)])
async def test_ten_minutes_after_the_close_it_is_settled(market: Market, interval: str, length_ms: int) -> None:
    end_ms = MARKET_NOW_MS // DAY_MS * DAY_MS - DAY_MS
    settled_ms = end_ms + length_ms + 10 * MINUTE_MS
    for now_ms, expected in ((settled_ms - 1, SHORT), (settled_ms, LONG)):
        market.clock.set(now_ms)
        url = f"{BTC}/{interval}?start={end_ms - 3 * length_ms}&end={end_ms}"
        assert await control(market, url) == expected, now_ms - settled_ms


async def test_a_month_that_follows_the_last_of_all_years(market: Market) -> None:
    assert await control(market, f"{BTC}/1M?start=2025-01-01T00:00:00Z&end=9999-12-31T23:59:59Z") == SHORT


async def test_an_incomplete_answer_is_not_kept(market: Market) -> None:
    """Hyperliquid keeps 5,000 candles of an interval; older ones are no longer served."""
    url = f"/v1/candles/hyperliquid/BTC-USDC-PERP/1m?start={HOUR - 30 * DAY_MS}&end={HOUR - DAY_MS}"
    answer = await market.candles(url)
    page = answer["page"]
    assert isinstance(page, dict)
    assert page["complete"] is False
    assert await control(market, url) == SHORT


async def test_equal_data_has_an_equal_tag_whenever_it_is_fetched(market: Market) -> None:
    url = f"{BTC}/1h?start={HOUR - 9 * HOUR_MS}&end={HOUR - 3 * HOUR_MS}&limit=4"
    for form in ("json", "csv", "ndjson", "ccxt"):
        first = await market.get(f"{url}&format={form}")
        market.clock.advance(7 * MINUTE_MS)
        second = await market.get(f"{url}&format={form}")
        assert second.content == first.content
        assert second.headers["etag"] == first.headers["etag"]
        again = await market.get(f"{url}&format={form}", **{"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["cache-control"] == LONG
        assert again.headers.get("link") == first.headers["link"]


async def test_each_format_has_a_tag_of_its_own(market: Market) -> None:
    url = f"{BTC}/1h?start={HOUR - 9 * HOUR_MS}&end={HOUR - 3 * HOUR_MS}"
    tags = {(await market.get(f"{url}&format={one}")).headers["etag"] for one in ("json", "csv", "ndjson", "ccxt")}
    assert len(tags) == 4


async def test_what_lines_say_in_headers_is_in_their_tag(market: Market) -> None:
    """Neither of the two has a row, and the one is incomplete."""
    ranges = (f"start={HOUR + DAY_MS}&end={HOUR + 2 * DAY_MS}", f"start=0&end={DAY_MS}")
    answers = [await market.get(f"/v1/candles/hyperliquid/BTC-USDC-PERP/1m?{one}&format=ndjson") for one in ranges]
    assert [answer.content for answer in answers] == [b"", b""]
    assert [answer.headers["marketdata-complete"] for answer in answers] == ["true", "false"]
    assert answers[0].headers["etag"] != answers[1].headers["etag"]


async def test_the_format_depends_on_accept(market: Market) -> None:
    url = f"{BTC}/1h?limit=3"
    table = await market.get(url, Accept="text/csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.headers.get_list("vary") == ["Accept", "Accept-Encoding"]


async def test_the_exchange_was_asked_or_somebody_elses_call_shared(market: Market) -> None:
    url = f"{BTC}/1h?start={HOUR - 90 * HOUR_MS}&end={HOUR - 3 * HOUR_MS}"
    alone = await market.get(url)
    assert (alone.headers["cache-status"], alone.headers["age"]) == ("marketdata; fwd=miss", "0")
    together = await asyncio.gather(*(market.get(url) for _ in range(3)))
    assert sorted(answer.headers["cache-status"] for answer in together) == [
        "marketdata; fwd=miss",
        "marketdata; fwd=miss; collapsed",
        "marketdata; fwd=miss; collapsed",
    ]
    assert len({answer.headers["etag"] for answer in together}) == 1


async def test_who_asks_nobody_claims_nothing(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Fetcher, "candles", never)
    answer = await market.get(f"{BTC}/1h?start={HOUR + DAY_MS}&end={HOUR + 2 * DAY_MS}")
    assert answer.status_code == 200
    assert "cache-status" not in answer.headers
