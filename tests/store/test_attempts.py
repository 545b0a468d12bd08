"""What a health check asks: the newest run of each exchange, and nothing that could keep it waiting."""

import time

import psycopg
import pytest

from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.attempts import last_attempts
from marketdata.store.engine import Database
from marketdata.store.exchanges import upsert_exchange
from marketdata.store.syncs import record_run
from tests.store.test_syncs import COINBASE, HYPERLIQUID, run


async def test_the_newest_run_of_each_exchange(database: Database, postgres_url: str) -> None:
    async with database.transaction() as connection:
        for exchange in (COINBASE, HYPERLIQUID):
            await upsert_exchange(connection, exchange, "http://127.0.0.1")
        await record_run(connection, run(COINBASE, 1767225900001))
        newest = run(COINBASE, 1767225800002)  # the clock was set back meanwhile
        await record_run(connection, newest)
    for url in (postgres_url, postgres_url.replace("postgresql://", "postgresql+psycopg://")):
        assert last_attempts(url) == {COINBASE: newest.finished_at}


def test_without_a_schema_there_is_none(empty_postgres_url: str) -> None:
    assert last_attempts(empty_postgres_url) == {}


@pytest.mark.parametrize("url", ["postgresql://me:hidden@127.0.0.1:9/name", "postgresql://me:hidden%zz@127.0.0.1:9/n"])
def test_no_server(url: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        last_attempts(url)
    assert "hidden" not in str(caught.value)


def test_a_server_that_does_not_answer(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as holding:
        holding.execute("LOCK TABLE sync_runs")
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            last_attempts(postgres_url, deadline_s=0.2)
        assert time.monotonic() - began < 3
