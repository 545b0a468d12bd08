"""Access tokens: issued and verified here and nowhere else.

A token is verified from what is held in memory, so the database is needed only to issue one. What it is worth is looked
up there at every request: its client, its secret, its scopes and itself may have been taken back meanwhile.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from marketdata.api.keys import KeyRing, to_jwk
from marketdata.api.problems import Problem
from marketdata.api.profile import AUDIENCE, ISSUER, LEEWAY_S, NotOurToken, SignedToken, read_token
from marketdata.core.clock import Clock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.access import Access
from marketdata.store.clients import ApiClient

SECURITY_SCHEME: Final = "ClientCredentials"

REMEMBERED_S: Final = 60.0
"""For how long a signature that was verified is not verified again."""

_MAX_REMEMBERED: Final = 4096
_REALM: Final = 'Bearer realm="marketdata"'
_INVALID: Final = "The access token is not valid here; ask for a new one."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who presented a verified access token, and what it covers now."""

    client: ApiClient
    scopes: frozenset[str]
    """Those of the token that its client still has."""
    token: SignedToken

    @property
    def client_id(self) -> str:
        """The client's id."""
        return self.client.client_id


class NotKnownHere(Problem):
    """`invalid-token` for a token that we signed, of a client or secret that is new or revoked: nobody has told yet."""

    def __init__(self) -> None:
        """Says what every other token that is not valid is answered, too."""
        super().__init__("invalid-token", _INVALID, headers=_challenge(_INVALID))


class Tokens:
    """Issues and verifies access tokens by what it was last told of clients and keys."""

    def __init__(self, clock: Clock, ttl_s: int) -> None:
        """`ttl_s`: how long an issued token lives, seconds."""
        self._clock = clock
        self.ttl_s = ttl_s
        self._access: Access | None = None
        self._keys = KeyRing(())
        self._remembered: dict[str, tuple[SignedToken, float]] = {}

    @property
    def held(self) -> Access | None:
        """What is known of clients and keys; None: nothing has been read yet."""
        return self._access

    @property
    def access(self) -> Access:
        """What is known of clients and keys. Raises DatabaseUnavailable while nothing has been read yet."""
        if self._access is None:
            raise DatabaseUnavailable("nothing is known of clients and keys yet")
        return self._access

    def use(self, access: Access) -> None:
        """Go by `access` from now on."""
        if self._access is None or access.keys != self._access.keys:
            self._keys = KeyRing(access.keys)
        self._access = access

    @property
    def sealing_secret(self) -> bytes:
        """What cursors are sealed with. Raises DatabaseUnavailable while it has not been read."""
        secret = self.access.sealing_secret
        if secret is None:
            raise DatabaseUnavailable("the sealing secret has not been read yet")
        return secret

    def public_keys(self) -> list[dict[str, str]]:
        """The public keys as RFC 7517 writes them."""
        return [to_jwk(kid, key) for kid, key in self._keys.public(self._clock.now_ms()).items()]

    @property
    def can_issue(self) -> bool:
        """Whether one of the keys signs."""
        return self._keys.signing is not None

    def issue(self, client_id: str, scopes: Sequence[str], secret_id: str | None = None) -> str:
        """A new access token for the client, which falls with the secret for which it is given out.

        `secret_id`: None stands for the client's newest that is live. Raises LookupError when it has none.
        """
        now_ms = self._clock.now_ms()
        if secret_id is None:
            live = (one for one in self.access.secrets.values() if one.client_id == client_id and one.is_live(now_ms))
            newest = next(live, None)
            if newest is None:
                raise LookupError("the client has no live secret")
            secret_id = newest.secret_id
        now_s = now_ms // 1000
        return self._keys.sign(
            {
                "iss": ISSUER,
                "aud": AUDIENCE,
                "sub": client_id,
                "client_id": client_id,
                "scope": " ".join(scopes),
                "iat": now_s,
                "nbf": now_s,
                "exp": now_s + self.ttl_s,
                "jti": f"{secret_id}-{uuid.uuid4().hex}",
            }
        )

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
        """Who holds `token`, and what it covers now.

        Raises Problem `invalid-token` (NotKnownHere where others may know more), or `expired-token` when everything but
        its age is right; DatabaseUnavailable while nothing was read of clients and keys, because nobody can say then.
        """
        access, now_ms = self.access, self._clock.now_ms()
        try:
            signed = self._read(token, now_ms)
        except NotOurToken:
            # one answer for all, so that nobody learns which check it was
            raise _unauthorized("invalid-token", _INVALID) from None
        client, secret = access.clients.get(signed.client_id), access.secrets.get(signed.secret_id)
        if client is None or secret is None:
            raise NotKnownHere
        if not client.is_active(now_ms) or secret.client_id != signed.client_id or signed.jti in access.revoked_tokens:
            raise _unauthorized("invalid-token", _INVALID)
        if now_ms >= (signed.expires_s + LEEWAY_S) * 1000:
            raise _unauthorized("expired-token", "The access token has expired; ask for a new one.")
        return Caller(client, signed.scopes.intersection(client.scopes), signed)

    def read(self, token: str) -> SignedToken | None:
        """What a token of ours says that has not expired; what it is worth is not looked up."""
        now_ms = self._clock.now_ms()
        try:
            signed = self._read(token, now_ms)
        except NotOurToken:
            return None
        return signed if now_ms < (signed.expires_s + LEEWAY_S) * 1000 else None

    def _read(self, token: str, now_ms: int) -> SignedToken:
        """What a token of ours says, whose signature was verified now or a short while ago. Raises NotOurToken."""
        now = self._clock.monotonic()
        signed, until = self._remembered.get(token, (None, now))
        if signed is None or now >= until or not self._keys.believes(signed.kid, now_ms):
            self._remembered.pop(token, None)
            signed = read_token(token, self._keys.public(now_ms), now_ms / 1000)
            if len(self._remembered) >= _MAX_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[token] = (signed, now + REMEMBERED_S)
        return signed


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
    return Problem(code, detail, headers=_challenge(detail))


def _challenge(detail: str) -> dict[str, str]:
    return {"WWW-Authenticate": f'{_REALM}, error="invalid_token", error_description="{detail}"'}
