"""Instruments, written and read as whole sets."""

import dataclasses
import itertools
from collections.abc import Sequence

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from marketdata.core.models import Kind, Status
from marketdata.store.engine import Database
from marketdata.store.exchanges import record_sync, upsert_exchange
from marketdata.store.symbols import StoredSymbol, list_stored, list_symbols, upsert_symbols
from tests.store.samples import EXCHANGE, symbol

SYNCED = 1767225900123
INSTANTS = itertools.count(SYNCED)


@pytest.fixture(autouse=True)
async def _exchange(database: Database) -> None:
    async with database.transaction() as connection:
        await upsert_exchange(connection, EXCHANGE, "http://127.0.0.1")
        await record_sync(connection, EXCHANGE, SYNCED, changed=True)


async def write(database: Database, *symbols: StoredSymbol, at_ms: int | None = None) -> None:
    at_ms = next(INSTANTS) if at_ms is None else at_ms
    async with database.transaction() as connection:
        await upsert_symbols(connection, EXCHANGE, symbols, at_ms, 1)


async def read(database: Database) -> dict[str, StoredSymbol]:
    async with database.transaction() as connection:
        return {stored.symbol.symbol: stored for stored in await list_stored(connection, EXCHANGE)}


async def test_every_field_comes_back_as_it_was(database: Database) -> None:
    whole = symbol(
        "1000SHIB-USDT-PERP",
        exchange_symbol="1000SHIBUSDT",
        aliases=("OLD,NAME", 'with "quotes"', "币安人生-USDT-PERP", "NULL", ""),
        kind=Kind.PERPETUAL,
        dex="xyz",
        base_multiplier=1000,
        settle_asset="USDT",
        status=Status.UNKNOWN,
        exchange_status="A 'WORD' \\ %s :x",
        tick_size="0.00000010",
        step_size="1",
        price_significant_digits=5,
        price_max_decimals=8,
        min_quantity="10.00",
        min_notional="5",
        contract_size="0.010",
        listed_at=1569398400123,
        expires_at=4133404800000,
        delisted_at=1767225600999,
        last_seen_at=1767225600998,
    )
    bare = symbol(
        "A-USD", exchange_status=None, tick_size=None, step_size=None, min_notional=None, base_multiplier=None
    )
    await write(
        database,
        StoredSymbol(whole, "1000SHIB", "perpetual/SHIB", listed=False, replaced_at=1767225600997),
        StoredSymbol(bare, "A", "spot/A", listed=True),
    )
    stored = await read(database)
    assert stored["1000SHIB-USDT-PERP"] == StoredSymbol(
        whole,
        "1000SHIB",
        "perpetual/SHIB",
        listed=False,
        replaced_at=1767225600997,
        row_id=stored["1000SHIB-USDT-PERP"].row_id,
        changed_at=stored["A-USD"].changed_at,
    )
    assert stored["A-USD"].symbol == bare.model_copy(update={"last_seen_at": SYNCED})
    assert (stored["A-USD"].listed, stored["A-USD"].replaced_at) == (True, None)
    async with database.transaction() as connection:
        assert await list_symbols(connection, EXCHANGE) == [stored[name].symbol for name in sorted(stored)]


async def test_last_seen_follows_the_syncs_without_writing(database: Database) -> None:
    await write(database, StoredSymbol(symbol(), "BTC", "spot", listed=True))
    async with database.transaction() as connection:
        await record_sync(connection, EXCHANGE, SYNCED + 5, changed=False)
    assert (await read(database))["BTC-USD"].symbol.last_seen_at == SYNCED + 5


async def test_changed_rows_are_rewritten_and_others_left_alone(database: Database) -> None:
    await write(database, *(StoredSymbol(symbol(name), "BTC", "spot", listed=True) for name in ("A-USD", "B-USD")))
    before = await versions(database)
    stored = (await read(database))["A-USD"]
    changed = stored.symbol.model_copy(update={"tick_size": "0.1", "status": Status.HALTED})
    await write(database, dataclasses.replace(stored, symbol=changed))
    after = await versions(database)
    assert after["B-USD"] == before["B-USD"]
    assert after["A-USD"] != before["A-USD"]
    again = (await read(database))["A-USD"]
    assert (again.symbol, again.row_id) == (changed, stored.row_id)


async def versions(database: Database) -> dict[str, tuple[str, str]]:
    """Where each row is and which transaction wrote it."""
    async with database.transaction() as connection:
        rows = await connection.exec_driver_sql("SELECT symbol, xmin::text AS at, ctid::text AS place FROM symbols")
        return {row.symbol: (row.at, row.place) for row in rows}


async def test_many_are_written_in_one_statement_and_none_in_no_statement(database: Database) -> None:
    symbols = [StoredSymbol(symbol(f"S{number}-USD"), "BTC", "spot", listed=True) for number in range(2000)]
    assert await statements(database, symbols) == 3
    assert await statements(database, []) == 0
    stored = list((await read(database)).values())
    assert len(stored) == 2000
    assert await statements(database, stored) == 3


async def statements(database: Database, symbols: Sequence[StoredSymbol]) -> int:
    """How many statements writing them takes."""
    seen: list[str] = []
    async with database.transaction() as connection:

        def see(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            seen.append(statement)

        event.listen(connection.sync_connection, "before_cursor_execute", see)
        await upsert_symbols(connection, EXCHANGE, symbols, next(INSTANTS), 1)
    return len(seen)


async def test_names_change_hands_in_one_write(database: Database) -> None:
    await write(
        database,
        StoredSymbol(symbol("A-USD", exchange_symbol="1"), "BTC", "spot", listed=True),
        StoredSymbol(symbol("B-USD", exchange_symbol="2"), "BTC", "spot", listed=True),
    )
    stored = await read(database)
    await write(
        database,
        dataclasses.replace(stored["A-USD"], symbol=symbol("B-USD", exchange_symbol="1", aliases=("A-USD",))),
        dataclasses.replace(stored["B-USD"], symbol=symbol("A-USD", exchange_symbol="2")),
    )
    swapped = await read(database)
    assert {name: one.symbol.exchange_symbol for name, one in swapped.items()} == {"A-USD": "2", "B-USD": "1"}


async def test_replaced_instrument_makes_place_in_the_same_write(database: Database) -> None:
    await write(database, StoredSymbol(symbol(), "BTC", "spot/1", listed=True))
    former = (await read(database))["BTC-USD"]
    await write(
        database,
        StoredSymbol(
            symbol(), "BTC", "spot/2", listed=True
        ),  # the new one first: the order of the rows does not matter
        dataclasses.replace(
            former,
            symbol=symbol("BTC-USD~260101", exchange_symbol="BTC-USD", status="delisted", delisted_at=SYNCED),
            listed=False,
            replaced_at=SYNCED,
        ),
    )
    stored = await read(database)
    assert stored["BTC-USD"].identity == "spot/2"
    assert stored["BTC-USD~260101"].row_id == former.row_id


@pytest.mark.parametrize("name,exchange_symbol", [("BTC-USD", "OTHER"), ("OTHER", "BTC-USD")])
async def test_neither_name_can_be_held_twice(database: Database, name: str, exchange_symbol: str) -> None:
    await write(database, StoredSymbol(symbol(), "BTC", "spot", listed=True))
    with pytest.raises(IntegrityError):
        await write(database, StoredSymbol(symbol(name, exchange_symbol=exchange_symbol), "BTC", "spot", listed=True))
