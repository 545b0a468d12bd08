"""The clients that others wrote, in a process of their own, asked one thing at a time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
PYTHON = PROJECT / ".venv-clients/bin/python"
_LONGEST_LINE = 1 << 26


@dataclass(frozen=True)
class Refused:
    """A request that was not answered with data, in the words of the one who refused."""

    words: str


@dataclass(frozen=True)
class Clients:
    """The running driver."""

    process: asyncio.subprocess.Process

    async def ask(self, client: str, call: str, **arguments: object) -> Any:
        """What a client gives; Refused where it raises an error."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = json.dumps({"client": client, "call": call, **arguments})
        self.process.stdin.write(asked.encode() + b"\n")
        await self.process.stdin.drain()
        line = await self.process.stdout.readline()
        assert line, "the clients' process has ended"
        answer = json.loads(line)
        return Refused(answer["refused"]) if "refused" in answer else answer["value"]


@asynccontextmanager
async def running_clients(simulator: str) -> AsyncIterator[Clients]:
    """The clients, told that the exchanges are at `simulator`, while the block runs.

    They get an empty environment: no proxy, no credentials.
    """
    process = await asyncio.create_subprocess_exec(
        PYTHON,
        "-I",
        PROJECT / "tests/clients/driver.py",
        simulator,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={},
        limit=_LONGEST_LINE,
    )
    try:
        yield Clients(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()
