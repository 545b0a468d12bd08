"""The name of one exchange is not resolved (D11): calls to it fail by name and in time, the others do not feel it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ISOLATED = ("unshare", "--map-root-user", "--mount", "--net")


@pytest.fixture(scope="module")
def isolation() -> None:
    """A place without a network, where the tables of names are the test's own."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("there is no unshare or no ip to make a place without a network")
    if subprocess.run([*ISOLATED, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine makes no namespaces for its users")


def nameless(folder: Path, name_server: str) -> dict[str, Any]:
    """What was seen without a network, where no name server answers."""
    resolver, hosts = folder / "resolv.conf", folder / "hosts"
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:5\n")
    hosts.write_text("127.0.0.1 well.test\n")
    steps = [
        f"mount --bind {resolver} /etc/resolv.conf",
        f"mount --bind {hosts} /etc/hosts",
        "ip link set lo up",
        f"exec {sys.executable} -m tests.faults.nameless {name_server}",
    ]
    done = subprocess.run(
        [*ISOLATED, "sh", "-c", " && ".join(steps)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize("name_server,code", [("silent", "upstream-timeout"), ("absent", "upstream-unavailable")])
def test_a_name_that_is_not_resolved_is_its_exchange_s_loss_alone(name_server: str, code: str, tmp_path: Path) -> None:
    found = nameless(tmp_path, name_server)
    assert {told for told, _ in found["lost"]} == {code}
    assert {told for told, _ in found["served"]} == {"ok"}
    longest_s = max(took_s for _, took_s in found["lost"])
    print(f"{name_server}: lost within {longest_s:.2f} s, loop held up {1000 * found['held_up_s']:.0f} ms")
    assert longest_s < 20
    assert found["held_up_s"] < 1.0
