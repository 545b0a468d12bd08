"""Scenarios by name, for the command line."""

from collections.abc import Mapping

from marketdata.simulator.scenario import Scenario

PRESETS: Mapping[str, Scenario] = {
    "usual": Scenario(),
    # for programs that are tried faster than any exchange would allow
    "unlimited": Scenario(limits=False),
    # an address that others use too, on a day when nobody is patient
    "crowded": Scenario(foreign_weight=600, failing_percent=4, refusals_before_ban=1, retry_after=True),
    # candles that appear or change after their time
    "late": Scenario(late_flat_ms=90_000, newest_lag_ms=60_000, corrected_ms=60_000),
    # most contracts are SETTLING
    "closing": Scenario(ending_percent=100),
    # shapes of 2023 and before
    "old": Scenario(old_keys=True, collateral_tokens=False, float_noise=True, documented_weights=True),
    # all exchanges are being mended
    "maintenance": Scenario(
        troubles={"binance_futures": "unavailable", "hyperliquid": "maintenance", "coinbase": "maintenance"}
    ),
}
