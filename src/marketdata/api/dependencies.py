"""What FastAPI endpoints ask for: the services, a caller with the right scope, a query string without surprises."""

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import Depends, Request, Response, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.routing import APIRoute
from fastapi.security import OAuth2, SecurityScopes
from pydantic import BaseModel

from marketdata.api.admission import admit
from marketdata.api.auth import SECURITY_SCHEME, Caller
from marketdata.api.delivery import NO_STORE
from marketdata.api.parameters import read_query
from marketdata.api.problems import TOKEN_PATH
from marketdata.api.services import Services
from marketdata.store.scopes import SCOPES

CLIENT_CREDENTIALS: Final = OAuth2(
    flows=OAuthFlows(clientCredentials=OAuthFlowClientCredentials(tokenUrl=TOKEN_PATH, scopes=dict(SCOPES))),
    scheme_name=SECURITY_SCHEME,
    description="A client id and secret, made by `marketdata clients create`, for a short-lived access token.",
    auto_error=False,
)
"""Describes the flow for the docs page's Authorize box; `get_caller` does the checking."""


async def get_services(request: Request) -> Services:
    """The services of this application."""
    services: Services = request.app.state.services
    return services


ServicesNeeded = Annotated[Services, Depends(get_services)]


async def get_caller(
    request: Request,
    services: ServicesNeeded,
    needed: SecurityScopes,
    _described: Annotated[object, Security(CLIENT_CREDENTIALS)],
) -> Caller:
    """Who asks, with an access token that covers the scopes of this endpoint."""
    return await admit(request.scope, services, needed.scopes)


async def check_query(request: Request) -> None:
    """Refuse parameters that this endpoint does not know, and any that comes twice."""
    route: APIRoute = request.scope["route"]
    fields = route.dependant.query_params
    known = [name for field in fields for name in _names(field.alias, field.field_info.annotation)]
    read_query(request.scope["query_string"], known)


async def never_keep(response: Response) -> None:
    """Let nobody keep the answer: it is of the moment."""
    response.headers["Cache-Control"] = NO_STORE


def _names(name: str, declared: object) -> Iterable[str]:
    """The names of one declared parameter, or of all that a model declares."""
    return declared.model_fields if isinstance(declared, type) and issubclass(declared, BaseModel) else (name,)
