"""Hyperliquid as a simulated exchange: `POST /info` of https://api.hyperliquid.xyz.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Protocol

import msgspec

from marketdata.simulator.answers import Answer, Asked, Rows, SymbolUnknownError, joined
from marketdata.simulator.grids import Grid

_FOREVER_MS = 1 << 62
_MOST_ROWS = 1 << 20
"""No page limit of its own: what is kept bounds an answer."""

HEADERS: Mapping[str, str] = {
    "Content-Type": "application/json",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "*",
    "Vary": "origin, access-control-request-method, access-control-request-headers",
    "Server": "nginx/1.22.1",
    "Via": "1.1 simulated.cloudfront.net (CloudFront)",
    "X-Cache": "Miss from cloudfront",
    "X-Amz-Cf-Pop": "AMS58-P4",
}
_TEXT = {**HEADERS, "Content-Type": "text/plain; charset=utf-8"}
_WRONG_BODY = Answer(422, b"Failed to deserialize the JSON body into the target type", _TEXT)
_NULL = b"null"


class HyperliquidSource(Protocol):
    """Where the data come from: the simulated market or recordings."""

    def listing(self, kind: str, dex: str, now_ms: int) -> bytes:
        """The answer to a request that is not about candles. Raises SymbolUnknownError for an unknown dex."""
        ...

    def candles(self, coin: str, interval: str, now_ms: int) -> tuple[Grid, Rows]:
        """The candles of a coin and where they open. Raises SymbolUnknownError."""
        ...


_Time = Annotated[int, msgspec.Meta(ge=0)]


class _Range(msgspec.Struct):
    coin: str
    interval: Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w", "1M"]
    startTime: _Time
    endTime: _Time | None = None


class _Candles(msgspec.Struct, tag_field="type", tag="candleSnapshot"):
    req: _Range


class _Meta(msgspec.Struct, tag_field="type", tag="meta"):
    dex: str | None = None


class _MetaAndContexts(msgspec.Struct, tag_field="type", tag="metaAndAssetCtxs"):
    dex: str | None = None


class _Mids(msgspec.Struct, tag_field="type", tag="allMids"):
    dex: str | None = None


class _AllMetas(msgspec.Struct, tag_field="type", tag="allPerpMetas"):
    pass


class _Dexes(msgspec.Struct, tag_field="type", tag="perpDexs"):
    pass


class _SpotMeta(msgspec.Struct, tag_field="type", tag="spotMeta"):
    pass


class _SpotMetaAndContexts(msgspec.Struct, tag_field="type", tag="spotMetaAndAssetCtxs"):
    pass


type _Wanted = _Candles | _Meta | _MetaAndContexts | _Mids | _AllMetas | _Dexes | _SpotMeta | _SpotMetaAndContexts


class Hyperliquid:
    """The exchange's HTTP side."""

    def __init__(self, source: HyperliquidSource) -> None:
        """Answers from `source`."""
        self._source = source
        self._decoder: msgspec.json.Decoder[_Wanted] = msgspec.json.Decoder(_Wanted)

    def answer(self, asked: Asked) -> Answer:
        """The answer to one request."""
        if asked.path != "/info":
            return Answer(404, b"", _TEXT)
        if asked.method != "POST":
            return Answer(405, b"", {**_TEXT, "Allow": "POST"})
        try:
            wanted = self._decoder.decode(asked.body)
        except msgspec.MsgspecError:
            return _WRONG_BODY
        if isinstance(wanted, _Candles):
            return self._candles(wanted.req, asked.now_ms)
        dex = getattr(wanted, "dex", None) or ""
        try:
            body = self._source.listing(str(wanted.__struct_config__.tag), dex, asked.now_ms)
        except SymbolUnknownError:
            return Answer(200, _NULL, HEADERS)
        return Answer(200, body, HEADERS)

    def _candles(self, wanted: _Range, now_ms: int) -> Answer:
        """Candles that overlap the range: the first may have opened before its start. An unknown coin is a 500."""
        try:
            grid, rows = self._source.candles(wanted.coin, wanted.interval, now_ms)
        except SymbolUnknownError:
            return Answer(500, _NULL, HEADERS)
        start_ms = min(wanted.startTime, _FOREVER_MS)
        first_ms = grid.open_ms(grid.index(start_ms)) if start_ms <= now_ms else start_ms
        last_ms = _FOREVER_MS if wanted.endTime is None else wanted.endTime
        found = rows(first_ms, last_ms, _MOST_ROWS, newest=True)
        return Answer(200, joined(found), HEADERS, rows=len(found))
