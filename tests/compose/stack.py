"""The platform in containers, as a user would run the demo, driven through the Docker command alone."""

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

PROJECT = Path(__file__).parents[2]
EXCHANGES = ("binance_futures", "hyperliquid", "coinbase")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long it took."""
    start = time.monotonic()
    yield
    print(f"\n{what}: {time.monotonic() - start:.1f} s", flush=True)


def docker(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """What the command printed; it has to succeed."""
    process = subprocess.run(
        ["docker", *arguments],
        cwd=PROJECT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, f"docker {' '.join(arguments)}\n{process.stdout}\n{process.stderr}"
    return process.stdout


@dataclass(frozen=True)
class Stack:
    """One Compose project with a name, a port and a password of its own."""

    name: str
    port: int
    password: str
    files: tuple[str, ...] = ("compose.yaml",)
    more: tuple[tuple[str, str], ...] = ()
    """Further variables of the Compose files."""

    @classmethod
    def fresh(cls, *files: str, **more: str) -> "Stack":
        """A stack that meets no other, of these files beside `compose.yaml`."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        name, password = f"market-data-test-{secrets.token_hex(4)}", secrets.token_hex(24)
        return cls(name, port, password, ("compose.yaml", *files), tuple(more.items()))

    def compose(self, *arguments: str) -> str:
        """Run `docker compose` on this stack with the demo's settings."""
        own = {"POSTGRES_PASSWORD": self.password, "MARKETDATA_PORT": str(self.port), "PROXY_PORT": str(self.port)}
        which = ["--project-name", self.name, "--env-file", ".env.demo"]
        which += [argument for file in self.files for argument in ("--file", file)]
        return docker("compose", "--progress", "plain", *which, *arguments, environment={**own, **dict(self.more)})

    def configuration(self) -> dict[str, Any]:
        """The services as Compose understands them, those of every profile."""
        services: dict[str, Any] = json.loads(self.compose("--profile", "*", "config", "--format", "json"))["services"]
        return services

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows about a service's container."""
        (found,) = json.loads(docker("inspect", self.compose("ps", "--all", "--quiet", service).strip()))
        return dict(found)

    def kill(self, service: str) -> None:
        """SIGKILL a service's first process from outside, so that the engine takes it for a crash."""
        pid = self.container(service)["State"]["Pid"]
        killer = f"import os; os.kill({pid}, 9)"
        docker("run", "--rm", "--network", "none", "--pid", "host", "python:3.12-slim", "python", "-c", killer)

    def http(self) -> httpx2.Client:
        """A connection to the API as published on this machine."""
        return httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)
