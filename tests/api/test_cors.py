"""Which web pages may read the answers: none, or exactly those that are named."""

import itertools
from collections.abc import AsyncIterator

import httpx2
import pytest
from pydantic import ValidationError

from marketdata.api.app import create_app
from marketdata.api.settings import ApiSettings
from tests.api.conftest import Api, client_of

ALLOWED = ("https://app.example.com", "http://localhost:3000")
HOSTILE = (
    "null",
    "*",
    "",
    "https://evil.example",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://sub.app.example.com",
    "https://example.com",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com/",
    "HTTPS://APP.EXAMPLE.COM",
    "https://app.example.com https://evil.example",
    "https://evil.example#https://app.example.com",
    "http://localhost:30000",
    "https://app.example.com%60.evil.example",
)
PREFLIGHT = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture
async def open_api(api: Api) -> AsyncIterator[httpx2.AsyncClient]:
    """The same API, with two origins let in."""
    services = api.services
    settings = ApiSettings(cors_origins=ALLOWED)
    app = create_app(services.database, services.fetchers, services.clock, settings)
    app.state.services = services
    async with client_of(app) as http:
        yield http


def granted(answer: httpx2.Response) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


async def test_off_unless_set(api: Api) -> None:
    for origin, (path, status) in itertools.product(
        [*HOSTILE, *ALLOWED], [("/health/live", 200), ("/v1/symbols", 401)]
    ):
        simple = await api.http.get(path, headers={"Origin": origin})
        assert (simple.status_code, granted(simple)) == (status, [])
        assert "Origin" not in simple.headers.get("vary", "")
        preflight = await api.http.options(path, headers={"Origin": origin, **PREFLIGHT})
        assert (preflight.status_code, granted(preflight)) == (405, [])
        assert preflight.json()["code"] == "method-not-allowed"


async def test_a_hostile_origin_gets_nothing(api: Api, open_api: httpx2.AsyncClient) -> None:
    bearer = {"Authorization": f"Bearer {api.token()}"}
    for origin in HOSTILE:
        for path, status in (("/health/live", 200), ("/v1/symbols", 200), ("/nothing", 404)):
            simple = await open_api.get(path, headers={"Origin": origin, **bearer})
            assert (simple.status_code, granted(simple)) == (status, []), origin
            assert "Origin" in simple.headers.get_list("vary")
        preflight = await open_api.options("/v1/symbols", headers={"Origin": origin, **PREFLIGHT})
        assert (preflight.status_code, granted(preflight)) == (405, []), origin


async def test_two_origins_in_one_request_get_nothing(open_api: httpx2.AsyncClient) -> None:
    for origins in (ALLOWED, (ALLOWED[0], HOSTILE[3])):
        answer = await open_api.get("/health/live", headers=[("Origin", origin) for origin in origins])
        assert granted(answer) == []


@pytest.mark.parametrize("origin", ALLOWED)
async def test_a_named_origin_may_read_answers_and_errors(api: Api, open_api: httpx2.AsyncClient, origin: str) -> None:
    bearer = {"Authorization": f"Bearer {api.token()}"}
    for path, status in (("/v1/symbols", 200), ("/v1/nothing", 404), ("/v1/symbols?limit=0", 400)):
        answer = await open_api.get(path, headers={"Origin": origin, **bearer})
        assert answer.status_code == status
        assert answer.headers.get_list("access-control-allow-origin") == [origin]
        assert "Origin" in answer.headers.get_list("vary")
        exposed = set(answer.headers["access-control-expose-headers"].split(", "))
        assert {"X-Request-ID", "ETag", "Link", "RateLimit", "Retry-After", "Marketdata-Generation"} <= exposed
        assert "access-control-allow-credentials" not in answer.headers
    refused = await open_api.get("/v1/symbols", headers={"Origin": origin})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin)
    tag = (await open_api.get("/v1/symbols", headers={"Origin": origin, **bearer})).headers["etag"]
    known = await open_api.get("/v1/symbols", headers={"Origin": origin, "If-None-Match": tag, **bearer})
    assert (known.status_code, known.headers["access-control-allow-origin"]) == (304, origin)


async def test_without_an_origin_it_still_depends_on_it(open_api: httpx2.AsyncClient) -> None:
    answer = await open_api.get("/health/live")
    assert granted(answer) == []
    assert "Origin" in answer.headers.get_list("vary")


@pytest.mark.parametrize("origin", ALLOWED)
async def test_the_preflight_of_a_named_origin(open_api: httpx2.AsyncClient, origin: str) -> None:
    for path in ("/v1/symbols", "/v1/token", "/nothing"):
        answer = await open_api.options(path, headers={"Origin": origin, **PREFLIGHT})
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == origin
        assert {"GET", "POST"} <= set(answer.headers["access-control-allow-methods"].split(", "))
        assert "Authorization" in answer.headers["access-control-allow-headers"].split(", ")
        assert answer.headers["access-control-max-age"] == "7200"
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers.get_list("vary")
        assert answer.headers["x-frame-options"] == "DENY"
    plain = await open_api.options("/v1/symbols", headers={"Origin": origin})
    assert plain.status_code == 405


@pytest.mark.parametrize(
    "setting",
    [
        "*",
        "null",
        "app.example.com",
        "https://*.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://user@app.example.com",
        "https://App.example.com",
        "https://app.example.com:443",
        "http://app.example.com:80",
        "https://app.example.com:0",
        "https://app.example.com:70000",
        "https://-app.example.com",
        "https://münchen.example",
        "ftp://app.example.com",
        "https://",
        "https://app.example.com,",
        "https://app.example.com;https://b.example.com",
        "https://a..example.com",
    ],
)
def test_what_is_no_origin_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("MARKETDATA_CORS_ORIGINS", f"{ALLOWED[1]},{setting}")
    with pytest.raises(ValidationError, match=r"origin [23]"):
        ApiSettings()


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETDATA_CORS_ORIGINS", " https://app.example.com, http://localhost:3000,http://[::1]:8080")
    assert ApiSettings().cors_origins == (*ALLOWED, "http://[::1]:8080")
    monkeypatch.setenv("MARKETDATA_CORS_ORIGINS", "")
    assert ApiSettings().cors_origins == ()
