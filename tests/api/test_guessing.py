"""Guessing secrets at the token endpoint, on a clock that the test moves."""

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.store.audit import AuditFilters, list_entries, newest_entry_id
from marketdata.store.client_secrets import ClientSecret
from marketdata.store.clients import disable_client
from marketdata.store.secrets import Secret, _check
from tests.api.conftest import NOW_MS, Api, problem

GRANT = {"grant_type": "client_credentials"}


def near_miss(secret: str) -> str:
    """Another secret with the same id."""
    body = secret[:13] + Secret.make().text[13:-6]
    return body + _check(body)


async def ask(api: Api, client_id: str, secret: str, address: str = "192.0.2.1") -> httpx2.Response:
    """Ask for a token from an address."""
    transport = httpx2.ASGITransport(app=api.app, client=(address, 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as http:
        return await http.post("/v1/token", data=GRANT, auth=(client_id, secret))


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets that were compared by their hash."""
    seen: list[str] = []
    is_same = ClientSecret.is_same

    def watched(self: ClientSecret, secret: Secret) -> bool:
        seen.append(secret.text)
        return is_same(self, secret)

    monkeypatch.setattr(ClientSecret, "is_same", watched)
    return seen


async def test_too_many_wrong_secrets_from_an_address(api: Api, clock: ManualClock, compared: list[str]) -> None:
    for number in range(20):
        client_id = api.client_id if number % 2 else f"mdc_{number}"
        assert problem(await ask(api, client_id, Secret.make().text))["code"] == "invalid-client"
    answer = await ask(api, api.client_id, Secret.make().text)
    assert problem(answer) == {
        "status": 429,
        "code": "rate-limited",
        "detail": "Too many wrong secrets came from here, or for this client; wait as long as `Retry-After` says.",
        "retry_after": 60,
        "error": "temporarily_unavailable",
        "error_description": answer.json()["detail"],
    }
    assert answer.headers["retry-after"] == "60"
    assert (await ask(api, api.client_id, api.client_secret)).status_code == 429, "nor does a right one from there"
    assert (await ask(api, api.client_id, api.client_secret, "192.0.2.2")).status_code == 200
    clock.advance(60_000)
    assert (await ask(api, api.client_id, api.client_secret)).status_code == 200
    assert compared == [api.client_secret] * 2


async def test_who_has_to_wait_costs_the_database_nothing(api: Api) -> None:
    secret = Secret.make().text
    while (await ask(api, api.client_id, secret)).status_code != 429:
        pass
    await api.services.database.dispose()
    api.services.database._engine = type(api.services.database)("postgresql://127.0.0.1:9/nothing")._engine
    assert (await ask(api, api.client_id, secret)).status_code == 429
    assert (await ask(api, api.client_id, Secret.make().text)).status_code == 503


async def test_only_a_secret_with_a_live_id_is_compared(api: Api, compared: list[str]) -> None:
    wrong = near_miss(api.client_secret)
    for client_id, secret in (
        (api.client_id, Secret.make().text),
        (api.client_id, "mds_wrong"),
        ("mdc_unknown", api.client_secret),
        ("mdc_unknown", wrong),
    ):
        assert problem(await ask(api, client_id, secret))["code"] == "invalid-client"
    assert compared == []
    assert problem(await ask(api, api.client_id, wrong))["code"] == "invalid-client"
    assert compared == [wrong]
    async with api.services.database.transaction() as connection:
        await disable_client(connection, api.client_id, NOW_MS)
    assert problem(await ask(api, api.client_id, api.client_secret))["code"] == "invalid-client"
    assert compared == [wrong]


async def test_the_owner_is_not_locked_out(api: Api, compared: list[str]) -> None:
    assert (await ask(api, api.client_id, api.client_secret, "203.0.113.9")).status_code == 200
    for number in range(25):
        await ask(api, api.client_id, near_miss(api.client_secret), f"198.51.100.{number}")
    assert len(compared) == 21
    assert (await ask(api, api.client_id, api.client_secret, "203.0.113.9")).status_code == 200
    assert (await ask(api, api.client_id, api.client_secret, "203.0.113.10")).status_code == 429


async def test_refusals_are_written_down_but_not_each(api: Api, clock: ManualClock) -> None:
    async def written() -> list[tuple[str | None, str | None, object]]:
        async with api.services.database.transaction() as connection:
            up_to = await newest_entry_id(connection)
            filters = AuditFilters(action="token.refused")
            entries = await list_entries(connection, filters, up_to_id=up_to, limit=100)
        return [(entry.subject, entry.address, entry.details["reason"]) for entry in entries]

    for _ in range(25):
        await ask(api, api.client_id, Secret.make().text)
        await ask(api, "mdc_unknown", Secret.make().text, "192.0.2.3")
    first = [
        (api.client_id, "192.0.2.1", "wrong-secret"),
        (None, "192.0.2.3", "wrong-secret"),
        (api.client_id, "192.0.2.1", "slowed"),
        (None, "192.0.2.3", "slowed"),
    ]
    assert await written() == first
    clock.advance(60_000)
    await ask(api, api.client_id, Secret.make().text)
    assert await written() == [*first, (api.client_id, "192.0.2.1", "wrong-secret")]
