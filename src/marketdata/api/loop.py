"""The event loop of the API: uvloop, but for the looking up of names."""

import socket
import threading
from asyncio import Future
from contextlib import suppress
from typing import Any

import uvloop


class Loop(uvloop.Loop):
    """Each name is looked up in a thread of its own.

    uvloop looks up two at a time: if nobody answers for the name of one exchange, nothing else could be connected to.
    """

    async def getaddrinfo(self, host: Any, port: Any, **hints: int) -> Any:  # noqa: ANN401 - as asyncio has it
        """The addresses of `host`. Raises socket.gaierror, or UnicodeError when it is no name at all."""
        found: Future[Any] = self.create_future()

        def tell(addresses: Any, error: Exception | None) -> None:  # noqa: ANN401
            if found.done():  # nobody waits any more
                return
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

        def look_up() -> None:
            addresses, failure = None, None
            try:
                addresses = socket.getaddrinfo(host, port, **hints)
            except (OSError, UnicodeError) as error:
                failure = error
            with suppress(RuntimeError):  # the loop is closed
                self.call_soon_threadsafe(tell, addresses, failure)

        threading.Thread(target=look_up, name="look-up", daemon=True).start()
        return await found
