"""What a simulated exchange is asked, and what it answers: plain data, so that one place sends all of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Protocol

import msgspec


@dataclass(frozen=True, slots=True)
class Asked:
    """One HTTP request, its path without the exchange's prefix."""

    method: str
    path: str
    """Percent-decoded."""
    query: Mapping[str, str]
    body: bytes
    now_ms: int
    """The exchange's time."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By their names in small letters; of equal names the last."""
    raw_query: str = ""
    """The query as it was sent, for what goes by the exact address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    """How many candles it has, for limits that charge by them."""


class Exchange(Protocol):
    """A simulated exchange: it answers, and keeps to its own forms in everything."""

    def answer(self, asked: Asked) -> Answer:
        """The answer to one request."""
        ...


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request cost, and what the exchange's answer says of that."""

    weight: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to the answer's, such as `X-MBX-USED-WEIGHT-1M`."""


class Limits(Protocol):
    """How an exchange counts requests and refuses too many; one object for the life of a simulator."""

    def admit(self, asked: Asked) -> Answer | None:
        """The refusal of a request, such as 429 or 418; None: the exchange is to answer it."""
        ...

    def settle(self, asked: Asked, answer: Answer) -> Charge:
        """What a request cost, now that its answer is known; asked for a refusal too."""
        ...


class Rows(Protocol):
    """The candles of one symbol and interval."""

    def __call__(self, first_ms: int, last_ms: int, limit: int, *, newest: bool) -> Sequence[bytes]:
        """Those that open from `first_ms` to `last_ms`, both included, as the exchange writes them, oldest first.

        Of more than `limit`, the newest or the oldest.
        """
        ...


class SymbolUnknownError(LookupError):
    """The exchange has no such symbol."""


class SymbolClosedError(LookupError):
    """The exchange has the symbol, but answers no candles of it any more."""


def json_body(value: object) -> bytes:
    """Compact JSON."""
    return msgspec.json.encode(value)


def joined(rows: Sequence[bytes]) -> bytes:
    """A JSON array of rows that are JSON already."""
    return b"[" + b",".join(rows) + b"]"


def http_date(now_ms: int) -> str:
    """A `Date` header."""
    return formatdate(now_ms // 1000, usegmt=True)
