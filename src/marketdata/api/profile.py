"""What an access token has to look like, to the letter: RFC 9068 JWTs under the advice of RFC 8725.

Three segments of canonical base64url, a header of exactly `alg`, `typ` and `kid`, one algorithm, whole numbers, no
member twice. The key is chosen by its id among ours, so nothing that a header says is believed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt import PyJWS, PyJWTError
from msgspec import ValidationError

from marketdata.api import base64url
from marketdata.api.settings import MAX_TOKEN_TTL_S

ISSUER: Final = "marketdata"
AUDIENCE: Final = "marketdata-api"
LEEWAY_S: Final = 30
"""How far the clocks of those who issue and those who verify may be apart."""

MAX_TOKEN_CHARS: Final = 4096


class NotOurToken(Exception):
    """It is no access token of ours; why is nobody's business."""


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
class SignedToken:
    """A token that one of our keys signed, in force or expired."""

    kid: str
    client_id: str
    scopes: frozenset[str]
    jti: str
    expires_s: int
    """Epoch seconds, as the token says it."""

    @property
    def secret_id(self) -> str:
        """The secret for which it was given out."""
        return self.jti.partition("-")[0]


_JWS: Final = PyJWS(algorithms=["EdDSA"])


def read_token(token: str, keys: Mapping[str, Ed25519PublicKey], now_s: float) -> SignedToken:
    """What `token` says, if one of `keys`, by their ids, signed it and everything about it is right but its age.

    Raises NotOurToken.
    """
    if len(token) > MAX_TOKEN_CHARS:
        raise NotOurToken
    try:
        head, body, signature = token.split(".")
        base64url.decode(signature)
        header = msgspec.convert(_members(base64url.decode(head)), _Header)
        _JWS.decode(token, keys[header.kid], algorithms=["EdDSA"])
        claims = msgspec.convert(_members(base64url.decode(body)), _Claims)
    except (ValueError, KeyError, RecursionError, PyJWTError, ValidationError):
        raise NotOurToken from None
    latest_s = now_s + LEEWAY_S
    in_force = claims.iat <= latest_s and claims.nbf <= latest_s
    sane = 0 < claims.exp - claims.iat <= MAX_TOKEN_TTL_S and claims.sub == claims.client_id
    if not (in_force and sane and claims.sub and claims.jti):
        raise NotOurToken
    return SignedToken(header.kid, claims.client_id, frozenset(claims.scope.split()), claims.jti, claims.exp)


def _members(raw: bytes) -> Mapping[str, object]:
    """Raises ValueError unless `raw` is a JSON object that names each member once, its numbers finite."""
    # as text: from bytes the reader takes UTF-16 and UTF-32 too; and JSON has no NaN
    members: object = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_refuse)
    if not isinstance(members, dict):
        raise ValueError  # noqa: TRY004 - bad input, not a bad call
    return members


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _refuse(_: str) -> object:
    raise ValueError
