"""What the server itself allows a connection and a request's head, before the application sees anything of it.

The application bounds what it can see: bodies, parameters, scopes. What it cannot see is bounded here: how large a
head may be and whether it can be read in one way only, how long a peer may take, how many may be connected.
"""

import itertools
import logging
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from marketdata.api.problems import Problem, respond
from marketdata.api.security import API_POLICY, SECURITY_HEADERS
from marketdata.core.clock import Clock, SystemClock

logger = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, and values."""

_VERSIONS: Final = ("1.1", "1.0")
_ABSOLUTE: Final = re.compile(rb"https?://[^/?#]+/", re.IGNORECASE)
"""How a target begins that is no path: RFC 9112, 3.2.2."""
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    connections: int = 2000
    """Open at a time; each one more is told to come again, and `spare` more are not even told."""
    spare: int = 200
    target_bytes: int = 8 * 1024
    head_bytes: int = 32 * 1024
    headers: int = 100
    message_bytes: int = 1024 * 1024
    """A head and its body as they come, with what chunks add to it; what a body may hold is the application's."""
    pipelined: int = 16
    """Requests that wait for the answers to those before them on the same connection."""
    head_s: float = 5.0
    body_s: float = 7.0
    idle_s: float = 5.0
    """Between an answer and the next request."""
    stalled_s: float = 8.0
    """For taking at least `taken_bytes` of an answer, again and again."""
    taken_bytes: int = 8 * 1024
    unsent_bytes: int = 128 * 1024 * 1024
    """Of all answers together that wait for their peers; above it those with the most are cut off."""
    linger_s: float = 1.5
    """For reading the last answer of a connection, while what still comes is thrown away."""
    look_s: float = 0.5
    """Between two looks at all connections: by so much may each of these times be exceeded."""
    leave_s: float = 0.25
    """For requests that are on their way when the server stops."""


@dataclass(slots=True)
class Edge:
    """What all connections of a server have in common."""

    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(default_factory=SystemClock)
    is_stopping: bool = False
    """Answers are the last of their connections."""


def malformed(detail: str = "This is not a well-formed HTTP/1.1 request.") -> Problem:
    """The refusal of what cannot be read in one way only."""
    return Problem("invalid-request", detail)


def too_slow() -> Problem:
    """The refusal of a request that does not come to its end."""
    return Problem("invalid-request", "The request was not complete in time.", status=408)


def target_too_long(limits: Limits) -> Problem:
    """The refusal of a long path or query."""
    most = limits.target_bytes
    return Problem("too-large", f"A request target has at most {most} bytes.", status=414, max=most)


def head_too_large(limits: Limits) -> Problem:
    """The refusal of a request whose headers are too large together."""
    most = limits.head_bytes
    return Problem("too-large", f"The head of a request has at most {most} bytes.", status=431, max=most)


def message_too_large(limits: Limits) -> Problem:
    """The refusal of a request that is longer than any body can make it."""
    most = limits.message_bytes
    return Problem("too-large", f"A request has at most {most} bytes.", max=most)


def too_many_connections() -> Problem:
    """The refusal of a connection while there are as many as there may be."""
    return Problem("rate-limited", "Too many connections are open; come again in a moment.", status=503, retry_after=1)


def size_of_head(target: bytes, headers: Headers) -> int:
    """About how many bytes a head has."""
    return len(target) + sum(map(len, itertools.chain.from_iterable(headers)))


def fault_of_head(version: str, target: bytes, headers: Headers, limits: Limits, *, upgrades: bool) -> Problem | None:
    """Why a request is refused that the parser takes; None: it is passed on.

    How large it is, is looked at elsewhere. `upgrades`: it asks for another protocol, which is ignored (RFC 9110, 7.8);
    the parser however takes no body of it, so what is one to others would be the next request to us.
    """
    if version not in _VERSIONS:
        return malformed("The versions of HTTP that are spoken here are 1.1 and 1.0.")
    if not target.isascii() or b"#" in target or not (target[:1] == b"/" or _ABSOLUTE.match(target)):
        return malformed("The request target has to be a path, perhaps with a query, in visible ASCII.")
    if len(headers) > limits.headers:
        most = limits.headers
        return Problem("too-large", f"A request has at most {most} headers.", status=431, max=most)
    return _fault_of_fields(version, headers, upgrades=upgrades)


def _fault_of_fields(version: str, headers: Headers, *, upgrades: bool) -> Problem | None:
    hosts = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1 if _HOST.fullmatch(value) else 2
        elif name in _FRAMING and not _is_clear(name, value, version, upgrades=upgrades):
            return malformed("How long the body is cannot be said for certain.")
    if hosts > 1 or (hosts == 0 and version != "1.0"):
        return malformed("A request has exactly one `Host`, a name or an address, perhaps with a port.")
    return None


def _is_clear(name: bytes, value: bytes, version: str, *, upgrades: bool) -> bool:
    """Whether the parser and everybody else read the same from a header that tells where the body ends."""
    if name == b"content-length":
        return value == b"0" or not upgrades
    return value.lower() == b"chunked" and version != "1.0" and not upgrades


def last_answer(problem: Problem, server_headers: Iterable[tuple[bytes, bytes]], root_path: str) -> bytes:
    """The problem document as bytes of HTTP, after which the connection ends; it is logged.

    No application has seen the request, so it has an id that is made here.
    """
    identity = str(uuid.uuid4())
    told = {"request_id": identity, "status": problem.status, "code": problem.code}
    level = logging.INFO if problem.status < 500 else logging.WARNING
    logger.log(level, "refused before the application: %s", problem.detail, extra=told)
    response = respond(problem, identity, root_path=root_path)
    headers = [
        *server_headers,
        *response.raw_headers,
        *SECURITY_HEADERS,
        (b"content-security-policy", API_POLICY),
        (b"x-request-id", identity.encode()),
        (b"connection", b"close"),
    ]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"%b%b\r\n%b" % (STATUS_LINE[response.status_code], lines, bytes(response.body))
