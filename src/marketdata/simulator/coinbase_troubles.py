"""How Coinbase Exchange answers when it is not well: its own JSON, or a page of the Cloudflare that it stands behind.

The maintenance message is one that was recorded in 2018 under its name of then; the form is the same today.
"""

from collections.abc import Mapping

from marketdata.simulator.answers import Answer
from marketdata.simulator.coinbase import HEADERS, NOT_FOUND, TOO_WIDE, UNSUPPORTED, refusal
from marketdata.simulator.troubles import Trouble, always


def _cloudflare(status: int, title: str, reason: str) -> Trouble:
    page = (
        f'<!DOCTYPE html>\n<html lang="en-US">\n<head>\n<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n'
        f"<p>{reason}</p>\n<p>Cloudflare Ray ID</p>\n</body>\n</html>\n"
    )
    headers = {"Content-Type": "text/html; charset=UTF-8", "Cache-Control": "no-store", "Server": HEADERS["Server"]}
    return always(Answer(status, page.encode(), headers))


TROUBLES: Mapping[str, Trouble] = {
    "maintenance": always(
        refusal(503, "GDAX is currently under maintenance. For updates please see https://status.gdax.com/")
    ),
    "not-found": always(refusal(404, NOT_FOUND)),
    "too-wide": always(refusal(400, TOO_WIDE)),
    "unsupported": always(refusal(400, UNSUPPORTED)),
    "firewall": _cloudflare(403, "Attention Required! | Cloudflare", "Sorry, you have been blocked"),
    "challenge": _cloudflare(403, "Just a moment...", "Checking if the site connection is secure"),
    "geo-block": _cloudflare(
        403, "Access denied", "Error 1009: The owner of this website has banned the country or region you are in."
    ),
    "edge-rate-limit": _cloudflare(429, "Access denied", "Error 1015: You are being rate limited"),
    "rate-limit": always(refusal(429, "Public rate limit exceeded")),
    "internal-error": always(refusal(500, "Internal server error")),
    "bad-gateway": _cloudflare(502, "exchange.coinbase.com | 502: Bad gateway", "Bad gateway"),
    "gateway-timeout": _cloudflare(504, "exchange.coinbase.com | 504: Gateway time-out", "Gateway time-out"),
    "edge-unknown": _cloudflare(520, "exchange.coinbase.com | 520: Web server is returning an unknown error", "520"),
    "edge-down": _cloudflare(521, "exchange.coinbase.com | 521: Web server is down", "Web server is down"),
    "edge-timeout": _cloudflare(522, "exchange.coinbase.com | 522: Connection timed out", "Connection timed out"),
}
"""By name."""
