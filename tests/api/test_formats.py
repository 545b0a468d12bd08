"""Formats: each holds what JSON holds, digit for digit, in its body and its headers."""

import csv
import io
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.api.answers import Origin, Page
from marketdata.api.encode import Form, encode_candles
from marketdata.api.formats import CONTENT_TYPES, FORMATS, Format, check_form, choose_format
from marketdata.api.formats_lines import CHUNK, COLUMNS
from marketdata.api.problems import Problem
from marketdata.core.candles import CandlePage, CandleWarning, Gap
from marketdata.core.models import Candle, Source, Symbol
from tests.api.conftest import make_symbol

BTC = make_symbol("binance_futures", "BTC-USDT-PERP", "BTCUSDT", "BTC", "USDT")
ORIGIN = Origin(Source.LIVE, "GET /fapi/v1/klines")
MINUTE_MS = 60_000
NUMBERS = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume")


def make_candle(number: int, *, is_closed: bool = True, open_: str = "1.10", trades: int | None = None) -> Candle:
    return Candle(
        open_time=number * MINUTE_MS,
        close_time=(number + 1) * MINUTE_MS,
        open=open_,
        high="2",
        low="0.5",
        close="1.000",
        volume="0.0",
        trades=trades,
        is_closed=is_closed,
    )


def encode(
    found: CandlePage, form: Form, following: str | None = None, symbol: Symbol = BTC
) -> tuple[bytes, dict[str, str]]:
    page = Page(len(found.candles), 500, "asc", found.complete, following)
    body, headers = encode_candles(found, page, symbol, "BTC", "1m", ORIGIN, form)
    return body, dict(headers)


def page_of(*candles: Candle, complete: bool = True) -> CandlePage:
    return CandlePage(list(candles), complete=complete, next=None, gaps=[], warnings=[])


def read_csv(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode("ascii"), newline=""), strict=True))


decimals = st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{1,9})?", fullmatch=True)
optional = st.none() | decimals
numbers = st.tuples(decimals, decimals, decimals, decimals, decimals, optional, optional, optional)


@st.composite
def pages(draw: st.DrawFn) -> CandlePage:
    """Candles with any digits, in either order, of which those that are still forming are the newest."""
    rows = draw(st.lists(st.tuples(numbers, st.none() | st.integers(0, 10**9)), max_size=8))
    forming = draw(st.integers(0, 2))
    candles = [
        Candle(
            open_time=place * MINUTE_MS,
            close_time=(place + 1) * MINUTE_MS,
            trades=trades,
            is_closed=place < len(rows) - forming,
            **{name: number for name, number in zip(NUMBERS, row, strict=True) if number is not None},
        )
        for place, (row, trades) in enumerate(rows)
    ]
    return page_of(*(candles[::-1] if draw(st.booleans()) else candles), complete=draw(st.booleans()))


@given(pages(), st.sampled_from(["ms", "iso"]), st.sampled_from([None, "/next"]))
def test_csv_and_ndjson_hold_what_json_holds(found: CandlePage, times: str, following: str | None) -> None:
    form = Form("json", time_format="iso" if times == "iso" else "ms")
    page = {"page_complete": found.complete, "page_is_last": following is None}
    expected = [{**row, **page} for row in json.loads(encode(found, form, following)[0])["data"]]
    lines = encode(found, Form("ndjson", time_format=form.time_format), following)[0]
    assert [json.loads(line) for line in lines.splitlines()] == expected
    assert lines.count(b"\n") == len(expected)
    table = encode(found, Form("csv", time_format=form.time_format), following)[0]
    assert read_csv(table) == [{name: _as_field(value) for name, value in row.items()} for row in expected]
    assert table.endswith(b"\r\n")
    assert table.count(b"\r\n") == table.count(b"\n") == len(expected) + 1


def _as_field(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@given(pages())
def test_ccxt_holds_the_digits_as_json_numbers(found: CandlePage) -> None:
    body = encode(found, Form("ccxt"))[0]
    rows = json.loads(body, parse_float=str, parse_int=str)["data"]
    numeric = json.loads(encode(found, Form("json", "number"))[0], parse_float=str, parse_int=str)["data"]
    columns = ("open_time", "open", "high", "low", "close", "volume")
    assert rows == [[row[name] for name in columns] for row in numeric]


@pytest.mark.parametrize("border", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7])
@pytest.mark.parametrize("order", [1, -1])
def test_pages_of_many_rows(border: int, order: int) -> None:
    """Those that form stay told apart wherever the pieces begin, of which a page is made."""
    candles = [make_candle(place, is_closed=place < border, trades=place) for place in range(2 * CHUNK + 7)]
    found = page_of(*candles[::order])
    assert [row["is_closed"] for row in read_csv(encode(found, Form("csv"))[0])] == [
        "true" if candle.is_closed else "false" for candle in found.candles
    ]
    assert [row["trades"] for row in read_csv(encode(found, Form("csv"))[0])] == [
        str(candle.trades) for candle in found.candles
    ]
    rows = json.loads(encode(found, Form("ccxt"))[0])["data"]
    assert [row[0] for row in rows] == [candle.open_time for candle in found.candles]


def test_the_bytes_as_they_are() -> None:
    found = page_of(make_candle(1, open_="0.00000010"), make_candle(2, is_closed=False, trades=3))
    assert encode(found, Form("csv"))[0] == (
        b"open_time,close_time,open,high,low,close,volume,quote_volume,trades,taker_buy_volume,"
        b"taker_buy_quote_volume,is_closed,page_complete,page_is_last\r\n"
        b"60000,120000,0.00000010,2,0.5,1.000,0.0,,,,,true,true,true\r\n"
        b"120000,180000,1.10,2,0.5,1.000,0.0,,3,,,false,true,true\r\n"
    )
    lines = encode(page_of(found.candles[1], complete=False), Form("ndjson"), "/next")[0]
    assert lines == (
        b'{"open_time":120000,"close_time":180000,"open":"1.10","high":"2","low":"0.5","close":"1.000","volume":"0.0",'
        b'"quote_volume":null,"trades":3,"taker_buy_volume":null,"taker_buy_quote_volume":null,"is_closed":false,'
        b'"page_complete":false,"page_is_last":false}\n'
    )
    assert b'"data":[[60000,0.00000010,2,0.5,1.000,0.0],[120000,1.10,' in encode(found, Form("ccxt"))[0]


def test_digits_that_json_does_not_allow() -> None:
    """No exchange is known to send them."""
    found = page_of(make_candle(1, open_="-00.50"), make_candle(2, open_="007"))
    assert b"[[60000,-0.50,2,0.5,1.000,0.0],[120000,7,2,0.5,1.000,0.0]]" in encode(found, Form("ccxt"))[0]
    assert [row["open"] for row in read_csv(encode(found, Form("csv"))[0])] == ["-00.50", "007"]


def test_no_rows() -> None:
    assert encode(page_of(), Form("csv"))[0] == ",".join(COLUMNS).encode() + b"\r\n"
    assert encode(page_of(), Form("ndjson"))[0] == b""
    assert json.loads(encode(page_of(), Form("ccxt"))[0])["data"] == []


def test_numbers_of_ndjson_are_as_asked_and_csv_has_no_types() -> None:
    found = page_of(make_candle(1, open_="007.10"))
    assert b'"open":7.10,' in encode(found, Form("ndjson", "number"))[0]
    assert encode(found, Form("csv", "number")) == encode(found, Form("csv", "string"))


def make_incomplete() -> CandlePage:
    gaps = [Gap(60_000 * place, 60_000 * (place + 2), 2, "missing") for place in range(0, 3000, 3)]
    warnings = [
        CandleWarning("no-longer-served", 'it "keeps" about\nthe newest \\ 5000 ≤ candles', 0, 60_000),
        CandleWarning("gaps-truncated", "x" * 10_000, 1, 2, 3),
        CandleWarning("search-bounded", "older ones were not looked for", end=60_000),
        CandleWarning("not-served-by-exchange", "x" * 10_000),
    ]
    return CandlePage([make_candle(1)], complete=False, next=None, gaps=gaps, warnings=warnings)


def test_what_json_has_around_the_rows_is_in_headers() -> None:
    chinese = make_symbol("binance_futures", "币安人生-USDT-PERP", "币安人生USDT", "币安人生", "USDT")
    headers = encode(make_incomplete(), Form("csv"), symbol=chinese)[1]
    assert headers == encode(make_incomplete(), Form("ndjson"), symbol=chinese)[1]
    meta = dict(re.findall(r'(\w+)="([^"]*)"', headers["Marketdata-Meta"]))
    assert {name: unquote(value) for name, value in meta.items()} == {
        "exchange": "binance_futures",
        "symbol": "币安人生-USDT-PERP",
        "exchange_symbol": "币安人生USDT",
        "interval": "1m",
        "volume_unit": "BTC",
        "source_kind": "live",
        "source_endpoint": "GET /fapi/v1/klines",
    }
    assert headers["Marketdata-Complete"] == "false"
    assert headers["Marketdata-Page"] == 'count=1, limit=500, order="asc"'
    assert headers["Marketdata-Gaps"] == f"missing;count=1000;missing=2000;start=0;end={2999 * MINUTE_MS}"
    assert headers["Marketdata-Warnings"].startswith(
        'no-longer-served;start=0;end=60000;detail="it \\"keeps\\" about?the newest \\\\ 5000 ? candles", '
        'gaps-truncated;start=1;end=2;count=3;detail="xxx'
    )
    assert sum(len(name) + len(value) + 4 for name, value in headers.items()) < 4096
    assert all(value.isascii() and value.isprintable() for value in headers.values())


def test_times_in_headers_are_in_the_form_that_was_asked_for() -> None:
    headers = encode(make_incomplete(), Form("csv", time_format="iso"))[1]
    assert 'no-longer-served;start="1970-01-01T00:00:00Z";end="1970-01-01T00:01:00Z"' in headers["Marketdata-Warnings"]
    assert headers["Marketdata-Gaps"].endswith(';start="1970-01-01T00:00:00Z";end="1970-01-03T01:59:00Z"')


def test_nothing_to_say_is_no_header() -> None:
    assert set(encode(page_of(), Form("csv"))[1]) == {"Marketdata-Complete", "Marketdata-Page", "Marketdata-Meta"}
    assert encode(page_of(), Form("ccxt"))[1] == encode(page_of(), Form("json"))[1] == {}


@pytest.mark.parametrize(
    "accept,expected",
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/csv", "csv"),
        ("text/*", "csv"),
        ("Text/CSV; charset=utf-8", "csv"),
        ("application/x-ndjson", "ndjson"),
        ("text/csv, */*", "csv"),
        ("text/csv;q=0.5, */*;q=0.1", "csv"),
        ("application/json;q=0.9, application/x-ndjson", "ndjson"),
        ("text/csv, application/json", "json"),
        ("text/html, application/*;q=0.1", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "json"),
        ("application/json;q=0, text/csv", "csv"),
        ("application/json;q=0, */*", "csv"),
        ("*/*, application/*;q=0.000", "csv"),
        ("*/*;q=0, Application/JSON; q=0.5", "json"),
        ("application/*;q=0, */*;q=0, application/json", "json"),
        ("text/csv;q=0.001, application/json;q=0.0", "csv"),
        ("text/csv;q=1.0;header=present", "csv"),
    ],
)
def test_accept(accept: str, expected: str) -> None:
    assert choose_format(None, accept) == expected


@pytest.mark.parametrize(
    "accept",
    ["text/html", "application/jsonx", "*/*;q=0", "text/csv;q=0, text/plain", "application/xml, text/html", ","],
)
def test_an_accept_header_that_nothing_of_ours_meets(accept: str) -> None:
    with pytest.raises(Problem) as refused:
        choose_format(None, accept)
    assert refused.value.code == "unsupported-format"
    assert refused.value.members["supported"] == FORMATS


@pytest.mark.parametrize("one", FORMATS)
def test_the_parameter_wins(one: Format) -> None:
    for accept in ("text/html", "text/csv", "application/json", "*/*;q=0"):
        assert choose_format(one, accept) == one


@pytest.mark.parametrize("given_", ["", "CSV", "xml", "text/csv"])
def test_a_parameter_that_is_no_format(given_: str) -> None:
    with pytest.raises(Problem, match="json, csv, ndjson, ccxt"):
        choose_format(given_, "*/*")


def test_what_contradicts_ccxt() -> None:
    for values in ({}, {"numbers": "number"}, {"time_format": "ms"}):
        check_form("ccxt", values)
    for name, value, only in (("numbers", "string", "number"), ("time_format", "iso", "ms")):
        with pytest.raises(Problem) as refused:
            check_form("ccxt", {name: value})
        assert (refused.value.code, refused.value.members) == (
            "invalid-parameter",
            {"parameter": name, "supported": [only]},
        )
        for other in FORMATS[:3]:
            check_form(other, {name: value})


def test_every_format_has_its_content_type() -> None:
    assert tuple(CONTENT_TYPES) == FORMATS


def test_the_page_about_formats_has_every_name() -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    headers = encode(make_incomplete(), Form("csv"))[1]
    for name in (*FORMATS, *CONTENT_TYPES.values(), *headers):
        assert f"`{name}`" in page
    assert f"\n{','.join(COLUMNS)}\n" in page
