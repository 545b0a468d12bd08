"""What is written down stays as it is, and comes with its change or not at all."""

import asyncio

import psycopg
import pytest

from marketdata.core.errors import UnknownSecret
from marketdata.store.audit import Actor, AuditFilters, list_entries, newest_entry_id, record
from marketdata.store.client_secrets import list_secrets, revoke_secret
from marketdata.store.clients import create_client, disable_client, rotate_client, update_client
from marketdata.store.engine import Database

NOW = 1767225600000
ALL = AuditFilters()
ADMIN = Actor("mdc_admin", "192.0.2.7", "request-1")


async def told(
    database: Database, filters: AuditFilters = ALL
) -> list[tuple[str, str | None, str | None, dict[str, object]]]:
    """All lines, but for their ids and times."""
    async with database.transaction() as connection:
        up_to = await newest_entry_id(connection)
        entries = await list_entries(connection, filters, up_to_id=up_to, limit=100)
    return [(entry.action, entry.actor, entry.subject, dict(entry.details)) for entry in entries]


async def test_every_change_of_a_client_is_written_down_with_who_made_it(database: Database) -> None:
    async with database.transaction() as connection:
        client, secret = await create_client(connection, "bot", ("admin",), NOW, NOW + 9)
        its = client.client_id
        await update_client(connection, its, {"name": "robot", "scopes": ("admin",)}, NOW + 1, by=ADMIN)
        await update_client(connection, its, {"name": "robot"}, NOW + 2, by=ADMIN)  # which changes nothing
        new = await rotate_client(connection, its, NOW + 3, NOW + 99, revoke=True, by=ADMIN)
        await disable_client(connection, its, NOW + 4, by=ADMIN)
        await disable_client(connection, its, NOW + 5, by=ADMIN)
        newer, older = (one.secret_id for one in await list_secrets(connection, its))
    made = {
        "name": "bot",
        "scopes": ["admin"],
        "requests_per_minute": None,
        "candles_per_minute": None,
        "expires_at": NOW + 9,
        "disabled_at": None,
        "secret_id": older,
    }
    assert await told(database) == [
        ("client.created", "operator", its, made),
        ("client.updated", "mdc_admin", its, {"changed": {"name": {"old": "bot", "new": "robot"}}}),
        ("secret.revoked", "mdc_admin", its, {"secret_id": older}),
        ("client.rotated", "mdc_admin", its, {"secret_id": newer, "secret_expires_at": NOW + 99}),
        ("client.disabled", "mdc_admin", its, {}),
    ]
    assert await told(database, AuditFilters(actor="operator")) == (await told(database))[:1]
    assert await told(database, AuditFilters(since_ms=NOW + 4)) == await told(
        database, AuditFilters(action="client.disabled")
    )
    assert await told(database, AuditFilters(subject="nobody")) == []
    for text in (secret, new):
        assert text not in repr(await told(database))


async def test_what_is_rolled_back_is_not_written_down(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            client, _ = await create_client(connection, "bot", (), NOW)
            await revoke_secret(connection, client.client_id, "nothing", NOW)

    with pytest.raises(UnknownSecret):
        await fail()
    assert await told(database) == []


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
async def test_nothing_is_changed_or_taken_away(database: Database, postgres_url: str, statement: str) -> None:
    async with database.transaction() as connection:
        await record(connection, NOW, "admin.read", ADMIN)
    with (
        psycopg.connect(postgres_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="audit_log is append-only"),
    ):
        connection.execute(statement)
    assert len(await told(database)) == 1


async def test_an_action_that_nobody_knows(database: Database) -> None:
    with pytest.raises(ValueError, match=r"made\.up"):
        async with database.transaction() as connection:
            await record(connection, NOW, "made.up", ADMIN)


async def test_a_reader_who_goes_by_ids_misses_nothing(database: Database) -> None:
    """Lines that others are about to add never get a smaller id than what is there to be read."""

    async def write() -> None:
        for number in range(20):
            async with database.transaction() as connection:
                await record(connection, NOW, "admin.read", ADMIN, details={"number": number})

    async def read() -> list[int]:
        seen: list[int] = []
        while len(seen) < 80:
            async with database.transaction() as connection:
                up_to = await newest_entry_id(connection)
                after = seen[-1] if seen else 0
                found = await list_entries(connection, AuditFilters(), after_id=after, up_to_id=up_to, limit=7)
            seen += [entry.id for entry in found]
            await asyncio.sleep(0)
        return seen

    reading = asyncio.create_task(read())
    await asyncio.gather(*(write() for _ in range(4)))
    async with asyncio.timeout(60):
        assert len(set(await reading)) == 80


async def test_the_newest_first(database: Database) -> None:
    async with database.transaction() as connection:
        for number in range(5):
            await record(connection, NOW, "admin.read", ADMIN, details={"number": number})
        up_to = await newest_entry_id(connection)
        entries = await list_entries(connection, AuditFilters(), up_to_id=up_to, limit=2, newest_first=True)
    assert [entry.details["number"] for entry in entries] == [4, 3]
    assert (entries[0].address, entries[0].request_id, entries[0].outcome, entries[0].at) == (
        "192.0.2.7",
        "request-1",
        "done",
        NOW,
    )
