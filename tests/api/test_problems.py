"""The table of problems, what users read about it, and what becomes of each error."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from marketdata.api.cures import read_cures
from marketdata.api.problems import PROBLEMS, WARNINGS, Problem, to_problem
from marketdata.core import errors
from marketdata.core.candles import CandleWarning
from marketdata.core.clock import ManualClock
from marketdata.core.models import ExchangeId
from tests.api.conftest import Api, problem

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
BINANCE = ExchangeId("binance_futures")


def test_every_code_is_documented_with_its_status() -> None:
    documented = {
        code: int(status) for code, status in re.findall(r"^### `([a-z-]+)` \((\d+)\)$", DOCUMENTED, re.MULTILINE)
    }
    assert documented == {code: status for code, (status, _) in PROBLEMS.items()}


def test_every_warning_is_documented() -> None:
    documented = set(re.findall(r"^### `([a-z-]+)`$", DOCUMENTED, re.MULTILINE))
    assert documented == set(WARNINGS) == set(get_args(get_type_hints(CandleWarning)["code"]))


async def test_the_page_that_type_points_to_has_every_code(api: Api) -> None:
    page = await api.http.get("/docs/errors")
    assert page.status_code == 200
    texts = re.findall(r'<h3 id="([a-z-]+)"><code>.*?</h3>\n<p>(.+?)</p>', page.text, re.DOTALL)
    assert sorted(code for code, _ in texts) == sorted([*PROBLEMS, *WARNINGS])
    assert ".md" not in page.text, "only this page is served"


def test_every_code_has_its_cure() -> None:
    cures = read_cures()
    assert set(cures) == {*PROBLEMS, *WARNINGS}
    assert all(len(text) > 40 for text in cures.values())
    assert "](" not in cures["unsupported-format"]


@pytest.mark.parametrize(
    "error,code,members",
    [
        (
            errors.UnsupportedInterval(BINANCE, ("1m",)),
            "unsupported-interval",
            {"parameter": "interval", "supported": ("1m",)},
        ),
        (errors.UnknownExchange(("a",)), "unknown-exchange", {"parameter": "exchange", "supported": ("a",)}),
        (errors.UpstreamBadData(BINANCE, "low ≤ open", 1), "upstream-bad-data", {}),
        (errors.UpstreamGarbled(BINANCE, "cut short"), "upstream-bad-data", {}),
        (errors.UpstreamFailure(BINANCE, 500), "upstream-error", {}),
        (errors.UpstreamRefused(BINANCE, "gone"), "upstream-error", {}),
        (errors.UpstreamUnavailable(BINANCE, "down", 1.2), "upstream-unavailable", {"retry_after": 2}),
        (errors.UpstreamUnavailable(BINANCE, "down"), "upstream-unavailable", {"retry_after": 5}),
        (errors.UpstreamTimeout(BINANCE, 5), "upstream-timeout", {"retry_after": 5}),
        (errors.UpstreamRateLimited(BINANCE, 0.1), "upstream-rate-limited", {"retry_after": 1}),
        (errors.UpstreamRateLimited(BINANCE, None), "upstream-rate-limited", {}),
        (errors.UpstreamBanned(BINANCE, 61_500), "upstream-banned", {"retry_after": 61}),
        (errors.UpstreamBanned(BINANCE, None), "upstream-banned", {}),
        (errors.UpstreamBlocked(BINANCE, 451), "upstream-blocked", {}),
        (errors.DatabaseUnavailable("at a host"), "database-unavailable", {"retry_after": 5}),
        (errors.InvalidSetting("X", "no"), "internal-error", {}),
        (ValueError("inside"), "internal-error", {}),
    ],
)
def test_every_error_has_its_problem(error: Exception, code: str, members: dict[str, object]) -> None:
    made = to_problem(error, ManualClock(1000))
    assert (made.code, made.members) == (code, members)
    assert "host" not in made.detail
    assert "inside" not in made.detail


def test_no_error_of_the_tree_is_left_out_but_those_that_never_reach_the_api() -> None:
    tree = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MarketDataError)
    }
    inside = {errors.MarketDataError, errors.RequestError, errors.StoreError, errors.InvalidSetting}
    inside |= {errors.SourceMismatch, errors.ListingQuarantined, errors.NotQuarantined, errors.AlreadyRunning}
    named = {kind for kind in tree if kind.code in PROBLEMS and kind.code != "internal-error"}
    assert named == tree - inside


async def test_what_the_framework_refuses(api: Api) -> None:
    assert problem(await api.get("/v1/nothing")) == {
        "status": 404,
        "code": "not-found",
        "detail": "No endpoint has this path; `/docs` shows those that there are.",
    }
    for path, meant in (
        ("/v1/symbol/binance_futures/BTC-USDT-PERP", "/v1/symbols/{exchange}/{symbol}"),
        ("/candles/coinbase/BTC-USD/1h", "/v1/candles/{exchange}/{symbol}/{interval}"),
        ("/v1/exchanges/", "/v1/exchanges"),
        ("/v1/tokens", "/v1/token"),
    ):
        assert problem(await api.get(path))["did_you_mean"] == [meant]
    for path in ("/v1/exchanges", "/v1/candles/coinbase/BTC-USD/1h", "/health/live"):
        answer = await api.http.post(path)
        assert problem(answer) == {"status": 405, "code": "method-not-allowed", "detail": "This path takes GET, HEAD."}
        assert answer.headers["allow"] == "GET, HEAD"
    for path, allowed in (
        ("/v1/admin/clients", "GET, HEAD, POST"),
        ("/v1/admin/clients/mdc_1", "GET, HEAD, PATCH"),
        ("/v1/admin/clients/mdc_1/disable", "POST"),
        ("/v1/symbols/hyperliquid/PURR%2FUSDC", "GET, HEAD"),
        ("/docs", "GET, HEAD"),
    ):
        assert (await api.http.delete(path)).headers["allow"] == allowed, path
    answer = await api.get("/v1/token")
    assert problem(answer)["error"] == "invalid_request"
    assert answer.headers["allow"] == "POST"
    assert problem(await api.get("/v1/exchanges/"))["code"] == "not-found"


async def test_a_defect_says_nothing_internal_and_is_logged(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise ValueError("internal secret")

    monkeypatch.setattr(api.services.catalogue, "check_exchange", break_down)
    for path in ("/v1/exchanges/coinbase", "/v1/candles/coinbase/BTC-USD/1h"):
        answer = await api.get(path, **{"X-Request-ID": "mine.1"})
        assert problem(answer) == {
            "status": 500,
            "code": "internal-error",
            "detail": "This is our mistake; it is logged under the request id.",
        }
        assert "secret" not in answer.text
    told = [(record.getMessage(), vars(record)["request_id"]) for record in caplog.records]
    assert told == [("defect while answering a request", "mine.1")] * 2
    assert "internal secret" in caplog.text


async def test_a_problem_is_answered_as_it_stands(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise Problem("upstream-error", "detail", retry_after=3)

    monkeypatch.setattr(api.services.catalogue, "check_exchange", refuse)
    answer = await api.get("/v1/exchanges/coinbase")
    assert problem(answer) == {"status": 502, "code": "upstream-error", "detail": "detail", "retry_after": 3}
    assert answer.headers["retry-after"] == "3"
