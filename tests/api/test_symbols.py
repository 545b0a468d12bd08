from urllib.parse import quote

import pytest

from tests.api.conftest import NOW_MS, SYMBOLS, Api, problem, store_symbols


async def test_one_symbol_in_any_spelling_of_a_path(api: Api) -> None:
    for spelling in ("BTCUSDT", "BTC-USDT-PERP", "btc-usdt-perp", "xbt-usdt-perp"):
        answer = await api.get(f"/v1/symbols/binance_futures/{spelling}")
        assert answer.status_code == 200
        assert answer.json() == SYMBOLS["binance_futures"][0].model_dump(mode="json")


@pytest.mark.parametrize("exchange", SYMBOLS)
async def test_every_symbol_is_found_by_its_own_and_the_exchange_s_name(api: Api, exchange: str) -> None:
    for symbol in SYMBOLS[exchange]:
        for name in (symbol.symbol, symbol.exchange_symbol):
            one = await api.get(f"/v1/symbols/{exchange}/{quote(name, safe='')}")
            assert one.json()["id"] == symbol.id
            found = await api.get(f"/v1/resolve?exchange={exchange}&name={quote(name, safe='')}")
            assert symbol.id in [match["id"] for match in found.json()["data"]]


async def test_resolve_finds_all_that_go_by_a_name(api: Api) -> None:
    found = (await api.get("/v1/resolve?name=btc-usd")).json()
    assert [match["id"] for match in found["data"]] == ["coinbase:BTC-USD"]
    assert found["page"] == {"count": 1, "limit": None, "complete": True, "next": None}
    for name in ("BTC/USDC:USDC", "hyperliquid:BTC-USDC-PERP", "BTC"):
        found = (await api.get(f"/v1/resolve?name={name}")).json()
        assert [match["id"] for match in found["data"]] == ["hyperliquid:BTC-USDC-PERP"]
    assert (await api.get("/v1/resolve?name=nothing")).json()["data"] == []
    assert problem(await api.get("/v1/resolve")) == {
        "status": 400,
        "code": "invalid-parameter",
        "detail": "`name` is required.",
        "parameter": "name",
    }


@pytest.mark.parametrize(
    "query,expected",
    [
        ("", 10),
        ("exchange=coinbase", 1),
        ("kind=spot", 3),
        ("base=btc", 3),
        ("base=BTC&quote=USDT", 1),
        ("settle=usdc", 3),
        ("status=delisted", 1),
        ("base=nothing", 0),
    ],
)
async def test_filters(api: Api, query: str, expected: int) -> None:
    answer = (await api.get(f"/v1/symbols?{query}")).json()
    assert len(answer["data"]) == answer["page"]["count"] == expected
    assert answer["page"] == {"count": expected, "limit": 100, "complete": True, "next": None}


async def test_pages_hold_every_symbol_once_and_keep_their_filters(api: Api) -> None:
    names = []
    answer = await api.get("/v1/symbols?limit=2&quote=USDC")
    while True:
        page = answer.json()
        names += [symbol["id"] for symbol in page["data"]]
        if page["page"]["next"] is None:
            assert "link" not in answer.headers
            break
        assert answer.headers["link"] == f'<{page["page"]["next"]}>; rel="next"'
        answer = await api.get(page["page"]["next"])
    assert names == sorted(symbol.id for symbol in SYMBOLS["hyperliquid"])


async def test_a_cursor_stands_alone_and_cannot_be_changed(api: Api) -> None:
    following = (await api.get("/v1/symbols?limit=2")).json()["page"]["next"]
    assert problem(await api.get(f"{following}&limit=2"))["code"] == "bad-cursor"
    assert problem(await api.get(f"{following[:-1]}{'A' if following[-1] != 'A' else 'B'}"))["code"] == "bad-cursor"
    assert problem(await api.get("/v1/symbols?cursor=AAAA")) == {
        "status": 400,
        "code": "bad-cursor",
        "detail": "This cursor was not given out for this path; take it from `page.next` as it is.",
        "parameter": "cursor",
    }


@pytest.mark.parametrize(
    "path,expected",
    [
        (
            "/v1/symbols?kind=swap",
            {
                "status": 400,
                "code": "invalid-parameter",
                "detail": "`kind` is one of spot, perpetual, future.",
                "parameter": "kind",
                "supported": ["spot", "perpetual", "future"],
            },
        ),
        (
            "/v1/symbols?limit=1001",
            {
                "status": 400,
                "code": "limit-too-large",
                "detail": "`limit` is at most 1000.",
                "parameter": "limit",
                "max": 1000,
            },
        ),
        (
            "/v1/symbols?exchange=mtgox",
            {
                "status": 404,
                "code": "unknown-exchange",
                "detail": "Exchanges served here are binance_futures, hyperliquid, coinbase.",
                "parameter": "exchange",
                "supported": ["binance_futures", "hyperliquid", "coinbase"],
            },
        ),
        (
            "/v1/symbols/coinbase/BTC-EUR",
            {
                "status": 404,
                "code": "unknown-symbol",
                "detail": "No instrument of coinbase has this symbol; `/v1/resolve` finds any spelling.",
                "parameter": "symbol",
                "did_you_mean": ["BTC-USD"],
            },
        ),
        (
            "/v1/symbols?kind=spot&kind=future",
            {
                "status": 400,
                "code": "invalid-parameter",
                "detail": "`kind` is given more than once.",
                "parameter": "kind",
            },
        ),
    ],
)
async def test_refusals_help_to_mend_the_request(api: Api, path: str, expected: dict[str, object]) -> None:
    assert problem(await api.get(path)) == expected


async def test_limit_below_one_and_no_number(api: Api) -> None:
    for path, most in (("/v1/symbols", 1000), ("/v1/syncs", 100), ("/v1/candles/coinbase/BTC-USD/1h", 5000)):
        for limit in ("0", "-1", "ten", "", "1_0", "%2010", "10%20", "10.0", "%2B5", "1e1", "%D9%A1"):
            assert problem(await api.get(f"{path}?limit={limit}")) == {
                "status": 400,
                "code": "invalid-parameter",
                "detail": f"`limit` is a whole number from 1 to {most}.",
                "parameter": "limit",
                "max": most,
            }


@pytest.mark.parametrize("name", ["base", "quote", "settle"])
async def test_an_empty_filter_is_refused_rather_than_matching_nothing(api: Api, name: str) -> None:
    assert problem(await api.get(f"/v1/symbols?{name}=")) == {
        "status": 400,
        "code": "invalid-parameter",
        "detail": f"`{name}` is empty.",
        "parameter": name,
    }


async def test_unknown_parameters_are_named_only_if_they_look_like_names(api: Api) -> None:
    document = problem(await api.get("/v1/symbols?Exchanges=coinbase"))
    assert document["code"] == "unknown-parameter"
    assert document["parameter"] == "Exchanges"
    assert document["did_you_mean"] == ["exchange"]
    document = problem(await api.get("/v1/symbols?%3Cscript%3E=1"))
    assert document["code"] == "unknown-parameter"
    assert "parameter" not in document


async def test_before_any_sync_metadata_is_not_ready(empty_api: Api) -> None:
    for path in ("/v1/symbols", "/v1/symbols/coinbase/BTC-USD", "/v1/resolve?name=BTC-USD", "/health/ready"):
        answer = await empty_api.get(path)
        assert problem(answer)["code"] == "metadata-not-ready"
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
    assert (await empty_api.get("/v1/exchanges")).status_code == 200


@pytest.fixture
async def half_read(empty_api: Api) -> Api:
    """An API of three exchanges of which the first has not been read."""
    read = {exchange: listed for exchange, listed in SYMBOLS.items() if exchange != "binance_futures"}
    await store_symbols(empty_api.services.database, read, NOW_MS)
    await empty_api.services.refresh()
    return empty_api


NOT_READ = {
    "status": 503,
    "code": "metadata-not-ready",
    "detail": "The instruments of binance_futures have not been read yet; ask again in a moment.",
    "retry_after": 5,
}


async def test_a_list_says_that_an_exchange_is_missing_from_it(half_read: Api) -> None:
    first = (await half_read.get("/v1/symbols?limit=2")).json()
    for url in ("/v1/symbols", "/v1/symbols?limit=2", "/v1/symbols?base=nothing", first["page"]["next"]):
        assert (await half_read.get(url)).json()["page"]["complete"] is False
    assert (await half_read.get("/v1/symbols?exchange=coinbase")).json()["page"]["complete"] is True
    assert problem(await half_read.get("/v1/symbols?exchange=binance_futures")) == NOT_READ


async def test_resolve_finds_what_has_been_read_and_denies_nothing_that_has_not(half_read: Api) -> None:
    found = (await half_read.get("/v1/resolve?name=btc-usd")).json()
    assert [match["id"] for match in found["data"]] == ["coinbase:BTC-USD"]
    assert found["page"]["complete"] is False
    assert problem(await half_read.get("/v1/resolve?name=BTCUSDT")) == NOT_READ
    denied = (await half_read.get("/v1/resolve?name=BTCUSDT&exchange=coinbase")).json()
    assert (denied["data"], denied["page"]["complete"]) == ([], True)


async def test_intervals_of_a_symbol_come_from_the_exchanges_that_have_been_read(half_read: Api) -> None:
    of_one = (await half_read.get("/v1/intervals?symbol=BTC-USD")).json()
    assert {row["exchange"] for row in of_one["data"]} == {"coinbase"}
    assert of_one["page"]["complete"] is False
    for query in ("symbol=BTCUSDT", "symbol=BTC-USD&exchange=binance_futures"):
        assert problem(await half_read.get(f"/v1/intervals?{query}")) == NOT_READ
    denied = await half_read.get("/v1/intervals?symbol=BTCUSDT&exchange=coinbase")
    assert problem(denied)["code"] == "unknown-symbol"
    assert (await half_read.get("/v1/intervals")).json()["page"]["complete"] is True
