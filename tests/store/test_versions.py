"""What is kept of an instrument: a version for each state, none for a sync that changes nothing."""

import dataclasses

import pytest

from marketdata.store.engine import Database
from marketdata.store.exchanges import record_sync, upsert_exchange
from marketdata.store.symbols import StoredSymbol, list_stored, list_stored_at, list_versions, upsert_symbols
from tests.store.samples import EXCHANGE, symbol

FIRST, SECOND, THIRD, LAST = 1767225600001, 1767225900000, 1767226200000, 1767226500000


@pytest.fixture(autouse=True)
async def _history(database: Database) -> None:
    """BTC-USD with a tick that changes and a name that changes; ETH-USD from the second sync on."""
    bitcoin = StoredSymbol(symbol(last_seen_at=FIRST), "BTC", "spot", listed=True)
    await sync(database, FIRST, bitcoin)
    (bitcoin,) = await stored(database)
    finer = bitcoin.symbol.model_copy(update={"tick_size": "0.010"})
    ether = StoredSymbol(symbol("ETH-USD", first_seen_at=SECOND), "ETH", "spot", listed=True)
    await sync(database, SECOND, dataclasses.replace(bitcoin, symbol=finer), ether)
    bitcoin, _ = await stored(database)
    renamed = bitcoin.symbol.model_copy(update={"symbol": "XBT-USD", "aliases": ("BTC-USD",)})
    await sync(database, THIRD, dataclasses.replace(bitcoin, symbol=renamed, base="XBT", listed=False))
    await sync(database, LAST)


async def sync(database: Database, at_ms: int, *symbols: StoredSymbol) -> None:
    async with database.transaction() as connection:
        await upsert_exchange(connection, EXCHANGE, "http://127.0.0.1")
        generation = await record_sync(connection, EXCHANGE, at_ms, changed=bool(symbols))
        await upsert_symbols(connection, EXCHANGE, symbols, at_ms, generation)


async def stored(database: Database) -> list[StoredSymbol]:
    async with database.transaction() as connection:
        return await list_stored(connection, EXCHANGE)


async def at(database: Database, at_ms: int, seen_at_ms: int = 42) -> list[StoredSymbol]:
    async with database.transaction() as connection:
        return await list_stored_at(connection, EXCHANGE, at_ms, seen_at_ms)


async def test_every_state_has_its_time(database: Database) -> None:
    _, bitcoin = await stored(database)
    assert bitcoin.row_id is not None
    async with database.transaction() as connection:
        versions = await list_versions(connection, bitcoin.row_id)
    assert [(one.valid_from, one.valid_to, one.generation) for one in versions] == [
        (FIRST, SECOND, 1),
        (SECOND, THIRD, 2),
        (THIRD, None, 3),
    ]
    assert [(one.stored.symbol.symbol, one.stored.symbol.tick_size, one.stored.base) for one in versions] == [
        ("BTC-USD", "0.10", "BTC"),
        ("BTC-USD", "0.010", "BTC"),
        ("XBT-USD", "0.010", "XBT"),
    ]
    assert [one.stored.listed for one in versions] == [True, True, False]
    assert versions[-1].stored == bitcoin


@pytest.mark.parametrize(
    "at_ms,names,ticks",
    [
        (FIRST - 1, [], []),
        (FIRST, ["BTC-USD"], ["0.10"]),
        (SECOND - 1, ["BTC-USD"], ["0.10"]),
        (SECOND, ["BTC-USD", "ETH-USD"], ["0.010", "0.10"]),
        (THIRD, ["ETH-USD", "XBT-USD"], ["0.10", "0.010"]),
        (LAST + 1, ["ETH-USD", "XBT-USD"], ["0.10", "0.010"]),
    ],
)
async def test_at_any_instant_it_is_as_it_was_known(
    database: Database, at_ms: int, names: list[str], ticks: list[str]
) -> None:
    found = await at(database, at_ms)
    assert [row.symbol.symbol for row in found] == names
    assert [row.symbol.tick_size for row in found] == ticks
    assert [row.symbol.id for row in found] == [f"{EXCHANGE}:{name}" for name in names]


async def test_those_that_were_listed_were_seen_at_the_last_good_sync_until_then(database: Database) -> None:
    assert [row.symbol.last_seen_at for row in await at(database, SECOND + 5, SECOND)] == [SECOND, SECOND]
    assert [row.symbol.last_seen_at for row in await at(database, LAST + 5, LAST)] == [LAST, SECOND]
    assert [row.symbol.last_seen_at for row in await stored(database)] == [LAST, SECOND]


async def test_now_is_the_newest_instant(database: Database) -> None:
    assert await at(database, LAST, LAST) == await stored(database)
