"""What becomes known of a request while it is answered: for the headers of its answer and for the log."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from starlette.types import Scope

from marketdata.api.security import API_POLICY
from marketdata.core.clock import Clock

if TYPE_CHECKING:
    from marketdata.api.limits import Visit  # which knows problems, which know this

_KEY: Final = "marketdata.record"
_MS_PER_S: Final = 1000

Awaited = Literal["upstream", "db"]
"""What a request waits for: exchanges, or the database."""


@dataclass(slots=True)
class Stopwatch:
    """How long something was under way; what is so side by side counts once."""

    total_s: float = 0.0
    under_way: int = 0
    since: float = 0.0

    def start(self, now: float) -> None:
        """One more of it begins."""
        if not self.under_way:
            self.since = now
        self.under_way += 1

    def stop(self, now: float) -> None:
        """One of it ends."""
        self.under_way -= 1
        if not self.under_way:
            self.total_s += now - self.since


@dataclass(slots=True)
class RequestRecord:
    """One request, from its head to the end of its answer."""

    request_id: str
    clock: Clock
    began: float = field(init=False)
    """In seconds of the monotonic clock."""
    client_id: str | None = None
    """Who asks, once a token or a secret has told."""
    visit: "Visit | None" = None
    """What it takes of the client's limits, once it is known who asks."""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Go with the answer, whatever it is; names in lower case."""
    content_policy: bytes = API_POLICY
    """The answer's `Content-Security-Policy`; a page needs more than the rest."""
    status: int | None = None
    """Of the answer, once it has begun."""
    sent_bytes: int = 0
    """Of the answer's body."""
    code: str | None = None
    """Of the problem that it is answered with."""
    defect: Exception | None = None
    """What went wrong on our side and has no name."""
    waits: dict[Awaited, Stopwatch] = field(default_factory=dict)
    _outside: Stopwatch = field(default_factory=Stopwatch)

    def __post_init__(self) -> None:
        """It begins now."""
        self.began = self.clock.monotonic()

    @property
    def duration_ms(self) -> float:
        """From its beginning until now."""
        return (self.clock.monotonic() - self.began) * _MS_PER_S

    @contextmanager
    def waiting(self, what: Awaited) -> Iterator[None]:
        """While the block runs, the request waits for `what`."""
        watches = (self.waits.setdefault(what, Stopwatch()), self._outside)
        for watch in watches:
            watch.start(self.clock.monotonic())
        try:
            yield
        finally:
            for watch in watches:
                watch.stop(self.clock.monotonic())

    def server_timing(self) -> bytes:
        """What the time until now went into, ms, as the header `Server-Timing` writes it; `app`: neither of the two."""
        app = f"app;dur={self.duration_ms - self._outside.total_s * _MS_PER_S:.2f}"
        parts = [f"{what};dur={watch.total_s * _MS_PER_S:.2f}" for what, watch in self.waits.items()]
        return ", ".join((*parts, app)).encode()


_current: ContextVar[RequestRecord | None] = ContextVar("record", default=None)


@contextmanager
def recording(scope: Scope, record: RequestRecord) -> Iterator[None]:
    """Keep `record` with its request, and as the one that is being answered."""
    scope[_KEY] = record
    answering = _current.set(record)
    try:
        yield
    finally:
        _current.reset(answering)


def record_of(scope: Scope) -> RequestRecord:
    """The record of a request that came through the Envelope."""
    record: RequestRecord = scope[_KEY]
    return record


def waiting_for(what: Awaited) -> AbstractContextManager[None]:
    """While it is entered, the request that is being answered, if there is one, waits for `what`."""
    record = _current.get()
    return nullcontext() if record is None else record.waiting(what)
