"""Who may come in: the one gate of every operation that needs an access token."""

from collections.abc import Iterable

from starlette.types import Scope

from marketdata.api.auth import Caller, NotKnownHere
from marketdata.api.limits import Visit
from marketdata.api.record import record_of
from marketdata.api.services import Services


async def admit(scope: Scope, services: Services, needed: Iterable[str]) -> Caller:
    """Who sent the request, with an access token that covers the scopes `needed`.

    One request of what the client may have is taken. Raises Problem `missing-token`, `invalid-token`, `expired-token`,
    `insufficient-scope` or `rate-limited`, and DatabaseUnavailable while nobody can say.
    """
    try:
        caller = services.tokens.authorize(scope["headers"], needed)
    except NotKnownHere:
        await services.access.look_again(services.database)
        caller = services.tokens.authorize(scope["headers"], needed)
    record = record_of(scope)
    record.client_id = caller.client_id
    record.visit = visit = Visit(services.limits, caller.client_id)
    await visit.enter()
    return caller


def visit_of(scope: Scope) -> Visit:
    """What a request that was let in takes of its client's limits."""
    visit = record_of(scope).visit
    if visit is None:
        raise LookupError("nobody was let in")
    return visit
