"""Access tokens: RFC 9068 JWTs signed with Ed25519, issued and verified here and nowhere else.

A token is verified from keys held in memory, so the database is needed only to issue one.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from marketdata.api import base64url
from marketdata.api.problems import Problem
from marketdata.api.settings import MAX_TOKEN_TTL_S
from marketdata.core.clock import Clock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.keys import SigningKey

ISSUER: Final = "marketdata"
AUDIENCE: Final = "marketdata-api"
LEEWAY_S: Final = 30
SECURITY_SCHEME: Final = "ClientCredentials"

_MAX_TOKEN_CHARS: Final = 4096
_MAX_REMEMBERED: Final = 4096
_REALM: Final = 'Bearer realm="marketdata"'
_INVALID: Final = "The access token is not valid here; ask for a new one."


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    alg: Literal["EdDSA"]
    typ: Literal["at+jwt"]
    kid: str


class _Claims(msgspec.Struct):
    iss: Literal["marketdata"]
    aud: Literal["marketdata-api"]
    sub: str
    client_id: str
    scope: str
    iat: int
    nbf: int
    exp: int
    jti: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who presented a verified access token, and what it covers."""

    client_id: str
    scopes: frozenset[str]
    kid: str
    expires_s: int
    """Epoch seconds, as the token says it."""


def make_key(now_ms: int) -> SigningKey:
    """A new signing key; its id is its RFC 7638 thumbprint."""
    private = Ed25519PrivateKey.generate()
    x = base64url.encode(private.public_key().public_bytes_raw())
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    return SigningKey(base64url.encode(thumbprint), "EdDSA", private.private_bytes_raw(), now_ms, signs_from=now_ms)


class Tokens:
    """Issues and verifies access tokens with the keys that it was last given."""

    def __init__(self, clock: Clock, ttl_s: int) -> None:
        """`ttl_s`: how long an issued token lives, seconds. Without keys every token is invalid."""
        self._clock = clock
        self.ttl_s = ttl_s
        self._keys: list[SigningKey] = []
        self._public: dict[str, Ed25519PublicKey] = {}
        self._remembered: dict[str, Caller] = {}
        self._jws = jwt.PyJWS(algorithms=["EdDSA"])

    def use(self, keys: Sequence[SigningKey]) -> None:
        """Trust `keys` and no others from now on, newest first; a retired one only while its tokens can live."""
        oldest_ms = self._clock.now_ms() - (MAX_TOKEN_TTL_S + LEEWAY_S) * 1000
        trusted = [key for key in keys if key.retired_at is None or key.retired_at > oldest_ms]
        if trusted != self._keys:
            self._keys = trusted
            self._public = {key.kid: _private(key).public_key() for key in trusted}

    def cursor_secrets(self) -> list[bytes]:
        """Secrets for sealing cursors, made from the keys so that they last as long; the first one seals."""
        return [hmac.digest(key.private_key, b"cursor", "sha256") for key in self._keys]

    def public_keys(self) -> list[dict[str, str]]:
        """The public keys as RFC 7517 writes them."""
        return [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "use": "sig",
                "alg": "EdDSA",
                "kid": kid,
                "x": base64url.encode(key.public_bytes_raw()),
            }
            for kid, key in self._public.items()
        ]

    @property
    def can_issue(self) -> bool:
        """Whether one of the keys signs."""
        return any(key.retired_at is None for key in self._keys)

    def issue(self, client_id: str, scopes: Sequence[str]) -> str:
        """A new access token for the client; one of the keys must sign."""
        key = next(key for key in self._keys if key.retired_at is None)
        now_s = self._clock.now_ms() // 1000
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": client_id,
            "client_id": client_id,
            "scope": " ".join(scopes),
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + self.ttl_s,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(claims, _private(key), algorithm="EdDSA", headers={"typ": "at+jwt", "kid": key.kid})

    def authorize(self, headers: Iterable[tuple[bytes, bytes]], scopes: Iterable[str]) -> Caller:
        """Who sent a request with these headers, with a token that covers `scopes`.

        Raises Problem `missing-token`, `invalid-token`, `expired-token` or `insufficient-scope`.
        """
        caller = self.verify(_bearer(headers))
        for scope in scopes:
            if scope not in caller.scopes:
                raise _insufficient(scope)
        return caller

    def verify(self, token: str) -> Caller:
        """Who holds `token`.

        Raises Problem `invalid-token`, or `expired-token` when everything but its age is right; DatabaseUnavailable
        while no key could be read, because nobody can say then.
        """
        if not self._public:
            raise DatabaseUnavailable("no signing key has been read yet")
        caller = self._remembered.get(token)
        if caller is None or caller.kid not in self._public:
            caller = self._verify(token)
            if len(self._remembered) >= _MAX_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[token] = caller
        if self._clock.now_ms() >= (caller.expires_s + LEEWAY_S) * 1000:
            self._remembered.pop(token, None)
            raise _unauthorized("expired-token", "The access token has expired; ask for a new one.")
        return caller

    def _verify(self, token: str) -> Caller:
        """Everything about a token but whether it has expired."""
        try:
            kid, claims = self._read(token)
        except (ValueError, KeyError, RecursionError, jwt.PyJWTError, msgspec.ValidationError):
            # one answer for all, so that nobody learns which check it was
            raise _unauthorized("invalid-token", _INVALID) from None
        latest_s = self._clock.now_ms() // 1000 + LEEWAY_S
        in_force = claims.iat <= latest_s and claims.nbf <= latest_s
        sane = 0 < claims.exp - claims.iat <= MAX_TOKEN_TTL_S and claims.sub == claims.client_id
        if not (in_force and sane and claims.sub and claims.jti):
            raise _unauthorized("invalid-token", _INVALID)
        return Caller(claims.client_id, frozenset(claims.scope.split()), kid, claims.exp)

    def _read(self, token: str) -> tuple[str, _Claims]:
        """The key id and the claims of a token that one of our keys signed; every other token raises something."""
        head, body, signature = token[:_MAX_TOKEN_CHARS].split(".")
        base64url.decode(signature)
        header = msgspec.convert(_members(base64url.decode(head)), _Header)
        # the key is chosen by its id among ours and the algorithm is fixed: nothing in the header is believed
        self._jws.decode(token, self._public[header.kid], algorithms=["EdDSA"])
        return header.kid, msgspec.convert(_members(base64url.decode(body)), _Claims)


def _private(key: SigningKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.private_key)


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The token of a request's one `Authorization` header.

    Raises Problem `missing-token` without such a header, `invalid-token` when it holds something else.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        raise Problem(
            "missing-token",
            "Send `Authorization: Bearer` with an access token from `POST /v1/token`.",
            headers={"WWW-Authenticate": _REALM},
        )
    scheme, _, token = values[0].decode("latin-1").partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer":
        raise _unauthorized("invalid-token", _INVALID)
    return token


def _insufficient(scope: str) -> Problem:
    challenge = f'{_REALM}, error="insufficient_scope", scope="{scope}"'
    return Problem(
        "insufficient-scope", f"This needs the scope `{scope}`.", headers={"WWW-Authenticate": challenge}, scope=scope
    )


def _unauthorized(code: str, detail: str) -> Problem:
    challenge = f'{_REALM}, error="invalid_token", error_description="{detail}"'
    return Problem(code, detail, headers={"WWW-Authenticate": challenge})


def _members(raw: bytes) -> Mapping[str, object]:
    """Raises ValueError unless `raw` is a JSON object that names each member once."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError
        return members

    def never(constant: str) -> None:
        raise ValueError(constant)

    # as text: from bytes the reader takes UTF-16 and UTF-32 too; and JSON has no NaN
    members: object = json.loads(raw.decode(), object_pairs_hook=once, parse_constant=never)
    if not isinstance(members, dict):
        raise ValueError  # noqa: TRY004 - bad input, not a bad call
    return members
