"""JSON bodies: one object, each member at most once, none that is unknown, none silently ignored."""

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from marketdata.api.parameters import unknown_name
from marketdata.api.problems import Problem

_JSON: Final = "application/json"


class Body(BaseModel):
    """What a request's body says."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def describe_body(model: type[Body], example: Mapping[str, object]) -> dict[str, Any]:
    """The request body of an operation, as OpenAPI describes it."""
    schema = model.model_json_schema()
    content = {_JSON: {"schema": schema, "example": example}}
    return {"requestBody": {"required": bool({"required", "minProperties"} & set(schema)), "content": content}}


async def read_body[AnyBody: Body](request: Request, model: type[AnyBody]) -> AnyBody:
    """The body of a request; an empty one stands for an object without members.

    Raises Problem `invalid-request` when it is no JSON object, `unknown-parameter` and `invalid-parameter` for its
    members; no value is repeated.
    """
    raw = await request.body()
    kind, _, charset = request.headers.get("content-type", "").lower().partition(";")
    if raw and (kind.strip() != _JSON or charset.strip() not in {"", "charset=utf-8", 'charset="utf-8"'}):
        raise Problem("invalid-request", f"The body is JSON: send it as {_JSON}.")
    try:
        members = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_refuse) if raw else {}
    except (ValueError, RecursionError):
        raise Problem("invalid-request", "The body is not JSON that can be read.") from None
    if not isinstance(members, dict):
        raise Problem("invalid-request", "The body is one JSON object.")
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise _to_problem(error, model) from None


def _to_problem(error: ValidationError, model: type[Body]) -> Problem:
    """Speak of the first thing that is wrong, by the member's name and what it may be."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return unknown_name("member of the body", name, list(model.model_fields))
    if first["type"] == "missing":
        return Problem("invalid-parameter", f"`{name}` is required.", parameter=name)
    if first["type"] == "literal_error":
        supported = [word.strip("'") for word in first["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        detail = f"`{name}` holds only {', '.join(supported)}."
        return Problem("invalid-parameter", detail, parameter=name, supported=supported)
    told = first["msg"].removeprefix("Value error, ")
    return Problem("invalid-parameter", f"`{name}` is not valid: {told}.", parameter=name)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Problem("invalid-request", "A member of the body is given more than once.")
    return members


def _refuse(_: str) -> object:
    raise ValueError
