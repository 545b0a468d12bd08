"""The process that keeps an embedded PostgreSQL: starts the server, starts it again should it die, stops it.

`embedded` runs this file as a program of its own, with the standard library alone. Every command that uses the server
holds a shared lock on `users.lock`, which the kernel lets go however the command ends. Once the keeper can have that
lock for itself, nobody uses the server: it stops it and ends. `server.lock` is held as long as any process of keeper
or server lives. On Linux the server shuts down by itself if its keeper dies.
"""

import ctypes
import fcntl
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

READY = "ready"
SUPERUSER = "marketdata"
DATABASE = "marketdata"
PORT = 5432
"""Only a part of the name of its socket."""

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.05
_STEP_S = 0.01
_START_S = 60.0
"""After a crash the server first recovers."""
_STOP_S = 30.0
"""For each way of stopping it; the first, in order, writes everything to disk."""
_ENVIRONMENT = {"LC_ALL": "C"}
"""What PostgreSQL's programs get: nothing of the caller's, who may have set PGPORT or PGDATESTYLE."""
_RESTARTS = 50
"""How many times in a row a server that died is started again; the count begins anew when one gets ready."""


class Place(NamedTuple):
    """Where an embedded server keeps what."""

    binaries: Path
    """The folder of the programs `initdb` and `postgres`."""
    cluster: Path
    """PostgreSQL's data directory."""
    sockets: Path
    """The folder of its socket."""
    locks: Path
    """The folder of `users.lock` and `server.lock`."""
    log: Path


class Failure(Exception):
    """The server cannot run; the message says why and what to do."""


def main(arguments: Sequence[str]) -> int:
    """Start a keeper and wait for its server; the exit status is 0 once that is ready.

    `arguments` are the fields of a Place, then settings of PostgreSQL as `name=value`. On failure the reason is
    written to stderr and the exit status is 1.
    """
    fields = len(Place._fields)
    place, settings = Place(*map(Path, arguments[:fields])), arguments[fields:]
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        if said == READY:
            return 0
        sys.stderr.write(said or f"the embedded server could not be started; see {place.log}")
        return 1
    os.close(reading)
    os.setsid()  # Ctrl-C in a terminal is for the command; the server is stopped once the command has ended
    log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    with os.fdopen(writing, "w") as pipe:

        def report(said: str) -> None:
            if not pipe.closed:
                pipe.write(said)
                pipe.close()

        try:
            keep(place, settings, lambda: report(READY))
        except Failure as failure:
            os.write(log, f"{failure}\n".encode())
            report(str(failure))
            return 1
    return 0


def keep(place: Place, settings: Sequence[str], ready: Callable[[], None]) -> None:
    """Run the server of `place` until nobody uses it or a signal asks for its end; call `ready` whenever it is ready.

    Raises Failure when it does not get ready.
    """
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: asked.set())
    users = os.open(place.locks / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    alive = os.open(place.locks / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)
    fcntl.fcntl(alive, fcntl.F_SETFD, 0)  # the server's processes hold it, too
    _become_ordinary(place)
    if not place.cluster.exists():
        _make_cluster(place)
    starts = 0
    while starts <= _RESTARTS:
        server = Server(place, settings)
        if server.wait_ready():
            ready()
            starts = 0
            while not server.ended():
                if asked.wait(_POLL_S) or _unused(users):
                    server.stop()
                    if place.sockets != place.locks:
                        with suppress(OSError):
                            place.sockets.rmdir()
                    return
        elif starts == 0:
            break
        starts += 1  # what is left of a server that was killed can keep the next one off for a moment
        asked.wait(_POLL_S)
    raise Failure(f"PostgreSQL did not start: {_reason(place.log)} (more in {place.log})")


class Server:
    """One run of `postgres`, as a child of this process."""

    def __init__(self, place: Place, settings: Sequence[str]) -> None:
        """Start it."""
        self._place = place
        self._ended = False
        settings = ["listen_addresses=", f"port={PORT}", f'unix_socket_directories="{place.sockets}"', *settings]
        command = [
            str(place.binaries / "postgres"),
            "-D",
            str(place.cluster),
            *(f"--{setting}" for setting in settings),
        ]
        libc = ctypes.CDLL(None) if sys.platform == "linux" else None
        keeper = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            if libc is not None:
                libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            try:
                if os.getppid() == keeper:
                    os.execve(command[0], command, _ENVIRONMENT)
            except OSError as error:
                os.write(sys.stderr.fileno(), f"error: {error}\n".encode())
            os._exit(1)

    def ended(self) -> bool:
        """Whether it has ended by itself or by a signal."""
        self._ended = self._ended or os.waitpid(self._pid, os.WNOHANG)[0] != 0
        return self._ended

    def wait_ready(self) -> bool:
        """True when it takes connections, False when it ended or took too long and was stopped."""
        for _ in range(round(_START_S / _STEP_S)):
            if self.ended():
                return False
            if self._says_ready():
                return True
            _pause()
        self.stop()
        return False

    def _says_ready(self) -> bool:
        """The first and the eighth line of the file of its process id: the id, and what it is doing."""
        try:
            lines = (self._place.cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self._pid) and lines[7].strip() == "ready"

    def stop(self) -> None:
        """Shut it down in order, or by force if that takes too long."""
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            os.kill(self._pid, how)
            for _ in range(round(_STOP_S / _STEP_S)):
                if self.ended():
                    return
                _pause()


def _become_ordinary(place: Place) -> None:
    """Where PostgreSQL would refuse this user, go on as another one in a user namespace of our own.

    It refuses root, and `initdb` a user without an entry among the system's users. Inside the namespace this user has
    the number of some other known user; outside nothing changes: files stay this user's, and no user is added. But
    root has no more rights than an ordinary user there, so the folders must be open to their owner's rights alone.
    """
    uid, gid = os.geteuid(), os.getegid()
    known = [entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0]
    if uid in known:
        return
    try:
        os.unshare(os.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{known[0]} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{known[0]} {gid} 1")
    except (AttributeError, IndexError, OSError):
        raise Failure(
            f"PostgreSQL does not run as {'root' if uid == 0 else 'a user that the system does not list'}, and here no"
            " user namespace can be made to spare it that. Run as an ordinary user, or set MARKETDATA_DATABASE_URL to"
            " the URL of a PostgreSQL 16 server."
        ) from None
    for path in (place.binaries / "postgres", place.locks):
        if not os.access(path, os.X_OK):
            raise Failure(
                f"PostgreSQL, which runs without the powers of root, cannot reach {path}. Run as the owner of that"
                " folder, or set MARKETDATA_DATABASE_URL to the URL of a PostgreSQL 16 server."
            )


def _make_cluster(place: Place) -> None:
    """Make the data directory whole or not at all: under another name, renamed when it is complete."""
    fresh = place.cluster.with_name(f"{place.cluster.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    options = ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    initdb = [str(place.binaries / "initdb"), f"--pgdata={fresh}", f"--username={SUPERUSER}", *options]
    single = [str(place.binaries / "postgres"), "--single", "-D", str(fresh), "postgres"]
    try:
        subprocess.run(initdb, check=True, env=_ENVIRONMENT)
        subprocess.run(single, check=True, env=_ENVIRONMENT, input=f"CREATE DATABASE {DATABASE}\n".encode())
        fresh.rename(place.cluster)
    except (OSError, subprocess.CalledProcessError):
        raise Failure(f"the database could not be made: {_reason(place.log)} (more in {place.log})") from None


def _unused(users: int) -> bool:
    """Whether nobody else holds the lock; then we do, and whoever wants to use a server waits for our end."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _reason(log: Path) -> str:
    """The last line of the log that speaks of an error."""
    lines = reversed(log.read_text(errors="replace").splitlines())
    return next((line for line in lines if re.search("FATAL|PANIC|error", line)), "no reason given")


def _pause() -> None:
    """Let a moment pass, whatever the clock says."""
    threading.Event().wait(_STEP_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
