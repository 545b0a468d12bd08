"""How the product logs: lines for people on a terminal, JSON lines for machines elsewhere; always on stderr.

A line carries what its caller gave as `extra` and the id of the request that it belongs to. Nothing secret is given to
a logger in the first place: no token, no client secret, no URL with a password.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO, override

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request that is being answered; whoever takes requests in sets it."""

_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}
_QUIET = ("alembic", "httpx2", "httpcore2", "asyncio")


class JsonLines(logging.Formatter):
    """One JSON object per line: `time`, `level`, `logger`, `message`, then what the caller added."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_added(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class PlainLines(logging.Formatter):
    """Lines for a person: time, level, message, then what the caller added as `name=value`."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        added = "".join(f" {name}={value}" for name, value in _added(record).items())
        line = f"{_time(record)[11:19]} {record.levelname.lower():<7} {record.getMessage()}{added}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure_logs(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send all logs to `stream`, by default stderr: plain lines if it is a terminal, else JSON lines.

    Replaces the handlers that there were, so it can be called again.
    """
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainLines() if stream.isatty() else JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _added(record: logging.LogRecord) -> dict[str, object]:
    """What the caller gave as `extra`, after the id of the request."""
    request = request_id.get()
    added = {name: value for name, value in record.__dict__.items() if name not in _PLAIN}
    return added if request is None else {"request_id": request, **added}
