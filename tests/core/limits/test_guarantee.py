"""Never more than the limit in a minute, whoever asks when, and never nothing while something is left."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.core.clock import ManualClock
from tests.core.limits.books import Books, Process

BEGIN_MS = 1767225600000
LIMITS = (40, 700)

ASK = st.tuples(st.just("ask"), st.integers(0, 3), st.integers(1, 30))
CANDLES = st.tuples(st.just("candles"), st.integers(0, 3), st.integers(1, 400))
CROWD = st.tuples(st.just("crowd"), st.integers(0, 3), st.integers(1, 60))
PASS = st.tuples(st.just("pass"), st.just(0), st.sampled_from([100, 1_000, 5_000, 20_000, 59_000]))
TICK = st.tuples(st.just("tick"), st.integers(0, 3), st.just(0))
SLOW = st.tuples(st.just("slow"), st.just(0), st.just(0))
FAST = st.tuples(st.just("fast"), st.just(0), st.just(0))
LOSE = st.tuples(st.just("lose"), st.just(0), st.just(0))
RETURN = st.tuples(st.just("return"), st.just(0), st.just(0))
STEPS = st.lists(st.one_of(ASK, ASK, CANDLES, CANDLES, CROWD, PASS, TICK), max_size=40)
WITH_LOSSES = st.lists(st.one_of(ASK, ASK, CANDLES, CROWD, PASS, TICK, LOSE, RETURN), max_size=40)

WITH_SLOWNESS = st.lists(st.one_of(ASK, ASK, CANDLES, CROWD, PASS, TICK, SLOW, FAST), max_size=40)

Steps = list[tuple[str, int, int]]


class Trial:
    """Four processes, and what they let in."""

    def __init__(self) -> None:
        self.clock = ManualClock(BEGIN_MS)
        self.books = Books(self.clock)
        self.books.limits["c"] = LIMITS
        self.processes = [self.books.process() for _ in range(4)]
        self.admitted: Counter[tuple[int, str]] = Counter()
        self.ticks: list[asyncio.Task[None]] = []
        self.refused: Counter[tuple[int, str]] = Counter()

    async def ask(self, number: int, kind: str, amount: int) -> None:
        process = self.processes[number]
        if kind == "candles":
            meter = process.limiter.meter("c")
            outcome = await process.ask(amount, "candles")
            if outcome is None:
                meter.put_back(meter.candles, amount // 3, meter.start_ms)
                amount -= amount // 3
        else:
            outcome = await process.ask(amount)
        counted = self.admitted if outcome is None else self.refused
        counted[self.books.start_ms, kind] += amount

    async def do(self, step: str, number: int, amount: int) -> None:
        match step:
            case "ask":
                for _ in range(amount):
                    await self.ask(number, "requests", 1)
            case "crowd":
                await asyncio.gather(*(self.ask((number + i) % 4, "requests", 1) for i in range(amount)))
            case "candles":
                await self.ask(number, "candles", amount)
            case "pass":
                self.clock.advance(amount)
            case "tick":
                await self.tick(self.processes[number])
            case "slow":
                await self.hurry()
                self.books.gate, self.books.late = asyncio.Event(), asyncio.Event()
            case "fast":
                await self.hurry()
            case "lose":
                self.look()
                self.books.is_up = False
                self.look()
            case _:
                await self.come_back()

    async def tick(self, process: Process) -> None:
        process.look()
        ticking = asyncio.create_task(process.limiter.tick())
        self.ticks.append(ticking)
        if self.books.gate is None:
            await ticking

    async def hurry(self) -> None:
        """What is under way ends, and nothing is slow any more."""
        for gate in (self.books.gate, self.books.late):
            if gate is not None:
                gate.set()
        self.books.gate = self.books.late = None
        for _ in range(10):
            await asyncio.sleep(0)

    async def come_back(self) -> None:
        """All tell what they took, and then they lease."""
        self.books.is_up = True
        self.look()
        for process in self.processes:
            if process.is_alone:
                await process.limiter.tick()
        for process in self.processes:
            process.settle()

    def look(self) -> None:
        for process in self.processes:
            process.look()

    async def run(self, steps: Steps) -> None:
        for step in steps:
            await self.do(*step)
        await self.hurry()
        for (_, kind), count in self.admitted.items():
            assert count <= LIMITS[kind == "candles"], self.admitted


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_with_the_books(steps: Steps) -> None:
    asyncio.run(Trial().run(steps))


@settings(max_examples=300, deadline=None)
@given(WITH_LOSSES)
def test_whether_the_books_are_there_or_not(steps: Steps) -> None:
    asyncio.run(Trial().run(steps))


@settings(max_examples=300, deadline=None)
@given(WITH_SLOWNESS)
def test_with_books_that_answer_too_late(steps: Steps) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("marketdata.core.limits.limiter.PATIENCE_S", 1e-6)
        asyncio.run(Trial().run(steps))


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_nothing_is_lost_for_good(steps: Steps) -> None:
    """Once all is given back that nobody uses, as much is left as was not let in."""

    async def run() -> None:
        trial = Trial()
        await trial.run(steps)
        trial.clock.set(trial.books.start_ms + 120_000)
        await trial.ask(0, "requests", 1)
        trial.clock.advance(5_000)
        await trial.do("tick", 0, 0)
        assert await trial.processes[1].ask_for_all() == 39

    asyncio.run(run())
