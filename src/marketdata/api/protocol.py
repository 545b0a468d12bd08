"""One connection: uvicorn's, with bounds on what its peer may send and on how long the peer may take.

uvicorn bounds the time between two requests and nothing else. Here each connection knows until when its peer has to
have done what is awaited of it; the server looks at all of them now and then, so a request pays no timer.
"""

import asyncio
import fcntl
import math
import socket
import struct
import termios
from array import array
from contextlib import suppress
from typing import Any, Final, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from marketdata.api.edge import (
    Edge,
    fault_of_head,
    head_too_large,
    last_answer,
    malformed,
    message_too_large,
    size_of_head,
    target_too_long,
    too_many_connections,
    too_slow,
)
from marketdata.api.problems import Problem

_LARGEST_READ: Final = 256 * 1024
"""The most that the event loops hand over at a time."""

_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


class EdgeConfig(uvicorn.Config):
    """uvicorn's configuration with what is ours."""

    edge: Edge


class _Refused(Exception):
    """Makes the parser stop; the reason stands in the connection."""


class Connection(HttpToolsProtocol):
    """A peer that is connected."""

    def __init__(
        self,
        config: EdgeConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """As uvicorn makes it."""
        super().__init__(config, server_state, app_state, _loop)
        self._edge = config.edge
        self._limits = config.edge.limits
        self._now = config.edge.clock.monotonic
        self._due = math.inf
        """When its peer is late with what is awaited of it."""
        self._received = 0
        """Bytes that the parser is reading."""
        self._message_bytes = 0
        """Of the request that is being read, before those; below 0: not known, for others came with it."""
        self._in_message = self._in_head = False
        self._keep_alive = True
        """Whether the connection may go on after the request that is being read."""
        self._is_over = False
        """What it sends is not read any more."""
        self._fault: Problem | None = None
        self._answering: RequestResponseCycle | None = None
        self._unsent = 0
        self._taken_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connects."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._taken_at = self._now()
        self._due = self._taken_at + self._limits.head_s
        excess = len(self.connections) - self._limits.connections
        if excess > self._limits.spare:
            self.transport.abort()
        elif excess > 0:
            self._end_with(too_many_connections())

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: nobody is left to answer."""
        self.pipeline.clear()
        if self._answering is not None:
            _abandon(self._answering)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        rest: bytes | memoryview = data
        while not self._is_over:
            self._received = len(rest)
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                # other protocols are not spoken here: what follows is HTTP too
                rest = memoryview(rest)[upgrade.args[0] :]
                continue
            except httptools.HttpParserError:
                if not self._is_over:
                    self._refuse(self._fault or malformed())
            else:
                if self._in_message:
                    self._count()
            return

    def _count(self) -> None:
        self._message_bytes += self._received
        if self._in_head and self._message_bytes > self._limits.head_bytes:
            self._refuse(head_too_large(self._limits))
        elif self._message_bytes > self._limits.message_bytes:
            self._refuse(message_too_large(self._limits))

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= self._limits.pipelined:
            self._is_over = True  # the others are not read; the connection ends with the answers to these
            raise _Refused
        super().on_message_begin()
        self._in_message = self._in_head = True
        self._due = self._now() + self._limits.head_s

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self.url += url
        if len(self.url) > self._limits.target_bytes:
            self._fault = target_too_long(self._limits)
            raise _Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; what comes after a body is none (uvicorn would add it to the others)."""
        if not self._in_head:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there: pass the request on, or refuse it."""
        version, upgrades = self.parser.get_http_version(), self.parser.should_upgrade()
        self._fault = fault_of_head(version, self.url, self.headers, self._limits, upgrades=upgrades)
        if self._is_large() and size_of_head(self.url, self.headers) > self._limits.head_bytes:
            self._fault = head_too_large(self._limits)
        if upgrades and self.parser.get_method() == b"CONNECT":
            self._fault = malformed("There is no way through here.")
        if self._fault is not None:
            raise _Refused
        self._in_head = False
        self._due = self._now() + self._limits.body_s
        super().on_headers_complete()
        if not self.pipeline:
            self._answering = self.cycle
        # uvicorn would close at once, with the rest of a body unread: then the system drops the answer
        self._keep_alive, self.cycle.keep_alive = self.cycle.keep_alive and not self._edge.is_stopping, True

    def _is_large(self) -> bool:
        """Whether the head may be too large, from what has come since the message began."""
        return self._message_bytes < 0 or self._message_bytes + self._received > self._limits.head_bytes

    def on_message_complete(self) -> None:
        """The request is there as a whole."""
        super().on_message_complete()
        self._in_message = False
        self.cycle.keep_alive = self._keep_alive
        self._due = self._now() + self._limits.idle_s if self.cycle.response_complete else math.inf
        self._message_bytes = -_LARGEST_READ

    def on_response_complete(self) -> None:
        """An answer is given: go on with the request that waits, or wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._answering, app = self.pipeline.pop()
            self._start_asgi_task(self._answering, app)
        elif self._is_over:
            self._end_with(self._fault)
        elif not self._in_message:
            self._message_bytes = 0
            self._due = self._now() + self._limits.idle_s
        elif not self._in_head and not self._keep_alive:
            self._end_with(None)

    def _refuse(self, problem: Problem) -> None:
        """Answer with `problem` once what was asked before is answered, and end the connection."""
        self._is_over = True
        self._fault = problem
        answering = self._answering
        if self._in_message and not self._in_head and answering is not None:  # its body is at fault
            if answering is not self.cycle:
                self.pipeline.popleft()  # it has not begun
            elif answering.response_complete:
                self._fault = None
            elif answering.response_started:
                answering.keep_alive = False
            else:
                _abandon(answering)
                self._end_with(problem)
                return
        if answering is None or answering.response_complete:
            self._end_with(self._fault)
        else:
            self._due = math.inf  # it is the answer before this one that is awaited

    def _end_with(self, problem: Problem | None) -> None:
        """Say a last word and no more; what still comes is read and thrown away, else the system would drop the word.

        The system resets a connection that is closed while there is something to read.
        """
        self._is_over = True
        if problem is not None:
            self.transport.write(last_answer(problem, self.server_state.default_headers, self.root_path))
        self.transport.write_eof()
        self.flow.resume_reading()
        self._due = self._now() + self._limits.linger_s

    def look(self, now: float) -> None:
        """Cut the peer off if it is late with reading or writing; called every `look_s`."""
        unsent = _unsent(self.transport)
        if unsent == 0 or unsent <= self._unsent - self._limits.taken_bytes:
            self._unsent, self._taken_at = unsent, now
        elif now - self._taken_at >= self._limits.stalled_s:
            self.cut_off()
            return
        else:
            self._unsent = max(self._unsent, unsent)
        if now < self._due or self.transport.is_closing():
            return
        if self._is_over:
            self.transport.abort()
        elif self.flow.read_paused:
            self._due = now + self._limits.body_s  # it is us who do not read
        elif self._in_message:
            self._refuse(too_slow())
        else:
            self.transport.close()

    @property
    def unsent_bytes(self) -> int:
        """What waits here for the peer to take what was sent before."""
        return self.transport.get_write_buffer_size()

    def cut_off(self) -> None:
        """Break the connection off; the system forgets, too, what it would else try to deliver for minutes."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.transport.abort()

    def resume_writing(self) -> None:
        """Most of what was to be sent has been taken."""
        self._taken_at = self._now()
        super().resume_writing()

    def stop(self) -> None:
        """The server will stop: the answer to what has been asked is to be the last one."""
        self._keep_alive = False
        if self._answering is not None and not self._in_message:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """The server stops, as uvicorn tells: end as soon as nothing is under way nor can be on its way."""
        self.stop()
        if not self._in_message and (self._answering is None or self._answering.response_complete):
            self._due = min(self._due, self._now() + self._limits.leave_s)


def _abandon(cycle: RequestResponseCycle) -> None:
    """Let the application know that nobody listens any more."""
    cycle.disconnected = True
    cycle.message_event.set()


def _unsent(transport: asyncio.Transport) -> int:
    """Bytes that the peer has not taken while we wait for it to; 0 while the system takes all that we write.

    What the system holds belongs to it: it lets us write on only when a third of that, often a megabyte, is taken.
    """
    waiting = transport.get_write_buffer_size()
    if waiting == 0:
        return 0
    queued = array("i", [0])
    with suppress(OSError):  # not told for sockets on every system
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, queued)
    return waiting + queued[0]
