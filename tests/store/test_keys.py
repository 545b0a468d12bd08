import asyncio
from dataclasses import asdict
from typing import Any

from sqlalchemy import insert

from marketdata.store.audit import AuditFilters, list_entries, newest_entry_id
from marketdata.store.changes import get_access_version
from marketdata.store.engine import Database
from marketdata.store.keys import RotationRule, SigningKey, ensure_keys, list_keys, rotate_keys
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


RULE = RotationRule(published_ms=10_000, believed_ms=100_000)


async def states(database: Database) -> dict[str, str]:
    async with database.transaction() as connection:
        keys = await list_keys(connection)
    return {
        key.kid: ("revoked" if key.revoked_at else "next" if key.is_next else "signing" if key.signs else "retired")
        for key in keys
    }


async def rotate(database: Database, kid: str, now_ms: int, **more: Any) -> int:
    async with database.transaction() as connection:
        return await rotate_keys(connection, lambda: key(kid, now_ms), now_ms, RULE, **more)


async def begin(database: Database) -> None:
    names = iter(("a", "b"))
    async with database.transaction() as connection:
        await ensure_keys(connection, lambda: key(next(names)))


async def test_keys_take_turns(database: Database) -> None:
    await begin(database)
    assert await states(database) == {"a": "signing", "b": "next"}
    assert await rotate(database, "c", NOW + 9_999) == 1, "not every process may know b"
    assert await states(database) == {"a": "signing", "b": "next"}
    assert await rotate(database, "c", NOW + 10_000) == 0
    assert await states(database) == {"a": "retired", "b": "signing", "c": "next"}
    assert await rotate(database, "d", NOW + 20_000) == 0
    assert await rotate(database, "e", NOW + 109_999) == 0
    assert await states(database) == {"a": "retired", "b": "retired", "c": "retired", "d": "signing", "e": "next"}
    assert await rotate(database, "f", NOW + 120_000) == 0
    assert await states(database) == {"c": "retired", "d": "retired", "e": "signing", "f": "next"}


async def test_what_was_signed_before_is_void(database: Database) -> None:
    await begin(database)
    await rotate(database, "c", NOW + 10_000)
    assert await rotate(database, "d", NOW + 20_000, revoke=True) == 0
    assert await states(database) == {"a": "revoked", "b": "revoked", "c": "signing", "d": "next"}
    async with database.transaction() as connection:
        entries = await list_entries(connection, AuditFilters(), up_to_id=await newest_entry_id(connection), limit=99)
    assert [(entry.action, entry.subject, entry.actor) for entry in entries] == [
        ("key.created", "a", "platform"),
        ("key.created", "b", "platform"),
        ("key.created", "c", "operator"),
        ("key.rotated", "b", "operator"),
        ("key.created", "d", "operator"),
        ("key.rotated", "c", "operator"),
        ("key.revoked", "a", "operator"),
        ("key.revoked", "b", "operator"),
    ]


async def test_without_a_next_key_one_is_made_first(database: Database) -> None:
    assert await rotate(database, "a", NOW) == 10_000
    assert await states(database) == {"a": "next"}


async def test_only_when_it_is_due(database: Database) -> None:
    await begin(database)
    assert await rotate(database, "c", NOW + 50_000, due_before_ms=NOW) == 0
    assert await states(database) == {"a": "signing", "b": "next"}
    assert await rotate(database, "c", NOW + 50_001, due_before_ms=NOW + 1) == 0
    assert await states(database) == {"a": "retired", "b": "signing", "c": "next"}


async def test_of_many_at_once_one_rotates(database: Database) -> None:
    await begin(database)
    at_ms = NOW + 50_000
    await asyncio.gather(*(rotate(database, f"key-{n}", at_ms, due_before_ms=NOW + 1) for n in range(8)))
    assert sorted((await states(database)).values()) == ["next", "retired", "signing"]
