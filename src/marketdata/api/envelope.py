"""What surrounds every request: its id, a bound on its body, HEAD as GET, an answer whatever happens, its log line."""

import asyncio
import re
import uuid
from collections.abc import Iterable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketdata.api.access_log import log_request
from marketdata.api.problems import MAX_BODY_BYTES, Problem, render, to_problem
from marketdata.api.record import RequestRecord, recording
from marketdata.api.security import SECURITY_HEADERS, STRICT_TRANSPORT
from marketdata.core.clock import Clock

REQUEST_DEADLINE_S: Final = 30.0
"""How long an answer may take; all that takes long by itself has a shorter deadline of its own."""

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_MOST_DIGITS: Final = 9
"""Of a length: leading zeros are allowed, and thousands of digits are no number that Python reads."""


class Envelope:
    """Pure ASGI middleware, outermost of ours, so that errors of the framework pass through it too."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        """`clock`: for the moments that error documents speak of, and for how long an answer takes."""
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on and see that it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = _identity(scope["headers"])
        method = scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}  # the server itself leaves out the body
        record = RequestRecord(identity.decode(), self._clock)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", identity), *_surroundings(scope, record)]
            else:
                record.sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            with recording(scope, record):
                await self._answer(scope, receive, send_with_headers, record)
        finally:
            if record.visit is not None:
                record.visit.leave()
            log_request(scope, method, record)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, record: RequestRecord) -> None:
        deadline = None
        try:
            async with asyncio.timeout(REQUEST_DEADLINE_S) as deadline:
                await self._app(scope, _bounded(scope["headers"], receive), send)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as error:
            problem = _too_late() if deadline is not None and deadline.expired() else to_problem(error, self._clock)
            if problem.code == "internal-error":
                record.defect = error
            if record.status is not None:  # too late for another answer: the server cuts the connection
                raise
            await render(scope, problem)(scope, receive, send)


def _surroundings(scope: Scope, record: RequestRecord) -> list[tuple[bytes, bytes]]:
    """The headers of every answer."""
    headers = [
        *SECURITY_HEADERS,
        (b"content-security-policy", record.content_policy),
        (b"server-timing", record.server_timing()),
        *record.headers,
    ]
    if record.visit is not None:
        headers += record.visit.headers()
    if scope["scheme"] == "https":
        headers.append(STRICT_TRANSPORT)
    return headers


def _too_late() -> Problem:
    return Problem(
        "upstream-timeout",
        f"The answer was not ready after {REQUEST_DEADLINE_S:g} seconds; ask again, or for less at a time.",
        retry_after=1,
    )


def _identity(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return value
    return str(uuid.uuid4()).encode()


def _bounded(headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> Receive:
    """Stop reading a body at the bound; the usual request has none and pays nothing.

    Raises HTTPException 413 at once when the body is announced as longer.
    """
    for name, value in headers:
        if name == b"content-length" and (
            not value.isdigit() or len(value) > _MOST_DIGITS or int(value) > MAX_BODY_BYTES
        ):
            raise HTTPException(413)
        if name == b"transfer-encoding":
            return _counted(receive)
    return receive


def _counted(receive: Receive) -> Receive:
    total = 0

    async def receive_counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MAX_BODY_BYTES:
            raise HTTPException(413)
        return message

    return receive_counted
