import asyncio
from dataclasses import asdict

from sqlalchemy import insert

from marketdata.store.changes import get_access_version
from marketdata.store.engine import Database
from marketdata.store.keys import SigningKey, ensure_keys, list_keys
from marketdata.store.tables import SIGNING_KEYS

NOW = 1767225600000


def key(kid: str, created_at: int = NOW, retired_at: int | None = None) -> SigningKey:
    return SigningKey(kid, "EdDSA", b"hidden \x00\xff", created_at, created_at, retired_at)


async def test_of_several_first_starts_one_makes_the_keys(database: Database) -> None:
    async def start(number: int) -> bool:
        names = (f"key-{number}-{which}" for which in range(2))
        async with database.transaction() as connection:
            return await ensure_keys(connection, lambda: key(next(names)))

    assert sorted(await asyncio.gather(*(start(number) for number in range(8)))) == [False] * 7 + [True]
    async with database.transaction() as connection:
        keys = await list_keys(connection)
    assert sorted((one.signs, one.is_next) for one in keys) == [(False, True), (True, False)]


async def test_what_is_lacking_is_made_and_told(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(insert(SIGNING_KEYS).values(asdict(key("old", NOW, NOW + 1))))
        before = await get_access_version(connection)
        names = iter(("new", "newer"))
        assert await ensure_keys(connection, lambda: key(next(names), NOW + 2))
        assert await get_access_version(connection) == before + 1
        held = {one.kid: (one.signs, one.is_next) for one in await list_keys(connection)}
    assert held == {"old": (False, False), "new": (True, False), "newer": (False, True)}


def test_private_half_is_not_shown() -> None:
    assert "hidden" not in repr(key("a"))
