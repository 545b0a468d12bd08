"""Routes that are not FastAPI's: what must be quick, and what is no part of the contract."""

from typing import override

from starlette.routing import Match, Route
from starlette.types import Scope


class PlainRoute(Route):
    """A route of Starlette that, as FastAPI's own, can be told from the scope of its requests."""

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it is the one, and what it adds to the scope."""
        match, more = super().matches(scope)
        if match is not Match.NONE:
            more["route"] = self
        return match, more
