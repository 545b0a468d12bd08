"""Who may come in: the one gate of every operation that needs an access token."""

from collections.abc import Iterable

from starlette.types import Scope

from marketdata.api.auth import Caller
from marketdata.api.record import record_of
from marketdata.api.services import Services


async def admit(scope: Scope, services: Services, needed: Iterable[str]) -> Caller:
    """Who sent the request, with an access token that covers the scopes `needed`.

    Raises Problem `missing-token`, `invalid-token`, `expired-token` or `insufficient-scope`, and DatabaseUnavailable
    while nobody can say.
    """
    caller = services.tokens.authorize(scope["headers"], needed)
    record_of(scope).client_id = caller.client_id
    return caller
