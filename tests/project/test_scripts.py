"""The scripts behind make cope with the machines that they meet."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
BROKEN = "#!/bin/sh\necho 'the version manager: python3.12: command not found' >&2\nexit 127\n"
WORKING = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
TOO_OLD = "#!/bin/sh\nexit 1\n"


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def find_python(path: Path) -> subprocess.CompletedProcess[str]:
    """Ask on a machine whose PATH is `path`."""
    (path / "cat").symlink_to(shutil.which("cat") or "/bin/cat")
    return subprocess.run(
        ["/bin/sh", PROJECT / "scripts/find-python"],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["python3.12", "python3.13", "python3.14", "python3", "python"])
def test_a_python_that_starts_is_found_behind_shims_that_do_not(name: str, tmp_path: Path) -> None:
    for shim in ("python3.12", "python3", "python"):
        program(tmp_path / shim, BROKEN)
    program(tmp_path / name, WORKING)
    result = find_python(tmp_path)
    assert result.stdout.strip() == sys.executable, result.stderr


def test_one_that_pyenv_holds_is_found(tmp_path: Path) -> None:
    program(tmp_path / "python3.12", BROKEN)
    program(tmp_path / "pyenv", f"#!/bin/sh\necho {tmp_path}/root\n")
    program(tmp_path / "root/versions/3.12.9/bin/python3", WORKING)
    assert find_python(tmp_path).stdout.strip() == sys.executable


def test_without_one_the_message_says_how_to_get_it(tmp_path: Path) -> None:
    program(tmp_path / "python3", TOO_OLD)
    result = find_python(tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    assert "Python 3.12" in result.stderr
    assert "pyenv install 3.12" in result.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="an image for tests has no make")
def test_make_alone_says_what_there_is() -> None:
    result = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, check=True)
    named = {line.split()[1] for line in result.stdout.splitlines()}
    assert named >= {"install", "demo", "up", "test", "check", "test-clients", "compose-test", "lock", "help", "clean"}
