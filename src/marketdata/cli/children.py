"""The processes that `marketdata up` starts: each is one service, and none outlives the one that started it."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from marketdata.core.errors import MarketDataError

_PATIENCE_S = 10.0
"""How long a service may take to end in order."""


class PartEnded(MarketDataError):
    """A service that should run has ended."""

    def __init__(self, name: str, status: int) -> None:
        """`status`: its exit status, negative for a signal."""
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        super().__init__(f"the {name} ended by itself ({how}), so everything was stopped; what it logged says why")


@dataclass(frozen=True, slots=True)
class Part:
    """A running service of `up`."""

    name: str
    process: subprocess.Popen[bytes]

    def check(self) -> None:
        """Return if it still runs, else raise PartEnded."""
        status = self.process.poll()
        if status is not None:
            raise PartEnded(self.name, status)


@contextmanager
def running_part(name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[Part]:
    """`marketdata` with `arguments` as a process of its own, which is stopped when the block ends."""
    command = [sys.executable, "-m", "marketdata.cli.child", *arguments]
    # Ctrl-C in a terminal is for this process alone, which stops its parts one after the other: they inherit the mask
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        # its standard input is how it learns that this process is gone: see `child`
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        yield Part(name, process)
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()
