"""The headers that tell browsers what they must not do with an answer."""

import base64
import hashlib
import re
from typing import Final

API_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'"
"""The `Content-Security-Policy` of what is no page: shown as one, it may do nothing."""

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()",
    ),
)
"""Go with every answer, beside its `Content-Security-Policy`."""

STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")
"""Goes with every answer to a request that came by https."""

_INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def page_policy(page: bytes) -> bytes:
    """The `Content-Security-Policy` of a page: its own scripts by their hashes, all else from this server alone."""
    hashes = (hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(page))
    scripts = " ".join(["'self'", *(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ).encode()
