import base64

import pytest

from marketdata.api.app import create_app
from marketdata.core.clock import ManualClock
from marketdata.core.fetch import Fetcher
from marketdata.core.models import ExchangeId
from marketdata.store.clients import create_client, disable_client
from marketdata.store.engine import Database
from tests.api.conftest import Api, client_of, problem

GRANT = {"grant_type": "client_credentials"}


async def test_a_token_by_form_or_by_basic(api: Api) -> None:
    credentials = {"client_id": api.client_id, "client_secret": api.client_secret}
    by_form = await api.http.post("/v1/token", data={**GRANT, **credentials})
    by_basic = await api.http.post("/v1/token", data=GRANT, auth=(api.client_id, api.client_secret))
    for answer in (by_form, by_basic):
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
        assert body["scope"] == "metadata:read candles:read"
        assert (await api.get("/v1/exchanges", token=body["access_token"])).status_code == 200


async def test_a_token_for_a_secret_of_which_nothing_was_heard_yet(api: Api) -> None:
    async with api.services.database.transaction() as connection:
        client, secret = await create_client(connection, "new", ("metadata:read",), api.clock.now_ms())
    answer = await api.http.post("/v1/token", data=GRANT, auth=(client.client_id, secret))
    assert (await api.get("/v1/exchanges", token=answer.json()["access_token"])).status_code == 200


async def test_fewer_scopes_on_request(api: Api) -> None:
    answer = await api.http.post(
        "/v1/token", data={**GRANT, "scope": "metadata:read"}, auth=(api.client_id, api.client_secret)
    )
    assert answer.json()["scope"] == "metadata:read"
    refused = await api.get("/v1/candles/coinbase/BTC-USD/1h", token=answer.json()["access_token"])
    assert problem(refused) == {
        "status": 403,
        "code": "insufficient-scope",
        "detail": "This needs the scope `candles:read`.",
        "scope": "candles:read",
    }
    assert refused.headers["www-authenticate"] == (
        'Bearer realm="marketdata", error="insufficient_scope", scope="candles:read"'
    )


async def test_a_bad_secret(api: Api) -> None:
    answer = await api.http.post("/v1/token", data=GRANT, auth=(api.client_id, "mds_wrong"))
    detail = "Client id and secret do not belong to a client that may come in."
    assert problem(answer) == {
        "status": 401,
        "code": "invalid-client",
        "detail": detail,
        "error": "invalid_client",
        "error_description": detail,
    }
    assert answer.headers["www-authenticate"] == 'Basic realm="marketdata"'
    assert answer.headers["cache-control"] == "no-store"


async def test_who_may_not_come_in(api: Api) -> None:
    database, now_ms = api.services.database, api.clock.now_ms()
    async with database.transaction() as connection:
        disabled, disabled_secret = await create_client(connection, "disabled", ("candles:read",), now_ms)
        await disable_client(connection, disabled.client_id, now_ms)
        expired, expired_secret = await create_client(connection, "expired", ("candles:read",), now_ms, now_ms)
    for auth in (
        (disabled.client_id, disabled_secret),
        (expired.client_id, expired_secret),
        ("mdc_unknown", api.client_secret),
        ("\0", ""),
        ("", ""),
    ):
        assert problem(await api.http.post("/v1/token", data=GRANT, auth=auth))["code"] == "invalid-client"


@pytest.mark.parametrize(
    "form,code,error",
    [
        ({}, "invalid-request", "invalid_request"),
        ({"grant_type": "password"}, "unsupported-grant-type", "unsupported_grant_type"),
        ({**GRANT, "scope": "admin"}, "invalid-scope", "invalid_scope"),
        ({**GRANT, "client_secret": "x"}, "invalid-request", "invalid_request"),
        ({**GRANT, "client_id": "another"}, "invalid-request", "invalid_request"),
        ({**GRANT, "scope": ["candles:read", "metadata:read"]}, "invalid-request", "invalid_request"),
    ],
)
async def test_other_refusals(api: Api, form: dict[str, str], code: str, error: str) -> None:
    answer = await api.http.post("/v1/token", data=form, auth=(api.client_id, api.client_secret))
    document = problem(answer)
    assert (answer.status_code, document["code"], document["error"]) == (400, code, error)
    assert document["error_description"] == document["detail"]


async def test_bodies_that_are_no_form(api: Api) -> None:
    for body, kind in (
        (b"{}", "application/json"),
        (b"", ""),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % number for number in range(100)), "application/x-www-form-urlencoded"),
    ):
        answer = await api.http.post("/v1/token", content=body, headers={"Content-Type": kind})
        assert problem(answer)["code"] == "invalid-request"


async def test_unreadable_basic(api: Api) -> None:
    for value in ("Basic", "Basic !", "Bearer x", "Basic " + base64.b64encode(b"\xff").decode()):
        answer = await api.http.post("/v1/token", data=GRANT, headers={"Authorization": value})
        assert problem(answer)["code"] == "invalid-client"


async def test_a_secret_in_the_url_is_refused_and_not_repeated(api: Api) -> None:
    answer = await api.http.post("/v1/token?client_secret=canary", data=GRANT)
    assert problem(answer)["code"] == "unknown-parameter"
    assert "canary" not in answer.text
    assert answer.json()["error"] == "invalid_request"


async def test_without_the_database_no_token_but_the_others_still_verify(api: Api) -> None:
    token = api.token()
    await api.services.database.dispose()
    api.services.database._engine = type(api.services.database)("postgresql://127.0.0.1:9/nothing")._engine
    answer = await api.http.post("/v1/token", data=GRANT, auth=(api.client_id, api.client_secret))
    document = problem(answer)
    assert (document["code"], document["error"]) == ("database-unavailable", "temporarily_unavailable")
    assert answer.headers["retry-after"] == "5"
    await api.services.refresh()
    assert (await api.get("/v1/symbols", token=token)).status_code == 200
    assert (await api.http.get("/health/ready")).json() == {"status": "ready", "database": "unreachable"}
    assert problem(await api.get("/v1/syncs", token=token))["code"] == "database-unavailable"


async def test_a_token_at_once_when_the_database_comes_after_the_start(api: Api) -> None:
    """Before the next look into the database, which would bring the keys."""
    app = create_app(api.services.database, api.services.fetchers, api.clock, api.services.settings)
    async with client_of(app) as http:
        answer = await http.post("/v1/token", data=GRANT, auth=(api.client_id, api.client_secret))
        assert answer.status_code == 200
        token = answer.json()["access_token"]
        assert (await http.get("/v1/exchanges", headers={"Authorization": f"Bearer {token}"})).status_code == 200
    assert api.services.tokens.verify(token).client_id == api.client_id


async def test_the_keys_are_read_when_they_are_asked_for_and_never_shown_as_none(
    api: Api, fetchers: dict[ExchangeId, Fetcher], clock: ManualClock
) -> None:
    nowhere = Database("postgresql://127.0.0.1:9/nothing")
    for database, status in ((nowhere, 503), (api.services.database, 200)):
        app = create_app(database, fetchers, clock, api.services.settings)
        async with client_of(app) as http:
            # until a key could be read, nobody can say that a token is not valid
            with_token = await http.get("/v1/status", headers={"Authorization": f"Bearer {api.token()}"})
            assert problem(with_token)["code"] == "database-unavailable"
            answer = await http.get("/.well-known/jwks.json")
        assert answer.status_code == status
        if status == 200:
            assert answer.json() == {"keys": api.services.tokens.public_keys()}
        else:
            assert problem(answer)["code"] == "database-unavailable"
    await nowhere.dispose()
