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
from marketdata.api.routes.candles import CANDLES_PARAMETERS, LATEST_PARAMETERS
from marketdata.core.models import Source
from marketdata.store.scopes import SCOPES
from tests.api.conftest import Api

PUBLIC = {"/v1/token", "/.well-known/jwks.json", "/health/live", "/health/ready"}


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


def test_every_path_of_the_contract_is_there(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == PUBLIC | {
        "/v1/exchanges",
        "/v1/exchanges/{exchange}",
        "/v1/symbols",
        "/v1/symbols/{exchange}/{symbol}",
        "/v1/symbols/{exchange}/{symbol}/history",
        "/v1/events",
        "/v1/intervals",
        "/v1/resolve",
        "/v1/candles/{exchange}/{symbol}/{interval}",
        "/v1/candles/{exchange}/{symbol}/{interval}/latest",
        "/v1/coverage/{exchange}/{symbol}/{interval}",
        "/v1/syncs",
        "/v1/syncs/{run}",
        "/v1/status",
    }


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    found = list(operations(document))
    identities = [operation["operationId"] for _, operation in found]
    assert len(set(identities)) == len(identities)
    for path, operation in found:
        assert operation["summary"], path
        assert operation["description"], path
        assert "422" not in operation["responses"]
        problems = [answer for status, answer in operation["responses"].items() if status >= "4"]
        assert problems
        for answer in problems:
            assert answer["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or parameter["description"], (path, parameter["name"])


def test_every_operation_says_what_it_takes_to_be_asked(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        scope = "candles:read" if "candles" in path else "metadata:read"
        expected = None if path in PUBLIC else [{"ClientCredentials": [scope]}]
        assert operation.get("security") == expected, path
        assert ("401" in operation["responses"]) == (path not in PUBLIC or path == "/v1/token"), path


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
    header, *rows = csv.reader(io.StringIO(answer["content"]["text/csv"]["example"], newline=""), strict=True)
    assert tuple(header) == COLUMNS
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert tuple(json.loads(answer["content"]["application/x-ndjson"]["example"])) == COLUMNS
    page = Page(0, 1, "asc", complete=True, next=None)
    gaps = [GapReport(0, 1, 1, "missing")]
    meta = Meta("coinbase", "BTC-USD", "BTC-USD", "1h", "BTC", gaps, Origin(Source.LIVE, "GET /products"))
    assert set(answer["headers"]) == {"Link", *line_headers(page, meta, [WarningReport("code", "detail")])}


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


async def test_the_docs_page_needs_nothing_from_elsewhere(api: Api) -> None:
    page = await api.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) == 3
    for asset in assets:
        assert asset.startswith("/docs/assets/")
        assert (await api.http.get(asset)).status_code == 200
    assert "/openapi.json" in page.text
