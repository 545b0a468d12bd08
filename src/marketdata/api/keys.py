"""The keys that sign access tokens, as what they are used for."""

import hashlib
from collections.abc import Sequence
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from marketdata.api import base64url
from marketdata.api.profile import LEEWAY_S
from marketdata.api.settings import MAX_TOKEN_TTL_S
from marketdata.store.keys import RotationRule, SigningKey

LEARNING_S: Final = 10
"""Within this time every process that reaches the database has learned of a key, with room to spare."""

BELIEVED_MS: Final = (MAX_TOKEN_TTL_S + LEEWAY_S + LEARNING_S) * 1000
"""How long after a key was retired, or a secret has ended, a token of it may still have to be believed."""

ROTATION: Final = RotationRule(published_ms=LEARNING_S * 1000, believed_ms=BELIEVED_MS)


def make_key(now_ms: int) -> SigningKey:
    """A new signing key; its id is its RFC 7638 thumbprint."""
    private = Ed25519PrivateKey.generate()
    x = base64url.encode(private.public_key().public_bytes_raw())
    thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    return SigningKey(base64url.encode(thumbprint), "EdDSA", private.private_bytes_raw(), now_ms, signs_from=now_ms)


class KeyRing:
    """Keys by their ids, each believed for as long as tokens that it signed can live."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        """`keys`: all that there are, in any order."""
        self._keys = {key.kid: key for key in keys if key.revoked_at is None}
        self._public = {kid: _private(key).public_key() for kid, key in self._keys.items()}
        signing = [key for key in keys if key.signs]
        self.signing = max(signing, key=lambda key: (key.signs_from, key.kid)) if signing else None
        """The key that signs; None: there is none."""

    def believes(self, kid: str, now_ms: int) -> bool:
        """Whether what the key of that id has signed is believed now."""
        key = self._keys.get(kid)
        return key is not None and (key.retired_at is None or now_ms < key.retired_at + BELIEVED_MS)

    def public(self, now_ms: int) -> dict[str, Ed25519PublicKey]:
        """The public halves of those that are believed now, the next one's among them."""
        return {kid: key for kid, key in self._public.items() if self.believes(kid, now_ms)}

    def sign(self, claims: dict[str, object]) -> str:
        """A token of `claims`; there is a key that signs."""
        if self.signing is None:
            raise ValueError("no key signs")
        headers = {"typ": "at+jwt", "kid": self.signing.kid}
        return jwt.encode(claims, _private(self.signing), algorithm="EdDSA", headers=headers)


def to_jwk(kid: str, key: Ed25519PublicKey) -> dict[str, str]:
    """A public key as RFC 7517 writes it."""
    x = base64url.encode(key.public_bytes_raw())
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x}


def _private(key: SigningKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.private_key)
