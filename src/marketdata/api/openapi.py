"""What every operation says of its errors and headers in the OpenAPI document."""

from typing import Any, Final

from marketdata.api.problems import MEDIA_TYPE, PROBLEMS

type Document = dict[str, Any]

ALWAYS: Final = (
    "invalid-parameter",
    "unknown-parameter",
    "invalid-request",
    "too-large",
    "rate-limited",
    "internal-error",
)
"""What any operation may end with."""

ACCESS: Final = ("missing-token", "invalid-token", "expired-token", "insufficient-scope", "database-unavailable")
"""And those that need an access token."""

PROBLEM_SCHEMA: Final[Document] = {
    "type": "object",
    "title": "Problem",
    "description": "An error, RFC 9457. Beside the members named here it may hold others that help to mend it.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Where the code is explained."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "`urn:uuid:` and the request id."},
        "code": {"type": "string", "enum": list(PROBLEMS)},
        "request_id": {"type": "string", "description": "As in the header `X-Request-ID`; our log has it too."},
        "parameter": {"type": "string", "description": "Which parameter is meant."},
        "supported": {"type": "array", "items": {"type": "string"}, "description": "What it may be."},
        "did_you_mean": {"type": "array", "items": {"type": "string"}},
        "max": {"type": "integer", "description": "The largest value allowed."},
        "history_from": {"type": "integer", "description": "Since when anything is known, epoch milliseconds."},
        "retry_after": {"type": "integer", "description": "Seconds, as in the header `Retry-After`."},
        "error": {"type": "string", "description": "RFC 6749's word, at the token endpoint."},
        "error_description": {"type": "string", "description": "The detail, at the token endpoint."},
    },
}

_HEADERS: Final[Document] = {
    "Link": {"schema": {"type": "string"}, "description": 'The next page, as in `page.next`, with `rel="next"`.'},
    "Marketdata-Generation": {
        "schema": {"type": "string"},
        "description": "Of which generation of each exchange the answer is, a dictionary as in RFC 9651; a generation"
        " ends with the first sync that changes what is told of the exchange.",
        "example": "binance_futures=12, coinbase=3",
    },
    "Age": {
        "schema": {"type": "integer"},
        "description": "Seconds since the listings were read that the answer is from; of several since the oldest.",
    },
}

GENERATION: Final = ("Marketdata-Generation", "Age")
"""The headers of an answer that says of which generation it is."""


def problems(*codes: str) -> dict[int | str, Document]:
    """The error responses of an operation that may end with `codes`, grouped by status."""
    return describe_problems({*codes, *ALWAYS})


def headers(*names: str) -> dict[int | str, Document]:
    """The headers of a good answer, by name."""
    return {200: {"headers": {name: _HEADERS[name] for name in names}}}


def access_problems() -> dict[int | str, Document]:
    """The error responses of every operation that needs an access token."""
    return describe_problems(set(ACCESS))


def describe_problems(codes: set[str], suffix: str = "") -> dict[int | str, Document]:
    """The responses that `codes` are, by status; `suffix` ends the names of their examples."""
    by_status: dict[str, list[str]] = {}
    for code, (status, _) in PROBLEMS.items():
        if code in codes:
            by_status.setdefault(str(status), []).append(code)
    return {
        status: {
            "description": ", ".join(f"`{code}`" for code in at),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {code: {"$ref": f"#/components/examples/{code}{suffix}"} for code in at},
                }
            },
        }
        for status, at in by_status.items()
    }
