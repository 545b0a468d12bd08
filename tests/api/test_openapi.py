"""The OpenAPI document is whole: clients are generated from it."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from marketdata.api.answers import GapReport, Meta, Origin, Page, WarningReport
from marketdata.api.formats import CONTENT_TYPES
from marketdata.api.formats_lines import COLUMNS, line_headers
from marketdata.api.openapi_delivery import DELIVERY_HEADERS
from marketdata.api.routes.candles import CANDLES_PARAMETERS, LATEST_PARAMETERS
from marketdata.core.models import Source
from marketdata.store.clients import create_client
from marketdata.store.scopes import SCOPES
from tests.api.conftest import NOW_MS, Api

PUBLIC = {"/v1/token", "/v1/token/revoke", "/.well-known/jwks.json", "/health/live", "/health/ready"}


OPERATIONS = {
    "createToken": "POST /v1/token",
    "revokeToken": "POST /v1/token/revoke",
    "getKeys": "GET /.well-known/jwks.json",
    "listExchanges": "GET /v1/exchanges",
    "getExchange": "GET /v1/exchanges/{exchange}",
    "listIntervals": "GET /v1/intervals",
    "listSymbols": "GET /v1/symbols",
    "getSymbol": "GET /v1/symbols/{exchange}/{symbol}",
    "listSymbolVersions": "GET /v1/symbols/{exchange}/{symbol}/history",
    "resolve": "GET /v1/resolve",
    "listEvents": "GET /v1/events",
    "getCoverage": "GET /v1/coverage/{exchange}/{symbol}/{interval}",
    "listSyncs": "GET /v1/syncs",
    "getSync": "GET /v1/syncs/{run}",
    "getStatus": "GET /v1/status",
    "listClients": "GET /v1/admin/clients",
    "createClient": "POST /v1/admin/clients",
    "getClient": "GET /v1/admin/clients/{client_id}",
    "updateClient": "PATCH /v1/admin/clients/{client_id}",
    "disableClient": "POST /v1/admin/clients/{client_id}/disable",
    "rotateClient": "POST /v1/admin/clients/{client_id}/rotate",
    "revokeSecret": "POST /v1/admin/clients/{client_id}/secrets/{secret_id}/revoke",
    "listAudit": "GET /v1/admin/audit",
    "getLiveness": "GET /health/live",
    "getReadiness": "GET /health/ready",
    "listCandles": "GET /v1/candles/{exchange}/{symbol}/{interval}",
    "getLatestCandle": "GET /v1/candles/{exchange}/{symbol}/{interval}/latest",
}
"""What each operation is called in generated clients."""


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    answer = await api.http.get("/openapi.json")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_operations_keep_their_names(document: dict[str, Any]) -> None:
    named = {
        operation["operationId"]: f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert named == OPERATIONS, "clients are generated from these names"


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert set(operation["tags"]) <= tags, path


def test_every_parameter_is_described_with_an_example(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        for parameter in operation["parameters"]:
            place, schema = (path, parameter["name"]), parameter["schema"]
            assert parameter["description"], place
            assert {"type": "null"} not in schema.get("anyOf", ()), place
            shown = "example" in parameter if parameter["required"] else {"examples", "default", "$ref"} & set(schema)
            assert shown or parameter["name"] == "cursor", place


def test_every_answer_has_its_examples(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status < "3" and operation["operationId"] != "revokeToken":  # whose answer is empty
                for media_type, content in answer["content"].items():
                    assert all("value" in example for example in content["examples"].values()), (path, media_type)


def test_every_error_is_told_with_its_example_and_cure(document: dict[str, Any]) -> None:
    always = {"invalid-parameter", "unknown-parameter", "invalid-request", "rate-limited", "internal-error"}
    for path, operation in operations(document):
        told = set()
        assert "422" not in operation["responses"]
        for status, answer in operation["responses"].items():
            if status < "4":
                continue
            (media_type,) = answer["content"]
            content = answer["content"][media_type]
            assert media_type == "application/problem+json"
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            for code, reference in content["examples"].items():
                example = document["components"]["examples"][reference["$ref"].rpartition("/")[2]]
                assert f"`{code}`" in answer["description"], path
                assert (example["value"]["code"], example["value"]["status"]) == (code, int(status)), path
                assert ("error" in example["value"]) == path.startswith("/v1/token"), path
                assert len(example["description"]) > 40, code
                told.add(code)
        assert told >= always, path
        assert ("expired-token" in told) == ("database-unavailable" in told and "security" in operation), path


def test_every_answer_has_its_headers(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        for status, answer in operation["responses"].items():
            expected = {"X-Request-ID"}
            expected |= {"WWW-Authenticate"} if status in {"401", "403"} else set()
            expected |= {"Retry-After"} if status in {"429", "503", "504"} else set()
            assert set(answer["headers"]) >= expected, (path, status)


def test_every_operation_says_what_it_takes_to_be_asked(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        scope = "admin" if "admin" in path else "candles:read" if "candles" in path else "metadata:read"
        expected = None if path in PUBLIC else [{"ClientCredentials": [scope]}]
        assert operation.get("security") == expected, path
        assert ("401" in operation["responses"]) == (path not in PUBLIC or "token" in path), path


def test_the_authorize_box_has_what_it_needs(document: dict[str, Any]) -> None:
    scheme = document["components"]["securitySchemes"]["ClientCredentials"]
    assert scheme["type"] == "oauth2"
    flow = scheme["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == "/v1/token"
    assert flow["scopes"] == SCOPES


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in set(references(document)):
        node: Any = document
        for name in reference.removeprefix("#/").split("/"):
            node = node[name]


def test_candle_parameters_are_those_that_are_understood(document: dict[str, Any]) -> None:
    path = "/v1/candles/{exchange}/{symbol}/{interval}"
    for one, known in ((path, CANDLES_PARAMETERS), (f"{path}/latest", LATEST_PARAMETERS)):
        parameters = document["paths"][one]["get"]["parameters"]
        assert [parameter["name"] for parameter in parameters if parameter["in"] == "query"] == list(known)


def test_the_formats_of_candles(document: dict[str, Any]) -> None:
    answer = document["paths"]["/v1/candles/{exchange}/{symbol}/{interval}"]["get"]["responses"]["200"]
    offered = {one.partition(";")[0] for one in CONTENT_TYPES.values()}
    assert set(answer["content"]) == offered
    text = answer["content"]["text/csv"]["examples"]["csv"]["value"]
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert tuple(header) == COLUMNS
    assert {len(row) for row in rows} == {len(COLUMNS)}
    lines = answer["content"]["application/x-ndjson"]["examples"]["ndjson"]["value"].splitlines()
    assert {tuple(json.loads(line)) for line in lines} == {COLUMNS}
    page = Page(0, 1, "asc", complete=True, next=None)
    gaps = [GapReport(0, 1, 1, "missing")]
    meta = Meta("coinbase", "BTC-USD", "BTC-USD", "1h", "BTC", gaps, Origin(Source.LIVE, "GET /products"))
    assert set(answer["headers"]) == {
        "Link",
        "X-Request-ID",
        *DELIVERY_HEADERS,
        *line_headers(page, meta, [WarningReport("code", "detail")]),
    }


async def test_what_all_answers_to_a_get_have_is_what_they_are_sent_with(api: Api, document: dict[str, Any]) -> None:
    """Of every operation that needs nothing but a path of ours."""
    place = {"exchange": "coinbase", "symbol": "BTC-USD"}
    async with api.services.database.transaction() as connection:
        client, _ = await create_client(connection, "all", tuple(SCOPES), NOW_MS)
    await api.services.refresh()
    token = api.services.tokens.issue(client.client_id, tuple(SCOPES))
    tried = 0
    for path, methods in document["paths"].items():
        url = re.sub(r"{(\w+)}", lambda name: place.get(name[1], name[0]), path) + (
            "?name=x" if "resolve" in path else ""
        )
        if "get" not in methods or "{" in url:
            continue
        responses = methods["get"]["responses"]
        answer = await api.get(url, token=token)
        assert answer.status_code == 200, path
        sent = {name for name in DELIVERY_HEADERS if name in answer.headers}
        assert set(responses["200"]["headers"]) & set(DELIVERY_HEADERS) == sent, path
        assert ("304" in responses) == ("ETag" in sent), path
        if "304" in responses:
            known = await api.get(url, **{"If-None-Match": answer.headers["ETag"]})
            unsteady = answer.headers["etag"] != (await api.get(url)).headers["etag"]
            assert known.status_code == (200 if unsteady else 304), path
            assert set(responses["304"]["headers"]) - {"X-Request-ID"} == sent
        tried += 1
    assert tried >= 12


async def test_the_headers_of_metadata_are_those_that_are_sent(api: Api, document: dict[str, Any]) -> None:
    for path, asked in (
        ("/v1/symbols", "/v1/symbols?limit=1"),
        ("/v1/symbols/{exchange}/{symbol}", "/v1/symbols/coinbase/BTC-USD"),
        ("/v1/resolve", "/v1/resolve?name=BTC-USD"),
        ("/v1/events", "/v1/events?limit=1"),
    ):
        described = document["paths"][path]["get"]["responses"]["200"].get("headers", {})
        sent = (await api.get(asked)).headers
        assert {name.lower() for name in described} >= set(sent) & {"link", "age", "marketdata-generation"}, path
        assert all(name.lower() in sent for name in described if name != "Link"), path


@pytest.mark.parametrize(
    "path,words", [("/docs", 'data-document="/openapi.json"'), ("/docs/errors", "GET /v1/resolve")]
)
async def test_the_docs_pages_need_nothing_from_elsewhere(api: Api, path: str, words: str) -> None:
    page = await api.http.get(path)
    assert page.headers["content-type"].startswith("text/html")
    assert words in page.text
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", page.text), "nothing runs that is inside"
    assets = re.findall(r'(?:src|href)="(/docs/assets/[^"]+)"', page.text)
    loaded = re.findall(r'<(?:script|link)[^>]+(?:src|href)="([^"]+)"', page.text)
    assert sorted(loaded) == sorted(assets) != []
    for asset in assets:
        assert (await api.http.get(asset)).status_code == 200
