"""What Compose makes of the files, with and without the reverse proxy; nothing is started."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.compose.stack import PROJECT

pytestmark = pytest.mark.compose

BARE = {"db", "migrate", "syncer-service", "api-service", "simulator", "tests"}
FILES = [("compose.yaml",), ("compose.yaml", "compose.proxy.yaml")]


def configuration(*files: str, **more: str) -> dict[str, Any]:
    """The services of every profile, by name; it has to be right."""
    named = [argument for file in files for argument in ("--file", file)]
    settings = {"POSTGRES_PASSWORD": "4f1c", "PROXY_CERTIFICATE": "a.pem", "PROXY_KEY": "b.pem", **more}
    process = subprocess.run(
        ["docker", "compose", "--env-file", os.devnull, *named, "--profile", "*", "config", "--format", "json"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "HOME": str(Path.home()), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    found: dict[str, Any] = json.loads(process.stdout)
    return found


@pytest.mark.parametrize("files", FILES, ids=["bare", "proxy"])
def test_every_service_is_hardened(files: tuple[str, ...]) -> None:
    services = configuration(*files)["services"]
    assert set(services) == BARE | ({"proxy"} if len(files) > 1 else set())
    for name, service in services.items():
        user, group = (int(part) for part in service["user"].split(":"))
        assert min(user, group) > 0, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert 0 < service["pids_limit"] <= 512, name
        assert 0 < int(service["mem_limit"]) <= 2 * 2**30, name
        for forbidden in ("cap_add", "privileged", "network_mode", "pid", "ipc", "devices"):
            assert forbidden not in service, (name, forbidden)
        mounted = [volume["type"] for volume in service.get("volumes", [])]
        assert mounted == (["volume"] if name == "db" else []), name


def test_only_the_api_is_published_and_only_on_this_machine() -> None:
    services = configuration("compose.yaml")["services"]
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert {name: [port["host_ip"] for port in ports] for name, ports in published.items()} == {
        "api-service": ["127.0.0.1"]
    }


def test_behind_the_proxy_only_the_proxy_is_published_and_believed() -> None:
    found = configuration(*FILES[1], MARKETDATA_TRUSTED_PROXIES="0.0.0.0/1")
    services = found["services"]
    assert {name for name, service in services.items() if service.get("ports")} == {"proxy"}
    address = services["proxy"]["networks"]["front"]["ipv4_address"]
    assert services["api-service"]["environment"]["MARKETDATA_TRUSTED_PROXIES"] == address
    assert {name for name, service in services.items() if "front" in service["networks"]} == {"proxy", "api-service"}
    assert set(services["proxy"]["networks"]) == {"front"}
    assert "POSTGRES_PASSWORD" not in json.dumps(services["proxy"])


def test_a_service_has_the_time_that_it_takes_to_stop() -> None:
    services = configuration(*FILES[1])["services"]
    for name in ("api-service", "proxy"):
        assert services[name]["stop_grace_period"] == "40s", name


def test_every_setting_reaches_the_service_that_reads_it() -> None:
    """A setting in .env that no container gets would be ignored in silence."""
    example = (PROJECT / ".env.example").read_text()
    listed = {line.partition("=")[0].strip("#") for line in example.splitlines() if line.startswith("#MARKETDATA_")}
    environments = [service.get("environment") or {} for service in configuration("compose.yaml")["services"].values()]
    passed = {name for environment in environments for name in environment}
    assert listed - passed == {"MARKETDATA_DATA_DIR", "MARKETDATA_HOST", "MARKETDATA_PORT"}
