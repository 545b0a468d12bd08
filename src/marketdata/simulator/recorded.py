"""Recorded answers of the real exchanges, served by the exchanges' own rules; nothing is invented.

A folder of recordings has a `manifest.json` that tells of each file its exchange, kind, endpoint, parameters and
number of rows. The largest listing of each exchange is served as it is; candles are merged per symbol and interval.
Number literals stay as they were recorded: nothing goes through a float.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from marketdata.simulator.answers import Rows, SymbolUnknownError, joined
from marketdata.simulator.grids import Grid
from marketdata.simulator.hyperliquid_candles import grids
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import Sources


class Recording(msgspec.Struct, frozen=True):
    """What the manifest tells of one file."""

    exchange: str
    file: str
    kind: str
    endpoint: str
    params: str
    rows: int


class Recordings:
    """A folder of recordings."""

    def __init__(self, folder: Path) -> None:
        """Read the manifest. Raises OSError, and msgspec.DecodeError where it is no manifest."""
        self._folder = folder
        manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=dict[str, Recording])
        self._all = tuple(manifest.values())

    def find(self, exchange: str, kind: str, request: str) -> Iterator[tuple[Recording, bytes]]:
        """The recordings whose endpoint and parameters match the regular expression `request`, smallest first."""
        for recording in sorted(self._all, key=lambda recording: recording.rows):
            asked = f"{recording.endpoint} {recording.params}"
            if recording.exchange == exchange and recording.kind == kind and re.search(request, asked):
                yield recording, (self._folder / recording.file).read_bytes()

    def largest(self, exchange: str, request: str) -> bytes:
        """The largest recorded listing, compact. Raises LookupError where there is none."""
        found = [body for _, body in self.find(exchange, "metadata", request)]
        if not found:
            raise LookupError(f"no listing of {exchange} is recorded in {self._folder}")
        return msgspec.json.format(found[-1], indent=-1)


class Tape:
    """The recorded candles of one exchange, as rows by symbol and interval."""

    def __init__(self, recordings: Sequence[tuple[str, str, Mapping[int, bytes]]]) -> None:
        """Merge recordings: symbol, interval and rows by their open in ms.

        Two of them differ only on a candle that was forming; the one that goes on longer saw it later.
        """
        merged: dict[tuple[str, str], dict[int, bytes]] = {}
        for symbol, interval, rows in sorted(recordings, key=lambda recording: max(recording[2], default=0)):
            merged.setdefault((symbol, interval), {}).update(rows)
        self._rows = {key: (sorted(rows), [rows[open_ms] for open_ms in sorted(rows)]) for key, rows in merged.items()}
        self.symbols = frozenset(symbol for symbol, _ in merged)

    def rows(self, symbol: str, interval: str) -> Rows:
        """The candles of a symbol and interval, none if none were recorded."""
        opens, bodies = self._rows.get((symbol, interval), ([], []))

        def rows(first_ms: int, last_ms: int, limit: int, *, newest: bool) -> list[bytes]:
            found = bodies[bisect_left(opens, first_ms) : bisect_right(opens, last_ms)]
            return found[-limit:] if newest else found[:limit]

        return rows


def recorded(folder: Path, scenario: Scenario | None = None) -> Sources:
    """The recordings in `folder`, whose bytes no scenario changes.

    Raises OSError, LookupError and msgspec.DecodeError for a folder that has none.
    """
    recordings = Recordings(folder)
    binance, hyperliquid = RecordedBinance(recordings), RecordedHyperliquid(recordings)
    coinbase = RecordedCoinbase(recordings)

    def counts(_now_ms: int) -> dict[str, int]:
        return {
            "binance_futures": len(binance.listed),
            "hyperliquid": len(hyperliquid.listed),
            "coinbase": len(coinbase.listed),
        }

    return Sources(
        kind="recorded",
        seed=None,
        binance=binance,
        hyperliquid=hyperliquid,
        coinbase=coinbase,
        scenario=scenario or Scenario(),
        counts=counts,
    )


class RecordedBinance:
    """What was recorded of Binance USD-M futures."""

    def __init__(self, recordings: Recordings) -> None:
        """Its largest exchangeInfo, and all klines."""
        self._info = recordings.largest("binance_futures", "/fapi/v1/exchangeInfo")
        self._tape = Tape(list(_klines(recordings)))
        self.listed = frozenset(_field(row, "symbol") for row in _rows_at(self._info, "symbols"))

    def exchange_info(self, _now_ms: int) -> bytes:
        """The recorded body, its serverTime too."""
        return self._info

    def symbol_of(self, pair: str, contract_type: str, _now_ms: int) -> str:
        """The perpetual, which is called as its pair. Raises SymbolUnknownError."""
        if contract_type != "PERPETUAL" or pair not in self.listed:
            raise SymbolUnknownError(pair)
        return pair

    def klines(self, symbol: str, interval: str, _now_ms: int) -> Rows:
        """The recorded candles, also of contracts outside the listing. Raises SymbolUnknownError."""
        if symbol not in self.listed and symbol not in self._tape.symbols:
            raise SymbolUnknownError(symbol)
        return self._tape.rows(symbol, interval)


class RecordedHyperliquid:
    """What was recorded of Hyperliquid: the main dex, the spot pairs and some assets of one builder dex.

    No candle is withheld for its age, as the exchange would: recordings are served as what they are.
    """

    def __init__(self, recordings: Recordings) -> None:
        """Its largest universes, and all candles."""
        self._listings = {
            kind: recordings.largest("hyperliquid", rf'^\S+ \S+ \{{"type": ?"{kind}"\}}$')
            for kind in ("meta", "metaAndAssetCtxs", "spotMeta", "perpDexs")
        }
        self._tape = Tape(list(_snapshots(recordings)))
        self._dexes: dict[str, bytes] = {
            _field(dex, "name"): b'{"universe":[]}' for dex in _array(self._listings["perpDexs"])[1:]
        }
        universes = [_rows_at(self._listings[kind], "universe") for kind in ("meta", "spotMeta")]
        for dex, universe in _captured_dexes(recordings):
            self._dexes[dex] = b'{"universe":' + msgspec.json.encode(universe) + b"}"
            universes.append([msgspec.json.encode(asset) for asset in universe])
        self.listed = frozenset(_field(row, "name") for universe in universes for row in universe)

    def listing(self, kind: str, dex: str, _now_ms: int) -> bytes:
        """A recorded body; what was not recorded is empty. Raises SymbolUnknownError for an unknown dex."""
        if dex and dex not in self._dexes:
            raise SymbolUnknownError(dex)
        match kind:
            case "meta" if dex:
                return self._dexes[dex]
            case "metaAndAssetCtxs" if dex:
                return joined([self._dexes[dex], b"[]"])
            case "allPerpMetas":
                return joined([self._listings["meta"], *self._dexes.values()])
            case "spotMetaAndAssetCtxs":
                return joined([self._listings["spotMeta"], b"[]"])
            case "allMids":
                return b"{}"
            case _:
                return self._listings[kind]

    def candles(self, coin: str, interval: str, _now_ms: int) -> tuple[Grid, Rows]:
        """The recorded candles. Raises SymbolUnknownError."""
        if coin not in self.listed and coin not in self._tape.symbols:
            raise SymbolUnknownError(coin)
        return grids(Scenario())[interval], self._tape.rows(coin, interval)


class RecordedCoinbase:
    """What was recorded of Coinbase Exchange."""

    def __init__(self, recordings: Recordings) -> None:
        """Its largest lists of products and currencies, and all candles."""
        self._products = recordings.largest("coinbase", r"coinbase\.com/products ")
        currencies = [body for _, body in recordings.find("coinbase", "metadata", r"coinbase\.com/currencies ")]
        self._currencies = msgspec.json.format(currencies[-1], indent=-1) if currencies else b"[]"
        self._tape = Tape(list(_buckets(recordings)))
        self._by_id = {_field(product, "id"): product for product in _array(self._products)}
        self.listed = frozenset(self._by_id)

    def products(self, _now_ms: int) -> bytes:
        """The recorded body."""
        return self._products

    def product(self, product_id: str, _now_ms: int) -> bytes:
        """One product. Raises SymbolUnknownError."""
        if product_id not in self._by_id:
            raise SymbolUnknownError(product_id)
        return self._by_id[product_id]

    def currencies(self, _now_ms: int) -> bytes:
        """The recorded body; none where none was recorded."""
        return self._currencies

    def candles(self, product_id: str, granularity_s: int, _now_ms: int) -> Rows:
        """The recorded candles. Raises SymbolUnknownError."""
        if product_id not in self._by_id and product_id not in self._tape.symbols:
            raise SymbolUnknownError(product_id)
        return self._tape.rows(product_id, str(granularity_s))


type _Cells = list[list[msgspec.Raw]]


def _klines(recordings: Recordings) -> Iterator[tuple[str, str, Mapping[int, bytes]]]:
    """Recorded klines; one file may hold many symbols."""
    for recording, body in recordings.find("binance_futures", "candles", r"/fapi/v1/klines "):
        symbol, interval = _match(r"symbol=([^&, ]+)", recording.params), _match(r"interval=(\w+)", recording.params)
        one = not body.lstrip().startswith(b"{")
        series = (
            {symbol: msgspec.json.decode(body, type=_Cells)}
            if one
            else msgspec.json.decode(body, type=dict[str, _Cells])
        )
        for name, rows in series.items():
            yield name, interval, {int(bytes(row[0])): joined([bytes(cell) for cell in row]) for row in rows}


def _snapshots(recordings: Recordings) -> Iterator[tuple[str, str, Mapping[int, bytes]]]:
    """Recorded answers to candleSnapshot."""
    for recording, body in recordings.find("hyperliquid", "candles", "candleSnapshot"):
        coin, interval = (_match(rf'"{key}": ?"([^"]+)"', recording.params) for key in ("coin", "interval"))
        yield coin, interval, {int(_field(row, "t")): row for row in _array(msgspec.json.format(body, indent=-1))}


def _buckets(recordings: Recordings) -> Iterator[tuple[str, str, Mapping[int, bytes]]]:
    """Recorded candles of Coinbase Exchange; those of its other API are of another form."""
    for recording, body in recordings.find("coinbase", "candles", r"coinbase\.com/products/[^/]+/candles "):
        product, granularity = _match(r"/products/([^/]+)/", recording.endpoint), _match(
            r"granularity=(\d+)", recording.params
        )
        rows = msgspec.json.decode(body, type=_Cells)
        yield product, granularity, {int(bytes(row[0])) * 1000: joined([bytes(cell) for cell in row]) for row in rows}


def _captured_dexes(recordings: Recordings) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Builder dexes' assets from captures, without the place that the capture's author added to each."""
    for _, body in recordings.find("hyperliquid", "metadata", "hip3Meta"):
        selection = msgspec.json.decode(body)["selection"]
        universe = [
            {key: value for key, value in asset.items() if key != "index"} for asset in selection["hip3Universe"]
        ]
        yield selection["hip3Dex"]["name"], universe


def _match(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise LookupError(f"the manifest's {text!r} does not tell {pattern!r}")
    return found[1]


def _array(body: bytes) -> list[bytes]:
    """The elements of a JSON array, as they are."""
    return [bytes(element) for element in msgspec.json.decode(body, type=list[msgspec.Raw])]


def _rows_at(body: bytes, key: str) -> list[bytes]:
    """The elements of an array in a JSON object."""
    return _array(bytes(msgspec.json.decode(body, type=dict[str, msgspec.Raw])[key]))


def _field(body: bytes, key: str) -> str:
    """A field of a JSON object as text."""
    return str(msgspec.json.decode(body)[key])
