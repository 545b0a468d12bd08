"""The cache in front of Coinbase (headers: recorded traffic of 2025-08)."""

import re
from collections.abc import Mapping

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.answers import Answer, Asked
from marketdata.simulator.cdn import Cdn
from marketdata.simulator.grids import DAY_MS
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import simulated
from tests.simulator.conftest import NOW_MS

NOW_S = NOW_MS // 1000
OLD = f"/coinbase/products/BTC-USD/candles?granularity=3600&start={NOW_S - 200 * 3600}&end={NOW_S - 100 * 3600}"
TAIL = f"/coinbase/products/BTC-USD/candles?granularity=60&start={NOW_S - 600}&end={NOW_S + 600}"
FRESH = {"Cache-Control": "no-cache"}


def mark(answer: httpx2.Response) -> tuple[str, str | None]:
    return answer.headers["cf-cache-status"], answer.headers.get("age")


async def test_a_kept_answer_stands_for_300_seconds(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    first = await simulator.get(TAIL)
    assert mark(first) == ("MISS", None)
    assert first.headers["cache-control"] == "public, max-age=300, must-revalidate"
    assert re.fullmatch(r'W/"[0-9a-f]+-[\w+/]{27}"', first.headers["etag"])
    clock.advance(15_000)
    again = await simulator.get(TAIL)
    assert mark(again) == ("HIT", "15")
    clock.advance(284_999)
    last = await simulator.get(TAIL)
    assert mark(last) == ("HIT", "299")
    assert first.content == again.content == last.content
    assert first.headers["etag"] == last.headers["etag"]
    clock.advance(1)
    anew = await simulator.get(TAIL)
    assert mark(anew) == ("EXPIRED", "0")
    assert len(anew.json()) == len(first.json()) + 5
    assert anew.headers["etag"] != first.headers["etag"]


async def test_what_has_not_changed_is_only_revalidated(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    first = await simulator.get(OLD)
    clock.advance(300_000)
    again = await simulator.get(OLD)
    assert mark(again) == ("REVALIDATED", "0")
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    clock.advance(10_000)
    assert mark(await simulator.get(OLD)) == ("HIT", "10")


async def test_no_cache_goes_through_and_renews_what_is_kept(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    stale = await simulator.get(TAIL)
    clock.advance(120_000)
    fresh = await simulator.get(TAIL, headers=FRESH)
    assert mark(fresh) == ("EXPIRED", "0")
    assert len(fresh.json()) == len(stale.json()) + 2
    clock.advance(30_000)
    hit = await simulator.get(TAIL)
    assert mark(hit) == ("HIT", "30")
    assert hit.content == fresh.content


async def test_another_spelling_is_another_url(simulator: httpx2.AsyncClient) -> None:
    assert mark(await simulator.get(OLD)) == ("MISS", None)
    for other in (OLD + "&", OLD.replace("=3600&", "=03600&"), OLD.replace("start=", "%73tart=")):
        assert (await simulator.get(other)).headers["cf-cache-status"] != "HIT"
    assert mark(await simulator.get(OLD)) == ("HIT", "0")


async def test_who_has_it_already_gets_no_body(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    etag = (await simulator.get(OLD)).headers["etag"]
    for known in (etag, f'"x", {etag}', etag.removeprefix("W/"), "*"):
        answer = await simulator.get(OLD, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert "content-type" not in answer.headers
        assert answer.headers["etag"] == etag
    assert (await simulator.get(OLD, headers={"If-None-Match": 'W/"other"'})).status_code == 200
    tail = (await simulator.get(TAIL)).headers["etag"]
    clock.advance(300_000)
    assert (await simulator.get(TAIL, headers={"If-None-Match": tail})).status_code == 200


async def test_products_are_kept_for_five_seconds(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    before = await simulator.get("/coinbase/products")
    assert before.headers["cache-control"] == "public, max-age=5"
    clock.advance(4_999)
    assert mark(await simulator.get("/coinbase/products")) == ("HIT", "4")
    clock.advance(1)
    assert mark(await simulator.get("/coinbase/products")) == ("REVALIDATED", "0")
    clock.advance(30 * DAY_MS)
    assert mark(await simulator.get("/coinbase/products")) == ("EXPIRED", "0")


async def test_refusals_and_the_time_are_not_kept(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    unknown = await simulator.get("/coinbase/products/NOPE-USD/candles?granularity=60")
    assert (unknown.status_code, len(unknown.content), unknown.headers["cache-control"]) == (404, 22, "no-store")
    for path, word in (("/coinbase/products/NOPE-USD/candles?granularity=60", "MISS"), ("/coinbase/time", "DYNAMIC")):
        for _ in range(2):
            assert mark(await simulator.get(path)) == (word, None)
    times = []
    for _ in range(2):
        times.append((await simulator.get("/coinbase/time")).json()["epoch"])
        clock.advance(1_000)
    assert times[1] - times[0] == pytest.approx(1)


async def test_each_caller_gets_a_cookie_that_nobody_has_to_send_back(simulator: httpx2.AsyncClient) -> None:
    answers = [await simulator.get(path) for path in (OLD, OLD, "/coinbase/nothing")]
    cookies = [answer.headers["set-cookie"] for answer in answers]
    assert len(set(cookies)) == 3
    shape = r"__cf_bm=[\w-]+-\d{10}-1\.0\.1\.1; path=/; expires=.* GMT; domain=\.exchange\.coinbase\.com; HttpOnly;.*"
    assert all(re.fullmatch(shape, cookie) for cookie in cookies)
    known = await simulator.get(OLD, headers={"Cookie": "__cf_bm=abc"})
    assert "set-cookie" not in known.headers
    rays = {answer.headers["cf-ray"] for answer in (*answers, known)}
    assert len(rays) == 4
    assert all(re.fullmatch(r"[0-9a-f]{16}-[A-Z]{3}", ray) for ray in rays)


async def test_a_scenario_may_do_without(clock: ManualClock) -> None:
    async with (
        running_simulator(simulated(scenario=Scenario(cdn=False)), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        before = await client.get(TAIL)
        clock.advance(60_000)
        assert len((await client.get(TAIL)).json()) == len(before.json()) + 1
        assert mark(before) == ("DYNAMIC", None)


class Origin:
    """An exchange that counts what reaches it."""

    def __init__(self, status: int = 200) -> None:
        self.asked = 0
        self.status = status

    def answer(self, asked: Asked) -> Answer:
        self.asked += 1
        size = int(asked.raw_query)
        return Answer(self.status, b"x" * size, {"Cache-Control": "max-age=60", "Etag": f'W/"{size}"'}, rows=size)


def get(cdn: Cdn, size: int, now_ms: int = NOW_MS, headers: Mapping[str, str] | None = None) -> Answer:
    return cdn.answer(Asked("GET", "/", {}, b"", now_ms, headers or {}, str(size)))


def test_memory_is_bounded_and_what_was_not_used_for_longest_goes() -> None:
    origin = Origin()
    cdn = Cdn(origin, most_bytes=100)
    for size in (30, 31, 32):
        get(cdn, size)
    get(cdn, 30)
    get(cdn, 33)
    seen = origin.asked
    for size in (30, 32, 33):
        assert get(cdn, size).headers["Cf-Cache-Status"] == "HIT"
    assert origin.asked == seen
    assert get(cdn, 31).headers["Cf-Cache-Status"] == "MISS"
    assert get(cdn, 101).headers["Cf-Cache-Status"] == "MISS"
    assert get(cdn, 101).headers["Cf-Cache-Status"] == "MISS"


def test_what_just_fits_is_kept() -> None:
    cdn = Cdn(Origin(), most_bytes=100)
    for size in (60, 40):
        get(cdn, size)
    assert [get(cdn, size).headers["Cf-Cache-Status"] for size in (60, 40)] == ["HIT", "HIT"]


def test_an_error_is_not_kept_even_if_it_may_be() -> None:
    origin = Origin(status=500)
    cdn = Cdn(origin)
    assert [get(cdn, 1).status for _ in range(2)] == [500, 500]
    assert origin.asked == 2


def test_what_is_renewed_is_counted_once() -> None:
    cdn = Cdn(Origin(), most_bytes=100)
    get(cdn, 40)
    for _ in range(5):
        get(cdn, 50, headers={"cache-control": "no-cache"})
    assert get(cdn, 40).headers["Cf-Cache-Status"] == "HIT"


def test_only_get_is_kept() -> None:
    origin = Origin()
    cdn = Cdn(origin)
    for _ in range(2):
        cdn.answer(Asked("HEAD", "/", {}, b"", NOW_MS, raw_query="1"))
    assert origin.asked == 2


def test_a_clock_that_goes_back_makes_nothing_fresh() -> None:
    cdn = Cdn(Origin())
    get(cdn, 1)
    assert get(cdn, 1, NOW_MS - 1).headers["Cf-Cache-Status"] == "REVALIDATED"
    assert get(cdn, 1, NOW_MS + 59_998).headers["Age"] == "59"


def test_the_rows_of_an_answer_stay_known() -> None:
    cdn = Cdn(Origin())
    assert [get(cdn, 7).rows for _ in range(2)] == [7, 7]
