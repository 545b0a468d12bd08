"""The embedded server, as real processes that start, share, lose and stop it."""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from marketdata.core.errors import AlreadyRunning, DatabaseUnavailable
from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.locks import Service
from marketdata.store.migrate import migrate

COMMAND = """
import sys, pathlib
from marketdata.core.errors import MarketDataError
from marketdata.store.embedded import EmbeddedPostgres
try:
    with EmbeddedPostgres(pathlib.Path(sys.argv[1])).use(*sys.argv[2:]) as url:
        print(url, flush=True)
        sys.stdin.read()
except MarketDataError as error:
    print(error, flush=True)
    sys.exit(3)
"""


class Command:
    """A command of its own process that uses the server until it is ended."""

    def __init__(self, folder: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", COMMAND, str(folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin = self.process.stdin
        self.stdout = self.process.stdout

    def said(self) -> str:
        return self.stdout.readline().strip()

    def end(self) -> int:
        with self.process:
            self.stdin.close()
        return self.process.returncode

    def kill(self) -> None:
        with self.process:
            self.process.kill()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that has been used."""
    folder = tmp_path_factory.mktemp("made")
    with EmbeddedPostgres(folder).use():
        pass
    with (folder / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write("fsync = off\n")  # a killed process loses nothing that it gave to the kernel
    return folder


@pytest.fixture
def new_folder() -> Iterator[Path]:
    """An empty folder that is open to its owner alone, with a short path that users other than root can reach."""
    folder = Path(tempfile.mkdtemp(prefix="md-"))
    yield folder
    until(lambda: not processes(folder))
    shutil.rmtree(folder)


@pytest.fixture
def folder(made: Path, new_folder: Path) -> Path:
    """A data directory that has been used, for this test alone."""
    shutil.copytree(made, new_folder, dirs_exist_ok=True)
    return new_folder


@pytest.fixture
def start(new_folder: Path) -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def start(*arguments: str, prefix: tuple[str, ...] = ()) -> Command:
        started.append(Command(new_folder, *arguments, prefix=prefix))
        return started[-1]

    yield start
    for command in started:
        command.kill()


def processes(folder: Path) -> list[int]:
    """All processes that have to do with the folder, by what they were started with."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes()
            if os.fsencode(folder) in words and b"-c\0" not in words.partition(os.fsencode(folder))[0]:
                found.append(int(path.parent.name))
    return found


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def keeper(folder: Path) -> int:
    return int(Path(f"/proc/{postmaster(folder)}/stat").read_text().rpartition(")")[2].split()[1])


def write(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")


def read(url: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT one FROM kept").fetchone()


def reads(url: str) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        return read(url) == (1,)
    return False


def test_stops_in_order_and_leaves_no_process(new_folder: Path) -> None:
    with EmbeddedPostgres(new_folder).use() as url:
        write(url)
        assert processes(new_folder)
    assert not processes(new_folder)
    assert not (new_folder / "postgres" / "postmaster.pid").exists()
    assert "database system is shut down" in (new_folder / "postgres.log").read_text().splitlines()[-1]
    with EmbeddedPostgres(new_folder).use() as url:
        assert read(url) == (1,)


def test_only_its_user_may_enter(new_folder: Path) -> None:
    with EmbeddedPostgres(new_folder).use() as url, psycopg.connect(url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    for name in ("run", "postgres"):
        assert stat.S_IMODE((new_folder / name).stat().st_mode) == 0o700
    assert stat.S_IMODE((new_folder / "postgres.log").stat().st_mode) == 0o600


def test_encoding_and_order_do_not_depend_on_the_machine(folder: Path) -> None:
    with EmbeddedPostgres(folder).use() as url, psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT current_setting('server_encoding'), datcollate, current_setting('timezone'), '币安人生' < 'z'"
            " FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("UTF8", "C", "UTC", False)


def test_commands_join_and_the_last_one_stops_it(folder: Path, start: Callable[..., Command]) -> None:
    first = start()
    url = first.said()
    write(url)
    second = start()
    assert second.said() == url
    assert first.end() == 0
    assert read(url) == (1,)
    assert second.end() == 0
    assert not processes(folder)


def test_commands_started_at_once_share_one_server(new_folder: Path, start: Callable[..., Command]) -> None:
    commands = [start() for _ in range(4)]
    assert len({command.said() for command in commands}) == 1
    assert (new_folder / "postgres.log").read_text().count("ready to accept connections") == 1
    assert {command.end() for command in commands} == {0}
    assert not processes(new_folder)


def test_commands_one_after_the_other(folder: Path) -> None:
    for _ in range(5):
        with EmbeddedPostgres(folder, ["fsync=off"]).use() as url:
            psycopg.connect(url).close()


def test_killed_command(folder: Path, start: Callable[..., Command]) -> None:
    command = start()
    url = command.said()
    write(url)
    command.kill()
    with EmbeddedPostgres(folder).use() as again:
        assert read(again) == (1,)
    assert not processes(folder)


def test_killed_server_is_back_while_it_is_used(folder: Path) -> None:
    with EmbeddedPostgres(folder).use() as url:
        write(url)
        former = postmaster(folder)
        os.kill(former, signal.SIGKILL)
        until(lambda: reads(url))
        assert postmaster(folder) != former
    assert not processes(folder)


def test_server_ends_with_its_keeper(folder: Path) -> None:
    with EmbeddedPostgres(folder).use() as url:
        write(url)
        os.kill(keeper(folder), signal.SIGKILL)
        until(lambda: not processes(folder))
    assert "database system is shut down" in (folder / "postgres.log").read_text()
    with EmbeddedPostgres(folder).use() as url:
        assert read(url) == (1,)


def test_everything_killed(folder: Path, start: Callable[..., Command]) -> None:
    command = start()
    write(command.said())
    keeping = keeper(folder)
    os.kill(keeping, signal.SIGSTOP)  # else it could start another server, or its death end this one in order
    for pid in (*(pid for pid in processes(folder) if pid != keeping), keeping):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    command.kill()
    with EmbeddedPostgres(folder).use() as url:
        assert read(url) == (1,)
    assert "was not properly shut down" in (folder / "postgres.log").read_text()


def test_number_of_a_killed_server_belongs_to_another_program(folder: Path) -> None:
    with EmbeddedPostgres(folder).use() as url:
        write(url)
        pid_file = folder / "postgres" / "postmaster.pid"
        left = pid_file.read_text().replace(str(postmaster(folder)), str(os.getpid()), 1)
    pid_file.write_text(left)
    (folder / "run" / ".s.PGSQL.5432.lock").write_text(left)
    with EmbeddedPostgres(folder).use() as url:
        assert read(url) == (1,)


@pytest.mark.usefixtures("folder")
def test_interrupt_of_the_terminal_does_not_reach_the_server(start: Callable[..., Command]) -> None:
    command, other = start(), start()
    url = command.said()
    write(url)
    other.said()
    os.killpg(command.process.pid, signal.SIGINT)
    command.process.wait()
    assert read(url) == (1,)


@pytest.mark.parametrize("name", ["long" * 40, 'comma, "quotes"', "per%20cent 币安"])
def test_any_name_of_the_folder(new_folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = new_folder / "temporary"  # for sockets with too long a path; a place where nobody else puts any
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with EmbeddedPostgres(new_folder / name, ["fsync=off"]).use() as url:
        write(url)
        with EmbeddedPostgres(new_folder / name).use() as joined:
            assert read(joined) == (1,)
        assert migrate(url)
        assert list(temporary.iterdir()) or len(name) < 100
    assert list(temporary.iterdir()) == []


def test_relative_folder(new_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(new_folder)
    with EmbeddedPostgres(Path(".marketdata"), ["fsync=off"]).use() as url:
        write(url)
        monkeypatch.chdir("/")
        with EmbeddedPostgres(new_folder / ".marketdata").use() as joined:
            assert read(joined) == (1,)


@pytest.mark.parametrize(
    "running,refused",
    [("up", "up"), ("up", "api"), ("up", "syncer"), ("api", "api"), ("api", "up"), ("syncer", "syncer")],
)
def test_second_service_is_refused(folder: Path, running: Service, refused: Service) -> None:
    server = EmbeddedPostgres(folder, ["fsync=off"])
    with server.use(running), pytest.raises(AlreadyRunning) as caught, server.use(refused):
        pass
    assert str(caught.value) == f"`marketdata {running}` already runs on {folder}"


@pytest.mark.usefixtures("folder")
def test_services_and_commands_beside_each_other(start: Callable[..., Command]) -> None:
    commands = [start("api"), start("syncer"), start()]
    assert len({command.said() for command in commands}) == 1
    refused = start("up")
    assert "already runs" in refused.said()
    assert refused.end() == 3
    for command in commands:
        command.kill()
    up = start("up")
    assert up.said().startswith("postgresql://")


def test_interrupted_making_of_the_cluster(new_folder: Path) -> None:
    (new_folder / "postgres.new").mkdir(parents=True)
    (new_folder / "postgres.new" / "PG_VERSION").write_text("16\n")
    with EmbeddedPostgres(new_folder).use() as url:
        write(url)


def test_what_cannot_be_started_says_why(folder: Path) -> None:
    with (
        pytest.raises(DatabaseUnavailable, match="unrecognized configuration parameter"),
        EmbeddedPostgres(folder, ["no_such_setting=1"]).use(),
    ):
        pass
    assert not processes(folder)


def test_folder_that_cannot_be_made(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(DatabaseUnavailable, match="Not a directory"), EmbeddedPostgres(folder / "file" / "x").use():
        pass


@pytest.mark.usefixtures("folder")
def test_root_where_user_namespaces_are_forbidden(start: Callable[..., Command]) -> None:
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    try:
        subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh", "true"], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no user namespaces here to forbid them in")
    command = start(prefix=("unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh"))
    assert "Run as an ordinary user, or set MARKETDATA_DATABASE_URL" in command.said()
    assert command.end() == 3


@pytest.mark.parametrize("user", [1, 54321])
def test_ordinary_user(new_folder: Path, start: Callable[..., Command], user: int) -> None:
    """With root's rights only: user 1 is known to every system, 54321 to none."""
    prefix = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
    can = (
        subprocess.run([*prefix, sys.executable, "-c", "import marketdata.store.embedded"], check=False)
        if os.geteuid() == 0
        else None
    )
    if can is None or can.returncode:
        pytest.skip("another user cannot run this Python")
    os.chown(new_folder, user, user)
    command = start(prefix=prefix)
    write(command.said())
    assert (new_folder / "postgres" / "PG_VERSION").stat().st_uid == user
    assert command.end() == 0
