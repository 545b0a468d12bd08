"""No error repeats what was sent, and no answer's header does."""

from typing import Final

import pytest

from tests.e2e.front_door.conftest import Door
from tests.e2e.front_door.raw import RawClient
from tests.e2e.front_door.slots import slots
from tests.e2e.front_door.test_injection import asks, sendable

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARY: Final = "kanarienvogel"
NUMBER: Final = "73317331733173"
VALUES: Final = (f"{CANARY}-é<'\"&>", f"{CANARY} \x1b[31m", NUMBER, f"{CANARY}," * 200)


async def test_no_error_repeats_a_value(door: Door) -> None:
    errors, echoes = 0, []
    async with RawClient(str(door.http.base_url)) as client:
        for slot in slots(door):
            for value in VALUES:
                if sendable(slot, value):
                    answer = await asks(client, door, slot, value)
                    said = repr(answer.headers) + (answer.body.decode() if answer.status >= 400 else "")
                    errors += answer.status >= 400
                    echoes += [str(slot)] * (CANARY in said or NUMBER in said)
    assert echoes == []
    assert errors > 200


async def test_no_error_repeats_what_has_no_place(door: Door) -> None:
    async with RawClient(str(door.http.base_url)) as client:
        for path, headers, method in (
            (f"/v1/exchanges?{CANARY}%20=1", (), "GET"),
            (f"/v1/exchanges?unknown={CANARY}", (), "GET"),
            (f"/{CANARY}", (), "GET"),
            (f"/v1/{CANARY}/{CANARY}", (), "GET"),
            ("/v1/exchanges", (), CANARY.upper()),
            ("/v1/exchanges", ((b"Authorization", CANARY.encode()),), "GET"),
            ("/v1/exchanges", ((b"Authorization", b"Bearer " + CANARY.encode()),), "GET"),
            ("/v1/exchanges", ((b"X-Request-ID", b"<" + CANARY.encode() + b">"),), "GET"),
        ):
            answer = await client.ask(path, headers, method=method)
            assert answer.status >= 400, path
            assert CANARY not in (repr(answer.headers) + answer.body.decode()).lower(), path


async def test_an_echo_would_be_heard(door: Door) -> None:
    """Negative control: a sane request id is the one thing that is repeated."""
    async with RawClient(str(door.http.base_url)) as client:
        answer = await client.ask("/v1/exchanges", ((b"X-Request-ID", CANARY.encode()),))
        assert CANARY in answer.body.decode()
        assert answer.headers["x-request-id"] == CANARY
