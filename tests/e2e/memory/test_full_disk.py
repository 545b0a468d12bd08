"""A disk that is full: what is written is refused by name, what is read goes on, and nothing is half there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.memory.world import PROJECT

READS = [200] * 5


def test_reads_go_on_writes_are_refused_and_it_recovers_by_itself(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    command = [*alone, sys.executable, "-m", "tests.e2e.memory.full_disk", str(disk)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=240)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert (told["before: reads"], told["before: token"]) == (READS, [200, None])

    assert told["full: torn"] == []
    assert "database-unavailable" in told["full: syncs"]
    assert set(told["full: tokens"]) <= {"(200, None)", "(503, 'database-unavailable')"}
    assert (told["full: reads"], told["full: token"]) == (READS, [503, "database-unavailable"])

    assert set(told["exhausting: tokens"]) <= {"200", "503 database-unavailable"}
    assert set(told["exhausting: reads"]) == {"200"}
    assert told["exhausted: reads"] == READS

    assert told["freed: syncs"] == ["succeeded"] * 3
    assert (told["freed: reads"], told["freed: token"]) == (READS, [200, None])
    assert told["freed: more events"]
