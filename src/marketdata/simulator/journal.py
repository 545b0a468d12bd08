"""What a simulator was asked and what it did: kept for tests and users to read, the oldest given up first."""

from collections import deque
from collections.abc import Mapping
from itertools import islice

import msgspec

from marketdata.simulator.answers import Asked
from marketdata.simulator.calls import Call

_SECRETS = ("authorization", "cookie", "key", "passphrase", "secret", "sign", "token")
_MOST_BODY_CHARACTERS = 4096


class Entry(Call, kw_only=True):
    """One request, in the order of arrival."""

    id: int
    """1, 2, 3 … as they arrived."""
    time_ms: int
    """The exchange's time at its arrival, epoch ms."""
    method: str
    path: str
    query: dict[str, str]
    body: str
    """As text, at most 4,096 characters of it."""
    headers: dict[str, str]
    """What may be a secret is `(hidden)`."""
    weight: int = 0
    """What the exchange charged."""
    status: int | None = None
    """Of the answer; None where there was none, or none yet."""
    fault: str | None = None
    """The kind of the fault that was played."""
    bytes_sent: int | None = None
    """Of the answer's body, as it went over the wire; None while it is not over."""


class Journal:
    """The newest requests of one simulator."""

    def __init__(self, size: int = 10_000) -> None:
        """Keep the newest `size` entries."""
        self._kept: deque[Entry] = deque(maxlen=size)
        self._last_id = 0

    @property
    def last_id(self) -> int:
        """The newest entry's id; 0 before the first. What is to come is greater."""
        return self._last_id

    def open(self, call: Call, asked: Asked) -> Entry:
        """A new entry, to be completed when the answer has been sent."""
        self._last_id += 1
        entry = Entry(
            id=self._last_id,
            time_ms=asked.now_ms,
            **msgspec.structs.asdict(call),
            method=asked.method,
            path=asked.path,
            query=dict(asked.query),
            body=asked.body[: 4 * _MOST_BODY_CHARACTERS].decode(errors="replace")[:_MOST_BODY_CHARACTERS],
            headers=_without_secrets(asked.headers),
        )
        self._kept.append(entry)
        return entry

    def entries(
        self,
        *,
        exchange: str | None = None,
        route: str | None = None,
        symbol: str | None = None,
        since: int | None = None,
        limit: int | None = None,
    ) -> list[Entry]:
        """The entries that are about this, in the order of arrival: the newest `limit`, or after id `since` the first.

        `exchange`, `route` and `symbol` as faults have them.
        """
        if since is None:
            newest = (entry for entry in reversed(self._kept) if entry.matches(exchange, route, symbol))
            return list(islice(newest, limit))[::-1]
        found = (entry for entry in self._kept if entry.id > since and entry.matches(exchange, route, symbol))
        return list(islice(found, limit))

    def clear(self) -> None:
        """Forget all; ids go on."""
        self._kept.clear()


def _without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: "(hidden)" if any(word in name for word in _SECRETS) else value for name, value in headers.items()}
