import io
import json
import logging
from collections.abc import Iterator

import pytest

from marketdata.logs import configure_logs, request_id


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_json_lines_outside_a_terminal() -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    token = request_id.set("r-1")
    logging.getLogger("marketdata.api").info("answered %s", "币安", extra={"status": 200})
    request_id.reset(token)
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
    logging.getLogger("marketdata").warning("coinbase cannot be reached", extra={"retry_in_s": 5})
    assert stream.getvalue()[8:] == " warning coinbase cannot be reached retry_in_s=5\n"


def test_configured_twice_logs_once() -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    configure_logs(stream=stream)
    logging.getLogger("marketdata").info("once")
    assert stream.getvalue().count("once") == 1
