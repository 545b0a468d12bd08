"""What becomes known of a request while it is answered: for the headers of its answer and for the log."""

from dataclasses import dataclass, field
from typing import Final

from starlette.types import Scope

from marketdata.api.limits import Visit

_KEY: Final = "marketdata.record"


@dataclass(slots=True)
class RequestRecord:
    """One request, from its head to the end of its answer."""

    request_id: str
    began: float
    """In seconds of the monotonic clock."""
    client_id: str | None = None
    """Who asks, once a token or a secret has told."""
    visit: Visit | None = None
    """What it takes of the client's limits, once it is known who asks."""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Go with the answer, whatever it is; names in lower case."""


def begin_record(scope: Scope, record: RequestRecord) -> None:
    """Keep `record` with its request."""
    scope[_KEY] = record


def record_of(scope: Scope) -> RequestRecord:
    """The record of a request that came through the Envelope."""
    record: RequestRecord = scope[_KEY]
    return record
