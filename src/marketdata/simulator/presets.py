"""Scenarios by name and by their switches, for the command line."""

from collections.abc import Mapping
from dataclasses import fields

import msgspec

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

SWITCHES = tuple(switch.name for switch in fields(Scenario) if isinstance(switch.default, int | float))
"""Those that are told in a word; troubles and outages have places of their own under `/_control`."""


class WrongScenarioError(ValueError):
    """A scenario that cannot be; the message says what is possible."""


def scenario_of(told: str) -> Scenario:
    """What `NAME,switch=value,…` tells of; without a name it is the usual one. Raises WrongScenarioError."""
    name, *switches = told.split(",")
    if "=" in name:
        name, switches = "usual", [name, *switches]
    given = dict(switch.partition("=")[::2] for switch in switches)
    if len(given) < len(switches):
        raise WrongScenarioError("a switch is given twice")
    if name not in PRESETS or not given.keys() <= set(SWITCHES):
        raise WrongScenarioError(f"there are: {', '.join(PRESETS)}; and the switches {', '.join(SWITCHES)}")
    try:
        return msgspec.convert({**msgspec.to_builtins(PRESETS[name]), **given}, Scenario, strict=False)
    except msgspec.ValidationError as error:
        raise WrongScenarioError(f"it cannot be: {error}") from None
