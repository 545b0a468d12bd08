"""Bots that poll the feed while several exchanges are synced at once: each sees every event once, in order."""

import asyncio
import random

import pytest

from marketdata.store.events import list_events, newest_event_id
from tests.e2e.memory.changing import Changing, World, changing_world

POLLERS = 20


async def poll(world: World, seen: list[int], limit: int, ended: asyncio.Event) -> None:
    """As a bot does: go through the pages, then ask again from the newest id on."""
    chance, since = random.Random(limit), 0
    while True:
        is_last_look = ended.is_set()
        document = (await world.get("/v1/events", since=since, limit=limit)).json()
        while True:
            seen += [event["id"] for event in document["data"]]
            since = document["page"]["newest_id"]
            if document["page"]["next"] is None:
                break
            document = (await world.get(document["page"]["next"])).json()
        if is_last_look:
            return
        await asyncio.sleep(chance.uniform(0, 0.1))


async def change(exchange: Changing, times: int) -> None:
    for _ in range(times):
        assert (await exchange.next()).outcome == "succeeded"


async def follow(url: str, times: int) -> tuple[list[list[int]], list[int]]:
    """What each poller saw, and what there was to see."""
    seen: list[list[int]] = [[] for _ in range(POLLERS)]
    ended = asyncio.Event()
    async with changing_world(url, 3, 15) as world:
        polling = [
            asyncio.create_task(poll(world, one, limit, ended))
            for one, limit in zip(seen, [1, 2, 3, 7, 1000] * (POLLERS // 5), strict=True)
        ]
        await asyncio.gather(*(change(exchange, times) for exchange in world.exchanges))
        ended.set()
        await asyncio.gather(*polling)
        async with world.exchanges[0].database.transaction() as connection:
            newest = await newest_event_id(connection)
            served = world.services.catalogue.exchanges
            due = await list_events(connection, up_to_id=newest, exchanges=served, limit=1_000_000)
    return seen, [event.id for event in due]


async def test_each_poller_sees_each_event_once(postgres_url: str) -> None:
    seen, due = await follow(postgres_url, 3)
    assert len(due) > 3 * 3 * 15
    assert seen == [due] * POLLERS


@pytest.mark.long
async def test_each_poller_sees_each_of_thousands_of_events_once(postgres_url: str) -> None:
    seen, due = await follow(postgres_url, 40)
    print(f"{len(due)} events, each seen once by {POLLERS} pollers")
    assert seen == [due] * POLLERS
