"""Those who read while syncs are applied: every answer is of one whole generation, and generations only grow."""

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from tests.e2e.memory.changing import Changing, World, changing_world

INSTRUMENTS = 120
PAGE = 40


@dataclass
class Seen:
    """What readers saw, and what was wrong about it."""

    answers: int = 0
    walks: int = 0
    generations: set[int] = field(default_factory=set)
    newest: int = 0
    wrong: list[str] = field(default_factory=list)


def generation_of(answer: httpx2.Response) -> int:
    found = re.fullmatch(r"coinbase=(\d+)", answer.headers["Marketdata-Generation"])
    assert found, answer.headers
    return int(found[1])


def look(answer: httpx2.Response, exchange: Changing, seen: Seen, begun_at: int) -> list[dict[str, Any]]:
    """Hold an answer against the generation that it says it is of; no older one than was held when it was asked."""
    if answer.status_code != 200:
        seen.wrong.append(answer.text)
        return []
    rows: list[dict[str, Any]] = answer.json()["data"]
    generation = generation_of(answer)
    seen.answers += 1
    seen.generations.add(generation)
    ticks = {row["tick_size"] for row in rows}
    if ticks != {exchange.tick(generation)}:
        seen.wrong.append(f"generation {generation} with ticks {sorted(ticks)}")
    if generation < begun_at:
        seen.wrong.append(f"generation {generation} after {begun_at}")
    seen.newest = max(seen.newest, generation)
    return rows


async def read_once(world: World, seen: Seen) -> None:
    exchange, begun_at = world.exchanges[0], seen.newest
    look(await world.get("/v1/symbols", exchange="coinbase", limit=5, base="A7"), exchange, seen, begun_at)


async def walk(world: World, seen: Seen) -> None:
    """Go through a list page by page: it ends as the generation that it began with."""
    exchange, begun_at = world.exchanges[0], seen.newest
    answer = await world.get("/v1/symbols", exchange="coinbase", limit=PAGE)
    generation = generation_of(answer)
    rows = look(answer, exchange, seen, begun_at)
    while (following := answer.json()["page"]["next"]) is not None:
        await asyncio.sleep(0.02)
        answer = await world.get(following)
        if generation_of(answer) != generation:
            seen.wrong.append(f"a walk through {generation} came to {generation_of(answer)}")
        page: list[dict[str, Any]] = answer.json()["data"]
        rows += page
    seen.walks += 1
    due = sorted(f"{name}-USD" for name in exchange.names(generation))
    if [row["symbol"] for row in rows] != due or {row["tick_size"] for row in rows} != {exchange.tick(generation)}:
        seen.wrong.append(f"a walk through {generation} saw {len(rows)} of {len(due)}")


async def read_while_it_changes(url: str, generations: int, rate: float) -> Seen:
    """Readers in an open loop at so many requests a second while so many generations come."""
    seen, chance = Seen(), random.Random(1)
    async with changing_world(url, 1, INSTRUMENTS) as world:
        await asyncio.sleep(0)
        reading: set[asyncio.Task[None]] = set()
        ended = asyncio.Event()

        async def read_on() -> None:
            due = time.monotonic()
            while not ended.is_set():
                due += chance.expovariate(rate)
                await asyncio.sleep(max(0, due - time.monotonic()))
                task = asyncio.create_task(walk(world, seen) if chance.random() < 0.02 else read_once(world, seen))
                reading.add(task)
                task.add_done_callback(reading.discard)

        readers = asyncio.create_task(read_on())
        for _ in range(generations):
            run = await world.exchanges[0].next()
            assert run.outcome == "succeeded", run.error_detail
            await asyncio.sleep(0.05)
        async with asyncio.timeout(30):
            while seen.newest < world.exchanges[0].generation:
                await asyncio.sleep(0.05)
        ended.set()
        await readers
        await asyncio.gather(*reading)
    return seen


def check(seen: Seen, generations: int) -> None:
    print(f"{seen.answers} answers, {seen.walks} walks, {len(seen.generations)} of {generations + 1} generations seen")
    assert seen.wrong == []
    assert len(seen.generations) > generations / 4
    assert seen.walks > 0


async def test_every_answer_is_of_one_generation(postgres_url: str) -> None:
    check(await read_while_it_changes(postgres_url, 15, 60), 15)


@pytest.mark.long
async def test_every_answer_is_of_one_of_100_generations(postgres_url: str) -> None:
    check(await read_while_it_changes(postgres_url, 100, 200), 100)
