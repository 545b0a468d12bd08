"""The platform as a user starts it: a process group of its own, and every process that belongs to it."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cli.command import MARKETDATA, environment

_READY = "Ctrl-C stops everything."


class Up:
    """A `marketdata up` that has been started."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], settings: dict[str, str]) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [MARKETDATA, "up", *arguments],
            cwd=folder,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        if self.process.stdout is not None:
            self.lines.extend(line.rstrip("\n") for line in self.process.stdout)

    def wait_for(self, words: str = _READY, patience_s: float = 60) -> list[str]:
        """What it has printed once a line has these words."""
        deadline = time.monotonic() + patience_s
        while not any(words in line for line in self.lines):
            assert self.process.poll() is None, "it ended: " + "\n".join(self.lines)
            assert time.monotonic() < deadline, "\n".join(self.lines)
            time.sleep(0.05)
        return list(self.lines)

    def fact(self, name: str) -> str:
        """What it says of `name`."""
        return next(line.removeprefix(name).strip() for line in self.lines if line.startswith(name))

    def commands(self) -> list[str]:
        """The lines that are meant to be pasted."""
        return [line for line in self.lines if line.startswith("curl ")]

    def stop(self, number: int = signal.SIGINT, *, group: bool = True, patience_s: float = 30) -> int:
        """Signal it, or its whole group as Ctrl-C in a terminal does; its exit status once it has ended."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.process.wait(patience_s)

    def close(self) -> None:
        """Read its last words; it has ended."""
        self._reading.join()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def up(folder: Path, *arguments: str, **settings: str) -> Iterator[Up]:
    """`marketdata up` in `folder`; whatever happens, nothing of it is left after the block."""
    running = Up(folder, arguments, settings)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        running.close()
        wait_until_none(folder)


def processes(folder: Path) -> dict[int, str]:
    """The processes that work in `folder` or speak of it, by id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(folder) in command or (entry / "cwd").resolve().is_relative_to(folder):
                    found[int(entry.name)] = command
    return found


def wait_until_none(folder: Path, patience_s: float = 30) -> None:
    """Return when no process of `folder` is left."""
    deadline = time.monotonic() + patience_s
    while left := processes(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
