"""Base64url without padding, one spelling per value (RFC 7515, section 2)."""

import base64
import binascii


def encode(raw: bytes) -> str:
    """`raw` as base64url text without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """What `encode` made `text` from.

    Raises ValueError for any other text, such as one whose last character has unused bits set.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if encode(raw) != text:
        raise ValueError("not canonical base64url")
    return raw
