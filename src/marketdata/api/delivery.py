"""How a good answer is sent: not again to those who have it, compressed to those who can read that."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from xxhash import xxh3_128

from marketdata.api.encodings import Coding, choose_coding, compress

PUBLIC: Final = "public, max-age=300"
"""What is the same for everybody, and changes with a new version or a new key."""

REVALIDATE: Final = "private, no-cache"
"""What may change at any time: kept by the client alone, and used after asking whether it is still so."""

SETTLED: Final = "private, max-age=86400"
"""What will not change any more as far as anybody knows; not `immutable`, for exchanges do correct themselves."""

NO_STORE: Final = "no-store"
"""What is of the moment, or secret."""

_LEAST_BYTES: Final = 1024
"""What is not larger is sent as it is: it fits into one packet anyway."""

_LARGE_BYTES: Final = 256 * 1024
"""What is larger is compressed in a thread: on the event loop it would hold up all others for about a millisecond."""

_MOST_KEPT: Final = 32

_OF_THE_MOMENT: Final = frozenset({b"age", b"cache-status", b"content-length", b"marketdata-generation", b"vary"})
"""Headers that tell when and how an answer was made rather than what it says."""


class Delivery:
    """Pure ASGI middleware inside the Envelope: what fails is answered out there and is none of its business."""

    def __init__(self, app: ASGIApp) -> None:
        """Around `app`."""
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

        async def deliver(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                if is_get and message["status"] == 200:
                    held = message
                    return
                _keep_from_caches(message)
            elif held is not None:
                start, held = held, None
                if not message.get("more_body", False):
                    message["body"] = await self._prepare(scope, start, message.get("body", b""))
                await send(start)
            await send(message)

        await self._app(scope, receive, deliver)

    async def _prepare(self, scope: Scope, start: Message, body: bytes) -> bytes:
        """The body to send; `start` becomes the head that belongs to it."""
        headers, control, tag = _described(start["headers"], body)
        if NO_STORE.encode() in control:
            return body
        accept, known = _asked(scope)
        choice = choose_coding(accept)
        is_small = len(body) <= _LEAST_BYTES and not choice.is_plain_refused
        coding: Coding = "identity" if is_small or not body or _is_image(headers) else choice.coding
        tag = f'"{tag}"' if coding == "identity" else f'"{tag}-{coding}"'
        headers += [(b"cache-control", control), (b"etag", tag.encode()), (b"vary", b"Accept-Encoding")]
        start["headers"] = headers
        if known and is_known(known, tag):
            start["status"] = 304
            start["headers"] = [pair for pair in headers if not pair[0].startswith(b"content-")]
            return b""
        if coding != "identity":
            body = await self._compress(body, coding, tag, is_public=control.startswith(b"public"))
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


def _described(headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[list[tuple[bytes, bytes]], bytes, str]:
    """The headers but for length and `Cache-Control`, that one, and a tag for the body and what they say about it."""
    kept, control = [], REVALIDATE.encode()
    digest = xxh3_128(body)
    for name, value in headers:
        if name == b"cache-control":
            control = value
            continue
        if name not in _OF_THE_MOMENT:
            digest.update(name)
            digest.update(value)
        if name != b"content-length":
            kept.append((name, value))
    return kept, control, digest.hexdigest()


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


def _is_image(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-type" and value.startswith(b"image/") for name, value in headers)


def _keep_from_caches(start: Message) -> None:
    """What is no good answer to a GET is of the moment, unless it says something else."""
    if not any(name == b"cache-control" for name, _ in start["headers"]):
        start["headers"] = [*start["headers"], (b"cache-control", NO_STORE.encode())]
