"""The headers that tell browsers what they must not do with an answer."""

from typing import Final

API_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'"
"""The `Content-Security-Policy` of what is no page: shown as one, it may do nothing."""

PAGE_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    b" base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""That of a page: it runs and asks what comes from this server, and nothing that stands in the page itself."""

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
