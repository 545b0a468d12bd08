"""How Hyperliquid writes its universes, and where the simulated ones and their candles come from.

The shapes are those of recorded answers (mainnet 2025-08 to 2026-07).
"""

from hashlib import blake2b

from marketdata.simulator.answers import Rows, SymbolUnknownError, json_body
from marketdata.simulator.catalogue import Catalogue
from marketdata.simulator.grids import Grid
from marketdata.simulator.hyperliquid_candles import candle, grids, old_candle
from marketdata.simulator.hyperliquid_contexts import OUTCOME_MIDS, Contexts
from marketdata.simulator.hyperliquid_universe import DEXES, Pair, Perp, Token, Tokens, pairs, perps
from marketdata.simulator.market import Instrument, Market
from marketdata.simulator.prelisting import Prelisted
from marketdata.simulator.scenario import Scenario

_OLD_DEXES = frozenset({"xyz", "flx", "vntl", "hyna", "km"})


class SimulatedHyperliquid:
    """What the simulated market has of Hyperliquid."""

    def __init__(self, market: Market, scenario: Scenario) -> None:
        """The coins of `market`."""
        self.market = market
        self._scenario = scenario
        self._perps = Catalogue(perps(market.seed, scenario.ending_percent))
        self._tokens = Tokens(market.seed)
        self._pairs = Catalogue(pairs(self._tokens))
        self._grids = grids(scenario)
        self._contexts = Contexts(market)
        self._prelisted: dict[Instrument, Prelisted] = {}

    @property
    def catalogues(self) -> tuple[Catalogue[Perp], Catalogue[Pair]]:
        """All that it lists."""
        return self._perps, self._pairs

    def count(self, now_ms: int) -> int:
        """How many perpetuals and pairs are listed."""
        return len(self._perps.listed(now_ms)) + len(self._pairs.listed(now_ms))

    def instrument(self, coin: str, now_ms: int) -> Instrument:
        """A listed coin's instrument. Raises SymbolUnknownError."""
        entry = self._perps.get(coin, now_ms) or self._pairs.get(coin, now_ms)
        if entry is None:
            raise SymbolUnknownError(coin)
        return entry.instrument

    def prelisted(self, coin: str, now_ms: int) -> Prelisted:
        """A listed coin's instrument with its made-up rows. Raises SymbolUnknownError."""
        instrument = self.instrument(coin, now_ms)
        if instrument not in self._prelisted:
            days, perp = self._scenario.prelisted_days, self._perps.get(coin, now_ms)
            usual = perp.prelisted_days if perp else 0
            told = usual if days is None else days.get(instrument.first_symbol, 0)
            self._prelisted[instrument] = Prelisted.of(instrument, told)
        return self._prelisted[instrument]

    def kept_from_ms(self, interval: str, now_ms: int) -> int:
        """The open of the oldest candle that is still kept; it slides with the clock."""
        grid = self._grids[interval]
        return grid.open_ms(max(grid.index(now_ms) - self._scenario.kept_rows + 1, grid.index(0)))

    def candles(self, coin: str, interval: str, now_ms: int) -> tuple[Grid, Rows]:
        """The candles of a coin and where they open. Raises SymbolUnknownError."""
        coin_with_past, grid = self.prelisted(coin, now_ms), self._grids[interval]
        instrument, write = coin_with_past.instrument, old_candle if self._scenario.old_keys else candle
        kept_ms, late_ms = self.kept_from_ms(interval, now_ms), self._scenario.late_flat_ms

        def rows(first_ms: int, last_ms: int, limit: int, *, newest: bool) -> list[bytes]:
            selected = coin_with_past.select(
                self.market, grid, max(first_ms, kept_ms), last_ms, limit, newest=newest, now_ms=now_ms
            )
            return [
                write(instrument, interval, open_ms, next_ms, bar)
                for open_ms, next_ms, bar in selected
                if bar.trades or not late_ms or next_ms + late_ms <= now_ms
            ]

        return grid, rows

    def listing(self, kind: str, dex: str, now_ms: int) -> bytes:
        """The answer to a request that is not about candles. Raises SymbolUnknownError for an unknown dex."""
        if dex and dex not in DEXES:
            raise SymbolUnknownError(dex)
        answer: object
        match kind:
            case "meta":
                answer = self._meta(dex, now_ms)
            case "metaAndAssetCtxs":
                answer = [self._meta(dex, now_ms), self._contexts.perps(self._dex(dex, now_ms), now_ms)]
            case "allPerpMetas":
                answer = [self._meta(name, now_ms) for name in ("", *DEXES)]
            case "perpDexs":
                answer = [None, *(self._perp_dex(name, now_ms) for name in DEXES)]
            case "spotMeta":
                answer = self._spot_meta(now_ms)
            case "spotMetaAndAssetCtxs":
                answer = [self._spot_meta(now_ms), self._contexts.pairs(self._pairs.listed(now_ms), now_ms)]
            case _:
                answer = self._contexts.mids(self._dex(dex, now_ms), [] if dex else self._pairs.listed(now_ms), now_ms)
                if not dex:
                    answer |= OUTCOME_MIDS
        return json_body(answer)

    def _dex(self, dex: str, now_ms: int) -> list[Perp]:
        return [perp for perp in self._perps.listed(now_ms) if perp.dex == dex]

    def _meta(self, dex: str, now_ms: int) -> dict[str, object]:
        collateral = DEXES[dex][1] if dex else 0
        universe = [_asset(perp, now_ms) for perp in self._dex(dex, now_ms)]
        meta: dict[str, object] = {"universe": universe, "marginTables": _margin_tables()}
        return {**meta, "collateralToken": collateral} if self._scenario.collateral_tokens else meta

    def _perp_dex(self, dex: str, now_ms: int) -> dict[str, object]:
        address = "0x" + blake2b(dex.encode(), digest_size=20).hexdigest()
        names = [perp.instrument.symbol for perp in self._dex(dex, now_ms)]
        told: dict[str, object] = {
            "name": dex,
            "fullName": DEXES[dex][0],
            "deployer": address,
            "oracleUpdater": None if names else address,
            "feeRecipient": address,
            "assetToStreamingOiCap": [[name, "25000000.0"] for name in sorted(names)],
            "subDeployers": [["setOracle", [address]]],
            "deployerFeeScale": "1.0",
            "lastDeployerFeeScaleChangeTime": "1970-01-01T00:00:00",
            "assetToFundingMultiplier": [],
        }
        # A later key, seen since 2026-07; here younger dexes have it and older ones do not.
        return told if dex in _OLD_DEXES else {**told, "assetToFundingInterestRate": []}

    def _spot_meta(self, now_ms: int) -> dict[str, object]:
        listed = self._pairs.listed(now_ms)
        universe = [
            {
                "tokens": pair.tokens,
                "name": pair.instrument.symbol,
                "index": pair.index,
                "isCanonical": pair.index == 0,
            }
            for pair in listed
        ]
        decimals = {pair.tokens[0]: pair.size_decimals for pair in listed if pair.size_decimals is not None}
        tokens = [_token(token, decimals.get(token.index)) for token in self._tokens.listed(listed)]
        return {"universe": universe, "tokens": tokens}


def _asset(perp: Perp, now_ms: int) -> dict[str, object]:
    """One entry of a universe; optional keys are absent, not false."""
    asset: dict[str, object] = {
        "szDecimals": perp.instrument.size_scale if perp.size_decimals is None else perp.size_decimals,
        "name": perp.instrument.symbol,
        "maxLeverage": perp.max_leverage,
        "marginTableId": perp.max_leverage if perp.dex else _margin_table(perp.max_leverage),
    }
    if perp.only_isolated:
        asset["onlyIsolated"] = True
    if perp.delisted(now_ms):
        asset["isDelisted"] = True
    if perp.dex and perp.only_isolated:
        asset["marginMode"] = "noCross"
    if perp.dex and perp.growth:
        asset["growthMode"] = "enabled"
        asset["lastGrowthModeChangeTime"] = "2025-11-23T17:37:10.033211662"
    return asset


def _margin_table(leverage: int) -> int:
    """The tiered table of the widest leverages; others have one of their own number, which is not listed."""
    return next((number for number, (_, tiers) in _TIERS.items() if tiers[0][1] == leverage), leverage)


def _margin_tables() -> list[list[object]]:
    return [
        [
            number,
            {
                "description": description,
                "marginTiers": [{"lowerBound": bound, "maxLeverage": leverage} for bound, leverage in tiers],
            },
        ]
        for number, (description, tiers) in _TIERS.items()
    ]


_TIERS = {
    50: ("", (("0.0", 50),)),
    51: ("tiered 10x", (("0.0", 10), ("3000000.0", 5))),
    53: ("tiered 20x", (("0.0", 20), ("40000000.0", 10))),
    55: ("tiered 25x", (("0.0", 25), ("100000000.0", 15))),
    56: ("tiered 40x", (("0.0", 40), ("150000000.0", 20))),
}
"""Margin tables as recorded: description, and the leverage from each size on."""


def _token(token: Token, size_decimals: int | None) -> dict[str, object]:
    """One spot token; `size_decimals` are told in place of its own."""
    usual = 8 if token.index == 0 else token.size_decimals
    digest = blake2b(f"{token.index}/{token.asset.name}".encode(), digest_size=20).hexdigest()
    linked = token.index and token.index % 3 == 1
    return {
        "name": token.asset.name,
        "szDecimals": usual if size_decimals is None else size_decimals,
        "weiDecimals": 8 if token.size_decimals else 5,
        "index": token.index,
        "tokenId": "0x" + digest[:32],
        "isCanonical": token.index in {0, 1},
        "evmContract": (
            {"address": "0x" + digest, "evm_extra_wei_decimals": 10 if token.size_decimals else 13} if linked else None
        ),
        "fullName": None if token.index % 2 else token.asset.name.title(),
        "deployerTradingFeeShare": "1.0" if token.index > 196 else "0.0",
    }
