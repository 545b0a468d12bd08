"""How a good answer is sent: not again to those who have it, compressed to those who can read that."""

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from xxhash import xxh3_128

from marketdata.api.encodings import Coding, choose_coding, compress
from marketdata.api.record import record_of
from marketdata.api.security import PAGE_POLICY

PUBLIC: Final = "public, max-age=300"
"""What needs no token: it changes with a new version or a new key."""

REVALIDATE: Final = "private, no-cache"
"""What needs a token and may change: kept by the client alone, and used after asking whether it is still so."""

SETTLED: Final = "private, max-age=86400"
"""What will not change any more as far as anybody knows; not `immutable`, for exchanges do correct themselves."""

NO_STORE: Final = "no-store"
"""What is of the moment, or secret."""

_LEAST_BYTES: Final = 1024
"""What is not larger is sent as it is: it fits into one packet anyway."""

_LARGE_BYTES: Final = 256 * 1024
"""What is larger is compressed in a thread: on the event loop it would hold up all others for about a millisecond."""

_MOST_KEPT: Final = 32

_OF_THE_MOMENT: Final = frozenset({b"age", b"cache-status", b"marketdata-generation", b"vary"})
"""Headers that tell when and how an answer was made rather than what it says."""

_REPLACED: Final = frozenset({b"accept-ranges", b"content-length", b"etag", b"last-modified"})
"""Headers that are set here, and those of files, which are delivered as everything else."""


class Delivery:
    """Pure ASGI middleware inside the Envelope: what fails is answered out there and is none of its business."""

    def __init__(self, app: ASGIApp) -> None:
        """Around `app`, none of whose answers is so long that it has to be sent in parts."""
        self._app = app
        self._kept: dict[str, bytes] = {}
        """What public answers are compressed to, by their tags: they are few, and anybody may ask for them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and its answer back in the form that suits whoever asks."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_get = scope["method"] == "GET"
        held: Message | None = None
        pieces: list[bytes] = []

        async def deliver(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                if is_get and message["status"] == 200:
                    held = message
                    return
                _keep_from_caches(message)
            elif held is not None:
                pieces.append(message.get("body", b""))
                if message.get("more_body", False):
                    return
                message["body"] = await self._prepare(scope, held, b"".join(pieces))
                await send(held)
            await send(message)

        await self._app(scope, receive, deliver)

    async def _prepare(self, scope: Scope, start: Message, body: bytes) -> bytes:
        """The body to send; `start` becomes the head that belongs to it."""
        told = _described(start["headers"], body)
        record = record_of(scope)
        control = told.control or (PUBLIC if record.client_id is None else REVALIDATE).encode()
        if told.content_type.startswith(b"text/html"):
            record.content_policy = PAGE_POLICY
        if control == NO_STORE.encode():
            return body
        accept, known = _asked(scope)
        choice = choose_coding(accept)
        is_small = len(body) <= _LEAST_BYTES and not choice.is_plain_refused
        is_plain = is_small or not body or told.content_type.startswith(b"image/")
        coding: Coding = "identity" if is_plain else choice.coding
        tag = f'"{told.tag}"' if is_plain or coding == "identity" else f'"{told.tag}-{coding}"'
        headers = [*told.headers, (b"cache-control", control), (b"etag", tag.encode()), (b"vary", b"Accept-Encoding")]
        start["headers"] = headers
        if known and is_known(known, tag):
            start["status"] = 304
            start["headers"] = [pair for pair in headers if not pair[0].startswith(b"content-")]
            return b""
        if coding != "identity":
            body = await self._compress(body, coding, tag, is_public=record.client_id is None)
            headers.append((b"content-encoding", coding.encode()))
        headers.append((b"content-length", str(len(body)).encode()))
        return body

    async def _compress(self, body: bytes, coding: Coding, tag: str, *, is_public: bool) -> bytes:
        if tag in self._kept:
            return self._kept[tag]
        if len(body) > _LARGE_BYTES:
            compressed = await asyncio.to_thread(compress, body, coding)
        else:
            compressed = compress(body, coding)
        if is_public and len(self._kept) < _MOST_KEPT:
            self._kept[tag] = compressed
        return compressed


class _Described(NamedTuple):
    """An answer as the application made it."""

    headers: list[tuple[bytes, bytes]]
    """Those that say what it is."""
    content_type: bytes
    control: bytes
    """Its `Cache-Control`; empty: it has none."""
    tag: str
    """For the body and what the headers say about it."""


def _described(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> _Described:
    kept, control, content_type = [], b"", b""
    digest = xxh3_128(body)
    for name, value in headers:
        if name == b"cache-control":
            control = value
            continue
        if name in _REPLACED:
            continue
        if name == b"content-type":
            content_type = value
        if name not in _OF_THE_MOMENT:
            digest.update(name)
            digest.update(value)
        kept.append((name, value))
    return _Described(kept, content_type, control, digest.hexdigest())


def _asked(scope: Scope) -> tuple[str, str]:
    """The request's `Accept-Encoding` and `If-None-Match`, "" where there is none."""
    accept, known = [], []
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            accept.append(value.decode("latin-1"))
        elif name == b"if-none-match":
            known.append(value.decode("latin-1"))
    return ",".join(accept), ",".join(known)


def is_known(known: str, tag: str) -> bool:
    """Whether an `If-None-Match` names `tag`, by the weak comparison of RFC 9110, section 13.1.2."""
    return known.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in known.split(","))


def _keep_from_caches(start: Message) -> None:
    """What is no good answer to a GET is of the moment, unless it says something else."""
    if not any(name == b"cache-control" for name, _ in start["headers"]):
        start["headers"] = [*start["headers"], (b"cache-control", NO_STORE.encode())]
