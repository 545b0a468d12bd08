import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from marketdata.logs import FIELDS, configure_logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level


def test_json_lines_outside_a_terminal() -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    extra = {"status": 200, "request_id": "r-1", "client_id": None}
    logging.getLogger("marketdata.api").info("answered %s", "币安", extra=extra)
    logging.getLogger("marketdata.api").debug("not shown")
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "marketdata.api",
        "message": "answered 币安",
        "request_id": "r-1",
        "status": 200,
    }


def test_an_error_is_one_line_with_its_traceback() -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("marketdata").exception("failed")
    assert stream.getvalue().count("\n") == 1
    assert "ZeroDivisionError: division by zero" in json.loads(stream.getvalue())["traceback"]


def test_plain_lines_on_a_terminal() -> None:
    stream = Terminal()
    configure_logs(stream=stream)
    logging.getLogger("marketdata").warning("coinbase cannot be reached", extra={"status": 5})
    assert stream.getvalue()[8:] == " warning coinbase cannot be reached status=5\n"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_fields_that_are_not_on_the_list_are_dropped(stream: io.StringIO) -> None:
    configure_logs(stream=stream)
    logging.getLogger("marketdata").info(
        "request", extra={"status": 200, "authorization": "canary", "query": "canary", "color_message": "canary"}
    )
    assert "status" in stream.getvalue()
    assert "canary" not in stream.getvalue()
    assert not {"authorization", "token", "secret", "path", "query", "url"} & set(FIELDS)


@pytest.mark.parametrize(
    "text,left",
    [
        ("secret mds_Zm9vYmFy-Zm9v_YmFy0123456789 shown", "secret … shown"),
        ("token eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln", "token …"),
        ("Authorization: Bearer abc.DEF-123_xyz~", "Authorization: Bearer …"),
        ("authorization: basic bWRjXzE6bWRzXzE=", "authorization: basic …"),
        ("postgresql://me:pass@host:5432/name", "postgresql://…@host:5432/name"),
        ("https://host:443/path?limit=5", "https://host:443/path?limit=5"),
    ],
)
def test_secrets_in_messages_and_tracebacks_are_blotted_out(text: str, left: str) -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    logging.getLogger("marketdata").error("%s", text, exc_info=ValueError(text))
    line = json.loads(stream.getvalue())
    assert line["message"] == left
    assert line["traceback"].endswith(f"ValueError: {left}")


def test_every_line_is_json_whatever_is_logged_and_by_whom() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", errors="strict")
    configure_logs(logging.DEBUG, stream)
    logging.getLogger("uvicorn.error").info("Started\nserver %s", "币", extra={"color_message": "\x1b[1mx"})
    logging.getLogger("marketdata").info("lone \udc80, \x00, \u2028 and ?\r\n", extra={"duration_ms": object()})
    logging.getLogger("asyncio").error("Task exception was never retrieved")
    warnings.showwarning("old", DeprecationWarning, "x.py", 1)
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    lines = stream.buffer.getvalue().splitlines()
    assert len(lines) == 4
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_configured_twice_logs_once() -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    configure_logs(stream=stream)
    logging.getLogger("marketdata").info("once")
    assert stream.getvalue().count("once") == 1
