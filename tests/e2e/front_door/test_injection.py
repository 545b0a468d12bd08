"""Texts that mean something elsewhere mean nothing here: the database is told nothing new, nor is the caller."""

import itertools
import re
from collections.abc import Iterable, Sequence
from itertools import batched
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from tests.e2e.front_door.conftest import Door
from tests.e2e.front_door.raw import Answer, RawClient
from tests.e2e.front_door.slots import Slot, slots
from tests.e2e.front_door.strings import STRINGS

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY: Final = ("ZZQXJ", "ZZ!QXJ")
"""Names of nothing, one of which could be an id."""

_STATEMENT: Final = re.compile(r"LOG:  (?:execute [^:]*|statement): (.*?)(?=\n\d{4}-\d\d-\d\d |\Z)", re.DOTALL)
_FREE: Final = (
    "listSymbols query q",
    "updateClient json name",
    "getStatus ",
    "createClient ",
    "listClients ",
    "listAudit ",
)
"""A search takes any words, a name any printable ones, and the others tell of what was done meanwhile."""

_ADDRESSES: Final = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in itertools.count())
"""Each wrong secret comes from elsewhere, so that none is slowed as a guess."""


class Statements:
    """What the server was told, from its own log."""

    def __init__(self, url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            (data_directory,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        self._log = Path(data_directory).with_name("postgres.log")
        self._begin = self._log.stat().st_size

    def shapes(self) -> set[str]:
        """The texts of all statements since then; values are not in them."""
        text = self._log.read_bytes()[self._begin :].decode(errors="replace")
        return {" ".join(statement.split()) for statement in _STATEMENT.findall(text)}


def sendable(slot: Slot, value: str) -> bool:
    """A header cannot hold the end of a line."""
    return slot.place != "header" or not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value)


async def asks(client: RawClient, door: Door, slot: Slot, value: str) -> Answer:
    bearer = (b"Authorization", b"Bearer " + door.forge.good())
    who = (b"X-Forwarded-For", next(_ADDRESSES).encode()) if slot.form else bearer
    return await slot.ask(client, value, (b"X-Request-ID", b"same"), who)


def told(answer: Answer) -> tuple[int, Any]:
    """An answer without what a name that is spelt alike may add."""
    if "json" not in answer.headers.get("content-type", ""):
        return answer.status, answer.body
    document = answer.json()
    if isinstance(document, dict):
        document.pop("did_you_mean", None)
        document.pop("access_token", None)
    return answer.status, document


async def differing(door: Door, every: Sequence[Slot], values: Iterable[str]) -> list[tuple[str, str, object]]:
    """Where a text is answered otherwise than the name of nothing, or of another path."""
    found: list[tuple[str, str, object]] = []
    async with RawClient(str(door.http.base_url)) as client:
        expected = {str(slot): [told(await asks(client, door, slot, name)) for name in NOBODY] for slot in every}
        # with a slash or a line end in it a path is another path, of an instrument with a slash or of nothing
        elsewhere = [answer for answers in expected.values() for answer in answers if answer[0] == 404]
        elsewhere.append(told(await client.ask("/nowhere", [(b"X-Request-ID", b"same")])))
        for value, slot in ((value, slot) for value in values for slot in every if sendable(slot, value)):
            answer = await asks(client, door, slot, value)
            got = told(answer)
            if str(slot).startswith(_FREE):
                is_same = answer.status in {200, 201, 400, 404}
            else:
                is_same = got in expected[str(slot)] or (slot.place == "path" and got in elsewhere)
            if not is_same:
                found.append((str(slot), value, (got, expected[str(slot)])))
    return found


async def statements_of(door: Door) -> Statements:
    """From now on; every operation has been asked for what there is and for what there is not."""
    url = door.platform.database.url
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE \"{name}\" SET log_statement = 'all'")
    await door.platform.database.dispose()  # its next connections know it
    return Statements(url)


async def test_there_are_two_hundred() -> None:
    assert len(set(STRINGS)) == len(STRINGS) >= 200


async def _try(door: Door, values: Sequence[str], every: Sequence[Slot]) -> None:
    statements = await statements_of(door)
    for _ in range(2):  # what is done the first time, and what after that
        assert await differing(door, every, NOBODY) == []
    async with RawClient(str(door.http.base_url)) as client:
        for slot in every:  # and what a good request asks of the database
            example = slot.path.get(slot.name) or slot.query.get(slot.name) or slot.form.get(slot.name) or "*/*"
            await asks(client, door, slot, example)
    before = statements.shapes()
    assert len(before) > 5, "the log is read"
    found = []
    for some in batched(values, 20):
        found += await differing(door, every, some)
    assert found == []
    assert statements.shapes() - before == set()


async def test_texts_are_only_texts(door: Door) -> None:
    """Some in every place; in headers of some operations."""
    some = ("listSymbols", "createToken", "getLatestCandle")
    every = [slot for slot in slots(door) if slot.place != "header" or slot.operation in some]
    await _try(door, STRINGS[3::29], every)


@pytest.mark.long
async def test_all_texts_are_only_texts(door: Door) -> None:
    await _try(door, STRINGS, list(slots(door)))


async def test_a_statement_of_another_shape_is_seen(door: Door) -> None:
    """Negative control."""
    statements = await statements_of(door)
    with psycopg.connect(door.platform.database.url) as connection:
        connection.execute("SELECT 'planted' WHERE 1=1 OR ''=''")
    assert any("planted" in shape for shape in statements.shapes())
