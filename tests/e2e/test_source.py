"""A database belongs to one source: what else comes to stand at an exchange's address is not let in."""

from dataclasses import replace

from marketdata.core.clock import ManualClock
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId, Source
from marketdata.simulator.app import create_app
from marketdata.simulator.sources import simulated
from marketdata.store.engine import Database
from marketdata.store.exchanges import list_exchanges
from marketdata.store.installation import get_source
from marketdata.store.symbols import list_stored
from marketdata.syncer.sync import sync_exchange
from tests.built_in import ADAPTERS
from tests.e2e.platform import PREFIXES, Place, serving


async def test_a_syncer_refuses_the_server_that_took_another_one_s_place(database: Database) -> None:
    clock = ManualClock(1_780_000_000_000)
    market = simulated(3)
    recorded = create_app(replace(simulated(4), kind="recorded"), clock)
    place = Place(create_app(market, clock))
    async with (
        serving(place) as url,
        open_http() as http,
    ):
        fetchers = {
            exchange: Fetcher(adapter, http, clock, f"{url}/{PREFIXES[exchange]}")
            for exchange, adapter in ADAPTERS.items()
        }
        for fetcher in fetchers.values():
            assert (await sync_exchange(database, fetcher, clock)).outcome == "succeeded"
        held = await everything(database)

        place.app = recorded
        clock.advance(300_000)
        for fetcher in fetchers.values():
            run = await sync_exchange(database, fetcher, clock)
            assert (run.outcome, run.error_code) == ("failed", "source-mismatch")
        assert await everything(database) == held

        place.app = create_app(market, clock)
        for fetcher in fetchers.values():
            assert (await sync_exchange(database, fetcher, clock)).outcome == "succeeded"
    async with database.transaction() as connection:
        assert await get_source(connection) is Source.SIMULATED


async def everything(database: Database) -> tuple[object, ...]:
    """What is stored of all exchanges, beside the record of their syncs."""
    async with database.transaction() as connection:
        stored = [await list_stored(connection, ExchangeId(exchange)) for exchange in PREFIXES]
        return (await list_exchanges(connection), stored)
