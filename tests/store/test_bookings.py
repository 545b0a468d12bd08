import asyncio

import pytest

from marketdata.core.models import ExchangeId
from marketdata.store.bookings import (
    book,
    forget_ended,
    give_back,
    keep_silent,
    lock_books,
    read_books,
)
from marketdata.store.engine import Database

ONE, OTHER = ExchangeId("coinbase"), ExchangeId("hyperliquid")


async def test_bookings_are_read_by_exchange_and_role_with_the_time_that_is_left(database: Database) -> None:
    async with database.transaction() as connection:
        await book(connection, ONE, "api", 3, 60)
        await book(connection, ONE, "api", 4, 60)
        await book(connection, ONE, "syncer", 5, 30)
        await book(connection, OTHER, None, 6, 90)
        everything = await read_books(connection)
        only = await read_books(connection, ONE)
    assert set(everything) == {ONE, OTHER}
    assert set(only) == {ONE}
    # how many rows the two of the API are depends on the tenth of a second in which they end
    assert sum(one.weight for one in only[ONE].booked if one.role == "api") == 7
    assert [one.weight for one in only[ONE].booked if one.role == "syncer"] == [5]
    (foreign,) = everything[OTHER].booked
    assert (foreign.role, foreign.weight) == (None, 6)
    assert 80 <= foreign.left_s <= 90
    assert not everything[OTHER].has_ended


async def test_what_has_ended_does_not_count_and_is_forgotten(database: Database) -> None:
    async with database.transaction() as connection:
        await book(connection, ONE, "api", 3, 0.01)
        await keep_silent(connection, ONE, "banned", -61, 5)
        await keep_silent(connection, ONE, "limited", -50, 5)
        await asyncio.sleep(0.02)
        ended = (await read_books(connection))[ONE]
        assert (ended.booked, ended.has_ended, set(ended.silences)) == ([], True, {"banned", "limited"})
        await forget_ended(connection)
        # when the next one begins soon, the length of the last one is of interest
        left = (await read_books(connection))[ONE]
        assert (left.has_ended, set(left.silences)) == (False, {"limited"})


async def test_what_was_not_spent_is_given_back(database: Database) -> None:
    async with database.transaction() as connection:
        some, none = [await book(connection, ONE, "api", 10, 60) for _ in range(2)]
        await give_back(connection, some, 4)
        await give_back(connection, none, 0)
        (left,) = (await read_books(connection))[ONE].booked
    assert left.weight == 4


async def test_a_silence_is_never_cut_short(database: Database) -> None:
    async with database.transaction() as connection:
        for left_s in (10, 50, 30):
            await keep_silent(connection, ONE, "limited", left_s, left_s)
        silent = (await read_books(connection))[ONE].silences["limited"]
    assert silent.left_s == pytest.approx(50, abs=10)
    assert silent.length_s == 50


async def test_only_one_at_a_time_changes_an_exchange_s_books(database: Database) -> None:
    async with database.transaction() as connection:
        await lock_books(connection, ONE)

        async def book_too() -> None:
            async with database.transaction() as connection:
                await lock_books(connection, ONE)
                await book(connection, ONE, "api", 1, 60)

        waiting = asyncio.create_task(book_too())
        async with database.transaction() as another:
            await lock_books(another, OTHER)  # another exchange's are free
        await asyncio.sleep(0.1)
        assert await read_books(connection) == {}
    await waiting
    async with database.transaction() as connection:
        assert [one.weight for one in (await read_books(connection))[ONE].booked] == [1]
