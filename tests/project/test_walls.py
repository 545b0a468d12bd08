"""The walls between the rooms hold, and each falls visibly when something is planted behind it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent

BREACHES = {
    "rooms": ("syncer/breach.py", "import marketdata.api"),
    "apart": ("simulator/breach.py", "import marketdata.store"),
    "core": ("core/wire.py", "import marketdata.core.fetch"),
    "exchanges": ("core/exchanges/coinbase.py", "import marketdata.core.exchanges.hyperliquid"),
    "pure": ("core/exchanges/binance_futures.py", "import asyncio"),
    "http-out": ("syncer/breach.py", "import httpx2"),
    "sql": ("api/breach.py", "import sqlalchemy"),
    "http-in": ("cli/breach.py", "import fastapi"),
    "environment": ("api/breach.py", "import pydantic_settings"),
    "terminal": ("store/breach.py", "import rich"),
}
"""Contract → the module that breaks it and the line that does."""

BANNED = {
    "the system's time": "import time\n\nNOW = time.time()\n",
    "today": "from datetime import UTC, datetime\n\nNOW = datetime.now(tz=UTC)\n",
    "the environment": "import os\n\nHOME = os.environ['HOME']\n",
    "a second way out": "import urllib.request\n",
}


def lint_imports(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPTS / "lint-imports", "--no-cache", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_walls_hold() -> None:
    result = lint_imports(PROJECT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_is_seen(contract: str, tmp_path: Path) -> None:
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    shutil.copytree(PROJECT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    module, line = BREACHES[contract]
    with (tmp_path / "src/marketdata" / module).open("a") as file:
        file.write(f"\n{line}\n")
    result = lint_imports(tmp_path, "--contract", contract)
    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout


def test_every_contract_has_its_breach() -> None:
    text = (PROJECT / "pyproject.toml").read_text()
    _, *contracts = text.split("[[tool.importlinter.contracts]]\nid = ")
    assert {contract.split('"')[1] for contract in contracts} == set(BREACHES)


@pytest.mark.parametrize("what", BANNED)
def test_what_is_banned_is_seen(what: str) -> None:
    result = subprocess.run(
        [SCRIPTS / "ruff", "check", "--select", "TID251", "--stdin-filename", "src/marketdata/api/breach.py", "-"],
        cwd=PROJECT,
        input=BANNED[what],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "TID251" in result.stdout
