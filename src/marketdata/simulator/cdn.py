"""The cache in front of Coinbase Exchange: each exact URL's answer for as long as the exchange allows.

As recorded in 2025-08: candles are kept for 300 s, so who repeats a URL gets a forming bucket that is up to five
minutes old. A request with `Cache-Control: no-cache` goes through, and what it brings is kept (seen in 2026-09).
"""

import re
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import count

from marketdata.simulator.answers import Answer, Asked, Exchange, http_date

_MOST_BYTES = 16 * 1024 * 1024
_COOKIE_MS = 30 * 60_000
_MAX_AGE = re.compile(r"\bmax-age=(\d+)")


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, and when it came from the exchange."""

    answer: Answer
    since_ms: int
    until_ms: int

    @property
    def etag(self) -> str:
        """What the exchange knows it by."""
        return self.answer.headers["Etag"]

    def is_fresh(self, now_ms: int) -> bool:
        """Whether it still answers for the exchange; the clock may have gone back."""
        return self.since_ms <= now_ms < self.until_ms


class Cdn:
    """What stands before an exchange: a cache with bounded memory, and marks of its own on every answer."""

    def __init__(self, origin: Exchange, most_bytes: int = _MOST_BYTES) -> None:
        """Nothing kept yet; of `most_bytes` of bodies the longest unused go."""
        self._origin = origin
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._rays = count()

    def answer(self, asked: Asked) -> Answer:
        """The kept answer of this URL, or the exchange's own; 304 where the caller has the same already."""
        answer = self._cached(asked) if asked.method == "GET" else self._origin.answer(asked)
        return replace(answer, headers={**answer.headers, **self._marks(asked)})

    def _cached(self, asked: Asked) -> Answer:
        key = (asked.path, asked.raw_query)
        kept = self._kept.get(key)
        if kept and kept.is_fresh(asked.now_ms) and "no-cache" not in asked.headers.get("cache-control", "").lower():
            self._kept.move_to_end(key)
            return _told(kept, asked, "HIT")
        answer = self._origin.answer(asked)
        fresh = _keepable(answer, asked.now_ms)
        self._forget(key)
        if fresh is None:
            return answer
        self._keep(key, fresh)
        # EXPIRED is documented, the others were recorded.
        return _told(fresh, asked, "MISS" if kept is None else "REVALIDATED" if fresh.etag == kept.etag else "EXPIRED")

    def _keep(self, key: tuple[str, str], kept: _Kept) -> None:
        self._kept[key] = kept
        self._bytes += len(kept.answer.body)
        while self._bytes > self._most_bytes:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: tuple[str, str]) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.answer.body)

    def _marks(self, asked: Asked) -> dict[str, str]:
        """The request's number, and a cookie for a caller that has none: nobody has to send it back."""
        digest = blake2b(f"{next(self._rays)}/{asked.now_ms}".encode(), digest_size=40).digest()
        ray = {"Cf-Ray": f"{digest[:8].hex()}-EWR"}
        if "__cf_bm=" in asked.headers.get("cookie", ""):
            return ray
        value = f"{urlsafe_b64encode(digest[8:]).decode().rstrip('=')}-{asked.now_ms // 1000}-1.0.1.1"
        until = http_date(asked.now_ms + _COOKIE_MS)
        attributes = f"path=/; expires={until}; domain=.exchange.coinbase.com; HttpOnly; Secure; SameSite=None"
        return {**ray, "Set-Cookie": f"__cf_bm={value}; {attributes}"}


def _keepable(answer: Answer, now_ms: int) -> _Kept | None:
    """The answer to keep, if the exchange lets it be kept; it has an Etag then."""
    age = _MAX_AGE.search(answer.headers.get("Cache-Control", ""))
    if answer.status != 200 or age is None:
        return None
    return _Kept(answer, now_ms, now_ms + int(age[1]) * 1000)


def _told(kept: _Kept, asked: Asked, word: str) -> Answer:
    """An answer that says where it comes from, how old it is and what it is known by."""
    headers: Mapping[str, str] = {**kept.answer.headers, "Cf-Cache-Status": word}
    if word != "MISS":
        headers = {**headers, "Age": str((asked.now_ms - kept.since_ms) // 1000)}
    known = {tag.strip().removeprefix("W/") for tag in asked.headers.get("if-none-match", "").split(",")}
    if known & {"*", kept.etag.removeprefix("W/")}:
        return Answer(304, b"", {name: value for name, value in headers.items() if name != "Content-Type"})
    return replace(kept.answer, headers=headers)
