"""The headers that tell a client what is left of its limits, as the OpenAPI document describes them."""

from collections.abc import Mapping
from typing import Any, Final

from marketdata.api.auth import SECURITY_SCHEME

type Document = dict[str, Any]

LIMIT_HEADERS: Final[Mapping[str, Document]] = {
    "RateLimit-Policy": {
        "description": "The client's limits: `q` requests, and candles, in `w` seconds"
        " (draft-ietf-httpapi-ratelimit-headers).",
        "schema": {"type": "string"},
        "example": '"requests";q=1200;w=60, "candles";q=1000000;w=60',
    },
    "RateLimit": {
        "description": "What is left of them: `r`, for `t` seconds more; then everything is there again.",
        "schema": {"type": "string"},
        "example": '"requests";r=1163;t=24, "candles";r=999500;t=24',
    },
}

_NOT_LET_IN: Final = frozenset({"401", "403"})


def describe_limits(document: Document) -> None:
    """Add to `document`, whose operations are complete, what the answers to all who were let in have in common."""
    document["components"].setdefault("headers", {}).update(LIMIT_HEADERS)
    references = {name: {"$ref": f"#/components/headers/{name}"} for name in LIMIT_HEADERS}
    for methods in document["paths"].values():
        for operation in methods.values():
            if not any(SECURITY_SCHEME in scheme for scheme in operation.get("security", ())):
                continue
            for status, response in operation["responses"].items():
                if status not in _NOT_LET_IN:
                    response.setdefault("headers", {}).update(references)
