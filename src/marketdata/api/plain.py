"""Routes that are not FastAPI's: what must be quick, and what is no part of the contract."""

from typing import override

from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import Scope


class _Told(BaseRoute):
    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, more = super().matches(scope)
        if match is not Match.NONE:
            more["route"] = self
        return match, more


class PlainRoute(_Told, Route):
    """A route of Starlette that, as FastAPI's own, can be told from the scope of its requests."""


class PlainMount(_Told, Mount):
    """All paths below one, likewise."""
