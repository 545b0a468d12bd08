"""The one place that speaks HTTP to exchanges, once for all of them."""

from marketdata.core.fetch.fetcher import Fetcher
from marketdata.core.fetch.transport import is_answering, open_http

__all__ = ["Fetcher", "is_answering", "open_http"]
