"""Tokens by the letter and for what they are worth, without an application around them."""

import base64
import dataclasses
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from marketdata.api import auth
from marketdata.api.auth import REMEMBERED_S, Tokens
from marketdata.api.keys import BELIEVED_MS, LEARNING_S, ROTATION, KeyRing, make_key, to_jwk
from marketdata.api.problems import Problem
from marketdata.api.profile import LEEWAY_S, MAX_TOKEN_CHARS, NotOurToken, read_token
from marketdata.api.settings import MAX_TOKEN_TTL_S
from marketdata.core.clock import ManualClock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.access import Access
from marketdata.store.client_secrets import ClientSecret
from marketdata.store.clients import ApiClient
from marketdata.store.keys import SigningKey
from tests.e2e.front_door.forge import Forge
from tests.e2e.front_door.hostile import corpus

NOW_MS = 1767225690_000
NOW_S = NOW_MS // 1000
ID = "mdc_0123456789abcdef"


def client(**changes: Any) -> ApiClient:
    made = ApiClient(ID, "bot", ("candles:read", "metadata:read"), None, None, NOW_MS, None, None)
    return dataclasses.replace(made, **changes)


def secret(named: str = "aaaaaaaa", client_id: str = ID, **changes: Any) -> ClientSecret:
    made = ClientSecret(named, client_id, b"x", NOW_MS, None, None, None)
    return dataclasses.replace(made, **changes)


KEY = make_key(NOW_MS)


def access(**changes: Any) -> Access:
    next_key = dataclasses.replace(make_key(NOW_MS), signs_from=None)
    made = Access(1, {ID: client()}, {"aaaaaaaa": secret()}, frozenset(), (KEY, next_key), b"s" * 32)
    return dataclasses.replace(made, **changes)


def forge(key: SigningKey = KEY, client_id: str = ID) -> Forge:
    private = Ed25519PrivateKey.from_private_bytes(key.private_key)
    return Forge(key.kid, private, client_id, "aaaaaaaa", NOW_S)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def tokens(clock: ManualClock) -> Tokens:
    made = Tokens(clock, 900)
    made.use(access())
    return made


def refusal(tokens: Tokens, token: str) -> str:
    with pytest.raises(Problem) as refused:
        tokens.verify(token)
    return refused.value.code


# by the letter


def read(token: bytes, now_s: float = NOW_S) -> Any:
    return read_token(token.decode("latin-1"), KeyRing((KEY,)).public(NOW_MS), now_s)


def test_a_good_token_is_read() -> None:
    made = forge()
    signed = read(made.good())
    assert (signed.kid, signed.client_id, signed.jti) == (KEY.kid, ID, made.claims["jti"])
    assert signed.scopes == {"metadata:read", "candles:read", "admin"}
    assert (signed.expires_s, signed.secret_id) == (NOW_S + 900, "aaaaaaaa")
    assert read(made.good(jti="aaaaaaaa-1-2")).secret_id == "aaaaaaaa"
    assert read(made.good(scope="")).scopes == frozenset()


def test_no_hostile_token_is_read_but_those_that_are_only_late() -> None:
    for one in corpus(forge(), "http://127.0.0.1:9"):
        if one.code == "expired-token":
            assert read(one.token).expires_s < NOW_S
        else:
            with pytest.raises(NotOurToken):
                read(one.token)


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": NOW_S + LEEWAY_S},
        {"nbf": NOW_S + LEEWAY_S},
        {"exp": NOW_S + MAX_TOKEN_TTL_S},
        {"exp": NOW_S + 1},
        {"iat": NOW_S - 10, "nbf": NOW_S - 9, "exp": NOW_S - 8},
    ],
)
def test_times_that_can_be(claims: dict[str, Any]) -> None:
    assert read(forge().good(**claims)).client_id == ID


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": NOW_S + LEEWAY_S + 1},
        {"nbf": NOW_S + LEEWAY_S + 1},
        {"exp": NOW_S + MAX_TOKEN_TTL_S + 1},
        {"exp": NOW_S},
        {"exp": NOW_S - 1},
        {"iat": 1009, "nbf": 1009},
        {"sub": "", "client_id": ""},
        {"sub": "mdc_other"},
        {"jti": ""},
    ],
)
def test_claims_that_cannot_be(claims: dict[str, Any]) -> None:
    with pytest.raises(NotOurToken):
        read(forge().good(**claims))


def test_the_clock_counts_to_the_fraction() -> None:
    token = forge().good(iat=NOW_S + LEEWAY_S + 1)
    assert read(token, NOW_S + 1).client_id == ID
    with pytest.raises(NotOurToken):
        read(token, NOW_S + 0.999)


def test_how_long_a_token_may_be() -> None:
    made = forge()
    length = len(made.good(jti=made.jti("")))
    room = (MAX_TOKEN_CHARS - length) * 3 // 4
    longest = max((made.good(jti=made.jti("x" * (room + more))) for more in range(-4, 5)), key=len)
    fits = [made.good(jti=made.jti("x" * (room + more))) for more in range(-4, 5)]
    assert max(len(token) for token in fits if len(token) <= MAX_TOKEN_CHARS) >= MAX_TOKEN_CHARS - 1
    for token in fits:
        if len(token) <= MAX_TOKEN_CHARS:
            assert read(token).client_id == ID
        else:
            with pytest.raises(NotOurToken):
                read(token)
    assert len(longest) > MAX_TOKEN_CHARS


# the keys


def test_a_key_is_named_after_its_public_half() -> None:
    key = make_key(5)
    (jwk,) = [to_jwk(kid, public) for kid, public in KeyRing((key,)).public(5).items()]
    assert (key.algorithm, key.created_at, key.signs_from, key.retired_at, key.revoked_at) == (
        "EdDSA",
        5,
        5,
        None,
        None,
    )
    assert jwk == {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid, "x": jwk["x"]}
    members = json.dumps({name: jwk[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
    digest = base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()
    assert key.kid == digest
    assert make_key(5).kid != key.kid


def test_how_long_a_key_is_believed() -> None:
    old = dataclasses.replace(make_key(1), retired_at=NOW_MS)
    void = dataclasses.replace(make_key(1), revoked_at=NOW_MS)
    following = dataclasses.replace(make_key(9), signs_from=None)
    keys = KeyRing((following, KEY, old, void))
    assert set(keys.public(NOW_MS + BELIEVED_MS - 1)) == {following.kid, KEY.kid, old.kid}
    assert set(keys.public(NOW_MS + BELIEVED_MS)) == {following.kid, KEY.kid}
    assert keys.believes(old.kid, NOW_MS + BELIEVED_MS - 1)
    assert not keys.believes(old.kid, NOW_MS + BELIEVED_MS)
    assert not keys.believes(void.kid, NOW_MS)
    assert not keys.believes("unknown", NOW_MS)
    assert keys.signing == KEY
    assert BELIEVED_MS == (86_400 + 30 + 10) * 1000
    assert (ROTATION.published_ms, ROTATION.believed_ms, LEARNING_S) == (10_000, BELIEVED_MS, 10)


def test_of_two_that_sign_the_later_does() -> None:
    later = make_key(NOW_MS + 1)
    assert KeyRing((KEY, later)).signing == KeyRing((later, KEY)).signing == later
    nothing = KeyRing(())
    assert nothing.signing is None
    with pytest.raises(ValueError, match="no key signs"):
        nothing.sign({})


# what they are worth


def test_what_is_issued_is_verified(tokens: Tokens) -> None:
    token = tokens.issue(ID, ("metadata:read",))
    caller = tokens.verify(token)
    assert (caller.client_id, caller.client) == (ID, client())
    assert caller.scopes == {"metadata:read"}
    head, body, _ = (json.loads(base64.urlsafe_b64decode(part + "==") or b"0") for part in [*token.split(".")[:2], ""])
    assert head == {"alg": "EdDSA", "typ": "at+jwt", "kid": KEY.kid}
    unique = body.pop("jti").removeprefix("aaaaaaaa-")
    assert len(unique) == 32
    assert body == {
        "iss": "marketdata",
        "aud": "marketdata-api",
        "sub": ID,
        "client_id": ID,
        "scope": "metadata:read",
        "iat": NOW_S,
        "nbf": NOW_S,
        "exp": NOW_S + 900,
    }


def test_a_token_is_issued_for_the_newest_live_secret(tokens: Tokens) -> None:
    secrets = {
        "expired0": secret("expired0", expires_at=NOW_MS),
        "others00": secret("others00", "mdc_other"),
        "newest00": secret("newest00"),
        "aaaaaaaa": secret(),
    }
    tokens.use(access(secrets=secrets))
    assert tokens.verify(tokens.issue(ID, ())).token.secret_id == "newest00"
    assert tokens.verify(tokens.issue(ID, (), "aaaaaaaa")).token.secret_id == "aaaaaaaa"
    with pytest.raises(LookupError):
        tokens.issue("mdc_nobody", ())


@pytest.mark.parametrize(
    "changes",
    [
        {"clients": {}},
        {"clients": {ID: client(disabled_at=NOW_MS)}},
        {"clients": {ID: client(expires_at=NOW_MS)}},
        {"secrets": {}},
        {"secrets": {"aaaaaaaa": secret(client_id="mdc_other")}},
        {"keys": ()},
        {"keys": (dataclasses.replace(KEY, revoked_at=NOW_MS),)},
        {"keys": (dataclasses.replace(KEY, retired_at=NOW_MS - BELIEVED_MS),)},
    ],
)
def test_what_was_taken_back_is_no_longer_believed(tokens: Tokens, changes: dict[str, Any]) -> None:
    """Also of a token whose signature was verified a moment ago."""
    token = tokens.issue(ID, ("metadata:read",))
    assert tokens.verify(token).client_id == ID
    tokens.use(access(**changes))
    assert refusal(tokens, token) == "invalid-token"
    tokens.use(access())
    assert tokens.verify(token).client_id == ID


def test_one_token_is_revoked_and_another_is_not(tokens: Tokens) -> None:
    one, other = tokens.issue(ID, ()), tokens.issue(ID, ())
    tokens.use(access(revoked_tokens=frozenset({tokens.verify(one).token.jti})))
    assert refusal(tokens, one) == "invalid-token"
    assert tokens.verify(other).client_id == ID


def test_scopes_are_those_of_both(tokens: Tokens) -> None:
    token = tokens.issue(ID, ("metadata:read", "admin"))
    assert tokens.verify(token).scopes == {"metadata:read"}


def test_a_token_expires_after_everything_else_is_right(tokens: Tokens, clock: ManualClock) -> None:
    token = tokens.issue(ID, ())
    clock.set(NOW_MS + (900 + LEEWAY_S) * 1000 - 1)
    assert tokens.verify(token).client_id == ID
    assert tokens.read(token) is not None
    clock.advance(1)
    assert refusal(tokens, token) == "expired-token"
    assert tokens.read(token) is None
    tokens.use(access(clients={}))
    assert refusal(tokens, token) == "invalid-token"


def test_what_a_token_says_is_read_whatever_it_is_worth(tokens: Tokens) -> None:
    token = tokens.issue("mdc_nobody", (), "nothing0")
    assert refusal(tokens, token) == "invalid-token"
    signed = tokens.read(token)
    assert signed is not None
    assert (signed.client_id, signed.secret_id) == ("mdc_nobody", "nothing0")
    assert tokens.read("x") is None


def test_a_signature_is_verified_once_in_a_while(
    tokens: Tokens, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def watched(token: str, *rest: Any) -> Any:
        seen.append(token)
        return read_token(token, *rest)

    monkeypatch.setattr(auth, "read_token", watched)
    token = tokens.issue(ID, ())
    for at_s, verified in ((0, 1), (1, 1), (REMEMBERED_S - 0.001, 1), (REMEMBERED_S, 2), (REMEMBERED_S + 1, 2)):
        clock.set(NOW_MS + round(at_s * 1000))
        tokens.verify(token)
        assert len(seen) == verified, at_s
    for _ in range(2):
        refusal(tokens, "nonsense")
    assert len(seen) == 4, "what is no token is not remembered"


def test_the_oldest_are_forgotten_first(tokens: Tokens, monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    monkeypatch.setattr(auth, "_MAX_REMEMBERED", 2)
    made = [tokens.issue(ID, ()) for _ in range(3)]
    for token in made:
        tokens.verify(token)
    assert list(tokens._remembered) == made[1:]
    clock.advance(round(REMEMBERED_S * 1000))
    tokens.verify(made[1])
    assert list(tokens._remembered) == [made[2], made[1]]


def test_before_anything_was_read_nobody_can_say(clock: ManualClock) -> None:
    tokens = Tokens(clock, 900)
    assert (tokens.held, tokens.can_issue, tokens.public_keys()) == (None, False, [])
    for ask in (lambda: tokens.verify("x"), lambda: tokens.access, lambda: tokens.sealing_secret):
        with pytest.raises(DatabaseUnavailable):
            ask()


def test_before_there_is_a_secret_nothing_can_be_sealed(tokens: Tokens) -> None:
    assert (tokens.can_issue, len(tokens.public_keys()), tokens.sealing_secret) == (True, 2, b"s" * 32)
    tokens.use(access(sealing_secret=None))
    with pytest.raises(DatabaseUnavailable):
        _ = tokens.sealing_secret


@pytest.mark.parametrize(
    "headers,code",
    [
        ([], "missing-token"),
        ([(b"authorization", b"")], "invalid-token"),
        ([(b"authorization", b"Basic x")], "invalid-token"),
        ([(b"authorization", b"Bearer")], "invalid-token"),
        ([(b"authorization", b"Bearer x")], "invalid-token"),
        ([(b"authorization", b"Bearer \xe9")], "invalid-token"),
    ],
)
def test_headers_without_a_token_of_ours(tokens: Tokens, headers: list[tuple[bytes, bytes]], code: str) -> None:
    with pytest.raises(Problem) as refused:
        tokens.authorize(headers, ())
    assert refused.value.code == code
    assert refused.value.headers["WWW-Authenticate"].startswith('Bearer realm="marketdata"')
    assert ('error="invalid_token"' in refused.value.headers["WWW-Authenticate"]) == (code == "invalid-token")


def test_headers_with_one(tokens: Tokens) -> None:
    token = tokens.issue(ID, ("metadata:read", "candles:read")).encode()
    for kind in (b"Bearer", b"bearer", b"BEARER"):
        headers = [(b"host", b"x"), (b"authorization", kind + b" " + token)]
        assert tokens.authorize(headers, ("metadata:read", "candles:read")).client_id == ID


def test_headers_that_are_not_enough(tokens: Tokens) -> None:
    once = [(b"authorization", b"Bearer " + tokens.issue(ID, ("metadata:read",)).encode())]
    with pytest.raises(Problem) as twice:
        tokens.authorize(once * 2, ())
    assert twice.value.code == "invalid-token"
    with pytest.raises(Problem) as refused:
        tokens.authorize(once, ("metadata:read", "admin"))
    assert (refused.value.code, refused.value.members) == ("insufficient-scope", {"scope": "admin"})
    assert refused.value.headers["WWW-Authenticate"] == (
        'Bearer realm="marketdata", error="insufficient_scope", scope="admin"'
    )
