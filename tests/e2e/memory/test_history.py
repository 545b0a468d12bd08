"""A year of an exchange's life: what the API tells of any moment is what the listings told by then."""

import os
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from marketdata.core.clock import ManualClock
from marketdata.core.errors import UpstreamError
from marketdata.core.models import HOUR_MS
from marketdata.simulator.controls import Controls
from marketdata.simulator.faults import Faults
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import simulated
from marketdata.syncer.sync import sync_exchange
from marketdata.syncer.validate import validate
from tests.conftest import Postgres
from tests.e2e.memory.oracle import Oracle
from tests.e2e.memory.year import Numbers, listing_year
from tests.e2e.platform import PREFIXES, Platform, make_fetchers, running_platform

START_MS = 1_773_578_096_789
LIMIT = 1000
SEEN = "last_seen_at"
UNTOLD = ("id", "generation")
"""What an event has that the oracle does not know."""


@dataclass
class Told:
    """What a year of syncs came to."""

    syncs: int = 0
    applied: int = 0
    quarantined: int = 0
    failed: int = 0
    moments: int = 0
    events: int = 0
    differences: list[str] = field(default_factory=list)


async def live(platform: Platform, oracle: Oracle, end_ms: int, every_ms: int) -> Told:
    """Sync all exchanges again and again; the oracle reads the same listings, and says which are not to be believed."""
    told = Told()
    clock = platform.clock
    assert isinstance(clock, ManualClock)
    second_look = make_fetchers(platform.upstream, clock, platform.simulator)
    while clock.now_ms() < end_ms:
        for exchange, fetcher in platform.fetchers.items():
            run = await sync_exchange(platform.database, fetcher, clock)
            told.syncs += 1
            try:
                listing = validate(await second_look[exchange].listing({}))
            except UpstreamError:
                told.failed += run.outcome == "failed"
                assert run.outcome == "failed", run
                continue
            reasons = oracle.read(exchange, clock.now_ms(), listing)
            told.applied += run.outcome == "succeeded"
            told.quarantined += run.outcome == "quarantined"
            assert run.outcome == ("quarantined" if reasons else "succeeded"), (run.error_detail, reasons)
            assert run.read_at == clock.now_ms()
        clock.advance(every_ms)
    await platform.services.refresh()
    return told


async def listed(platform: Platform, **asked: object) -> list[dict[str, Any]]:
    """A whole list of symbols, page by page."""
    document = await platform.read("/v1/symbols", limit=LIMIT, **asked)
    found: list[dict[str, Any]] = document["data"]
    while document["page"]["next"] is not None:
        document = await platform.read(document["page"]["next"])
        found += document["data"]
    return found


async def compare_moment(platform: Platform, oracle: Oracle, exchange: str, at_ms: int, told: Told) -> None:
    """Hold the list as of a moment against what was known by then."""
    known = oracle.symbols(exchange, at_ms)
    if known is None:
        answer = await platform.get("/v1/symbols", exchange=exchange, as_of=at_ms)
        assert (answer.status_code, answer.json()["code"]) == (404, "as-of-before-history")
        return
    read = [one for one in oracle.applied(exchange) if one <= at_ms]
    told.moments += 1
    found = {one["symbol"]: one for one in await listed(platform, exchange=exchange, as_of=at_ms)}
    if found.keys() != known.keys():
        told.differences.append(f"{exchange} {at_ms}: {sorted(found.keys() ^ known.keys())}")
        return
    for name, state in known.items():
        one = found[name]
        differing = {key for key in state if key != SEEN and one[key] != state[key]}
        # of syncs in a row that came to the same, the first and the last are kept
        is_seen = (
            one[SEEN] in read and one[SEEN] <= state[SEEN] and (state[SEEN] == read[-1] or one[SEEN] == state[SEEN])
        )
        if differing or not is_seen:
            told.differences.append(f"{exchange} {at_ms} {name}: {sorted(differing)} {one[SEEN]} {state[SEEN]}")


async def compare_feed(platform: Platform, oracle: Oracle, told: Told) -> None:
    """Hold the whole feed against all that there was to tell."""
    document = await platform.read("/v1/events", limit=LIMIT)
    found: list[dict[str, Any]] = document["data"]
    while document["page"]["next"] is not None:
        document = await platform.read(document["page"]["next"])
        found += document["data"]
    told.events = len(found)
    assert [one["id"] for one in found] == sorted({one["id"] for one in found})

    def key(exchange: str, observed_at: int, exchange_symbol: str | None) -> tuple[str, int, str]:
        return exchange, observed_at, exchange_symbol or ""

    ours: dict[tuple[str, int, str], list[tuple[Any, ...]]] = {}
    for one in found:
        rest = (one["type"], one["symbol"], one["field"], one["old"], one["new"], one["initial"])
        ours.setdefault(key(one["exchange"], one["observed_at"], one["exchange_symbol"]), []).append(rest)
    theirs: dict[tuple[str, int, str], list[tuple[Any, ...]]] = {}
    for event in oracle.events:
        rest = (event.type, event.symbol, event.field, event.old, event.new, event.initial)
        theirs.setdefault(key(event.exchange, event.observed_at, event.exchange_symbol), []).append(rest)
    for place in ours.keys() | theirs.keys():
        if ours.get(place) != theirs.get(place):
            told.differences.append(f"{place}: {ours.get(place)} and not {theirs.get(place)}")


async def compare_histories(platform: Platform, oracle: Oracle, names: list[tuple[str, str]], told: Told) -> None:
    """Hold versions of single instruments against their states; being missing is a version of its own."""
    for exchange, name in names:
        path = f"/v1/symbols/{exchange}/{name.replace('/', '%2F')}/history"
        versions = (await platform.read(path))["data"]
        assert [one["valid_to"] for one in versions[:-1]] == [one["valid_from"] for one in versions[1:]]
        due = oracle.history(exchange, name)
        states = [{key: version[key] for key in due[0].state if key != SEEN} for version in versions]
        begins = [
            (version["valid_from"], state)
            for at, (version, state) in enumerate(zip(versions, states, strict=True))
            if at == 0 or state != states[at - 1]
        ]
        if begins != [(one.valid_from, {key: one.state[key] for key in states[0]}) for one in due]:
            told.differences.append(f"history of {exchange} {name}")


async def live_through(
    postgres: Postgres, *, days: int, every_ms: int, moments: int, numbers: Numbers | None = None, seed: int = 1
) -> Told:
    """Live through some days and hold all that the API tells of them against the oracle."""
    year = listing_year(seed, START_MS, every_ms, days, numbers)
    clock, controls = ManualClock(year.start_ms), Controls(Faults(year.faults))
    sources = simulated(scenario=Scenario(limits=False, cdn=False, listing_changes=year.changes))
    url, oracle, chance = postgres.make_database(), Oracle(), random.Random(seed)
    async with running_platform(sources, clock, url, controls) as platform:
        for name, fetcher in platform.fetchers.items():
            assert platform.runs[name].outcome == "succeeded"
            assert oracle.read(name, clock.now_ms(), validate(await fetcher.listing({}))) == []
        clock.advance(every_ms)
        told = await live(platform, oracle, year.end_ms, every_ms)
        for exchange in chance.choices([*PREFIXES], k=moments):
            at_ms = chance.choice(
                (chance.randrange(year.start_ms, clock.now_ms()), chance.choice(oracle.applied(exchange)))
            )
            await compare_moment(platform, oracle, exchange, at_ms, told)
        await compare_moment(platform, oracle, "coinbase", year.start_ms - 1, told)
        await compare_feed(platform, oracle, told)
        for exchange in PREFIXES:
            known = oracle.symbols(exchange, clock.now_ms()) or {}
            names = [(exchange, name) for name in chance.sample(sorted(known), min(len(known), 40 + moments // 20))]
            await compare_histories(platform, oracle, names, told)
    postgres.drop_database(url)
    return told


async def test_weeks_of_changes_are_told_as_they_were_seen(postgres: Postgres) -> None:
    few = Numbers(40, 10, 6, 4, 6, 6, 8, 16, 2, 6)
    told = await live_through(postgres, days=6, every_ms=12 * HOUR_MS, moments=25, numbers=few)
    assert told.differences == []
    assert told.events > 1000
    assert told.quarantined > 0


@pytest.mark.long
async def test_days_in_which_listings_come_each_hour(postgres: Postgres) -> None:
    """A delisting takes the third listing without it then, not half an hour."""
    few = Numbers(6, 8, 8, 0, 6, 2, 2, 4, 1, 2)
    told = await live_through(postgres, days=2, every_ms=HOUR_MS, moments=15, numbers=few, seed=3)
    assert told.differences == []


@pytest.mark.long
async def test_a_year_of_changes_is_told_as_it_was_seen(postgres: Postgres) -> None:
    every_ms = round(float(os.environ.get("YEAR_HOURS", "6")) * HOUR_MS)
    told = await live_through(postgres, days=365, every_ms=every_ms, moments=1000)
    print({key: value for key, value in vars(told).items() if key != "differences"} | {"wrong": len(told.differences)})
    assert told.differences == []
