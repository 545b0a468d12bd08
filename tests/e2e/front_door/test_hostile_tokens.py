"""Whoever comes with a token that is not ours, or no longer, stays outside: at every operation, with one answer."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
import pytest

from marketdata.api.admission import admit
from marketdata.api.problems import Problem
from marketdata.api.record import RequestRecord, recording
from marketdata.core.errors import MarketDataError
from tests.e2e.front_door.conftest import Door
from tests.e2e.front_door.hostile import corpus
from tests.e2e.front_door.operations import Request, protected
from tests.e2e.front_door.raw import Answer, RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID = (b"X-Request-ID", b"corpus")
LEAST = {"algorithm": 22, "keys": 14, "signature": 9, "time": 15, "claims": 16, "type": 15, "shape": 14}
SCOPES = ("metadata:read",)


@asynccontextmanager
async def elsewhere(asked: list[int]) -> AsyncIterator[str]:
    """A server for keys; who connects to it is counted."""

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(1)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def asks(client: RawClient, request: Request, token: bytes) -> Answer:
    headers = [ID, (b"Authorization", b"Bearer " + token)]
    if request.json is not None:
        headers.append((b"Content-Type", b"application/json"))
    return await client.ask(request.path, headers, method=request.method, body=request.json)


async def admitted(door: Door, token: bytes) -> str | None:
    """What the gate itself says of a token; None: it lets it in."""
    scope = {"type": "http", "headers": [(b"authorization", b"Bearer " + token)]}
    try:
        with recording(scope, RequestRecord("corpus", door.platform.clock)):
            await admit(scope, door.platform.services, SCOPES)
    except Problem as problem:
        return problem.code
    except MarketDataError as error:
        return error.code
    return None


def lenient(door: Door, token: bytes) -> bool:
    """A verifier as one writes it in a hurry: the library with its checks of claims switched off."""
    library = jwt.PyJWT(
        options={
            "verify_aud": False,
            "verify_exp": False,
            "verify_iat": False,
            "verify_jti": False,
            "verify_nbf": False,
            "verify_sub": False,
        }
    )
    try:
        library.decode(token, door.forge.private.public_key(), algorithms=["EdDSA"])
    except (jwt.PyJWTError, ValueError, RecursionError, TypeError):
        return False
    return True


async def test_a_good_token_is_let_in_everywhere(door: Door) -> None:
    async with RawClient(str(door.http.base_url)) as client:
        for name, request in protected(door.document).items():
            answer = await asks(client, request, door.forge.good())
            assert answer.status not in {401, 403}, (name, answer.body)


async def test_no_hostile_token_is_let_in_anywhere(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    asked: list[int] = []
    bodies: dict[str, set[bytes]] = {}
    requests = protected(door.document)
    async with elsewhere(asked) as address, RawClient(str(door.http.base_url)) as client:
        hostile = corpus(door.forge, address)
        for one in hostile:
            for name, request in requests.items():
                answer = await asks(client, request, one.token)
                place = (one.group, one.name, name, answer.status)
                if one.is_http or answer.status == 401:
                    assert answer.status == 401, place
                    assert answer.json()["code"] == one.code, place
                    assert answer.headers["www-authenticate"].startswith("Bearer "), place
                    bodies.setdefault(one.code, set()).add(answer.body)
                else:
                    assert answer.status in {400, 431}, place
    assert asked == [], "no key is fetched from anywhere"
    assert {code: len(same) for code, same in bodies.items()} == {"invalid-token": 1, "expired-token": 1}
    assert [record for record in caplog.records if "defect" in record.getMessage()] == []


async def test_the_gate_says_the_same_of_what_no_server_passes_on(door: Door) -> None:
    for one in corpus(door.forge, "http://127.0.0.1:9"):
        assert await admitted(door, one.token) == one.code, (one.group, one.name)


async def test_the_corpus_is_whole(door: Door) -> None:
    hostile = corpus(door.forge, "http://127.0.0.1:9")
    counted = Counter(one.group for one in hostile)
    assert {group: counted[group] >= least for group, least in LEAST.items()} == dict.fromkeys(LEAST, True), counted
    assert len({one.token for one in hostile}) == len(hostile) >= 105
    assert {one.group for one in hostile if one.code == "expired-token"} == {"time"}


async def test_the_corpus_finds_a_verifier_that_is_written_in_a_hurry(door: Door) -> None:
    """Negative control: what checks the signature alone is seen through in every group that is about more."""
    assert lenient(door, door.forge.good())
    hostile = corpus(door.forge, "http://127.0.0.1:9")
    fooled = Counter(one.group for one in hostile if lenient(door, one.token))
    assert fooled["time"] > 10
    assert fooled["claims"] > 10
    assert fooled["type"] > 5
    assert fooled["keys"] > 5
    assert fooled["shape"] >= 1


def mutated(token: bytes, chance: random.Random) -> bytes:
    """The token with bits flipped, a part cut, or two parts swapped."""
    raw = bytearray(token)
    match chance.randrange(4):
        case 0:
            for _ in range(chance.choice((1, 1, 2, 8))):
                raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        case 1:
            at = chance.randrange(len(raw))
            del raw[at : at + chance.choice((1, 2, 16, 64))]
        case 2:
            one, other = sorted(chance.sample(range(len(raw)), 2))
            raw[one], raw[other] = raw[other], raw[one]
        case _:
            head, body, signature = token.split(b".")
            parts = [head, body, signature, head, body][chance.randrange(3) :]
            chance.shuffle(parts)
            raw = bytearray(b".".join(parts[:3]))
    return bytes(raw)


async def mutations(door: Door, seed: int, number: int) -> Counter[str | None]:
    """What the gate says of mutations of a good token that it has seen and one that it has not."""
    chance, said = random.Random(seed), Counter[str | None]()
    known, fresh = door.forge.good(), door.forge.good(jti=f"{door.forge.secret_id}-fresh")
    assert await admitted(door, known) is None
    for _ in range(number):
        token = chance.choice((known, fresh))
        changed = mutated(token, chance)
        if changed != token:
            said[await admitted(door, changed)] += 1
    return said


async def test_no_mutation_of_a_good_token_is_let_in(door: Door) -> None:
    said = await mutations(door, 1, 20_000)
    assert set(said) == {"invalid-token"}
    assert said.total() > 19_000


@pytest.mark.long
async def test_no_mutation_is_let_in_over_http(door: Door) -> None:
    chance, good, statuses = random.Random(2), door.forge.good(), Counter[int]()
    async with RawClient(str(door.http.base_url)) as client:
        for _ in range(20_000):
            changed = mutated(good, chance)
            if changed != good:
                statuses[(await asks(client, Request("/v1/exchanges"), changed)).status] += 1
    print(statuses)
    assert set(statuses) <= {400, 401}
    assert statuses[401] > 15_000


@pytest.mark.long
async def test_a_hostile_token_costs_little(door: Door) -> None:
    slowest: list[tuple[float, str]] = []
    for one in corpus(door.forge, "http://127.0.0.1:9"):
        taken = []
        for _ in range(5):
            began = time.perf_counter()
            await admitted(door, one.token)
            taken.append(time.perf_counter() - began)
        slowest.append((min(taken), one.name))
    print(sorted(slowest)[-5:])
    assert max(slowest)[0] < 0.005
