"""A day of guessing at one client, from 200 addresses at two processes, on a clock that the test moves."""

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx2
import pytest
from fastapi import FastAPI

from marketdata.api.app import create_app
from marketdata.api.settings import ApiSettings
from marketdata.core.clock import ManualClock
from marketdata.store.client_secrets import ClientSecret
from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.store.secrets import Secret
from tests.api.test_guessing import near_miss

T0 = 1767225690_000
DAY_MS = 86_400_000
MOST_COMPARED = 100
"""More guesses than that in a day must not get as far as their hash."""

SLICE = (300, 20, 5)
FULL = (10_000, 200, 100)
"""Guesses in the day, addresses that they come from, and how often the owner comes."""


@dataclass
class Door:
    """Two processes on one database, as callers from anywhere see them."""

    apps: Sequence[FastAPI]
    clock: ManualClock
    client_id: str
    secret: str
    compared: list[str] = field(default_factory=list)
    """The wrong secrets that were compared by their hash."""
    _turn: Iterator[int] = field(default_factory=lambda: itertools.cycle(range(2)))

    async def ask(self, secret: str, address: str) -> int:
        """The status of the answer to who asks for a token."""
        transport = httpx2.ASGITransport(app=self.apps[next(self._turn)], client=(address, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://api") as http:
            form = {"grant_type": "client_credentials"}
            return (await http.post("/v1/token", data=form, auth=(self.client_id, secret))).status_code


@pytest.fixture
async def door(database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    clock = ManualClock(T0)
    async with database.transaction() as connection:
        client, secret = await create_client(connection, "guessed at", ("metadata:read",), T0)
    async with AsyncExitStack() as opened:
        apps = []
        for _ in range(2):
            its = Database(postgres_url)
            opened.push_async_callback(its.dispose)
            apps.append(create_app(its, {}, clock, ApiSettings()))
        door = Door(apps, clock, client.client_id, secret)
        is_same = ClientSecret.is_same

        def watched(self: ClientSecret, given: Secret) -> bool:
            if given.text != secret:
                door.compared.append(given.text)
            return is_same(self, given)

        monkeypatch.setattr(ClientSecret, "is_same", watched)
        yield door


async def day(door: Door, guesses: int, addresses: int, owner: int, *, knows_id: bool, at_home: bool) -> list[int]:
    """The statuses of the owner's answers; it comes again and again from where it was, or each time from elsewhere."""
    told: list[int] = []
    for number in range(guesses):
        door.clock.set(T0 + DAY_MS * number // guesses)
        guess = near_miss(door.secret) if knows_id else Secret.make().text
        place = number % addresses
        assert await door.ask(guess, f"198.51.{place // 250}.{place % 250}") in {401, 429}
        if number % (guesses // owner) == guesses // owner - 1:
            home = "203.0.113.1" if at_home else f"203.0.{len(told) // 250}.{len(told) % 250}"
            told.append(await door.ask(door.secret, home))
    return told


@pytest.mark.parametrize("size", [SLICE, pytest.param(FULL, marks=pytest.mark.long)], ids=["slice", "long"])
async def test_guesses_without_a_live_id_are_never_compared(door: Door, size: tuple[int, int, int]) -> None:
    """The owner gets in from anywhere, at its first try."""
    told = await day(door, *size, knows_id=False, at_home=False)
    assert told == [200] * size[2]
    assert door.compared == []


@pytest.mark.parametrize("size", [SLICE, pytest.param(FULL, marks=pytest.mark.long)], ids=["slice", "long"])
async def test_of_guesses_with_a_live_id_few_are_compared(door: Door, size: tuple[int, int, int]) -> None:
    """Who guesses has seen the secret's id; the owner gets in from where it was let in before, at its first try."""
    assert await door.ask(door.secret, "203.0.113.1") == 200
    told = await day(door, *size, knows_id=True, at_home=True)
    print(f"{size[0]} guesses with a live id, {len(door.compared)} compared")
    assert told == [200] * size[2]
    assert 20 <= len(door.compared) <= MOST_COMPARED
