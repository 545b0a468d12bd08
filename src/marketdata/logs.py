"""How the product logs: lines for people on a terminal, JSON lines for machines elsewhere; always on stderr.

A line carries of what its caller gave as `extra` only the fields that are named here. Nothing secret is given to a
logger in the first place: no token, no client secret, no URL with a password; should one get there inside of a message
or a traceback, it is blotted out.
"""

import io
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Final, TextIO, override

import msgspec

FIELDS: Final = ("request_id", "method", "route", "status", "code", "duration_ms", "bytes", "client_id")
"""All that a line may hold beside time, level, logger, message and traceback; whatever else it is given is dropped."""

_SECRET: Final = re.compile(
    r"mds_[\w-]{8,}"  # a client's secret
    r"|eyJ[\w-]{8,}\.[\w.-]+"  # a token
    r"|(?i:(?<=bearer )|(?<=basic ))[\w+/=.~-]{8,}"
    r"|(?<=://)[^\s/@:]*:[^\s/@]*(?=@)"  # who has a database's URL has the database
)
_QUIET = ("alembic", "httpx2", "httpcore2", "asyncio")


class JsonLines(logging.Formatter):
    """One JSON object per line: `time`, `level`, `logger`, `message`, then what the caller added."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _clean(record.getMessage()),
            **_added(record),
        }
        if record.exc_info:
            line["traceback"] = _clean(self.formatException(record.exc_info))
        return msgspec.json.encode(line, enc_hook=str).decode()


class PlainLines(logging.Formatter):
    """Lines for a person: time, level, message, then what the caller added as `name=value`."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        added = "".join(f" {name}={value}" for name, value in _added(record).items())
        line = f"{_time(record)[11:19]} {record.levelname.lower():<7} {_clean(record.getMessage())}{added}"
        return f"{line}\n{_clean(self.formatException(record.exc_info))}" if record.exc_info else line


def configure_logs(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send all logs to `stream`, by default stderr: plain lines if it is a terminal, else JSON lines.

    Replaces the handlers that there were, so it can be called again.
    """
    stream = sys.stderr if stream is None else stream
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # which JSON is by definition
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainLines() if stream.isatty() else JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _added(record: logging.LogRecord) -> dict[str, object]:
    """What the caller gave as `extra`, of the fields that there are."""
    given = record.__dict__
    return {name: given[name] for name in FIELDS if given.get(name) is not None}


def _clean(text: str) -> str:
    """`text` without secrets, and with every character that UTF-8 does not have escaped."""
    return _SECRET.sub("…", text).encode(errors="backslashreplace").decode()
