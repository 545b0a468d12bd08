"""The platform behind the reverse proxy of `compose.proxy.yaml`."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.compose.certificate import make_certificate
from tests.compose.stack import Stack, timed

pytestmark = pytest.mark.compose

STRICT = "strict-transport-security"
ASK_DIRECTLY = """
from urllib.request import Request, urlopen
answer = urlopen(Request("http://api-service:8000/health/live", headers={"X-Forwarded-Proto": "https"}))
print(answer.status, answer.headers.get("strict-transport-security"))
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def stack(certificate: tuple[Path, Path]) -> Iterator[Stack]:
    chain, key = (str(path) for path in certificate)
    stack = Stack.fresh("compose.proxy.yaml", PROXY_CERTIFICATE=chain, PROXY_KEY=key)
    try:
        stack.compose("build", "--quiet")
        with timed("from nothing to healthy, behind the proxy"):
            stack.compose("up", "--wait", "--wait-timeout", "180", "--detach")
        yield stack
    finally:
        print(stack.compose("ps", "--all"))
        stack.compose("down", "--volumes", "--remove-orphans", "--rmi", "local")


@pytest.fixture
def http(stack: Stack, certificate: tuple[Path, Path]) -> Iterator[httpx2.Client]:
    trusting = ssl.create_default_context(cafile=certificate[0])
    with httpx2.Client(base_url=f"https://127.0.0.1:{stack.port}", verify=trusting, trust_env=False) as client:
        yield client


def test_it_answers_by_tls(stack: Stack, http: httpx2.Client) -> None:
    assert http.get("/health/ready").json()["status"] == "ready"
    command = ("exec", "-T", "api-service", "marketdata", "clients", "create", "proxy-test", "--json")
    created = json.loads(stack.compose(*command))
    form = {"grant_type": "client_credentials"}
    token = http.post("/v1/token", data=form, auth=(created["client_id"], created["client_secret"])).json()
    answer = http.get("/v1/exchanges", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert answer.status_code == 200


def test_the_proxy_is_believed_and_what_a_client_says_of_itself_is_not(stack: Stack, http: httpx2.Client) -> None:
    assert STRICT in http.get("/health/live", headers={"X-Forwarded-Proto": "http"}).headers
    assert stack.compose("exec", "-T", "simulator", "python", "-c", ASK_DIRECTLY).split() == ["200", "None"]


def test_the_proxy_finds_an_api_that_was_started_again(stack: Stack, http: httpx2.Client) -> None:
    stack.compose("restart", "api-service")
    stack.compose("up", "--wait", "--detach")
    assert http.get("/health/live").status_code == 200


def test_bounds(http: httpx2.Client) -> None:
    assert http.get("/" + "a" * 9000).status_code == 414
    assert http.post("/v1/token", content=b"a" * 70_000).status_code == 413


def test_all_end_in_order(stack: Stack) -> None:
    stack.compose("stop", "proxy", "api-service", "syncer-service")
    for service in ("proxy", "api-service", "syncer-service"):
        assert stack.container(service)["State"]["ExitCode"] == 0, service
