import pytest
from sqlalchemy.exc import IntegrityError

from marketdata.store.clients import (
    create_client,
    disable_client,
    get_client,
    list_clients,
    record_use,
    rotate_client,
)
from marketdata.store.engine import Database

NOW = 1767225600000


async def test_secret_is_shown_once_and_kept_as_a_hash(database: Database) -> None:
    async with database.transaction() as connection:
        client, secret = await create_client(connection, "bot", ["metadata:read", "candles:read"], NOW, NOW + 10)
        assert await get_client(connection, client.client_id) == client
        assert await list_clients(connection) == [client]
        assert await get_client(connection, "nobody") is None
    assert len(secret) > 40
    assert client.has_secret(secret)
    assert not client.has_secret(secret + "x")
    assert not client.has_secret("é")
    assert secret not in repr(client)
    assert "secret_hash" not in repr(client)


async def test_expiry(database: Database) -> None:
    async with database.transaction() as connection:
        client, _ = await create_client(connection, "bot", [], NOW, NOW + 10)
        lasting, _ = await create_client(connection, "bot", [], NOW)
    assert client.is_active(NOW + 9)
    assert not client.is_active(NOW + 10)
    assert lasting.is_active(NOW * 2)


async def test_disabled_for_good(database: Database) -> None:
    async with database.transaction() as connection:
        client, _ = await create_client(connection, "bot", [], NOW)
        assert await disable_client(connection, client.client_id, NOW + 1)
        assert await disable_client(connection, client.client_id, NOW + 2)
        assert not await disable_client(connection, "nobody", NOW)
        stored = await get_client(connection, client.client_id)
    assert stored is not None
    assert stored.disabled_at == NOW + 1
    assert not stored.is_active(NOW)


async def test_rotation_voids_the_old_secret(database: Database) -> None:
    async with database.transaction() as connection:
        client, old = await create_client(connection, "bot", [], NOW)
        new = await rotate_client(connection, client.client_id)
        stored = await get_client(connection, client.client_id)
        assert await rotate_client(connection, "nobody") is None
    assert stored is not None
    assert new is not None
    assert stored.has_secret(new)
    assert not stored.has_secret(old)


async def test_use_is_noted_to_the_minute(database: Database) -> None:
    seen = []
    async with database.transaction() as connection:
        client, _ = await create_client(connection, "bot", [], NOW)
        for moment in (NOW, NOW + 60_000, NOW + 60_001):
            await record_use(connection, client.client_id, moment)
            stored = await get_client(connection, client.client_id)
            assert stored is not None
            seen.append(stored.last_used_at)
    assert seen == [NOW, NOW, NOW + 60_001]


async def test_unknown_scope_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError, match="ck_api_clients_scopes"):
        async with database.transaction() as connection:
            await create_client(connection, "bot", ["everything"], NOW)
