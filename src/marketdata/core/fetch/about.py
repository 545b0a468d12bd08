"""What a server that stands in for an exchange says of itself: whose data it has."""

import msgspec

from marketdata.core.exchanges.adapter import Request
from marketdata.core.models import Source

ABOUT = Request("GET", "/_control/about")
"""Asked at the root of its address, whatever path the exchange has there."""


class _About(msgspec.Struct):
    source: Source


def read_source(body: bytes) -> Source:
    """Its data's source; one that does not say so is simulated, and none is ever live."""
    try:
        source = msgspec.json.decode(body, type=_About).source
    except msgspec.DecodeError:
        return Source.SIMULATED
    return Source.SIMULATED if source is Source.LIVE else source
