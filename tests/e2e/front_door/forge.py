"""Tokens made by hand, with raw cryptography alone: the library that the product uses is not asked."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
"""The order of Ed25519's base point (RFC 8032, section 5.1)."""


def b64(raw: bytes) -> bytes:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def compact(*parts: bytes) -> bytes:
    """Segments with dots between."""
    return b".".join(parts)


@dataclass
class Forge:
    """Makes tokens that are good but for what a caller changes."""

    kid: str
    private: Ed25519PrivateKey
    client_id: str
    secret_id: str
    """Of the secret for which the tokens are given out, as they pretend."""
    now_s: int
    header: dict[str, Any] = field(init=False)
    claims: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.header = {"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid}
        self.claims = {
            "iss": "marketdata",
            "aud": "marketdata-api",
            "sub": self.client_id,
            "client_id": self.client_id,
            "scope": "metadata:read candles:read admin",
            "iat": self.now_s,
            "nbf": self.now_s,
            "exp": self.now_s + 900,
            "jti": f"{self.secret_id}-6f0a4c9e5f0e4b7e9a630e6d3e6e2c11",
        }

    def head(self, *without: str, **changed: Any) -> bytes:
        """The header as JSON, but for what is left out and what is changed."""
        return _json(self.header, without, changed)

    def body(self, *without: str, **changed: Any) -> bytes:
        """The claims as JSON, but for what is left out and what is changed."""
        return _json(self.claims, without, changed)

    def sign(self, head: bytes, body: bytes, private: Ed25519PrivateKey | None = None) -> bytes:
        """A token of these bytes, signed by us or by `private`."""
        signed = compact(b64(head), b64(body))
        return compact(signed, b64((private or self.private).sign(signed)))

    def good(self, **claims: Any) -> bytes:
        """A token that is signed rightly, with these claims changed."""
        return self.sign(self.head(), self.body(**claims))

    def headed(self, *without: str, **changed: Any) -> bytes:
        """A token that is signed rightly, with another header."""
        return self.sign(self.head(*without, **changed), self.body())

    def keyed(self, alg: str, key: bytes) -> bytes:
        """A token with an HMAC in the place of the signature."""
        signed = compact(b64(self.head(alg=alg)), b64(self.body()))
        digest = hashlib.sha512 if alg.endswith("512") else hashlib.sha256
        return compact(signed, b64(hmac.digest(key, signed, digest)))

    def public(self, encoding: Encoding, form: PublicFormat) -> bytes:
        """Our public key, which everybody knows."""
        return self.private.public_key().public_bytes(encoding, form)

    def jwk(self, private: Ed25519PrivateKey) -> dict[str, str]:
        """A public key as a header carries it."""
        x = b64(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        return {"kty": "OKP", "crv": "Ed25519", "x": x}


def _json(members: dict[str, Any], without: tuple[str, ...], changed: dict[str, Any]) -> bytes:
    kept = {name: value for name, value in {**members, **changed}.items() if name not in without}
    return json.dumps(kept).encode()
