"""What holds for every file: its size, its name, and words that have no place in it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
MAX_LINES = 300
NO_NAMES = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
NOT_OURS = re.compile(r"\.git|\.venv.*|\.marketdata.*|\..*_cache|\.hypothesis|__pycache__|build|dist|.*\.egg-info")

# each pattern is written so that it does not match itself
FORBIDDEN = {
    "an unfinished mark": r"TOD[O]|FIXM[E]|XX[X]|NotImplemented[E]rror",
    "a silenced check": r"pragma: no[ ]cover|type: [i]gnore",
    "a path of somebody's machine": r"(?<![\w.])/(?:hom[e]|Us[e]rs|roo[t]|op[t]|wor[k])/",
    "a place outside the repository": r"\.\./shar[e]d",
    "a package registry": r"index-ur[l]|find-link[s]|\"resolve[d]\":|registry\.npmj[s]|pypi\.or[g]",
}
ALLOWED = {("a place outside the repository", ".ci/run")}


def files() -> Iterator[Path]:
    for folder, folders, names in os.walk(PROJECT):
        folders[:] = [name for name in folders if not NOT_OURS.fullmatch(name)]
        yield from (Path(folder, name) for name in names if name not in {".git", ".env"})


def offences(name: str, text: str) -> list[str]:
    return [
        f"{name}:{number}: {what}: {line.strip()}"
        for what, pattern in FORBIDDEN.items()
        if (what, name) not in ALLOWED
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_no_file_holds_what_has_no_place() -> None:
    found = []
    for path in files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += offences(str(path.relative_to(PROJECT)), text)
    assert found == []


@pytest.mark.parametrize(
    "line",
    ["# TOD" + "O later", "x = y  # type: " + "ignore", "cd /roo" + "t/here", "../shar" + "ed/x", "--index-ur" + "l x"],
)
def test_a_planted_word_is_seen(line: str) -> None:
    assert len(offences("src/x.py", line)) == 1


def test_modules_are_small() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in (PROJECT / "src").rglob("*.py")}
    assert {str(path.relative_to(PROJECT)): lines for path, lines in sizes.items() if lines > MAX_LINES} == {}


def test_modules_are_named_after_what_they_are() -> None:
    assert [path for path in (PROJECT / "src").rglob("*") if path.stem in NO_NAMES] == []
