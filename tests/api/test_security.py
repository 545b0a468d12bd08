"""The headers that guard browsers: on every answer, and a page that still works under them."""

import re

import pytest

from tests.api.conftest import Api

SEVEN = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(),"
    " usb=()",
}

PAGES = {"/docs", "/docs/errors"}


async def test_all_seven_are_on_every_answer_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(api.services.catalogue, "allowed", break_down)
    document = (await api.http.get("/openapi.json")).json()
    paths = [
        *document["paths"],
        "/",
        "/nothing",
        "/openapi.json",
        *PAGES,
        "/docs/assets/none",
        "/docs/assets/x/y",
    ]
    place = {"exchange": "coinbase", "symbol": "BTC-USD", "interval": "1h", "run": "1"}
    urls = [re.sub(r"{(\w+)}", lambda name: place.get(name[1], "x"), path) for path in paths]
    statuses = set()
    for url in urls:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            for more in ({}, {"Authorization": f"Bearer {api.token()}", "If-None-Match": "*"}, {"Authorization": "no"}):
                answer = await api.http.request(method, url, headers=more)
                sent = [(name, value) for name, value in answer.headers.multi_items() if name in SEVEN]
                assert len(sent) == 7, (method, url)
                if url not in PAGES or answer.status_code not in {200, 304}:
                    assert dict(sent) == SEVEN, (method, url)
                assert "strict-transport-security" not in answer.headers
                statuses.add(answer.status_code)
    assert {200, 304, 400, 401, 404, 405, 500, 503} <= statuses


async def test_https_is_asked_for_again_where_it_was_used(api: Api) -> None:
    for path, status in (("/health/live", 200), ("/nothing", 404)):
        answer = await api.http.get(f"https://api{path}")
        assert answer.status_code == status
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_pages_run_what_comes_from_this_server_and_nothing_inside_of_them(api: Api) -> None:
    for path in sorted(PAGES):
        page = await api.http.get(path)
        assert dict(part.split(maxsplit=1) for part in page.headers["content-security-policy"].split("; ")) == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data:",
            "connect-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }
        assert not re.search(r"<script(?! src=)|<style| style=| on\w+=|javascript:", page.text)
        known = await api.http.get(path, headers={"If-None-Match": page.headers["etag"]})
        assert known.status_code == 304
        assert known.headers["content-security-policy"] == page.headers["content-security-policy"]
