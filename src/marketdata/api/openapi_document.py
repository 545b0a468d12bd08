"""The whole OpenAPI document: FastAPI's part, the candle endpoints, and what is the same for every operation."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from marketdata.api.cures import read_cures
from marketdata.api.examples import Example, read_examples
from marketdata.api.openapi import ACCESS, ALWAYS, PROBLEM_SCHEMA, Document, describe_problems
from marketdata.api.openapi_candles import candle_operations, candle_schemas
from marketdata.api.openapi_delivery import describe_delivery
from marketdata.api.openapi_limits import describe_limits
from marketdata.api.problems import MEDIA_TYPE, PROBLEMS, TOKEN_PATH, oauth_members

_TAGS: Final = {
    "access": "Short-lived access tokens for client id and secret, and the keys that verify them.",
    "candles": "Candles, digit for digit what the exchange sent.",
    "symbols": "Instruments under one naming, what they were before, and how far back their candles go.",
    "events": "What changed: listings, delistings, fields, intervals.",
    "exchanges": "Exchanges, what they can be asked, and their native intervals.",
    "admin": "Clients, their secrets and limits, and the audit log; for those with the scope `admin`.",
    "operations": "Syncs and the platform's condition.",
    "health": "For load balancers and containers; without a token.",
}
"""In the order of the documentation page; others follow."""

_REQUEST_ID: Final = "X-Request-ID"
_RETRY_AFTER: Final = "Retry-After"
_CHALLENGE: Final = "WWW-Authenticate"
_HEADERS: Final[Document] = {
    _REQUEST_ID: {
        "description": "The request's id, also in our log. One that you send (`[A-Za-z0-9._-]`, at most 64 characters)"
        " is kept; else one is made.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "example": "5d1c7c1e-6c1c-4f0c-a4ef-0f6f5a0b7c11",
    },
    _RETRY_AFTER: {
        "description": "Whole seconds after which asking again makes sense, where that is known.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 5,
    },
    _CHALLENGE: {
        "description": "How to be let in (RFC 6750, at the token endpoint RFC 7617).",
        "required": True,
        "schema": {"type": "string"},
        "example": 'Bearer realm="marketdata", error="invalid_token"',
    },
}
_ALSO: Final = {
    "401": (_CHALLENGE,),
    "403": (_CHALLENGE,),
    "429": (_RETRY_AFTER,),
    "503": (_RETRY_AFTER,),
    "504": (_RETRY_AFTER,),
}
"""Headers of errors, beside those of every answer."""

_OAUTH: Final = "-oauth"
"""Ends the names of examples that carry RFC 6749's members too."""


def complete(document: Document, max_limit: int, default_limit: int) -> Document:
    """FastAPI's `document` with the candle endpoints, examples, and every error and header of every operation."""
    components = document["components"]
    components["schemas"] |= {**candle_schemas(), "Problem": PROBLEM_SCHEMA}
    # FastAPI's own form of validation errors, which is never answered here
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    document["paths"] |= candle_operations(max_limit, default_limit)
    examples = read_examples()
    for path, operation in _operations(document):
        operation["parameters"] = [_parameter(one) for one in operation.get("parameters", ())]
        operation["responses"] = _responses(path, operation, examples.answers.get(operation["operationId"], {}))
    components["headers"] = dict(_HEADERS)
    describe_delivery(document)
    describe_limits(document)
    components["examples"] = _problem_examples(examples.problems)
    used = {tag for _, operation in _operations(document) for tag in operation["tags"]}
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items() if name in used]
    return document


def _operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _parameter(parameter: Document) -> Document:
    """A query has no null; and what has to be given is filled in with its example."""
    schema = {name: value for name, value in parameter["schema"].items() if name != "title"}
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del schema["anyOf"]
        schema = {**choices[0], **schema}
    description = schema.pop("description", None) or parameter.get("description")
    plain = {**parameter, "description": description, "schema": schema}
    if parameter["required"] and "examples" in schema:
        plain["example"] = schema.pop("examples")[0]
    return plain


def _responses(path: str, operation: Document, answers: dict[str, Example]) -> Document:
    """Good answers with examples, every error that there can be, and the headers of both."""
    responses: Document = operation["responses"]
    good = {status: response for status, response in responses.items() if status < "4"}
    for response in good.values():
        for media_type, content in response.get("content", {}).items():
            named = {name: {"value": one.value} for name, one in answers.items() if one.media_type == media_type}
            if named:
                content["examples"] = named
    codes = {*ALWAYS, *_codes(responses.values())}
    if operation.get("security"):
        codes |= set(ACCESS)
    suffix = _OAUTH if path.startswith(TOKEN_PATH) else ""
    every = good | {str(status): response for status, response in describe_problems(codes, suffix).items()}
    for status, response in every.items():
        headers = response.setdefault("headers", {})
        for name in (_REQUEST_ID, *_ALSO.get(status, ())):
            headers[name] = {"$ref": f"#/components/headers/{name}"}
    return dict(sorted(every.items()))


def _codes(responses: Iterable[Document]) -> Iterator[str]:
    for response in responses:
        yield from response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", ())


def _problem_examples(problems: dict[str, dict[str, Any]]) -> Document:
    """An example for each code, and what each is at the token endpoints."""
    cures = read_cures()
    examples: Document = {}
    for code, example in problems.items():
        summary = {"summary": PROBLEMS[code][1], "description": cures[code]}
        examples[code] = {**summary, "value": example}
        examples[code + _OAUTH] = {**summary, "value": {**example, **oauth_members(code, example["detail"])}}
    return examples
