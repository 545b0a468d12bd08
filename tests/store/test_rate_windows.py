"""What is taken of a minute, by the clock of a real database."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from marketdata.core.limits import Amounts
from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.store.listen import Presence, listen
from marketdata.store.rate_windows import PresentMinute, look, take

Taking = Callable[[Amounts], Awaitable[PresentMinute]]


@pytest.fixture
async def client_id(database: Database) -> str:
    async with database.transaction() as connection:
        client, _ = await create_client(connection, "test", ("metadata:read",), 1)
    return client.client_id


@pytest.fixture
def taking(database: Database, client_id: str) -> Taking:
    async def taking(amounts: Amounts) -> PresentMinute:
        async with database.transaction() as connection:
            minute = await take(connection, {client_id: {"requests": 0, "candles": 0, **amounts}})
        assert minute is not None
        return minute

    return taking


def move_windows(url: str, by: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(b"UPDATE rate_windows SET window_start = window_start + '%s'" % by.encode())


async def wait_for_a_minute_with_room(database: Database) -> None:
    """Return when the minute goes on for some seconds, so that a test is not cut in two."""
    async with database.transaction() as connection:
        left_s = 60 - float(
            (await connection.exec_driver_sql("SELECT extract(second FROM clock_timestamp())")).scalar_one()
        )
    if left_s < 5:
        await asyncio.sleep(left_s)


@pytest.fixture(autouse=True)
async def _with_room(database: Database) -> None:
    await wait_for_a_minute_with_room(database)


async def test_what_is_taken_adds_up_and_can_be_given_back(taking: Taking, client_id: str) -> None:
    first = await taking({"requests": 30, "candles": 0})
    assert first.taken[client_id] == {"requests": 30, "candles": 0}
    assert first.start_ms % 60_000 == 0
    assert 0 < first.left_s <= 60
    assert (await taking({"requests": 5, "candles": 500})).taken[client_id] == {"requests": 35, "candles": 500}
    assert (await taking({"requests": -10})).taken[client_id] == {"requests": 25, "candles": 500}
    assert (await taking({"candles": -501})).taken[client_id] == {"requests": 25, "candles": 0}


async def test_another_minute_begins_at_nothing(taking: Taking, client_id: str, postgres_url: str) -> None:
    await taking({"requests": 30, "candles": 7})
    move_windows(postgres_url, "-1 minute")
    assert (await taking({"requests": 4})).taken[client_id] == {"requests": 4, "candles": 0}


async def test_what_is_given_back_in_another_minute_is_given_back_to_nobody(
    taking: Taking, client_id: str, postgres_url: str
) -> None:
    await taking({"requests": 30})
    move_windows(postgres_url, "-1 minute")
    assert (await taking({"requests": -30})).taken[client_id] == {"requests": 0, "candles": 0}


async def test_a_clock_that_was_set_back_far_makes_no_minute_longer(
    taking: Taking, client_id: str, postgres_url: str
) -> None:
    start_ms = (await taking({"requests": 30})).start_ms
    move_windows(postgres_url, "10 minutes")
    minute = await taking({"requests": 4})
    assert (minute.start_ms, minute.taken[client_id]) == (start_ms, {"requests": 4, "candles": 0})
    assert minute.left_s <= 60


async def test_those_who_take_at_once_are_told_different_sums(taking: Taking, client_id: str) -> None:
    minutes = await asyncio.gather(*(taking({"requests": 3, "candles": 5}) for _ in range(40)))
    told = sorted(minute.taken[client_id]["requests"] for minute in minutes)
    assert told == list(range(3, 121, 3))
    assert max(minute.taken[client_id]["candles"] for minute in minutes) == 200


async def test_many_clients_at_once_in_any_order(database: Database, client_id: str) -> None:
    async with database.transaction() as connection:
        others = [(await create_client(connection, "test", (), 1))[0].client_id for _ in range(9)]
    clients = [client_id, *others]

    async def all_of_them(order: int) -> None:
        async with database.transaction() as connection:
            asked: dict[str, Amounts] = {one: {"requests": 1} for one in [*clients[::order], "mdc_nobody"]}
            minute = await take(connection, asked)
        assert minute is not None
        assert set(minute.taken) == set(clients)

    await asyncio.gather(*(all_of_them(order) for order in (1, -1) * 15))
    async with database.transaction() as connection:
        minute = await take(connection, {one: {"requests": 0} for one in clients})
    assert minute is not None
    assert [minute.taken[one]["requests"] for one in clients] == [30] * 10


async def test_a_client_that_is_not_there(database: Database) -> None:
    async with database.transaction() as connection:
        assert await take(connection, {"mdc_nobody": {"requests": 1}}) is None


async def test_the_present_minute_of_all(taking: Taking, client_id: str, postgres_url: str) -> None:
    async with listen(postgres_url, None, connect_s=5, deadline_s=5, presence=Presence.LIMITS) as listener:
        empty = await look(listener)
        assert dict(empty.taken) == {}
        taken = await taking({"requests": 30, "candles": 7})
        seen = await look(listener)
        assert (seen.start_ms, dict(seen.taken)) == (taken.start_ms, {client_id: {"requests": 30, "candles": 7}})
        assert seen.left_s == pytest.approx(taken.left_s, abs=5)
        move_windows(postgres_url, "-1 minute")
        assert dict((await look(listener)).taken) == {}
