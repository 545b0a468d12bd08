"""Managing clients over HTTP, by one who may."""

import json
from typing import Any

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.store.clients import create_client
from marketdata.store.usage import Usage, add_usage
from tests.api.conftest import NOW_MS, Api, problem
from tests.api.test_access import code

CLIENTS = "/v1/admin/clients"
GRANT = {"grant_type": "client_credentials"}


class Admin:
    """An admin who asks."""

    def __init__(self, api: Api, client_id: str, secret: str) -> None:
        self.api = api
        self.client_id = client_id
        self.secret_id = secret.split("_")[1]
        self.token = api.services.tokens.issue(client_id, ("admin",))

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
        return await self.api.http.request(method, path, headers=headers, **more)

    async def do(self, method: str, path: str, body: Any = None) -> Any:
        """The document of a good answer."""
        answer = await self.ask(method, path, body)
        assert answer.status_code in {200, 201}, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()


@pytest.fixture
async def admin(empty_api: Api) -> Admin:
    async with empty_api.services.database.transaction() as connection:
        client, secret = await create_client(connection, "admin", ("admin",), NOW_MS)
    await empty_api.services.refresh()
    return Admin(empty_api, client.client_id, secret)


async def test_a_client_from_its_making_to_its_end(admin: Admin, clock: ManualClock) -> None:
    api = admin.api
    answer = await admin.ask("POST", CLIENTS, {"name": " my bot ", "expires_at": "2026-02-01T00:00:00Z"})
    made = answer.json()
    path = f"{CLIENTS}/{made['client_id']}"
    assert (answer.status_code, answer.headers["location"]) == (201, path)
    secret = made.pop("client_secret")
    assert made == {
        "client_id": made["client_id"],
        "name": "my bot",
        "scopes": ["candles:read", "metadata:read"],
        "state": "active",
        "requests_per_minute": None,
        "candles_per_minute": None,
        "created_at": NOW_MS,
        "expires_at": 1769904000000,
        "disabled_at": None,
        "secrets": [
            {
                "secret_id": secret.split("_")[1],
                "state": "live",
                "created_at": NOW_MS,
                "expires_at": None,
                "revoked_at": None,
                "last_used_at": None,
            }
        ],
    }
    assert await admin.do("GET", path) == made
    assert made in (await admin.do("GET", CLIENTS))["data"]

    auth = (made["client_id"], secret)
    token = (await api.http.post("/v1/token", data=GRANT, auth=auth)).json()["access_token"]
    assert await code(api, token) is None

    change = {"scopes": ["admin", "candles:read"], "requests_per_minute": 60, "expires_at": None}
    changed = await admin.do("PATCH", path, change)
    assert {name: changed[name] for name in (*change, "name")} == {
        **change,
        "scopes": ["candles:read", "admin"],
        "name": "my bot",
    }
    assert await code(api, token) == "insufficient-scope"
    assert (await admin.do("PATCH", path, {"requests_per_minute": None}))["requests_per_minute"] is None

    clock.advance(1)
    rotated = await admin.do("POST", f"{path}/rotate", {"expires_at": NOW_MS + 9999})
    assert [(one["state"], one["expires_at"]) for one in rotated["secrets"]] == [
        ("live", NOW_MS + 9999),
        ("live", None),
    ]
    clock.advance(1)
    again = await admin.do("POST", f"{path}/rotate")
    assert [one["state"] for one in again["secrets"]] == ["live", "live", "revoked"]
    auth = (made["client_id"], again["client_secret"])
    token = (await api.http.post("/v1/token", data=GRANT, auth=auth)).json()["access_token"]
    assert await code(api, token, "/v1/candles/nowhere/X/1h") == "unknown-exchange"
    ended = await admin.do("POST", f"{path}/secrets/{again['secrets'][0]['secret_id']}/revoke")
    assert [one["state"] for one in ended["secrets"]] == ["revoked", "live", "revoked"]
    assert await code(api, token) == "invalid-token"

    clock.advance(1)
    last = await admin.do("POST", f"{path}/rotate", {"revoke": True})
    assert [one["state"] for one in last["secrets"]] == ["live", "revoked", "revoked", "revoked"]
    auth = (made["client_id"], last["client_secret"])
    token = (await api.http.post("/v1/token", data=GRANT, auth=auth)).json()["access_token"]
    assert (await admin.do("POST", f"{path}/disable"))["state"] == "disabled"
    assert await code(api, token) == "invalid-token"
    assert problem(await api.http.post("/v1/token", data=GRANT, auth=auth))["code"] == "invalid-client"
    assert problem(await admin.ask("POST", f"{path}/rotate")) == {
        "status": 400,
        "code": "invalid-request",
        "detail": "the client is disabled for good; create another one",
    }
    assert secret not in json.dumps(await admin.do("GET", CLIENTS))


async def test_an_admin_does_not_lock_itself_out_by_accident(admin: Admin) -> None:
    its = f"{CLIENTS}/{admin.client_id}"
    for method, path, body in (
        ("POST", f"{its}/disable", None),
        ("PATCH", its, {"scopes": ["candles:read"]}),
        ("PATCH", its, {"expires_at": NOW_MS + 1}),
        ("POST", f"{its}/secrets/{admin.secret_id}/revoke", None),
    ):
        document = problem(await admin.ask(method, path, body))
        assert document["code"] == "invalid-request"
        assert "itself" in str(document["detail"]) or "came in with" in str(document["detail"])
    told = await admin.do("GET", its)
    assert (told["state"], told["scopes"], told["expires_at"]) == ("active", ["admin"], None)
    await admin.do("PATCH", its, {"scopes": ["admin", "candles:read"], "name": "me", "expires_at": None})
    await admin.do("POST", f"{its}/rotate", {"revoke": True})


async def test_only_admins_may(admin: Admin) -> None:
    api = admin.api
    path = f"{CLIENTS}/{api.client_id}"
    for method, where in (
        ("GET", CLIENTS),
        ("POST", CLIENTS),
        ("GET", path),
        ("PATCH", path),
        ("POST", f"{path}/disable"),
        ("POST", f"{path}/rotate"),
        ("POST", f"{path}/secrets/{api.secret_id}/revoke"),
        ("GET", f"{path}/usage"),
        ("GET", "/v1/admin/audit"),
    ):
        headers = {"Authorization": f"Bearer {api.token('candles:read', 'metadata:read')}"}
        assert problem(await api.http.request(method, where, headers=headers))["code"] == "insufficient-scope"
        assert problem(await api.http.request(method, where))["code"] == "missing-token"
    assert await code(api, api.token("admin"), CLIENTS) == "insufficient-scope", "its client may not"
    log = await admin.do("GET", f"/v1/admin/audit?action=admin.refused&actor={api.client_id}")
    operations = [one["details"]["operation"] for one in log["data"]]
    assert len(operations) == len(set(operations)) == 9, "each once in a minute"
    assert {one["outcome"] for one in log["data"]} == {"refused"}
    assert await code(api, api.token()) is None


async def test_what_is_not_there(admin: Admin) -> None:
    its = f"{CLIENTS}/{admin.client_id}"
    for method, path, body in (
        ("GET", f"{CLIENTS}/mdc_nobody", None),
        ("PATCH", f"{CLIENTS}/mdc_nobody", {"name": "x"}),
        ("POST", f"{CLIENTS}/mdc_nobody/disable", None),
        ("POST", f"{CLIENTS}/mdc_nobody/rotate", None),
        ("POST", f"{its}/secrets/aaaaaaaa/revoke", None),
    ):
        assert problem(await admin.ask(method, path, body))["code"] == "not-found", path
    assert problem(await admin.ask("GET", f"{CLIENTS}/%00"))["code"] == "invalid-parameter"


@pytest.mark.parametrize(
    "body,code,more",
    [
        ({}, "invalid-parameter", {"parameter": "name"}),
        ({"name": ""}, "invalid-parameter", {"parameter": "name"}),
        ({"name": "  "}, "invalid-parameter", {"parameter": "name"}),
        ({"name": "canary\0"}, "invalid-parameter", {"parameter": "name"}),
        ({"name": "canary" * 20}, "invalid-parameter", {"parameter": "name"}),
        ({"name": 1}, "invalid-parameter", {"parameter": "name"}),
        ({"name": "x", "scope": ["admin"]}, "unknown-parameter", {"parameter": "scope", "did_you_mean": ["scopes"]}),
        ({"name": "x", "canary!": 1}, "unknown-parameter", {}),
        (
            {"name": "x", "scopes": ["canary"]},
            "invalid-parameter",
            {"parameter": "scopes", "supported": ["metadata:read", "candles:read", "admin"]},
        ),
        ({"name": "x", "scopes": []}, "invalid-parameter", {"parameter": "scopes"}),
        ({"name": "x", "scopes": "admin"}, "invalid-parameter", {"parameter": "scopes"}),
        ({"name": "x", "scopes": None}, "invalid-parameter", {"parameter": "scopes"}),
        ({"name": "x", "requests_per_minute": 0}, "invalid-parameter", {"parameter": "requests_per_minute"}),
        ({"name": "x", "requests_per_minute": True}, "invalid-parameter", {"parameter": "requests_per_minute"}),
        ({"name": "x", "candles_per_minute": 1.5}, "invalid-parameter", {"parameter": "candles_per_minute"}),
        ({"name": "x", "candles_per_minute": 10**30}, "invalid-parameter", {"parameter": "candles_per_minute"}),
        ({"name": "x", "expires_at": NOW_MS}, "invalid-parameter", {"parameter": "expires_at"}),
        ({"name": "x", "expires_at": "2026-02-01T00:00:00"}, "naive-timestamp", {"parameter": "expires_at"}),
        ({"name": "x", "expires_at": "canary"}, "invalid-parameter", {"parameter": "expires_at"}),
        ({"name": "x", "expires_at": True}, "invalid-parameter", {"parameter": "expires_at"}),
    ],
)
async def test_members_that_cannot_be(admin: Admin, body: Any, code: str, more: dict[str, object]) -> None:
    answer = await admin.ask("POST", CLIENTS, body)
    document = problem(answer)
    assert document["code"] == code
    assert {name: document.get(name) for name in more} == more
    assert "canary" not in answer.text
    assert len((await admin.do("GET", CLIENTS))["data"]) == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b"{",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"name": "x", "name": "y"}',
        b'{"name": NaN}',
        b'{"name": "\\ud800"}',
        b'{"name": 1' + b"0" * 10_000 + b"}",
        b"[" * 50_000,
        b'{"name":' * 5_000,
    ],
)
async def test_bodies_that_are_no_object_with_a_name(admin: Admin, raw: bytes) -> None:
    answer = await admin.ask("POST", CLIENTS, content=raw, headers={"Content-Type": "application/json"})
    assert problem(answer)["code"] in {"invalid-request", "invalid-parameter"}


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=x"])
async def test_bodies_of_another_type(admin: Admin, kind: str) -> None:
    answer = await admin.ask("POST", CLIENTS, content=b'{"name": "x"}', headers={"Content-Type": kind})
    assert problem(answer) == {
        "status": 400,
        "code": "invalid-request",
        "detail": "The body is JSON: send it as application/json.",
    }


@pytest.mark.parametrize("body", [{}, {"name": None}, {"scopes": None}, {"client_id": "x"}])
async def test_changes_that_are_none(admin: Admin, body: dict[str, object]) -> None:
    answer = await admin.ask("PATCH", f"{CLIENTS}/{admin.api.client_id}", body)
    assert problem(answer)["code"] in {"invalid-request", "invalid-parameter", "unknown-parameter"}


async def test_what_a_client_used(admin: Admin) -> None:
    hour_ms, its = 3_600_000, admin.api.client_id
    used = [Usage(its, NOW_MS - back * hour_ms, back + 1, back * 10, 0) for back in range(30)]
    async with admin.api.services.database.transaction() as connection:
        await add_usage(connection, used)
    path = f"{CLIENTS}/{its}/usage"
    assert len((await admin.do("GET", path))["data"]) == 24
    assert (await admin.do("GET", f"{path}?hours=2"))["data"] == [
        {"hour": NOW_MS, "requests": 1, "candles": 0, "limited": 0},
        {"hour": NOW_MS - hour_ms, "requests": 2, "candles": 10, "limited": 0},
    ]
    for query in ("hours=0", "hours=8785", "hours=x", "hours=1&hours=2"):
        assert problem(await admin.ask("GET", f"{path}?{query}"))["code"] == "invalid-parameter"
    assert problem(await admin.ask("GET", f"{CLIENTS}/mdc_nobody/usage"))["code"] == "not-found"


async def test_the_audit_log_says_who_did_what(admin: Admin) -> None:
    started = (await admin.do("GET", "/v1/admin/audit"))["page"]["newest_id"]
    answer = await admin.ask("POST", CLIENTS, {"name": "bot"}, headers={"X-Request-ID": "mine.1"})
    made = answer.json()
    await admin.do("PATCH", f"{CLIENTS}/{made['client_id']}", {"name": "robot"})
    for _ in range(3):
        await admin.do("GET", CLIENTS)

    log = await admin.do("GET", f"/v1/admin/audit?since={started}")
    assert [(one["action"], one["actor"], one["subject"]) for one in log["data"]] == [
        ("client.created", admin.client_id, made["client_id"]),
        ("client.updated", admin.client_id, made["client_id"]),
        ("admin.read", admin.client_id, None),
    ]
    first = log["data"][0]
    assert (first["address"], first["request_id"], first["at"]) == ("127.0.0.1", "mine.1", NOW_MS)
    assert log["page"] == {"count": 3, "limit": 100, "next": None, "newest_id": log["data"][-1]["id"]}
    assert made["client_secret"] not in json.dumps(log)

    for query, actions in (
        (f"actor={admin.client_id}&action=client.updated", ["client.updated"]),
        (f"subject={made['client_id']}", ["client.created", "client.updated"]),
        (f"since={NOW_MS + 1}", []),
        ("actor=operator&action=client.disabled", []),
    ):
        found = await admin.do("GET", f"/v1/admin/audit?{query}")
        assert [one["action"] for one in found["data"]] == actions, query


async def test_the_audit_log_is_read_page_by_page(admin: Admin) -> None:
    whole = (await admin.do("GET", "/v1/admin/audit"))["data"]
    assert len(whole) >= 4
    seen, path = [], "/v1/admin/audit?limit=2&action=client.created"
    while path:
        answer = await admin.ask("GET", path)
        page = answer.json()
        assert len(page["data"]) <= 2
        seen += page["data"]
        path = page["page"]["next"]
        assert (path is None) == ("link" not in answer.headers)
    assert seen == [one for one in whole if one["action"] == "client.created"]
    first = (await admin.do("GET", "/v1/admin/audit?limit=1"))["page"]["next"]
    assert problem(await admin.ask("GET", f"{first}&limit=2"))["code"] == "bad-cursor"
    assert problem(await admin.ask("GET", f"{first}A"))["code"] == "bad-cursor"


@pytest.mark.parametrize(
    "query,code",
    [
        ("limit=0", "invalid-parameter"),
        ("limit=1001", "limit-too-large"),
        ("action=x", "invalid-parameter"),
        ("actor=%00", "invalid-parameter"),
        ("subject=" + "x" * 65, "invalid-parameter"),
        ("since=99999", "invalid-parameter"),
        ("since=x", "invalid-parameter"),
        ("since=2026-01-01T00:00:00", "naive-timestamp"),
        ("actors=x", "unknown-parameter"),
    ],
)
async def test_questions_about_the_audit_log_that_cannot_be(admin: Admin, query: str, code: str) -> None:
    assert problem(await admin.ask("GET", f"/v1/admin/audit?{query}"))["code"] == code
