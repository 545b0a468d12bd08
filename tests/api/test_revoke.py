"""RFC 7009: a client ends its own access token, and learns nothing of others'."""

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.store.audit import AuditFilters, list_entries, newest_entry_id
from marketdata.store.clients import create_client
from tests.api.conftest import NOW_MS, Api, problem
from tests.api.test_access import code

PATH = "/v1/token/revoke"


async def revoke(api: Api, token: str) -> httpx2.Response:
    return await api.http.post(PATH, data={"token": token}, auth=(api.client_id, api.client_secret))


async def lines(api: Api) -> list[tuple[str, str, str | None, str | None]]:
    async with api.services.database.transaction() as connection:
        up_to = await newest_entry_id(connection)
        entries = await list_entries(connection, AuditFilters(action="token.revoked"), up_to_id=up_to, limit=9)
    return [(entry.action, entry.outcome, entry.actor, entry.subject) for entry in entries]


async def test_a_token_ends_at_once_and_others_go_on(api: Api) -> None:
    token, other = api.token(), api.token()
    assert [await code(api, one) for one in (token, other)] == [None, None]
    for _ in range(2):
        answer = await revoke(api, token)
        assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, b"", "no-store")
        assert [await code(api, one) for one in (token, other)] == ["invalid-token", None]
    assert await lines(api) == [("token.revoked", "done", api.client_id, api.client_id)] * 2


async def test_the_answer_is_the_same_for_whatever_is_no_live_token_of_ours(api: Api, clock: ManualClock) -> None:
    expired = api.token()
    clock.advance(930_000)
    for token in ("x", "a.b.c", "é", expired, api.client_secret, "A" * 5000):
        answer = await revoke(api, token)
        assert (answer.status_code, answer.content) == (200, b"")
    assert await lines(api) == []


async def test_a_token_of_another_client_is_left_as_it_is(api: Api) -> None:
    async with api.services.database.transaction() as connection:
        other, _ = await create_client(connection, "other", ("metadata:read",), NOW_MS)
    await api.services.refresh()
    token = api.services.tokens.issue(other.client_id, ("metadata:read",))
    answer = await revoke(api, token)
    assert (answer.status_code, answer.content) == (200, b"")
    assert await code(api, token) is None
    assert await lines(api) == [("token.revoked", "refused", api.client_id, other.client_id)]


async def test_who_does_not_say_who_it_is(api: Api) -> None:
    token = api.token()
    for auth in (("mdc_x", api.client_secret), (api.client_id, "mds_x")):
        document = problem(await api.http.post(PATH, data={"token": token}, auth=auth))
        assert (document["code"], document["error"]) == ("invalid-client", "invalid_client")
    assert problem(await api.http.post(PATH, data={"token": token}))["code"] == "invalid-client"
    assert await code(api, token) is None


@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token": ["a", "b"]}])
async def test_forms_that_name_no_one_token(api: Api, form: dict[str, str]) -> None:
    answer = await api.http.post(PATH, data={"x": "y", **form}, auth=(api.client_id, api.client_secret))
    document = problem(answer)
    assert (document["code"], document["error"]) == ("invalid-request", "invalid_request")


async def test_what_was_revoked_is_forgotten_when_it_would_have_ended(api: Api, clock: ManualClock) -> None:
    token = api.token()
    await revoke(api, token)
    assert len(api.services.tokens.access.revoked_tokens) == 1
    assert await code(api, token) == "invalid-token"
    clock.advance(929_999)
    assert await code(api, token) == "invalid-token"
    clock.advance(1)
    assert await code(api, token) == "invalid-token", "as long as it is remembered"
    await revoke(api, api.token())
    assert len(api.services.tokens.access.revoked_tokens) == 1
    assert await code(api, token) == "expired-token"
