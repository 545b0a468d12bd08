"""The feed: what is written is read, and nothing is ever added before its end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.core.models import EventType, ExchangeId, Interval
from marketdata.store.engine import Database
from marketdata.store.events import Event, NewEvent, insert_events, list_changes, list_events, newest_event_id
from marketdata.store.exchanges import upsert_exchange
from marketdata.store.symbols import StoredSymbol, list_stored, upsert_symbols
from marketdata.store.tables import EVENTS
from tests.store.samples import EXCHANGE, symbol

OTHER = ExchangeId("hyperliquid")
BOTH = (EXCHANGE, OTHER)
LISTED = NewEvent(type=EventType.LISTED, symbol="BTC-USD", exchange_symbol="BTC-USD", new="trading")
TICK = NewEvent(
    type=EventType.FIELD_CHANGED,
    symbol="BTC-USD",
    exchange_symbol="BTC-USD",
    field="tick_size",
    old="0.10",
    new=None,
)
ADDED = NewEvent(type=EventType.INTERVAL_ADDED, interval=Interval.WEEK_1, new={"token": "1w", "offset_ms": None})


@pytest.fixture(autouse=True)
async def _exchanges(database: Database) -> None:
    async with database.transaction() as connection:
        for exchange in BOTH:
            await upsert_exchange(connection, exchange, "http://127.0.0.1")


async def write(
    database: Database, *given: NewEvent, exchange: ExchangeId = EXCHANGE, at_ms: int = 1000, initial: bool = False
) -> None:
    async with database.transaction() as connection:
        await insert_events(connection, exchange, given, observed_at_ms=at_ms, generation=7, initial=initial)


async def read(
    database: Database,
    *,
    after_id: int = 0,
    since_ms: int | None = None,
    exchanges: Sequence[ExchangeId] = BOTH,
    symbol_id: int | None = None,
    types: Sequence[EventType] = (),
    limit: int = 1000,
) -> list[Event]:
    async with database.transaction() as connection:
        return await list_events(
            connection,
            after_id=after_id,
            up_to_id=await newest_event_id(connection),
            since_ms=since_ms,
            exchanges=exchanges,
            symbol_id=symbol_id,
            types=types,
            limit=limit,
        )


def bare(event: Event) -> NewEvent:
    return NewEvent.model_validate(event.model_dump(include=set(NewEvent.model_fields)))


async def test_events_come_back_as_they_were_and_in_their_order(database: Database) -> None:
    assert await read(database) == []
    await write(database, TICK, LISTED, ADDED, initial=True)
    found = await read(database)
    assert [bare(event) for event in found] == [TICK, LISTED, ADDED]
    assert [event.id for event in found] == sorted(event.id for event in found)
    assert {(event.exchange, event.observed_at, event.generation, event.initial) for event in found} == {
        (EXCHANGE, 1000, 7, True)
    }


async def test_nothing_to_tell_is_no_statement(database: Database) -> None:
    await write(database)
    assert await read(database) == []


async def test_filters(database: Database) -> None:
    async with database.transaction() as connection:
        stored = [StoredSymbol(symbol(name), "X", name, listed=True) for name in ("BTC-USD", "ETH-USD")]
        await upsert_symbols(connection, EXCHANGE, stored, 1000, 1)
        rows = {row.symbol.symbol: row.row_id for row in await list_stored(connection, EXCHANGE)}
    ether = LISTED.model_copy(update={"symbol": "ETH-USD", "exchange_symbol": "ETH-USD"})
    await write(database, LISTED, ether, TICK)
    await write(database, LISTED, exchange=OTHER, at_ms=2000)
    await write(database, ADDED, at_ms=3000)
    everything = await read(database)
    bitcoin, ethereum, tick, other, added = everything
    assert await read(database, symbol_id=rows["BTC-USD"]) == [bitcoin, tick]
    assert await read(database, exchanges=[OTHER]) == [other]
    assert await read(database, exchanges=[]) == []
    assert await read(database, types=[EventType.LISTED, EventType.INTERVAL_ADDED]) == [
        bitcoin,
        ethereum,
        other,
        added,
    ]
    assert await read(database, since_ms=2000) == [other, added]
    assert await read(database, after_id=tick.id) == [other, added]
    assert await read(database, limit=2) == [bitcoin, ethereum]
    async with database.transaction() as connection:
        assert await list_changes(connection, EXCHANGE, 1000) == [bitcoin, ethereum, tick]
        assert await list_changes(connection, EXCHANGE, 1000, 1) == [bitcoin]
        assert await list_changes(connection, OTHER, 1000) == []


type Insert = Callable[[AsyncConnection, ExchangeId], Awaitable[object]]


async def with_lock(connection: AsyncConnection, exchange: ExchangeId) -> None:
    await insert_events(connection, exchange, [LISTED], observed_at_ms=1, generation=1, initial=False)


async def without_lock(connection: AsyncConnection, exchange: ExchangeId) -> None:
    row = {"type": "listed", "exchange": exchange, "observed_at": 1, "generation": 1, "initial": False}
    await connection.execute(insert(EVENTS).values(row))


async def follow(database: Database, add: Insert) -> list[int]:
    """The ids that a reader sees who goes on from the last one, while two write at once and the first commits last."""
    started, others_turn = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with database.transaction() as connection:
            await add(connection, EXCHANGE)
            started.set()
            await asyncio.wait_for(others_turn.wait(), 30)

    async def quick() -> None:
        async with database.transaction() as connection:
            await add(connection, OTHER)

    seen: list[int] = []

    async def look() -> None:
        seen.extend(event.id for event in await read(database, after_id=seen[-1] if seen else 0))

    async with asyncio.TaskGroup() as writing:
        writing.create_task(slow())
        await started.wait()
        second = writing.create_task(quick())
        await asyncio.wait([second], timeout=0.3)
        await look()
        others_turn.set()
    await look()
    return seen


async def test_nothing_is_added_behind_what_was_seen_although_writers_overlap(database: Database) -> None:
    assert len(await follow(database, with_lock)) == 2


async def test_without_a_lock_a_reader_would_miss_one(database: Database) -> None:
    """The fault that the lock is against, planted: else the test above could not see anything."""
    assert len(await follow(database, without_lock)) == 1
