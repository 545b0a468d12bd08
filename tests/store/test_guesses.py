"""How wrong secrets are counted: the rule by itself, and the levels in the database."""

import asyncio

import pytest

from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.store.guesses import KNOWN_MS, RULES, GuessRule, begin_attempt, end_attempt, forget_old_guesses

NOW = 1767225600000
RULE = GuessRule(in_a_row=3, every_s=10)
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.mark.parametrize("level, wait_s", [(0, 0), (1.9, 0), (2, 0), (2.5, 5), (3, 10), (4, 20)])
def test_how_long_to_wait(level: float, wait_s: float) -> None:
    assert RULE.wait_s(level) == wait_s


@pytest.mark.parametrize("passed_ms, left", [(-5000, 3), (0, 3), (5000, 2.5), (10_000, 2), (30_000, 0), (99_000, 0)])
def test_a_level_sinks(passed_ms: int, left: float) -> None:
    assert RULE.level(3, passed_ms) == left


def test_so_many_in_a_row_and_then_one_in_a_while() -> None:
    level, at_s, tried = 0.0, 0, []
    for now_s in range(200):
        level, at_s = RULE.level(level, (now_s - at_s) * 1000), now_s
        if RULE.wait_s(level) == 0:
            level += 1
            tried.append(now_s)
    assert tried[:4] == [0, 1, 2, 10]
    assert len(tried) == 3 + 19 + 1 - 1


async def attempt(
    database: Database, client_id: str, place: str, now_ms: int, *, is_expected: bool, is_right: bool = False
) -> float:
    """One of them; how long it has to wait, 0 if it was tried."""
    async with database.transaction() as connection:
        made = await begin_attempt(connection, client_id, place, now_ms, is_expected=is_expected)
        if not made.wait_s:
            await end_attempt(connection, made, now_ms, is_right=is_right)
        return made.wait_s


@pytest.fixture
async def client_id(database: Database) -> str:
    async with database.transaction() as connection:
        return (await create_client(connection, "bot", (), NOW))[0].client_id


async def test_an_address_is_slowed_whomever_it_guesses_at(database: Database, client_id: str) -> None:
    waits = [
        await attempt(database, f"{client_id}{number % 2 or ''}", HERE, NOW, is_expected=False) for number in range(21)
    ]
    assert waits == [0.0] * 20 + [60.0]
    assert await attempt(database, client_id, HERE, NOW + 59_000, is_expected=False) == pytest.approx(1)
    assert await attempt(database, client_id, HERE, NOW + 60_000, is_expected=False) == 0
    assert await attempt(database, client_id, HERE, NOW + 60_000, is_expected=False) == 60
    assert await attempt(database, client_id, THERE, NOW + 60_000, is_expected=True) == 0, "its client is not"


async def test_a_client_is_slowed_wherever_it_is_guessed_at_with_a_live_id(database: Database, client_id: str) -> None:
    for number in range(20):
        assert await attempt(database, client_id, f"198.51.100.{number}", NOW, is_expected=True) == 0
    assert await attempt(database, client_id, HERE, NOW, is_expected=True) == 1200
    assert await attempt(database, client_id, HERE, NOW, is_expected=False) == 0, "which is never compared"


async def test_the_owner_gets_in_from_where_it_was_right_before(database: Database, client_id: str) -> None:
    assert await attempt(database, client_id, HERE, NOW, is_expected=True, is_right=True) == 0
    for number in range(20):
        await attempt(database, client_id, f"198.51.100.{number}", NOW, is_expected=True)
        await attempt(database, client_id, HERE, NOW, is_expected=False)
    assert await attempt(database, client_id, THERE, NOW, is_expected=True) > 0
    assert await attempt(database, client_id, HERE, NOW, is_expected=False) > 0
    late = NOW + KNOWN_MS - 1
    assert await attempt(database, client_id, HERE, NOW, is_expected=True, is_right=True) == 0

    assert await attempt(database, client_id, HERE, NOW, is_expected=True) == 0, "one wrong one"
    assert await attempt(database, client_id, HERE, NOW, is_expected=True, is_right=True) > 0, "and it is as any other"
    assert await attempt(database, client_id, HERE, late, is_expected=True, is_right=True) == 0


async def test_an_address_is_known_for_a_while(database: Database, client_id: str) -> None:
    await attempt(database, client_id, HERE, NOW, is_expected=True, is_right=True)
    async with database.transaction() as connection:
        assert (await begin_attempt(connection, client_id, HERE, NOW + KNOWN_MS, is_expected=True)).levels == ()
        assert (await begin_attempt(connection, client_id, HERE, NOW + KNOWN_MS + 1, is_expected=True)).levels != ()
        assert (await begin_attempt(connection, client_id, THERE, NOW, is_expected=True)).levels != ()
        assert (await begin_attempt(connection, "other", HERE, NOW, is_expected=True)).levels != ()


async def test_of_many_at_once_no_more_are_tried_than_one_after_the_other(database: Database, client_id: str) -> None:
    waits = await asyncio.gather(
        *(attempt(database, client_id, f"198.51.100.{number}", NOW, is_expected=True) for number in range(40))
    )
    assert sum(wait == 0 for wait in waits) == RULES["client"].in_a_row


async def test_what_has_sunk_is_forgotten(database: Database, client_id: str) -> None:
    async def held() -> tuple[int, int]:
        async with database.transaction() as connection:
            rows = await connection.exec_driver_sql(
                "SELECT (SELECT count(*) FROM guesses), (SELECT count(*) FROM known_addresses)"
            )
            return tuple(rows.one())  # the levels, and the addresses

    await attempt(database, client_id, HERE, NOW, is_expected=True)
    await attempt(database, client_id, THERE, NOW, is_expected=True, is_right=True)
    for now_ms, left in (
        (NOW + 20 * 1200 * 1000, (2, 1)),
        (NOW + 20 * 1200 * 1000 + 1, (0, 1)),
        (NOW + KNOWN_MS, (0, 1)),
        (NOW + KNOWN_MS + 1, (0, 0)),
    ):
        async with database.transaction() as connection:
            await forget_old_guesses(connection, now_ms)
        assert await held() == left
