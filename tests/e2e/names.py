"""Every symbol name finds its instrument again."""

from tests.e2e.platform import Platform


async def check_names(platform: Platform) -> int:
    """Resolve each symbol of each exchange by both of its names; gives how many symbols there are."""
    following: str | None = "/v1/symbols?limit=1000"
    symbols = []
    while following:
        document = await platform.read(following)
        symbols += document["data"]
        following = document["page"]["next"]
    assert len({symbol["id"] for symbol in symbols}) == len(symbols)
    for symbol in symbols:
        for name in (symbol["exchange_symbol"], symbol["symbol"]):
            found = await platform.read("/v1/resolve", name=name, exchange=symbol["exchange"])
            assert symbol["id"] in [one["id"] for one in found["data"]], name
        found = await platform.read("/v1/resolve", name=symbol["symbol"], exchange=symbol["exchange"])
        assert [one["id"] for one in found["data"]] == [symbol["id"]]
    return len(symbols)
