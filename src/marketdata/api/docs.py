"""The documentation pages, complete without the internet: Swagger UI comes from an installed package.

No page has a script or a style inside, so that a strict content security policy holds for them.
"""

from html import escape
from typing import Final

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from marketdata.api.cures import render_cures
from marketdata.api.plain import PlainMount, PlainRoute
from marketdata.api.problems import ERRORS_PATH

DOCS_PATH: Final = "/docs"
OPENAPI_PATH: Final = "/openapi.json"

_ASSETS_PATH: Final = f"{DOCS_PATH}/assets"

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{assets}/favicon-32x32.png">
{head}
</head>
<body>
{body}
</body>
</html>
"""
_UI_HEAD: Final = """\
<link rel="stylesheet" href="{assets}/swagger-ui.css">
<link rel="stylesheet" href="{assets}/docs.css">
<script src="{assets}/swagger-ui-bundle.js" defer></script>
<script src="{assets}/docs.js" defer></script>"""
_UI_BODY: Final = """\
<nav><a href="{errors}">Errors and warnings</a> <a href="{document}">OpenAPI document</a></nav>
<div id="swagger-ui" data-document="{document}"></div>"""
_TEXT_HEAD: Final = '<link rel="stylesheet" href="{assets}/docs.css">'
_TEXT_BODY: Final = '<nav><a href="{docs}">API documentation</a></nav>\n<main>\n{text}</main>'


def add_docs(app: FastAPI) -> None:
    """Serve the OpenAPI document, its page with an *Authorize* box that takes client id and secret, and the errors."""
    cures = render_cures()

    written: dict[str, bytes] = {}

    async def get_document(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        if root not in written:  # writing it takes ten milliseconds, and anybody may ask for it
            servers = {"servers": [{"url": root}]} if root else {}
            written[root] = msgspec.json.encode(app.openapi() | servers)
        return Response(written[root], media_type="application/json")

    async def get_docs(request: Request) -> HTMLResponse:
        root = escape(request.scope.get("root_path", ""))
        assets = root + _ASSETS_PATH
        body = _UI_BODY.format(errors=root + ERRORS_PATH, document=root + OPENAPI_PATH)
        return HTMLResponse(
            _PAGE.format(title=app.title, assets=assets, head=_UI_HEAD.format(assets=assets), body=body)
        )

    async def get_errors(request: Request) -> HTMLResponse:
        root = escape(request.scope.get("root_path", ""))
        assets = root + _ASSETS_PATH
        body = _TEXT_BODY.format(docs=root + DOCS_PATH, text=cures)
        head = _TEXT_HEAD.format(assets=assets)
        return HTMLResponse(_PAGE.format(title="Errors and warnings", assets=assets, head=head, body=body))

    assets = StaticFiles(packages=[("marketdata.api", "assets"), ("fastapi_swagger", "resources")])
    app.router.routes += [
        PlainRoute(OPENAPI_PATH, get_document),
        PlainRoute(DOCS_PATH, get_docs),
        PlainRoute(ERRORS_PATH, get_errors),
        PlainMount(_ASSETS_PATH, assets),
    ]
