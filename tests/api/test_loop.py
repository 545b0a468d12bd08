import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from marketdata.api.loop import Loop


def run[T](coroutine: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(coroutine)


async def look_up(host: Any) -> Any:
    return await asyncio.get_running_loop().getaddrinfo(host, 80, family=socket.AF_INET, type=socket.SOCK_STREAM)


def test_names_are_looked_up() -> None:
    assert run(look_up("localhost"))[0][4] == ("127.0.0.1", 80)


@pytest.mark.parametrize("host,kind", [("x" * 64, UnicodeError), ("::1", socket.gaierror)])
def test_what_is_no_name_is_told(host: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        run(look_up(host))


def test_many_that_hang_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve, forever = socket.getaddrinfo, threading.Event()

    def hang(host: str, *arguments: Any, **hints: Any) -> Any:
        if host == "hangs":
            forever.wait()
        return resolve(host, *arguments, **hints)

    async def all_of_them() -> Any:
        hanging = [asyncio.create_task(look_up("hangs")) for _ in range(100)]
        await asyncio.sleep(0.01)
        found = await look_up("localhost")
        for task in hanging:
            task.cancel()
        return found

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    assert run(all_of_them())[0][4] == ("127.0.0.1", 80)
    forever.set()
