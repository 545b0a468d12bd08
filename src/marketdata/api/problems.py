"""Errors as RFC 9457 problem documents: the one place where HTTP status codes are chosen.

`docs/errors.md` says to users what each code means; a test holds the two together.
"""

import math
from collections.abc import Mapping

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from marketdata.api.paths import allowed_methods, near_paths
from marketdata.api.record import record_of
from marketdata.core.clock import Clock
from marketdata.core.errors import (
    DatabaseUnavailable,
    MarketDataError,
    UnknownExchange,
    UnsupportedInterval,
    UpstreamBanned,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)

PROBLEMS: Mapping[str, tuple[int, str]] = {
    "invalid-parameter": (400, "A parameter is missing or has a value that it cannot have"),
    "unknown-parameter": (400, "There is no such parameter"),
    "naive-timestamp": (400, "A timestamp has no time zone"),
    "invalid-range": (400, "The time range is empty or reversed"),
    "limit-too-large": (400, "More rows were asked for than one answer may hold"),
    "unsupported-interval": (400, "The exchange does not offer this interval"),
    "bad-cursor": (400, "The cursor cannot be used"),
    "invalid-request": (400, "The request is malformed"),
    "unsupported-grant-type": (400, "The grant type is not supported"),
    "invalid-scope": (400, "The client may not have the scope that it asked for"),
    "missing-token": (401, "An access token is needed"),
    "invalid-token": (401, "The access token is not valid"),
    "expired-token": (401, "The access token has expired"),
    "invalid-client": (401, "The client could not be authenticated"),
    "insufficient-scope": (403, "The access token does not cover this"),
    "unknown-exchange": (404, "There is no such exchange here"),
    "unknown-symbol": (404, "There is no such symbol on this exchange"),
    "as-of-before-history": (404, "What was known then is not known here"),
    "not-found": (404, "There is nothing at this path"),
    "method-not-allowed": (405, "This path does not take this method"),
    "unsupported-format": (406, "The format is not supported"),
    "too-large": (413, "The request body is too large"),
    "rate-limited": (429, "Too many requests"),
    "internal-error": (500, "A defect on our side"),
    "upstream-error": (502, "The exchange answered with an error"),
    "upstream-bad-data": (502, "The exchange's data breaks a rule"),
    "upstream-rate-limited": (503, "The exchange's request budget is spent"),
    "upstream-banned": (503, "The exchange has banned this address for a while"),
    "upstream-blocked": (503, "The exchange does not serve this address or region"),
    "upstream-unavailable": (503, "The exchange cannot be reached"),
    "metadata-not-ready": (503, "Metadata has not been loaded yet"),
    "database-unavailable": (503, "The database cannot be reached"),
    "upstream-timeout": (504, "The exchange did not answer in time"),
}
"""Every code with its status and title."""

WARNINGS: Mapping[str, str] = {
    "not-served-by-exchange": "The exchange does not serve this instrument's candles",
    "no-longer-served": "The exchange no longer has a part of the range",
    "search-bounded": "The newest candles were looked for only as far back as one answer may cost",
    "gaps-truncated": "There are more gaps than one answer lists",
    "prelisting-omitted": "Candles that the exchange made up for the time before the first traded day are left out",
}
"""Every code of a candle answer's warnings with its title."""

_STATUS_CODES: Mapping[int, str] = {
    400: "invalid-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
}
"""What the framework's own refusals are called."""

_OAUTH_ERRORS: Mapping[str, str] = {
    "invalid-client": "invalid_client",
    "unsupported-grant-type": "unsupported_grant_type",
    "invalid-scope": "invalid_scope",
    "rate-limited": "temporarily_unavailable",
    "database-unavailable": "temporarily_unavailable",
    "internal-error": "server_error",
}
"""RFC 6749's words for our codes at the token endpoint; all others are `invalid_request` there."""

MEDIA_TYPE = "application/problem+json"
TOKEN_PATH = "/v1/token"  # noqa: S105 - a path
ERRORS_PATH = "/docs/errors"

MAX_BODY_BYTES = 64 * 1024

_RETRY_S = 5
"""When to ask again for what our own side mends by itself within seconds."""


class Problem(Exception):
    """A request that is refused; becomes a problem document as it stands.

    `detail` and `members` are for the caller and never hold what the caller sent.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        """`code`: one of PROBLEMS; `members`: what helps to mend it, such as `parameter`, `supported`, `max`.

        `status`: the HTTP status where it is not the code's own, for what the server refuses by itself.
        """
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = PROBLEMS[code][0] if status is None else status
        self.headers = dict(headers or {})
        self.members = members


def not_ready(what: str) -> Problem:
    """The refusal while metadata is still to come; `what` says which."""
    return Problem("metadata-not-ready", f"{what}; ask again in a moment.", retry_after=_RETRY_S)


def render(scope: Scope, problem: Problem) -> Response:
    """The answer that `problem` is to a request that came through the Envelope."""
    record = record_of(scope)
    record.code = problem.code
    return respond(problem, record.request_id, scope["path"], scope.get("root_path", ""))


def respond(problem: Problem, identity: str, path: str = "", root_path: str = "") -> Response:
    """The answer that `problem` is to the request of that id; `root_path`: under which the API is served."""
    status, title = problem.status, PROBLEMS[problem.code][1]
    document: dict[str, object] = {
        "type": f"{root_path}{ERRORS_PATH}#{problem.code}",
        "title": title,
        "status": status,
        "detail": problem.detail,
        "instance": f"urn:uuid:{identity}",
        "code": problem.code,
        "request_id": identity,
        **problem.members,
    }
    headers = {"Cache-Control": "no-store", **problem.headers}
    if path.removeprefix(root_path).startswith(TOKEN_PATH):
        document |= oauth_members(problem.code, problem.detail)
    if "retry_after" in problem.members:
        headers["Retry-After"] = str(problem.members["retry_after"])
    return Response(msgspec.json.encode(document), status, headers, MEDIA_TYPE)


def oauth_members(code: str, detail: str) -> dict[str, str]:
    """What errors of the token endpoints carry besides (RFC 6749, section 5.2)."""
    return {"error": _OAUTH_ERRORS.get(code, "invalid_request"), "error_description": detail}


def _from_error(error: MarketDataError, clock: Clock) -> Problem | None:
    """None for an error that no request should ever meet: a defect."""
    if PROBLEMS.get(error.code, (500, ""))[0] == 500:
        return None
    members: dict[str, object] = {}
    detail = str(error)
    match error:
        case UnsupportedInterval():
            members = {"parameter": "interval", "supported": error.supported}
        case UnknownExchange():
            members = {"parameter": "exchange", "supported": error.supported}
        case UpstreamUnavailable() | UpstreamTimeout():
            # where nobody knows how long it takes, ask when a breaker would let the next call through
            known_s = error.retry_after_s if isinstance(error, UpstreamUnavailable) else None
            members = {"retry_after": max(1, math.ceil(_RETRY_S if known_s is None else known_s))}
        case UpstreamRateLimited() if error.retry_after_s is not None:
            members = {"retry_after": max(1, math.ceil(error.retry_after_s))}
        case UpstreamBanned() if error.until_ms is not None:
            members = {"retry_after": max(1, math.ceil((error.until_ms - clock.now_ms()) / 1000))}
        case DatabaseUnavailable():
            # its own message may name hosts
            detail = "The database cannot be reached; what is known in memory is still served."
            members = {"retry_after": _RETRY_S}
        case _:
            pass
    problem = Problem(error.code, detail)
    problem.members.update(members)
    return problem


def _from_http(error: HTTPException) -> Problem:
    code = _STATUS_CODES.get(error.status_code, "invalid-request")
    headers = dict(error.headers or {})
    match code:
        case "not-found":
            return Problem(code, "No endpoint has this path; `/docs` shows those that there are.")
        case "method-not-allowed":
            # a HEAD is answered as the GET that it stands for
            headers["Allow"] = "GET, HEAD" if "GET" in headers["Allow"] else headers["Allow"]
            return Problem(code, f"This path takes {headers['Allow']}.", headers=headers)
        case "too-large":
            return Problem(code, f"A body has at most {MAX_BODY_BYTES} bytes.", max=MAX_BODY_BYTES)
        case _:
            return Problem(code, "The request cannot be read.", headers=headers)


def _from_validation(error: RequestValidationError) -> Problem:
    """Speak of the first thing that is wrong, by the parameter's name and what it may be."""
    first = error.errors()[0]
    name = str(first["loc"][-1])
    match first["type"]:
        case "missing":
            return Problem("invalid-parameter", f"`{name}` is required.", parameter=name)
        case "string_too_short":
            return Problem("invalid-parameter", f"`{name}` is empty.", parameter=name)
        case "string_too_long":
            most = first["ctx"]["max_length"]
            return Problem("invalid-parameter", f"`{name}` has at most {most} characters.", parameter=name, max=most)
        case "enum" | "literal_error":
            supported = [word.strip("'") for word in str(first["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
            return Problem(
                "invalid-parameter",
                f"`{name}` is one of {', '.join(supported)}.",
                parameter=name,
                supported=supported,
            )
        case _:
            return Problem("invalid-parameter", f"`{name}` is not what `/docs` says it may be.", parameter=name)


def to_problem(error: Exception, clock: Clock) -> Problem:
    """What `error` is to the caller; a defect says nothing internal."""
    problem: Problem | None = None
    match error:
        case Problem():
            return error
        case MarketDataError():
            problem = _from_error(error, clock)
        case HTTPException():
            problem = _from_http(error)
        case RequestValidationError():
            problem = _from_validation(error)
        case _:
            pass
    if problem is None:
        problem = Problem("internal-error", "This is our mistake; it is logged under the request id.")
    return problem


async def handle(request: Request, error: Exception) -> Response:
    """The exception handler of the application."""
    problem = to_problem(error, request.app.state.services.clock)
    if isinstance(error, HTTPException):
        _locate(request, problem)
    return render(request.scope, problem)


def _locate(request: Request, problem: Problem) -> None:
    """Add what our other paths and methods tell of a path or a method that there is not."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    known = request.app.openapi()["paths"]
    if problem.code == "not-found" and (near := near_paths(path, known)):
        problem.members["did_you_mean"] = near
    if problem.code == "method-not-allowed" and (allowed := allowed_methods(path, known)):
        # the framework names those of one of the routes alone
        problem.headers["Allow"] = ", ".join(allowed)
        problem.detail = f"This path takes {problem.headers['Allow']}."
