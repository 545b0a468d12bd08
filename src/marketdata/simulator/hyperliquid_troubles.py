"""How Hyperliquid answers when it is not well; its documentation is silent, so these are its servers' own pages.

Reported: 502 with the page of nginx, and 429 with `null` behind `X-Cache: Error from cloudfront`, as errors of the
official Python SDK show it in many projects (`(429, None, 'null', None, …)`).
"""

from collections.abc import Mapping

from marketdata.simulator.answers import Answer
from marketdata.simulator.hyperliquid import HEADERS
from marketdata.simulator.troubles import Trouble, always

_ERROR = {**HEADERS, "X-Cache": "Error from cloudfront"}
REFUSAL = Answer(429, b"null", _ERROR)


def _nginx(status: int, phrase: str) -> Trouble:
    page = (
        f"<html>\r\n<head><title>{status} {phrase}</title></head>\r\n<body>\r\n<center><h1>{status} {phrase}</h1>"
        "</center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
    )
    return always(Answer(status, page.encode(), {**_ERROR, "Content-Type": "text/html"}))


def _cloudfront(status: int, reason: str) -> Trouble:
    page = (
        "<!DOCTYPE HTML>\n<HTML><HEAD>\n<TITLE>ERROR: The request could not be satisfied</TITLE>\n</HEAD><BODY>\n"
        f"<H1>{status} ERROR</H1>\n<H2>The request could not be satisfied.</H2>\n{reason}\n</BODY></HTML>\n"
    )
    return always(Answer(status, page.encode(), {**_ERROR, "Content-Type": "text/html", "Server": "CloudFront"}))


TROUBLES: Mapping[str, Trouble] = {
    "firewall": _cloudfront(403, "Request blocked."),
    "geo-block": _cloudfront(
        403, "The Amazon CloudFront distribution is configured to block access from your country."
    ),
    "rate-limit": always(REFUSAL),
    "null": always(Answer(500, b"null", _ERROR)),
    "maintenance": _nginx(502, "Bad Gateway"),
    "unavailable": _nginx(503, "Service Temporarily Unavailable"),
    "gateway-timeout": _nginx(504, "Gateway Time-out"),
}
"""By name."""
