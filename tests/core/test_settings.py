from pathlib import Path

import pytest
from pydantic import ValidationError

from marketdata.core.clock import SystemClock
from marketdata.core.errors import UpstreamUnavailable
from marketdata.core.exchanges import get_adapter
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId
from marketdata.core.settings import load_exchange_settings

COINBASE = ExchangeId("coinbase")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1",
        "http://127.0.0.1:1/a/path%20that~is_one",
        "https://api.exchange.coinbase.com:65535",
        "HTTPS://Exchange.Example.",
        "http://a_service-1:8080/x",
        "http://[::1]:1/x",
        f"http://{'a' * 63}.example",
        "http://xn--bcher-kva.example",
    ],
)
async def test_a_base_url_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for end in ("", "/", "//"):
        monkeypatch.setenv("MARKETDATA_COINBASE_URL", url + end)
        assert load_exchange_settings().base_url(COINBASE) == url


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://[::1]:1", "http://a_service-1.invalid"])
async def test_a_base_url_that_is_taken_can_be_asked(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MARKETDATA_COINBASE_URL", url)
    async with open_http() as http:
        taken = load_exchange_settings().base_url(COINBASE)
        with pytest.raises(UpstreamUnavailable, match="cannot be reached"):
            await Fetcher(get_adapter(COINBASE), http, SystemClock(), taken).now_ms()


def test_without_one_the_exchange_s_own_address_is_taken() -> None:
    assert load_exchange_settings().base_url(COINBASE) == get_adapter(COINBASE).base_url


@pytest.mark.parametrize(
    "url,complaint",
    [
        ("http://a:0/x", "between 1 and 65535"),
        ("http://a:65536", "between 1 and 65535"),
        ("http://a:99999/x", "between 1 and 65535"),
        ("http://a:port", "must be http"),
        ("http://a:\u0661", "must be http"),
        ("http://a:", "must be http"),
        ("http://[1:2]", "IPv6"),
        ("http://[::1", "must be http"),
        ("http://", "must be http"),
        ("http:///x", "must be http"),
        ("ftp://a", "must be http"),
        ("a.example", "must be http"),
        ("http://a b", "must be http"),
        (" http://a", "must be http"),
        ("http://a\n", "must be http"),
        ("http://a\u2028.example", "all in ASCII"),
        ("http://bücher.example", "all in ASCII"),
        ("http://a..example", "must be http"),
        (f"http://{'a' * 64}.example", "must be http"),
        ("http://-a.example", "must be http"),
        ("http://u:p@a", "must be http"),
        ("http://:p@a", "must be http"),
        ("http://a/x?", "must be http"),
        ("http://a?b=c", "must be http"),
        ("http://a/#x", "must be http"),
        ("http://a/x y", "must be http"),
        ("http://a/\x7f", "must be http"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, url: str, complaint: str) -> None:
    monkeypatch.setenv("MARKETDATA_COINBASE_URL", url)
    with pytest.raises(ValidationError, match=complaint):
        load_exchange_settings()
