"""One line for each request: by its route, with nothing of what was sent, and the only one that names a 5xx."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from marketdata.logs import configure_logs
from tests.api.conftest import Api
from tests.api.test_server import head, on_a_socket, raw

CANARY = "canary5f3a"


class Lines(io.StringIO):
    """A log that is read line by line; each must be JSON."""

    def read_lines(self) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.getvalue().splitlines()]
        self.seek(0)
        self.truncate()
        return lines


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = Lines()
    configure_logs(logging.INFO, stream)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level


async def test_a_line_says_who_asked_for_what_and_how_it_was_answered(api: Api, lines: Lines) -> None:
    answer = await api.get("/v1/symbols/coinbase/BTC-USD", **{"X-Request-ID": "r-1", "Accept-Encoding": "identity"})
    (line,) = lines.read_lines()
    assert str(line.pop("time")).endswith("Z")
    assert line == {
        "level": "info",
        "logger": "marketdata.api.access_log",
        "message": "request",
        "request_id": "r-1",
        "method": "GET",
        "route": "/v1/symbols/{exchange}/{symbol:path}",
        "status": 200,
        "duration_ms": 0.0,
        "bytes": len(answer.content),
        "client_id": api.client_id,
    }


async def test_the_route_of_each_kind(api: Api, lines: Lines) -> None:
    for path, route, status in (
        ("/v1/candles/coinbase/NO/1h", "/v1/candles/{exchange}/{symbol:path}/{interval}", 404),
        ("/v1/candles/coinbase/NO/1h/latest", "/v1/candles/{exchange}/{symbol:path}/{interval}/latest", 404),
        ("/v1/exchanges", "/v1/exchanges", 200),
        ("/docs", "/docs", 200),
        ("/openapi.json", "/openapi.json", 200),
        ("/docs/errors", "/docs/errors", 200),
        ("/docs/assets/docs.js", "/docs/assets", 200),
        (f"/docs/assets/{CANARY}", "/docs/assets", 404),
        (f"/{CANARY}", None, 404),
    ):
        await api.get(path)
        (line,) = lines.read_lines()
        assert (line.get("route"), line["status"]) == (route, status), path


async def test_nothing_that_was_sent_is_in_it(api: Api, lines: Lines) -> None:
    basic = ("mdc_1", f"mds_{CANARY}")
    form = {"grant_type": "client_credentials", "client_id": CANARY, "client_secret": f"mds_{CANARY}", "scope": CANARY}
    for path in (f"/{CANARY}", f"/v1/symbols?q={CANARY}", f"/v1/symbols/{CANARY}/{CANARY}", f"/v1/symbols?{CANARY}=1"):
        await api.get(path, Cookie=CANARY, **{"User-Agent": CANARY, "X-Request-ID": f"<{CANARY}>"})
        await api.get(path, token=CANARY)
    await api.http.post("/v1/token", data=form)
    await api.http.post("/v1/token", data={"grant_type": CANARY}, auth=basic)
    await api.http.request(CANARY.upper(), f"/v1/symbols?{CANARY}")
    assert CANARY not in lines.getvalue().lower()
    told = lines.read_lines()
    assert len(told) == 11
    assert told[-1]["method"] == "other"


async def test_errors_are_told_by_their_code(api: Api, lines: Lines) -> None:
    for path, code, status in (
        ("/v1/symbols?limit=0", "invalid-parameter", 400),
        ("/v1/nothing", "not-found", 404),
        ("/v1/token", "method-not-allowed", 405),
    ):
        await api.get(path)
        (line,) = lines.read_lines()
        assert (line["level"], line["code"], line["status"]) == ("info", code, status)


async def test_nothing_is_built_where_nobody_listens(api: Api, lines: Lines) -> None:
    configure_logs(logging.WARNING, lines)
    await api.get("/v1/exchanges")
    await api.get("/v1/nothing")
    assert lines.getvalue() == ""


async def test_a_defect_is_one_error_with_its_traceback(
    api: Api, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise ValueError(f"secret mds_{CANARY}")

    monkeypatch.setattr(api.services.catalogue, "check_exchange", break_down)
    for level in (logging.INFO, logging.WARNING):
        configure_logs(level, lines)
        for path in ("/v1/exchanges/coinbase", "/v1/candles/coinbase/BTC-USD/1h"):
            assert (await api.get(path, **{"X-Request-ID": "r-2"})).status_code == 500
            assert lines.getvalue().count("r-2") == 1
            (line,) = lines.read_lines()
            assert (line["level"], line["status"], line["code"]) == ("error", 500, "internal-error")
            assert "ValueError: secret …" in str(line["traceback"])


async def test_what_an_exchange_did_is_one_warning(api: Api, lines: Lines) -> None:
    """Nobody is where the exchange should be."""
    for path in ("/v1/candles/coinbase/BTC-USD/1h", "/v1/candles/binance_futures/BTC-USDT-PERP/1h?limit=5000"):
        answer = await api.get(path, **{"X-Request-ID": "r-3"})
        assert answer.status_code == 503
        assert lines.getvalue().count("r-3") == 1
        (line,) = [line for line in lines.read_lines() if "request_id" in line]
        assert (line["level"], line["status"], line["code"]) == ("warning", 503, "upstream-unavailable")


async def test_head_sends_no_bytes(api: Api, lines: Lines) -> None:
    async with on_a_socket(api) as url:
        await raw(url, head(api, "HEAD", "/v1/exchanges"))
    (line,) = [line for line in lines.read_lines() if "request_id" in line]
    assert (line["method"], line["bytes"]) == ("HEAD", 0)


async def test_the_servers_own_lines_are_of_the_same_form(api: Api, lines: Lines) -> None:
    async with on_a_socket(api) as url:
        await raw(url, head(api, "GET", "/health/live"))
        await raw(url, b"nonsense\r\n\r\n")
    loggers = {line["logger"] for line in lines.read_lines()}
    assert loggers == {"uvicorn.error", "marketdata.api.access_log", "marketdata.api.edge"}


async def test_an_answer_that_breaks_off_is_told_once(api: Api, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("while it is sent")

    monkeypatch.setattr("marketdata.api.delivery.Delivery._prepare", broken)
    answer = await api.get("/v1/exchanges", **{"X-Request-ID": "r-4"})
    assert answer.status_code == 500
    assert lines.getvalue().count("r-4") == 1
