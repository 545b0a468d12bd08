import pytest
from sqlalchemy.exc import IntegrityError

from marketdata.core.errors import ClientDisabled, UnknownClient
from marketdata.store.client_secrets import list_secrets, record_use
from marketdata.store.clients import create_client, disable_client, get_client, list_clients, rotate_client
from marketdata.store.engine import Database
from marketdata.store.secrets import Secret

NOW = 1767225600000


async def test_secret_is_shown_once_and_kept_as_a_hash(database: Database) -> None:
    async with database.transaction() as connection:
        client, secret = await create_client(connection, "bot", ["metadata:read", "candles:read"], NOW, NOW + 10)
        assert await get_client(connection, client.client_id) == client
        assert await list_clients(connection) == [client]
        assert await get_client(connection, "nobody") is None
        (stored,) = await list_secrets(connection, client.client_id)
    given = Secret.parse(secret)
    assert given is not None
    assert stored.is_same(given)
    assert stored.secret_id == given.id
    assert not stored.is_same(Secret.make())
    assert secret not in repr((given, stored))
    assert "secret_hash" not in repr(stored)


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
        assert (await disable_client(connection, client.client_id, NOW + 1)).disabled_at == NOW + 1
        assert (await disable_client(connection, client.client_id, NOW + 2)).disabled_at == NOW + 1
        with pytest.raises(UnknownClient):
            await disable_client(connection, "nobody", NOW)
        with pytest.raises(ClientDisabled):
            await rotate_client(connection, client.client_id, NOW + 3)
        stored = await get_client(connection, client.client_id)
    assert stored is not None
    assert stored.disabled_at == NOW + 1
    assert not stored.is_active(NOW)


async def test_rotation_leaves_the_secret_before_and_ends_older_ones(database: Database) -> None:
    async with database.transaction() as connection:
        client, first = await create_client(connection, "bot", [], NOW)
        second = await rotate_client(connection, client.client_id, NOW + 1)
        assert [one.is_live(NOW + 1) for one in await list_secrets(connection, client.client_id)] == [True, True]
        third = await rotate_client(connection, client.client_id, NOW + 2)
        stored = await list_secrets(connection, client.client_id)
        with pytest.raises(UnknownClient):
            await rotate_client(connection, "nobody", NOW)
    assert [(one.secret_id, one.revoked_at) for one in stored] == [
        (secret_id(third), None),
        (secret_id(second), None),
        (secret_id(first), NOW + 2),
    ]


def secret_id(text: str | None) -> str:
    secret = Secret.parse(text or "")
    assert secret is not None
    return secret.id


async def test_use_is_noted_to_the_minute(database: Database) -> None:
    seen = []
    async with database.transaction() as connection:
        client, secret = await create_client(connection, "bot", [], NOW)
        assert [one.last_used_at for one in await list_secrets(connection, client.client_id)] == [None]
        for moment in (NOW, NOW + 60_000, NOW + 60_001):
            await record_use(connection, secret_id(secret), moment)
            seen += [one.last_used_at for one in await list_secrets(connection, client.client_id)]
    assert seen == [NOW, NOW, NOW + 60_001]


async def test_unknown_scope_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError, match="ck_api_clients_scopes"):
        async with database.transaction() as connection:
            await create_client(connection, "bot", ["everything"], NOW)
