"""One line in the log for each request; for one that ended with 5xx the only one that names it."""

import logging
from typing import Final

from starlette.types import Scope

from marketdata.api.record import RequestRecord

logger = logging.getLogger(__name__)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def log_request(scope: Scope, method: str, record: RequestRecord) -> None:
    """Say how a request was answered: by the route that it took, never by its path, query or headers.

    5xx is a warning, a defect an error with its traceback, everything else is told at INFO and costs nothing above.
    """
    level = logging.INFO
    if record.defect is not None:
        level = logging.ERROR
    elif record.status is not None and record.status >= 500:
        level = logging.WARNING
    if not logger.isEnabledFor(level):
        return
    logger.log(
        level,
        "request" if record.defect is None else "defect while answering a request",
        exc_info=record.defect,
        extra={
            "request_id": record.request_id,
            "method": method if method in _METHODS else "other",
            "route": getattr(scope.get("route"), "path", None),
            "status": record.status,
            "code": record.code,
            "duration_ms": round(record.duration_ms, 2),
            "bytes": 0 if method == "HEAD" else record.sent_bytes,
            "client_id": record.client_id,
        },
    )
