"""Tokens are made here by hand, with nothing of the code under test but the key."""

import base64
import dataclasses
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from marketdata.api.keys import make_key
from marketdata.core.clock import ManualClock
from marketdata.store.clients import create_client
from marketdata.store.keys import SigningKey
from tests.api.conftest import NOW_MS, Api, problem

NOW_S = NOW_MS // 1000
PATH = "/v1/exchanges"
INVALID = {
    "status": 401,
    "code": "invalid-token",
    "detail": "The access token is not valid here; ask for a new one.",
}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Forge:
    """Makes tokens that are good but for what a test changes."""

    def __init__(self, api: Api, kid: str, private: Ed25519PrivateKey) -> None:
        self.kid = kid
        self.private = private
        self.header: dict[str, Any] = {"alg": "EdDSA", "kid": kid, "typ": "at+jwt"}
        self.claims: dict[str, Any] = {
            "iss": "marketdata",
            "aud": "marketdata-api",
            "sub": api.client_id,
            "client_id": api.client_id,
            "scope": "metadata:read",
            "iat": NOW_S,
            "nbf": NOW_S,
            "exp": NOW_S + 900,
            "jti": f"{api.secret_id}-1",
        }

    def sign(self, header: bytes, payload: bytes) -> str:
        signed = f"{b64(header)}.{b64(payload)}"
        return f"{signed}.{b64(self.private.sign(signed.encode()))}"

    def token(self, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token with changed members; None leaves one out."""
        head = {name: value for name, value in {**self.header, **(header or {})}.items() if value is not None}
        body = {name: value for name, value in {**self.claims, **claims}.items() if value is not None}
        return self.sign(json.dumps(head).encode(), json.dumps(body).encode())


@pytest.fixture
async def forge(api: Api) -> Forge:
    key = signing(api)
    return Forge(api, key.kid, Ed25519PrivateKey.from_private_bytes(key.private_key))


def signing(api: Api) -> SigningKey:
    (key,) = (key for key in api.services.tokens.access.keys if key.signs)
    return key


def use_keys(api: Api, *keys: SigningKey) -> None:
    api.services.tokens.use(dataclasses.replace(api.services.tokens.access, keys=keys))


async def refused(api: Api, token: str) -> dict[str, object]:
    answer = await api.get(PATH, token=token)
    assert answer.headers["www-authenticate"].startswith('Bearer realm="marketdata", error="invalid_token"')
    return problem(answer)


async def test_a_token_made_by_hand_is_good(api: Api, forge: Forge) -> None:
    assert (await api.get(PATH, token=forge.token())).status_code == 200


async def test_no_token(api: Api) -> None:
    answer = await api.http.get(PATH)
    assert problem(answer) == {
        "status": 401,
        "code": "missing-token",
        "detail": "Send `Authorization: Bearer` with an access token from `POST /v1/token`.",
    }
    assert answer.headers["www-authenticate"] == 'Bearer realm="marketdata"'


async def test_our_tokens_have_exactly_these_members(api: Api) -> None:
    head, body, _ = api.token("metadata:read").split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": signing(api).kid}
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert set(claims) == {"iss", "aud", "sub", "client_id", "scope", "iat", "nbf", "exp", "jti"}
    assert claims["exp"] - claims["iat"] == 900


async def test_an_expired_token(api: Api, forge: Forge, clock: ManualClock) -> None:
    token = forge.token()
    clock.advance(929_999)
    assert (await api.get(PATH, token=token)).status_code == 200
    clock.advance(1)
    expected = {"status": 401, "code": "expired-token", "detail": "The access token has expired; ask for a new one."}
    assert await refused(api, token) == expected
    assert await refused(api, forge.token(scope="")) == expected


async def test_an_expired_token_of_a_foreign_key_is_just_invalid(api: Api, forge: Forge, clock: ManualClock) -> None:
    clock.advance(10_000_000)
    forge.private = Ed25519PrivateKey.generate()
    assert await refused(api, forge.token()) == INVALID


async def test_a_token_with_a_foreign_key(api: Api, forge: Forge) -> None:
    forge.private = Ed25519PrivateKey.generate()
    assert await refused(api, forge.token()) == INVALID
    x = b64(forge.private.public_key().public_bytes_raw())
    own_key = {"kty": "OKP", "crv": "Ed25519", "x": x}
    for extra in (
        {"jwk": own_key},
        {"jku": "https://example.org/keys"},
        {"kid": "another"},
        {"x5u": "https://example.org"},
    ):
        assert await refused(api, forge.token(header=extra)) == INVALID


NOT_OUR_HEADERS: list[dict[str, Any]] = [
    {"alg": "none"},
    {"alg": "HS256"},
    {"alg": "Ed25519"},
    {"alg": "eddsa"},
    {"alg": None},
    {"alg": ["EdDSA"]},
    {"typ": "JWT"},
    {"typ": None},
    {"typ": "application/at+jwt"},
    {"kid": None},
    {"kid": {"a": 1}},
    {"kid": "../../dev/null"},
    {"crit": ["exp"]},
    {"cty": "JWT"},
    {"b64": False},
    {"jku": "https://example.org/keys"},
]


async def test_headers_that_are_not_ours(api: Api, forge: Forge) -> None:
    for header in NOT_OUR_HEADERS:
        assert await refused(api, forge.token(header=header)) == INVALID, header


async def test_every_claim_is_needed_and_typed(api: Api, forge: Forge) -> None:
    for claim in forge.claims:
        values: list[Any] = [None, True, ["marketdata"], {"a": 1}, "" if claim != "scope" else 1, 1.5]
        for value in values:
            assert await refused(api, forge.token(**{claim: value})) == INVALID, (claim, value)


NOT_OUR_CLAIMS: list[dict[str, Any]] = [
    {"iss": "marketdata2"},
    {"aud": "marketdata"},
    {"sub": "someone"},
    {"nbf": NOW_S + 31},
    {"iat": NOW_S + 31},
    {"exp": NOW_S + 10 * 365 * 86400},
    {"exp": NOW_MS + 900_000},
    {"exp": NOW_S - 1},
    {"exp": 10**400},
    {"exp": float("inf")},
    {"exp": "9999999999"},
]


async def test_claims_that_cannot_be_ours(api: Api, forge: Forge) -> None:
    for claims in NOT_OUR_CLAIMS:
        assert await refused(api, forge.token(**claims)) == INVALID, claims


async def test_shapes_that_are_no_token(api: Api, forge: Forge) -> None:
    token = forge.token()
    head, body, signature = token.split(".")
    nothing = b64(b'{"alg":"none","typ":"at+jwt"}')
    last = signature[-1]
    for bad in (
        "..",
        "x",
        f"{nothing}.{body}.",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{token}.x",
        f"{token}=",
        f"{token}\u00e9".encode().decode("latin-1"),
        f"{head}.{body}.{signature[:-1]}{chr(ord(last) + 1)}",  # the same bytes, but for bits that do not count
        f"{head}.{b64(json.dumps({**forge.claims, 'scope': 'admin'}).encode())}.{signature}",
        "A" * 1_000_000,
        forge.sign(b'{"alg":"EdDSA","typ":"at+jwt","kid":"%b","kid":"%b"}' % ((forge.kid.encode(),) * 2), b"{}"),
        forge.sign(json.dumps(forge.header).encode(), b"[" * 1000),
        forge.sign(json.dumps(forge.header).encode(), b"\xff"),
        forge.sign(json.dumps(forge.header).encode(), b"[]"),
        forge.sign(json.dumps(forge.header).encode(), json.dumps(forge.claims).encode()[:-1] + b',"jti":"x"}'),
    ):
        answer = await api.http.get(PATH, headers={b"Authorization": f"Bearer {bad}".encode("latin-1")})
        assert problem(answer) == INVALID, bad[:100]


async def test_authorization_that_is_no_bearer_token(api: Api, forge: Forge) -> None:
    for headers in (
        [("Authorization", "Basic x")],
        [("Authorization", "Bearer")],
        [("Authorization", forge.token())],
        [("Authorization", f"Bearer {forge.token()}"), ("Authorization", f"Bearer {forge.token()}")],
    ):
        assert problem(await api.http.get(PATH, headers=headers)) == INVALID
    lower = await api.http.get(PATH, headers={"authorization": f"bearer {forge.token()}"})
    assert lower.status_code == 200


async def test_a_key_that_is_no_longer_trusted(api: Api, forge: Forge) -> None:
    token = forge.token()
    assert (await api.get(PATH, token=token)).status_code == 200
    use_keys(api, make_key(NOW_MS + 1))
    assert await refused(api, token) == INVALID


async def test_a_retired_key_signs_nothing_new_and_verifies_as_long_as_its_tokens_live(
    api: Api, clock: ManualClock
) -> None:
    tokens = api.services.tokens
    old, new = make_key(NOW_MS), make_key(NOW_MS + 1)
    use_keys(api, old)
    token = tokens.issue(api.client_id, ["metadata:read"])
    use_keys(api, dataclasses.replace(old, retired_at=NOW_MS), new)
    assert tokens.verify(token).token.kid == old.kid
    assert tokens.verify(tokens.issue(api.client_id, [])).token.kid == new.kid
    clock.advance((86_400 + 30 + 10) * 1000 - 1)
    assert len(tokens.public_keys()) == 2
    clock.advance(1)
    assert [key["kid"] for key in tokens.public_keys()] == [new.kid]


async def test_the_memory_of_verified_tokens_is_bounded(
    api: Api, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketdata.api.auth._MAX_REMEMBERED", 3)
    for number in range(10):
        assert api.services.tokens.verify(forge.token(scope=str(number))).client_id == api.client_id
    assert len(api.services.tokens._remembered) == 3


async def test_the_published_keys_verify_our_tokens(api: Api) -> None:
    keys = (await api.http.get("/.well-known/jwks.json")).json()["keys"]
    assert len(keys) == 2, "the one that signs, and the next"
    (key,) = (key for key in keys if key["kid"] == signing(api).kid)
    assert {name: key[name] for name in ("kty", "crv", "alg", "use")} == {
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "use": "sig",
    }
    assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}


async def test_a_client_of_whom_nobody_has_told_yet_is_looked_up(api: Api, forge: Forge, clock: ManualClock) -> None:
    async with api.services.database.transaction() as connection:
        client, secret = await create_client(connection, "new", ("metadata:read",), NOW_MS)
    new: dict[str, Any] = {"sub": client.client_id, "client_id": client.client_id, "jti": f"{secret.split('_')[1]}-1"}
    assert (await api.get(PATH, token=forge.token(**new))).status_code == 200
    unknown = forge.token(sub="mdc_x", client_id="mdc_x", jti="AAAAAAAA-1")
    assert await refused(api, unknown) == INVALID
    async with api.services.database.transaction() as connection:
        client, secret = await create_client(connection, "newer", ("metadata:read",), NOW_MS)
    newer: dict[str, Any] = {"sub": client.client_id, "client_id": client.client_id, "jti": f"{secret.split('_')[1]}-1"}
    assert await refused(api, forge.token(**newer)) == INVALID, "it was looked a moment ago"
    clock.advance(100)
    assert (await api.get(PATH, token=forge.token(**newer))).status_code == 200
