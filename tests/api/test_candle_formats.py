"""The formats of candle answers, asked through the API over a simulated market."""

import csv
import io
import json

import pytest

from marketdata.api.formats import CONTENT_TYPES, FORMATS, Format
from tests.api.conftest import MARKET_NOW_MS, Market, problem

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("fresh")]

HOUR_MS = 3_600_000
BTC = {"binance_futures": "BTC-USDT-PERP", "hyperliquid": "BTC-USDC-PERP", "coinbase": "BTC-USD"}
START_MS = MARKET_NOW_MS // HOUR_MS * HOUR_MS - 100 * HOUR_MS


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize("exchange", BTC)
async def test_each_format_holds_the_digits_of_json(market: Market, exchange: str) -> None:
    url = f"/v1/candles/{exchange}/{BTC[exchange]}/1h?start={START_MS}&limit=90"
    body = (await market.get(url)).json()
    rows = body["data"]
    assert len(rows) == 90
    expected = [
        {name: "" if value is None else str(value).replace("True", "true") for name, value in row.items()}
        for row in rows
    ]
    table = await market.get(f"{url}&format=csv")
    assert [
        {name: row[name] for name in row if not name.startswith("page_")} for row in read_csv(table.text)
    ] == expected
    lines = await market.get(f"{url}&format=ndjson")
    flags = {"page_complete": True, "page_is_last": False}
    assert [json.loads(line) for line in lines.text.splitlines()] == [{**row, **flags} for row in rows]
    ccxt = (await market.get(f"{url}&format=ccxt")).content
    envelope = json.loads(ccxt, parse_float=str)
    columns = ("open_time", "open", "high", "low", "close", "volume")
    # a whole number has no fraction that would make it a float to the reader
    assert [[str(value) for value in row] for row in envelope["data"]] == [
        [str(row[name]) for name in columns] for row in rows
    ]
    assert envelope["page"].pop("next") != body["page"].pop("next")  # each goes on in its own format
    assert {**envelope, "data": []} == {**body, "data": []}


@pytest.mark.parametrize("chosen", FORMATS)
async def test_equal_data_gives_equal_bytes_in_each_format(market: Market, chosen: Format) -> None:
    end_ms = START_MS + 60 * HOUR_MS
    url = f"/v1/candles/coinbase/BTC-USD/1h?start={START_MS}&end={end_ms}&limit=50&format={chosen}"
    first = await market.get(url)
    market.clock.advance(3_600_000)
    second = await market.get(url)
    assert first.content == second.content
    names = [name for name in first.headers if name.startswith(("marketdata-", "content-", "link"))]
    assert [first.headers[name] for name in names] == [second.headers[name] for name in names]
    assert first.headers["content-type"] == CONTENT_TYPES[chosen]


@pytest.mark.parametrize("how", ["parameter", "accept"])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_the_next_page_of_a_csv_is_a_csv(market: Market, how: str, order: str) -> None:
    end_ms = START_MS + 50 * HOUR_MS
    path = f"/v1/candles/coinbase/BTC-USD/1h?start={START_MS}&end={end_ms}&order={order}"
    whole = (await market.get(f"{path}&time_format=iso")).json()["data"]
    following: str | None = f"{path}&limit=20&time_format=iso{'&format=csv' if how == 'parameter' else ''}"
    headers = {"Accept": "text/csv"} if how == "accept" else {}
    rows: list[dict[str, str]] = []
    while following is not None:
        answer = await market.get(following, **headers)
        assert answer.headers["content-type"].startswith("text/csv")
        page = read_csv(answer.text)
        link = answer.headers.get("link")
        assert {row["page_is_last"] for row in page} == {"false" if link else "true"}
        assert answer.headers["marketdata-complete"] == "true"
        assert answer.headers["marketdata-page"] == f'count={len(page)}, limit=20, order="{order}"'
        rows += page
        following = link and link.removeprefix("<").removesuffix('>; rel="next"')
        headers = {"Accept": "application/json"}  # the cursor has frozen the format
    assert [row["open_time"] for row in rows] == [row["open_time"] for row in whole]


async def test_what_is_missing_is_said(market: Market) -> None:
    old_ms = MARKET_NOW_MS - 400 * 86_400_000
    path = f"/v1/candles/hyperliquid/BTC-USDC-PERP/1m?start={old_ms}&end={old_ms + 60 * 60_000}"
    body = (await market.get(path)).json()
    assert body["page"]["complete"] is False
    answer = await market.get(f"{path}&format=csv")
    assert read_csv(answer.text) == []
    assert answer.headers["marketdata-complete"] == "false"
    assert answer.headers["marketdata-warnings"].startswith(f"no-longer-served;start={old_ms};")


@pytest.mark.parametrize("chosen", ["csv", "ndjson", "ccxt"])
async def test_latest_is_one_row(market: Market, chosen: str) -> None:
    path = "/v1/candles/binance_futures/BTC-USDT-PERP/1h/latest?include_partial=true"
    row = (await market.get(path)).json()["data"][0]
    answer = await market.get(f"{path}&format={chosen}")
    match chosen:
        case "csv":
            assert [(one["open_time"], one["is_closed"]) for one in read_csv(answer.text)] == [
                (str(row["open_time"]), "false")
            ]
        case "ndjson":
            assert json.loads(answer.text) == {**row, "page_complete": True, "page_is_last": True}
        case _:
            assert [one[0] for one in answer.json()["data"]] == [row["open_time"]]


@pytest.mark.parametrize("chosen", FORMATS)
async def test_errors_are_problem_documents_in_each_format(market: Market, chosen: Format) -> None:
    media_type = CONTENT_TYPES[chosen]
    answer = await market.get(f"/v1/candles/coinbase/NOPE/1h?format={chosen}", Accept=media_type)
    assert problem(answer)["code"] == "unknown-symbol"


async def test_contradictions_are_refused(market: Market) -> None:
    answer = await market.get("/v1/candles/coinbase/BTC-USD/1h?format=ccxt&time_format=iso")
    assert problem(answer) == {
        "status": 400,
        "code": "invalid-parameter",
        "detail": "`format=ccxt` is always `time_format=ms`: leave `time_format` out, or ask for another format.",
        "parameter": "time_format",
        "supported": ["ms"],
    }
    answer = await market.get("/v1/candles/coinbase/BTC-USD/1h?cursor=x&format=csv")
    assert problem(answer)["code"] == "bad-cursor"
