"""What decides about access is read as a whole, and every change of it is told."""

import psycopg
import pytest

from marketdata.core.errors import UnknownClient, UnknownSecret
from marketdata.store.access import get_access
from marketdata.store.changes import ACCESS_CHANNEL, get_access_version
from marketdata.store.client_secrets import list_secrets, revoke_secret
from marketdata.store.clients import create_client, disable_client, rotate_client
from marketdata.store.engine import Database
from marketdata.store.sealing import ensure_sealing_secret, get_sealing_secret

NOW = 1767225600000
DAY_MS = 86_400_000


async def test_every_change_is_told_when_it_is_committed(database: Database, postgres_url: str) -> None:
    heard = 0
    with psycopg.connect(postgres_url, autocommit=True) as listening:
        listening.execute(f"LISTEN {ACCESS_CHANNEL}")
        async with database.transaction() as connection:
            version = await get_access_version(connection)
            client, _ = await create_client(connection, "bot", (), NOW)
            assert await get_access_version(connection) == version + 1
            assert list(listening.notifies(timeout=0.2)) == []
        for change in ("rotate", "revoke", "disable"):
            async with database.transaction() as connection:
                version = await get_access_version(connection)
                match change:
                    case "rotate":
                        assert await rotate_client(connection, client.client_id, NOW)
                    case "revoke":
                        secret = (await list_secrets(connection, client.client_id))[0]
                        await revoke_secret(connection, client.client_id, secret.secret_id, NOW)
                    case _:
                        await disable_client(connection, client.client_id, NOW)
                assert await get_access_version(connection) > version
        heard = len(list(listening.notifies(timeout=0.5)))
    assert heard == 4


async def test_what_changes_nothing_is_not_told(database: Database) -> None:
    async with database.transaction() as connection:
        version = await get_access_version(connection)
        with pytest.raises(UnknownClient):
            await disable_client(connection, "nobody", NOW)
        with pytest.raises(UnknownSecret):
            await revoke_secret(connection, "nobody", "nothing", NOW)
        with pytest.raises(UnknownClient):
            await rotate_client(connection, "nobody", NOW)
        assert await get_access_version(connection) == version


async def test_secrets_are_known_as_long_as_their_tokens_may_live(database: Database) -> None:
    async with database.transaction() as connection:
        client, _ = await create_client(connection, "bot", ("admin",), NOW)
        await rotate_client(connection, client.client_id, NOW + 1)
        newer, older = await list_secrets(connection, client.client_id)
        access = await get_access(connection, NOW + 1, DAY_MS)
        assert access.clients == {client.client_id: client}
        assert list(access.secrets.items()) == [(newer.secret_id, newer), (older.secret_id, older)]

        await revoke_secret(connection, client.client_id, newer.secret_id, NOW)
        assert list((await get_access(connection, NOW + 1, DAY_MS)).secrets) == [older.secret_id]
        await connection.exec_driver_sql("UPDATE client_secrets SET expires_at = to_timestamp(%s)", (NOW / 1000,))
        assert list((await get_access(connection, NOW + DAY_MS - 1, DAY_MS)).secrets) == [older.secret_id]
        assert list((await get_access(connection, NOW + DAY_MS, DAY_MS)).secrets) == []


async def test_the_sealing_secret_is_made_once(database: Database) -> None:
    async with database.transaction() as connection:
        assert await get_sealing_secret(connection) is None
        assert not (await get_access(connection, NOW, DAY_MS)).is_complete
        await ensure_sealing_secret(connection, NOW)
        secret = await get_sealing_secret(connection)
        assert secret is not None
        assert len(secret) == 32
        await ensure_sealing_secret(connection, NOW)
        access = await get_access(connection, NOW, DAY_MS)
    assert access.sealing_secret == secret
    assert repr(secret) not in repr(access)
