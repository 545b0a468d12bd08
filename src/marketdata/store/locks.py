"""Locks on files: the kernel lets go of them however their holder ends, so none is ever left behind."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal

from marketdata.core.errors import AlreadyRunning

Service = Literal["up", "api", "syncer"]
"""The commands that run for long; two of a kind on one data directory would get in each other's way."""

_PLACES: dict[Service, tuple[str, ...]] = {"up": ("api", "syncer"), "api": ("api",), "syncer": ("syncer",)}


@contextmanager
def file_lock(path: Path, how: int) -> Iterator[int]:
    """Hold a lock on the file, which is made if need be; gives its descriptor.

    `how` is that of `fcntl.flock`; with LOCK_NB, BlockingIOError is raised when another process holds the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield descriptor
    finally:
        os.close(descriptor)


def is_free(path: Path, how: int) -> bool:
    """Whether the lock could be had just now."""
    with suppress(BlockingIOError), file_lock(path, how | fcntl.LOCK_NB):
        return True
    return False


@contextmanager
def service_lock(folder: Path, service: Service) -> Iterator[None]:
    """Hold the place of a service, `up` those of both others; raises AlreadyRunning if it is taken."""
    with ExitStack() as held:
        for place in _PLACES[service]:
            path = folder / f"{place}.lock"
            try:
                descriptor = held.enter_context(file_lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                holder = path.read_text() or f"marketdata {place}"
                raise AlreadyRunning(f"`{holder}` already runs on {folder.parent}") from None
            os.truncate(descriptor, 0)
            os.write(descriptor, f"marketdata {service}".encode())
        yield
