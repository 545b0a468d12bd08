"""What an image installs is what its lock file names, all of it and nothing else: a bill of materials made from a real
environment (CycloneDX 1.6) against the lock."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2]
BILLS = PROJECT / "build/sbom"
PINNED = re.compile(r"^[a-z0-9].*(?= \\$)", re.MULTILINE)

pytestmark = pytest.mark.supply


def locked(name: str) -> dict[str, str]:
    """Distribution → version, of those that this machine needs."""
    pins = [Requirement(line) for line in PINNED.findall((PROJECT / f"requirements/{name}.txt").read_text())]
    return {pin.name: next(iter(pin.specifier)).version for pin in pins if pin.marker is None or pin.marker.evaluate()}


def install(name: str, folder: Path) -> Path:
    """An environment as the image of that name has it; gives its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin/python"
    how = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", *how]
    subprocess.run([*pip, "--requirement", PROJECT / f"requirements/{name}.txt"], check=True)
    return python


def bill(python: Path, path: Path) -> dict[str, str]:
    """Distribution → version, as the bill of materials says it that is written to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    tool = PROJECT / ".venv-supply/bin/cyclonedx-py"
    command: list[str | Path] = [
        tool,
        "environment",
        "--output-reproducible",
        "--of=JSON",
        f"--output-file={path}",
        python,
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, check=True, env=environment)
    document = json.loads(path.read_text())
    assert document["specVersion"] == "1.6"
    return {canonicalize_name(one["name"]): one["version"] for one in document["components"]}


@pytest.mark.parametrize("name", ["api", "syncer"])
def test_the_bill_of_materials_is_the_lock(name: str, tmp_path: Path) -> None:
    assert bill(install(name, tmp_path), BILLS / f"{name}.json") == locked(name)


def test_what_does_not_belong_is_seen(tmp_path: Path) -> None:
    python = install("simulator", tmp_path)
    listed = bill(python, BILLS / "simulator.json")
    assert listed == locked("simulator")
    stray = next((tmp_path / "lib").glob("python*")) / "site-packages/stray-1.0.dist-info"
    stray.mkdir()
    (stray / "METADATA").write_text("Metadata-Version: 2.1\nName: stray\nVersion: 1.0\n")
    assert bill(python, tmp_path / "stray.json") == {**listed, "stray": "1.0"}
