"""Compression of answers, as the request's `Accept-Encoding` allows it."""

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import zstandard
from isal import isal_zlib

Coding = Literal["identity", "zstd", "gzip"]

_GZIP: Final = 31
"""zlib's window size that writes gzip's head and tail, without a time: equal bytes give equal bytes."""

_MOST_CHARS: Final = 1000
"""A longer `Accept-Encoding` counts as none: nobody needs one, and it takes time to read."""

_QUALITY: Final = re.compile(r"q=(0(?:\.\d*)?|1(?:\.0*)?)")


class Choice(NamedTuple):
    """How an answer may be encoded."""

    coding: Coding
    is_plain_refused: bool
    """Whether it must be compressed, however small it is."""


@lru_cache(maxsize=64)
def choose_coding(accept: str) -> Choice:
    """The coding of the highest quality (RFC 9110, section 12.5.3): among equals zstd, then gzip, then none.

    Without a header, "", nothing is compressed. Where nothing that we have is acceptable, the answer goes out as it is:
    better than none.
    """
    if not accept or len(accept) > _MOST_CHARS:
        return Choice("identity", is_plain_refused=False)
    qualities = dict(_quality(text) for text in accept.lower().split(","))
    any_other = qualities.get("*", 0.0)
    offered: dict[Coding, float] = {
        "zstd": qualities.get("zstd", 0.0),  # who says `*` need not have heard of it
        "gzip": qualities.get("gzip", qualities.get("x-gzip", any_other)),
    }
    best = max(offered, key=lambda coding: offered[coding])
    if not offered[best] or offered[best] < qualities.get("identity", 0.0):
        return Choice("identity", is_plain_refused=False)
    is_plain_refused = qualities.get("identity", qualities.get("*", 1.0)) == 0
    return Choice(best, is_plain_refused)


def _quality(text: str) -> tuple[str, float]:
    """Name and quality of one element of the header."""
    name, *parameters = (part.strip() for part in text.split(";"))
    qualities = [float(found[1]) for parameter in parameters if (found := _QUALITY.fullmatch(parameter))]
    return name, qualities[0] if qualities else 1.0


def compress(body: bytes, coding: Coding) -> bytes:
    """`body` in that coding, quickly rather than small. Can be called from several threads."""
    match coding:
        case "zstd":
            return zstandard.ZstdCompressor(level=1).compress(body)
        case "gzip":
            return isal_zlib.compress(body, level=1, wbits=_GZIP)
        case "identity":
            return body
