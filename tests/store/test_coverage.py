import pytest

from marketdata.core.coverage import Coverage
from marketdata.core.models import Interval
from marketdata.store.coverage import Observation, get_coverage, upsert_coverage
from marketdata.store.engine import Database
from marketdata.store.exchanges import upsert_exchange
from marketdata.store.symbols import StoredSymbol, list_stored, upsert_symbols
from tests.store.samples import EXCHANGE, symbol

FOUND = Observation(Coverage(1437350400000, 1767225540001, "bisection", 12), 1767225600001)
NOTHING = Observation(Coverage(None, None, "refused", 1), 1767225600002)


@pytest.fixture
async def row_ids(database: Database) -> list[int]:
    """The rows of two instruments."""
    async with database.transaction() as connection:
        await upsert_exchange(connection, EXCHANGE, "http://c")
        listed = [StoredSymbol(symbol(name), "A", name, listed=True) for name in ("A-USD", "B-USD")]
        await upsert_symbols(connection, EXCHANGE, listed, 1767225600001, 1)
        return [stored.row_id for stored in await list_stored(connection, EXCHANGE) if stored.row_id is not None]


async def test_each_instrument_and_interval_has_its_own(database: Database, row_ids: list[int]) -> None:
    first, second = row_ids
    async with database.transaction() as connection:
        await upsert_coverage(connection, first, Interval.HOUR_1, FOUND)
        await upsert_coverage(connection, second, Interval.HOUR_1, NOTHING)
        assert await get_coverage(connection, first, Interval.HOUR_1) == FOUND
        assert await get_coverage(connection, second, Interval.HOUR_1) == NOTHING
        assert await get_coverage(connection, first, Interval.MIN_1) is None


async def test_the_newest_takes_the_place_of_the_one_before(database: Database, row_ids: list[int]) -> None:
    for observed in (FOUND, NOTHING, FOUND):
        async with database.transaction() as connection:
            await upsert_coverage(connection, row_ids[0], Interval.MONTH_1, observed)
        async with database.transaction() as connection:
            assert await get_coverage(connection, row_ids[0], Interval.MONTH_1) == observed
