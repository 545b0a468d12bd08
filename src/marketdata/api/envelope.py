"""What surrounds every request: its id, a bound on its body, HEAD as GET, and an answer whatever happens."""

import asyncio
import re
import uuid
from collections.abc import Iterable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketdata.api.problems import MAX_BODY_BYTES, Problem, render, to_problem
from marketdata.api.record import RequestRecord, begin_record
from marketdata.core.clock import Clock
from marketdata.logs import request_id

REQUEST_DEADLINE_S: Final = 30.0
"""How long an answer may take; all that takes long by itself has a shorter deadline of its own."""

MAX_URL_BYTES: Final = 8 * 1024

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")


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
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server itself leaves out the body
        record = RequestRecord(identity.decode(), self._clock.monotonic())
        begin_record(scope, record)
        answering = request_id.set(record.request_id)
        started = False
        deadline = None

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (b"x-request-id", identity), *record.headers]
                if record.visit is not None:
                    message["headers"] += record.visit.headers()
            await send(message)

        try:
            _check_url(scope)
            async with asyncio.timeout(REQUEST_DEADLINE_S) as deadline:
                await self._app(scope, _bounded(scope["headers"], receive), send_with_id)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception as error:
            problem = _too_late() if deadline is not None and deadline.expired() else to_problem(error, self._clock)
            if started:  # too late for another answer: the server cuts the connection
                raise
            await render(scope, problem)(scope, receive, send_with_id)
        finally:
            request_id.reset(answering)
            if record.visit is not None:
                record.visit.leave()


def _too_late() -> Problem:
    return Problem(
        "upstream-timeout",
        f"The answer was not ready after {REQUEST_DEADLINE_S:g} seconds; ask again, or for less at a time.",
        retry_after=1,
    )


def _check_url(scope: Scope) -> None:
    """Raises Problem before any work is done for a URL that no good request has."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL_BYTES:
        raise Problem("invalid-request", f"The URL is longer than {MAX_URL_BYTES} bytes.", max=MAX_URL_BYTES)


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
        if name == b"content-length" and (not value.isdigit() or int(value[:9]) > MAX_BODY_BYTES):
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
