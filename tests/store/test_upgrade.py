"""A database of a version before, with what it holds, is brought to this one and back."""

import psycopg
import pytest

from marketdata.core.models import ExchangeId
from marketdata.store.client_secrets import list_secrets, revoke_secret
from marketdata.store.clients import ApiClient, get_client, rotate_client
from marketdata.store.engine import Database
from marketdata.store.events import list_events, newest_event_id
from marketdata.store.exchanges import list_exchanges, list_intervals
from marketdata.store.keys import list_keys
from marketdata.store.migrate import downgrade, migrate
from marketdata.store.secrets import Secret, hash_secret
from marketdata.store.symbols import list_stored, list_stored_at, list_versions
from marketdata.store.syncs import Reading, get_reading, list_runs

EXCHANGE = ExchangeId("coinbase")
SYNCED = 1767225900123
HELD = """
    INSERT INTO exchanges VALUES ('coinbase', 'http://c', 7, '2026-01-01T00:05:00.123Z');
    INSERT INTO intervals VALUES ('coinbase', '1m', '60', 'epoch', 0);
    INSERT INTO symbols (exchange, symbol, exchange_symbol, base, identity, aliases, kind, base_asset, quote_asset,
        status, tick_size, delisted_at, first_seen_at, last_seen_at)
    VALUES ('coinbase', 'BTC-USD', 'BTC-USD', 'BTC', 'spot', '{XBT-USD}', 'spot', 'BTC', 'USD', 'trading', 0.10, NULL,
            '2025-01-01', NULL),
        ('coinbase', 'OFF-USD', 'OFF-USD', 'OFF', 'spot', '{}', 'spot', 'OFF', 'USD', 'delisted', 0.1, '2025-06-01',
            '2025-01-01', NULL),
        ('coinbase', 'OLD-USD', 'OLD-USD', 'OLD', 'spot', '{}', 'spot', 'OLD', 'USD', 'delisted', 0.1, '2025-07-01',
            '2025-01-01', '2025-06-30');
    INSERT INTO sync_runs (exchange, started_at, finished_at, outcome, generation, listed, added, changed, delisted,
        relisted, refused, clashes, unclassified, report)
    VALUES ('coinbase', '2026-01-01', '2026-01-01T00:00:01Z', 'refused', 7, 0, 0, 0, 0, 0, 0, 0, 0, '{"changes": []}'),
        ('coinbase', '2026-01-01', '2026-01-01T00:05:01Z', 'succeeded', 7, 2, 0, 0, 0, 0, 0, 0, 0, '{"changes": []}');
"""


@pytest.fixture
def held(postgres_url: str) -> str:
    """What a database of the version before held, brought to this one."""
    downgrade(postgres_url, "0002")
    with psycopg.connect(postgres_url) as connection:
        connection.execute(HELD)
    assert migrate(postgres_url)
    return postgres_url


@pytest.mark.usefixtures("held")
async def test_history_begins_with_the_last_sync(database: Database) -> None:
    async with database.transaction() as connection:
        (state,) = await list_exchanges(connection)
        now = await list_stored(connection, EXCHANGE)
        known = await list_stored_at(connection, EXCHANGE, SYNCED, SYNCED)
        assert await list_stored_at(connection, EXCHANGE, SYNCED - 1, 0) == []
        versions = [await list_versions(connection, row.row_id or 0) for row in now]
        events = await list_events(
            connection, up_to_id=await newest_event_id(connection), exchanges=[EXCHANGE], limit=10
        )
        assert len(await list_intervals(connection, EXCHANGE)) == 1
        assert await list_intervals(connection, EXCHANGE, SYNCED - 1) == []
        runs = await list_runs(connection, limit=10)
        assert await get_reading(connection, EXCHANGE, SYNCED) == Reading(7, SYNCED)
        assert await get_reading(connection, EXCHANGE, SYNCED - 1) is None
    assert (state.first_synced_at, state.last_synced_at, state.listings) == (SYNCED, SYNCED, 1)
    assert known == now
    assert [len(of_one) for of_one in versions] == [1, 1, 1]
    assert [(row.symbol.symbol, row.listed, row.symbol.delisted_at_source) for row in now] == [
        ("BTC-USD", True, None),
        ("OFF-USD", True, "exchange"),
        ("OLD-USD", False, "observed"),
    ]
    assert [(one.type, one.symbol, one.initial, one.new) for one in events] == [
        ("listed", "BTC-USD", True, "trading"),
        ("listed", "OFF-USD", True, "delisted"),
        ("listed", "OLD-USD", True, "delisted"),
    ]
    assert [(run.outcome, run.runs) for run in runs] == [("succeeded", 1), ("quarantined", 1)]


ACCESS = """
    INSERT INTO api_clients (client_id, name, secret_hash, scopes, created_at, last_used_at, expires_at, disabled_at)
    VALUES ('mdc_1', 'bot', sha256('one'), '{candles:read}', '2026-01-01', '2026-01-02', NULL, NULL),
        ('mdc_2', 'gone', sha256('two'), '{}', '2026-01-01', NULL, '2027-01-01', '2026-02-01'),
        ('mdc_3', 'rotated', sha256('three'), '{}', '2026-01-01', NULL, NULL, NULL),
        ('mdc_4', 'ended', sha256('four'), '{}', '2026-01-01', NULL, NULL, NULL);
    INSERT INTO signing_keys (kid, algorithm, private_key, created_at, retired_at)
    VALUES ('old', 'EdDSA', 'x', '2025-12-01', '2026-01-01'), ('new', 'EdDSA', 'y', '2026-01-01', NULL);
"""
CLIENTS = "SELECT client_id, name, scopes, created_at, expires_at, disabled_at FROM api_clients ORDER BY client_id"


@pytest.fixture
def held_access(postgres_url: str) -> str:
    """What a database before the front door held, brought to this version."""
    downgrade(postgres_url, "0003")
    with psycopg.connect(postgres_url) as connection:
        connection.execute(ACCESS)
    assert migrate(postgres_url)
    return postgres_url


@pytest.mark.usefixtures("held_access")
async def test_clients_and_keys_go_on_as_they_were(database: Database) -> None:
    one = hash_secret("one")
    async with database.transaction() as connection:
        client = await get_client(connection, "mdc_1")
        (secret,) = await list_secrets(connection, "mdc_1")
        keys = {key.kid: key for key in await list_keys(connection)}
    assert client == ApiClient("mdc_1", "bot", ("candles:read",), None, None, 1767225600000, None, None)
    assert (secret.secret_id, secret.secret_hash) == (one.hex()[:8], one)
    assert (secret.created_at, secret.last_used_at) == (1767225600000, 1767312000000)
    assert secret.is_live(1767312000000)
    assert (keys["new"].signs, keys["old"].signs, keys["old"].is_next) == (True, False, False)


async def test_back_again_only_secrets_that_are_live_let_in(held_access: str, database: Database) -> None:
    with psycopg.connect(held_access) as connection:
        before = connection.execute(CLIENTS).fetchall()
    async with database.transaction() as connection:
        renewed = Secret.parse(await rotate_client(connection, "mdc_3", 1767225600001, revoke=True))
        (ended,) = await list_secrets(connection, "mdc_4")
        await revoke_secret(connection, "mdc_4", ended.secret_id, 1767225600001)
        await connection.exec_driver_sql(
            "INSERT INTO signing_keys (kid, algorithm, private_key, created_at, signs_from, revoked_at)"
            " VALUES ('next', 'EdDSA', 'z', now(), NULL, NULL), ('void', 'EdDSA', 'z', now(), now(), now())"
        )
    await database.dispose()
    assert renewed is not None
    assert downgrade(held_access, "0003")
    with psycopg.connect(held_access) as connection:
        hashes = connection.execute("SELECT secret_hash FROM api_clients ORDER BY client_id").fetchall()
        after = connection.execute(CLIENTS).fetchall()
        keys = connection.execute("SELECT kid FROM signing_keys WHERE retired_at IS NULL").fetchall()
    assert [row[0] for row in hashes] == [hash_secret("one"), hash_secret("two"), renewed.hash(), bytes(32)]
    assert after == before
    assert keys == [("new",)]
    assert migrate(held_access)


def test_back_again_nothing_of_it_is_lost(held: str) -> None:
    assert downgrade(held, "0002")
    with psycopg.connect(held) as connection:
        symbols = connection.execute("SELECT symbol, tick_size::text FROM symbols ORDER BY symbol").fetchall()
        outcomes = connection.execute("SELECT outcome FROM sync_runs ORDER BY id").fetchall()
        intervals = connection.execute("SELECT count(*) FROM intervals").fetchone()
    assert symbols == [("BTC-USD", "0.10"), ("OFF-USD", "0.1"), ("OLD-USD", "0.1")]
    assert (outcomes, intervals) == ([("refused",), ("succeeded",)], (1,))
    assert migrate(held)
