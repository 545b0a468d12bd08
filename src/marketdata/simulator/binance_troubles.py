"""How Binance answers when it is not well: the statuses of its documentation, with bodies as they were reported."""

from collections.abc import Mapping

from marketdata.simulator.answers import Answer, Asked, json_body
from marketdata.simulator.binance_futures import CLOSED_SYMBOL, HEADERS, NOTHING_HERE, UNKNOWN_SYMBOL
from marketdata.simulator.binance_limits import banned, too_many
from marketdata.simulator.grids import MINUTE_MS
from marketdata.simulator.troubles import Trouble, always

_EDGE = {
    "Content-Type": "text/html",
    "Server": "CloudFront",
    "X-Cache": "Error from cloudfront",
    "Via": HEADERS["Via"],
}
_PAGE = (
    "<!DOCTYPE HTML>\n<HTML><HEAD>\n<TITLE>ERROR: The request could not be satisfied</TITLE>\n</HEAD><BODY>\n"
    '<H1>{status} ERROR</H1>\n<H2>The request could not be satisfied.</H2>\n<HR noshade size="1px">\n{reason}\n'
    "</BODY></HTML>\n"
)
# The front writes it like this, with spaces and a code of 0 (ccxt #16044 and many more).
_RESTRICTED = (
    b'{\n  "code": 0,\n  "msg": "Service unavailable from a restricted location according to \'b. Eligibility\' in'
    b" https://www.binance.com/en/terms. Please contact customer service if you believe you received this message in"
    b' error."\n}'
)


def _page(status: int, reason: str) -> Trouble:
    return always(Answer(status, _PAGE.format(status=status, reason=reason).encode(), _EDGE))


def _error(status: int, code: int, message: str) -> Trouble:
    return always(Answer(status, json_body({"code": code, "msg": message}), HEADERS))


def _banned(asked: Asked) -> Answer:
    return Answer(418, banned(asked.now_ms + 2 * MINUTE_MS), HEADERS)


TROUBLES: Mapping[str, Trouble] = {
    "unknown-symbol": _error(400, *UNKNOWN_SYMBOL),
    "not-served": _error(400, *CLOSED_SYMBOL),
    "not-found": always(NOTHING_HERE),
    "firewall": _page(403, "Request blocked."),
    "geo-block": always(Answer(451, _RESTRICTED, {**_EDGE, "Content-Type": "application/json"})),
    "geo-block-page": _page(451, "The content is not available in your region."),
    "timeout": _error(
        408,
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    ),
    "rate-limit": always(Answer(429, too_many(2400), HEADERS)),
    "ban": _banned,
    "unknown-error": _error(503, -1000, "Unknown error, please check your request or try again later."),
    "unavailable": _error(503, -1016, "Service Unavailable."),
    "internal-error": _error(503, -1001, "Internal error; unable to process your request. Please try again."),
    "overload": _error(
        503, -1008, "Server is currently overloaded with other requests. Please try again in a few minutes."
    ),
    "edge-error": _page(503, "We can't connect to the server for this app or website at this time."),
    "bad-gateway": _page(502, "CloudFront wasn't able to connect to the origin."),
    "gateway-timeout": _page(504, "CloudFront attempted to establish a connection with the origin, without success."),
    "fault": _error(500, -1000, "An unknown error occured while processing the request."),
}
"""By name. 503 are the three texts of the documentation, the overload of ccxt's tables, and the front's own page."""
