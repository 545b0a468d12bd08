"""What a client's secret looks like: `mds_`, an id of 8 characters, `_`, 43 random ones and a checksum of 6.

All of it is letters and digits, so that a double click marks the whole and a scanner finds it with one expression; the
checksum tells a secret from what only looks like one. The id names the secret in lists and logs and is not secret.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, field
from typing import Final, Self

PATTERN: Final = r"mds_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}"
"""What a scanner looks for; `Secret.parse` tells by the checksum whether it is one."""

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_CHARS: Final = 8
_SECRET_CHARS: Final = 43  # 62**43 is above 2**256
_CHECK_CHARS: Final = 6  # 62**6 is above 2**32
_LEGACY: Final = re.compile(r"mds_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Secret:
    """A client's secret, in clear: shown to its owner once and never stored."""

    id: str
    text: str = field(repr=False)

    @classmethod
    def make(cls) -> Self:
        """A new one, of more than 256 random bits."""
        identity = _random(_ID_CHARS)
        body = f"mds_{identity}_{_random(_SECRET_CHARS)}"
        return cls(identity, body + _check(body))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The secret that `text` is; None if it cannot be one. Whose it is, if anybody's, only the hash can say."""
        if re.fullmatch(PATTERN, text) and hmac.compare_digest(text[-_CHECK_CHARS:], _check(text[:-_CHECK_CHARS])):
            return cls(text[4 : 4 + _ID_CHARS], text)
        if _LEGACY.fullmatch(text):  # made before secrets had ids: the first digits of its hash stand for one
            return cls(hash_secret(text).hex()[:_ID_CHARS], text)
        return None

    def hash(self) -> bytes:
        """What is stored of it."""
        return hash_secret(self.text)


def hash_secret(text: str) -> bytes:
    """256 random bits cannot be guessed, so a fast hash without salt keeps them as well as a slow one."""
    return hashlib.sha256(text.encode()).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(length))


def _check(body: str) -> str:
    """The CRC-32 of the rest, in base 62: not for safety, but to tell a secret from what only looks like one."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK_CHARS):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
