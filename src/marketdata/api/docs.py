"""The OpenAPI document and its page, complete without the internet: Swagger UI comes from an installed package."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from marketdata.api.delivery import PUBLIC
from marketdata.api.plain import PlainRoute
from marketdata.api.record import record_of
from marketdata.api.security import page_policy

DOCS_PATH: Final = "/docs"
OPENAPI_PATH: Final = "/openapi.json"

_ASSETS_PATH: Final = f"{DOCS_PATH}/assets"
_ASSETS: Final[Mapping[str, str]] = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
_ASSET_CACHING: Final = "public, max-age=86400"


def add_docs(app: FastAPI) -> None:
    """Serve the page at DOCS_PATH, with an *Authorize* box that takes a client id and secret."""

    async def get_document(request: Request) -> Response:
        root, document = request.scope.get("root_path", ""), app.openapi()
        body = msgspec.json.encode(document | {"servers": [{"url": root}]} if root else document)
        return Response(body, headers={"Cache-Control": PUBLIC}, media_type="application/json")

    async def get_docs(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        page = get_swagger_ui_html(
            openapi_url=f"{root}{OPENAPI_PATH}",
            title=app.title,
            swagger_js_url=f"{root}{_ASSETS_PATH}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{_ASSETS_PATH}/swagger-ui.css",
            swagger_favicon_url=f"{root}{_ASSETS_PATH}/favicon-32x32.png",
            oauth2_redirect_url=None,
            swagger_ui_parameters={"validatorUrl": None},  # else it shows the document's address to a service elsewhere
        )
        text = bytes(page.body).decode()
        record_of(request.scope).content_policy = page_policy(text)
        return HTMLResponse(text, headers={"Cache-Control": PUBLIC})

    app.router.routes += [
        PlainRoute(OPENAPI_PATH, get_document),
        PlainRoute(DOCS_PATH, get_docs),
        PlainRoute(f"{_ASSETS_PATH}/{{name}}", _get_asset),
    ]


async def _get_asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _ASSETS:
        raise HTTPException(404)
    return Response(_read_asset(name), headers={"Cache-Control": _ASSET_CACHING, "Content-Type": _ASSETS[name]})


@lru_cache
def _read_asset(name: str) -> bytes:
    return (files("fastapi_swagger") / "resources" / name).read_bytes()
