"""The whole platform in containers: built, asked, restarted, broken, taken down. Runs in the order it is written in."""

import json
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.compose.attack import Attack
from tests.compose.stack import EXCHANGES, Stack, timed

pytestmark = pytest.mark.compose

SERVICES = {"db", "migrate", "syncer-service", "api-service", "simulator"}
ATTACK_S = 15
TOLD_TO_ATTACKERS = ("200", "400", "401", "404", "413", "429", "431", "503", "504", "cut off", "given up")
RECOVERY_S = 60
MOST_KILLS = 5


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    stack = Stack.fresh()
    try:
        with timed("build"):
            stack.compose("build", "--quiet")
        with timed("from nothing to healthy"):
            stack.compose("up", "--wait", "--wait-timeout", "180", "--detach")
        yield stack
    finally:
        print(stack.compose("ps", "--all"))
        if request.session.testsfailed:
            print(stack.compose("logs", "--tail", "50"))
        with timed("down"):
            stack.compose("down", "--volumes", "--remove-orphans", "--rmi", "local")


@pytest.fixture(scope="module")
def credentials(stack: Stack) -> tuple[str, str]:
    created = json.loads(
        stack.compose("exec", "-T", "api-service", "marketdata", "clients", "create", "compose-test", "--json")
    )
    return created["client_id"], created["client_secret"]


def ask_token(http: httpx2.Client, credentials: tuple[str, str]) -> httpx2.Response:
    return http.post("/v1/token", data={"grant_type": "client_credentials"}, auth=credentials)


@pytest.fixture
def http(stack: Stack, credentials: tuple[str, str]) -> Iterator[httpx2.Client]:
    with stack.http() as client:
        answer = ask_token(client, credentials)
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def first_seen(http: httpx2.Client) -> dict[str, int]:
    """Instrument id → when it was first seen, for a page of each exchange."""
    found: dict[str, int] = {}
    for exchange in EXCHANGES:
        answer = http.get("/v1/symbols", params={"exchange": exchange, "status": "trading"})
        assert answer.status_code == 200, answer.text
        found |= {symbol["id"]: symbol["first_seen_at"] for symbol in answer.json()["data"]}
    return found


def wait_until_synced(http: httpx2.Client) -> dict[str, int]:
    deadline = time.monotonic() + RECOVERY_S
    while len({name.split(":")[0] for name in first_seen(http)}) < len(EXCHANGES):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return first_seen(http)


def test_without_a_password_nothing_starts(stack: Stack) -> None:
    with pytest.raises(AssertionError, match=r"POSTGRES_PASSWORD is missing a value: set it in \.env"):
        Stack(stack.name, stack.port, "").configuration()


def test_all_is_healthy(stack: Stack) -> None:
    for service in SERVICES - {"migrate"}:
        assert stack.container(service)["State"]["Health"]["Status"] == "healthy", service
    assert stack.container("migrate")["State"]["ExitCode"] == 0


def test_a_service_cannot_write_to_its_image(stack: Stack) -> None:
    attempt = "import os; print(os.getuid()); open('/app/x', 'w')"
    with pytest.raises(AssertionError, match=r"(?s)10001.*Read-only file system"):
        stack.compose("exec", "-T", "api-service", "python", "-c", attempt)


def test_symbols_and_candles_of_all_exchanges(http: httpx2.Client) -> None:
    wait_until_synced(http)
    for exchange in EXCHANGES:
        symbol, *_ = http.get("/v1/symbols", params={"exchange": exchange, "base": "BTC"}).json()["data"]
        answer = http.get(f"/v1/candles/{exchange}/{symbol['symbol']}/1h", params={"limit": 24})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["meta"]["source"]["kind"] == "simulated"
        assert page["page"]["count"] == len(page["data"]) == 24
        assert all(candle["is_closed"] for candle in page["data"])


def test_the_status_says_that_it_is_simulated(http: httpx2.Client) -> None:
    status = http.get("/v1/status").json()
    assert {entry["exchange"]: entry["source"] for entry in status["exchanges"]} == dict.fromkeys(
        EXCHANGES, "simulated"
    )


def test_a_restart_keeps_the_data(stack: Stack, http: httpx2.Client, credentials: tuple[str, str]) -> None:
    before = wait_until_synced(http)
    with timed("restart"):
        stack.compose("down")
        stack.compose("up", "--wait", "--wait-timeout", "180", "--detach")
    with stack.http() as client:
        token = ask_token(client, credentials).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        after = wait_until_synced(client)
    kept = before.keys() & after.keys()
    assert kept
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def outage(http: httpx2.Client, credentials: tuple[str, str], longest_s: float) -> float | None:
    """Seconds until a token is refused for want of the database, None when it was not; until then tokens are given."""
    start = time.monotonic()
    while (answer := ask_token(http, credentials)).status_code == 200:
        if time.monotonic() - start > longest_s:
            return None
    assert answer.status_code == 503, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "database-unavailable"
    return time.monotonic() - start


def recovery(http: httpx2.Client, credentials: tuple[str, str]) -> float:
    """Seconds until tokens are given again."""
    start = time.monotonic()
    while (answer := ask_token(http, credentials)).status_code != 200:
        assert answer.status_code == 503, answer.text
        assert time.monotonic() - start < RECOVERY_S
        time.sleep(0.05)
    return time.monotonic() - start


def test_a_killed_database_is_named_and_comes_back(
    stack: Stack, http: httpx2.Client, credentials: tuple[str, str]
) -> None:
    started = stack.container("db")["State"]["StartedAt"]
    refused_after, kills = None, 0
    while refused_after is None:  # it may be back before anybody has asked
        assert kills < MOST_KILLS
        stack.kill("db")
        refused_after, kills = outage(http, credentials, 2), kills + 1
    print(
        f"\ndatabase killed: 503 after {refused_after:.2f} s, back after {recovery(http, credentials):.1f} s",
        flush=True,
    )
    assert stack.container("db")["State"]["StartedAt"] > started
    assert wait_until_synced(http)


def test_a_hung_database_is_named_and_comes_back(
    stack: Stack, http: httpx2.Client, credentials: tuple[str, str]
) -> None:
    stack.compose("pause", "db")
    try:
        refused_after = outage(http, credentials, RECOVERY_S)
        assert refused_after is not None
        assert refused_after < 8
    finally:
        stack.compose("unpause", "db")
    print(
        f"\ndatabase hung: 503 after {refused_after:.2f} s, back after {recovery(http, credentials):.1f} s", flush=True
    )


def test_an_attack_stays_within_the_memory_limit(
    stack: Stack, http: httpx2.Client, credentials: tuple[str, str]
) -> None:
    attack = Attack(("127.0.0.1", stack.port), ask_token(http, credentials).json()["access_token"])
    attack.run(ATTACK_S)
    print(f"\nattack: {dict(sorted(attack.answers.items()))}", flush=True)
    for told in attack.answers:
        assert told.endswith(TOLD_TO_ATTACKERS), told
    state = stack.container("api-service")
    assert not state["State"]["OOMKilled"]
    assert state["RestartCount"] == 0
    assert wait_until_synced(http)
    used = "import glob; print(max(int(open(name).read()) for name in glob.glob('/sys/fs/cgroup/**/memory*peak')\
 + glob.glob('/sys/fs/cgroup/memory/memory.max_usage_in_bytes')))"
    most = int(stack.compose("exec", "-T", "api-service", "python", "-c", used))
    print(f"the API's memory at most: {most / 2**20:.0f} of 512 MiB", flush=True)
