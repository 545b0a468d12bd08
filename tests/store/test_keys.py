import asyncio

from marketdata.store.engine import Database
from marketdata.store.keys import SigningKey, ensure_key, list_keys

NOW = 1767225600000


def key(kid: str, created_at: int = NOW, retired_at: int | None = None) -> SigningKey:
    return SigningKey(kid, "EdDSA", b"hidden \x00\xff", created_at, created_at, retired_at)


async def test_of_several_first_starts_one_makes_the_key(database: Database) -> None:
    async def start(number: int) -> SigningKey:
        async with database.transaction() as connection:
            return await ensure_key(connection, lambda: key(f"key-{number}"))

    keys = await asyncio.gather(*(start(number) for number in range(8)))
    assert len(set(keys)) == 1
    async with database.transaction() as connection:
        assert await list_keys(connection) == [keys[0]]


async def test_retired_keys_sign_nothing_new(database: Database) -> None:
    async with database.transaction() as connection:
        old = await ensure_key(connection, lambda: key("old", NOW, NOW + 1))
        assert await ensure_key(connection, lambda: key("new", NOW + 2)) == key("new", NOW + 2)
        assert await ensure_key(connection, lambda: key("newer", NOW + 3)) == key("new", NOW + 2)
        assert await list_keys(connection) == [key("new", NOW + 2), old]


def test_private_half_is_not_shown() -> None:
    assert "hidden" not in repr(key("a"))
