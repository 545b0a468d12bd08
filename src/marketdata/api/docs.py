"""The documentation page, complete without the internet: Swagger UI comes from an installed package."""

from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

DOCS_PATH: Final = "/docs"

_ASSETS_PATH: Final = f"{DOCS_PATH}/assets"


def add_docs(app: FastAPI) -> None:
    """Serve the page at DOCS_PATH, with an *Authorize* box that takes a client id and secret."""

    async def get_docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            swagger_js_url=f"{root}{_ASSETS_PATH}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{_ASSETS_PATH}/swagger-ui.css",
            swagger_favicon_url=f"{root}{_ASSETS_PATH}/favicon-32x32.png",
            oauth2_redirect_url=None,
        )

    app.add_route(DOCS_PATH, get_docs, include_in_schema=False)
    app.mount(_ASSETS_PATH, StaticFiles(packages=[("fastapi_swagger", "resources")]))
