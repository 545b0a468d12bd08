"""Cursors: what the next page is, sealed, so that a page cannot drift and a changed cursor is noticed.

A cursor is the base64url of a msgpack payload with an HMAC-SHA-256 tag over the payload and what it is bound to.
"""

import hashlib
import hmac
from typing import Final

import msgspec

from marketdata.api import base64url
from marketdata.api.problems import Problem

_TAG_BYTES: Final = 16


def bad_cursor(reason: str) -> Problem:
    """The refusal of a cursor."""
    return Problem("bad-cursor", reason, parameter="cursor")


def seal(secret: bytes, bound_to: str, page: object) -> str:
    """Text from which `unseal` gives `page` back, with the same `secret` and `bound_to` only."""
    payload = msgspec.msgpack.encode(page)
    return base64url.encode(payload + _tag(secret, bound_to, payload))


def unseal[Page](secret: bytes, bound_to: str, text: str, kind: type[Page]) -> Page:
    """What was sealed with `secret`.

    Raises Problem `bad-cursor` when the text was changed, or belongs to another path or installation.
    """
    refusal = bad_cursor("This cursor was not given out for this path; take it from `page.next` as it is.")
    try:
        sealed = base64url.decode(text)
        payload, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
        if hmac.compare_digest(tag, _tag(secret, bound_to, payload)):
            return msgspec.msgpack.decode(payload, type=kind)
    except (ValueError, msgspec.DecodeError):
        raise refusal from None
    raise refusal


def _tag(secret: bytes, bound_to: str, payload: bytes) -> bytes:
    return hmac.digest(secret, bound_to.encode() + b"\0" + payload, hashlib.sha256)[:_TAG_BYTES]
