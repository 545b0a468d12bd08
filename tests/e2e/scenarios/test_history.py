"""Scenarios 3, 5, 6 and 7: what exchanges no longer have, make up, leave out and serve stale."""

from itertools import pairwise
from typing import Any

import httpx2
import pytest

from marketdata.core.models import DAY_MS, HOUR_MS, MINUTE_MS, Interval
from marketdata.simulator.scenario import Scenario
from tests.e2e.scenarios.conftest import T0, Stage
from tests.e2e.scenarios.rows import columns, values

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNLIMITED = Scenario(limits=False)
MINUTE = T0 - T0 % MINUTE_MS
KEPT = 5000


def warned(document: Any) -> dict[str, Any]:
    """Its warnings by their codes."""
    return {warning["code"]: warning for warning in document["warnings"]}


async def test_3_what_hyperliquid_no_longer_keeps_is_told_as_lost_and_not_asked_for_again(stage: Stage) -> None:
    """3. HL: pause 4 days, resume: gap reported as lost, not re-asked for ever."""
    path = "hyperliquid/BTC-USDC-PERP/1m"
    stage.play(UNLIMITED)
    read = await stage.read(path, start=MINUTE - 60 * MINUTE_MS)
    assert (read["page"]["complete"], len(read["data"]), read["warnings"]) == (True, 60, [])
    pause_from = read["data"][-1]["close_time"]

    resumed_ms = T0 + 4 * DAY_MS
    oldest_ms = resumed_ms - resumed_ms % MINUTE_MS - (KEPT - 1) * MINUTE_MS
    stage.play(UNLIMITED, now_ms=resumed_ms)
    following: str | None = f"/v1/candles/{path}?start={pause_from}&limit=2000"
    pages, rows = [], []
    while following:
        pages.append(await stage.platform.read(following))
        rows += pages[-1]["data"]
        following = pages[-1]["page"]["next"]
    assert [page["page"]["complete"] for page in pages] == [False, True, True]
    lost = warned(pages[0])["no-longer-served"]
    assert (lost["start"], lost["end"]) == (pause_from, oldest_ms)
    assert pages[0]["meta"]["gaps"] == [], "lost is another thing than not traded"
    assert [row["open_time"] for row in rows] == list(range(oldest_ms, resumed_ms - MINUTE_MS, MINUTE_MS))
    assert len(stage.calls("hyperliquid", "candles")) <= 2 * len(pages), "no search for what is lost"

    asked = len(stage.calls("hyperliquid", "candles"))
    only_lost = await stage.read(path, start=pause_from, end=pause_from + HOUR_MS)
    assert (only_lost["data"], only_lost["page"]["complete"], only_lost["page"]["next"]) == ([], False, None)
    lost = warned(only_lost)["no-longer-served"]
    assert (lost["start"], lost["end"]) == (pause_from, pause_from + HOUR_MS)
    assert len(stage.calls("hyperliquid", "candles")) <= asked + 3
    day = await stage.read("hyperliquid/BTC-USDC-PERP/5m", start=pause_from, end=resumed_ms, limit=2000)
    assert (day["page"]["complete"], day["warnings"]) == (True, []), "longer candles are still there"


@pytest.mark.parametrize("interval,limit", [("1d", 500), ("1d", 5), ("8h", 500), ("1w", 20)])
async def test_5_made_up_rows_before_the_first_traded_day_are_left_out_as_a_whole(
    stage: Stage, interval: str, limit: int
) -> None:
    """5. HL: first page of a new coin = 900 fabricated rows: flagged/trimmed as specified."""
    stage.play(Scenario(limits=False, prelisted_days={"KIT": 900}))
    path = f"hyperliquid/KIT-USDC-PERP/{interval}"
    days = await stage.read("hyperliquid/KIT-USDC-PERP/1d", start=0, limit=5000, include_prelisting="true")
    made_up = [row for row in days["data"] if row["trades"] == 0][:900]
    assert len(made_up) == 900
    assert days["warnings"] == []
    traded_ms = made_up[-1]["close_time"]
    assert days["data"][900]["open_time"] == traded_ms
    assert days["data"][900]["trades"] > 0
    assert any(row["open"] != row["close"] for row in made_up), "they look like real ones"

    document = await stage.read(path, start=0, limit=limit)
    rows = document["data"]
    kind = Interval(interval)
    assert rows[0]["close_time"] > traded_ms >= rows[0]["open_time"], "it begins with the first day that was traded"
    assert values(rows) == columns(
        stage.truth("hyperliquid", "KIT", kind, rows[0]["open_time"], rows[-1]["close_time"])
    )
    omitted = warned(document)["prelisting-omitted"]
    before = stage.truth("hyperliquid", "KIT", kind, 0, rows[0]["open_time"])
    assert (omitted["start"], omitted["end"]) == (before[0].open_time, before[-1].close_time)
    assert omitted["count"] == len(before)
    assert document["page"]["complete"]
    everything = await stage.read(path, start=0, limit=limit, include_prelisting="true")
    assert everything["data"][0]["open_time"] == before[0].open_time
    assert everything["warnings"] == []


async def test_6_a_thin_product_is_reported_as_it_is(stage: Stage) -> None:
    """6. Coinbase: thin product with 60 % omitted buckets: coverage correct, no refetch loop, gaps not filled."""
    stage.play(UNLIMITED)
    start, end = MINUTE - 1500 * MINUTE_MS, MINUTE
    there = stage.truth("coinbase", "DOT-USD", Interval.MIN_1, start, end)
    assert 0.5 < 1 - len(there) / 1500 < 0.8
    document = await stage.read("coinbase/DOT-USD/1m", start=start, end=end, limit=1500)
    assert values(document["data"]) == columns(there)
    assert (document["page"]["complete"], document["page"]["next"], document["warnings"]) == (True, None, [])

    gaps = document["meta"]["gaps"]
    opens = {candle.open_time for candle in there}
    between = range(there[0].open_time, there[-1].open_time, MINUTE_MS)
    told = {open_ms for gap in gaps for open_ms in range(gap["start"], gap["end"], MINUTE_MS)}
    assert told == set(between) - opens
    assert sum(gap["missing"] for gap in gaps) == len(told)
    assert {gap["reason"] for gap in gaps} == {"no-trades-or-missing"}
    assert all(one["end"] < two["start"] for one, two in pairwise(gaps)), "joined"

    asked = [(entry.query["start"], entry.query["end"]) for entry in stage.calls("coinbase", "candles")]
    assert len(asked) == len(set(asked)) == 5, "each bucket is asked for once"
    newest = await stage.read("coinbase/DOT-USD/1m", limit=100)
    assert values(newest["data"]) == columns(there[-100:])
    assert len(stage.calls("coinbase", "candles")) <= 5 + 2


async def test_7_a_stale_tail_of_the_cache_is_gone_around(stage: Stage) -> None:
    """7. Coinbase: CDN stale tail: adapter sends no-cache and stores the fresh bar.

    Only there: what can no longer change may come from the cache.
    """
    now_ms = T0 - T0 % HOUR_MS + 20 * MINUTE_MS
    stage.play(UNLIMITED, now_ms=now_ms)
    hour = now_ms - now_ms % HOUR_MS
    tail: dict[str, object] = {"start": hour - 3 * HOUR_MS, "end": hour + HOUR_MS, "include_partial": "true"}
    old: dict[str, object] = {"start": hour - 40 * HOUR_MS, "end": hour - 30 * HOUR_MS}
    for after_ms in (0, 2 * MINUTE_MS, 4 * MINUTE_MS):
        stage.clock.set(now_ms + after_ms)
        rows = (await stage.read("coinbase/BTC-USD/1h", **tail))["data"]
        assert values(rows) == columns(
            stage.truth("coinbase", "BTC-USD", Interval.HOUR_1, hour - 3 * HOUR_MS, hour + HOUR_MS)
        )
        assert [row["is_closed"] for row in rows] == [True, True, True, False]
        await stage.read("coinbase/BTC-USD/1h", **old)
    calls = stage.calls("coinbase", "candles")
    assert [entry.headers.get("cache-control") for entry in calls] == ["no-cache", None] * 3
    assert len({tuple(entry.query.items()) for entry in calls[::2]}) == 1, "the same URL, which the cache has"

    async with httpx2.AsyncClient(base_url=stage.platform.simulator, trust_env=False) as somebody:
        url = f"/coinbase{calls[-1].path}"
        kept = await somebody.get(url, params=calls[-1].query)
        assert kept.headers["cf-cache-status"] == "HIT"
        tail_url = dict(calls[-2].query)
        stage.clock.advance(2 * MINUTE_MS)
        stale = (await somebody.get(f"/coinbase{calls[-2].path}", params=tail_url)).json()
    fresh = (await stage.read("coinbase/BTC-USD/1h", **tail))["data"]
    assert str(stale[0][5]) != fresh[-1]["volume"], "who does not say no-cache gets an old one"
