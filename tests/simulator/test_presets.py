"""Scenarios as the command takes them."""

from dataclasses import replace

import pytest

from marketdata.simulator.presets import PRESETS, SWITCHES, WrongScenarioError, scenario_of
from marketdata.simulator.scenario import Scenario


@pytest.mark.parametrize("name", PRESETS)
def test_a_name_is_a_scenario(name: str) -> None:
    assert scenario_of(name) == PRESETS[name]


@pytest.mark.parametrize(
    "told, scenario",
    [
        ("kept_rows=5060", Scenario(kept_rows=5060)),
        ("usual,calendar_months=false", Scenario(calendar_months=False)),
        ("failing_percent=0.5,limits=false", Scenario(failing_percent=0.5, limits=False)),
        ("three_days_offset_ms=-86400000", Scenario(three_days_offset_ms=-86_400_000)),
        ("old,old_keys=false", replace(PRESETS["old"], old_keys=False)),
        ("maintenance,skew_ms=1", replace(PRESETS["maintenance"], skew_ms=1)),
    ],
)
def test_a_switch_alone_or_on_top_of_a_name(told: str, scenario: Scenario) -> None:
    assert scenario_of(told) == scenario


@pytest.mark.parametrize("told", ["", "nice", "usual,kept", "kept_row=1", "usual,old", "troubles={}", "=", "old,"])
def test_what_there_is_not_is_answered_with_what_there_is(told: str) -> None:
    with pytest.raises(WrongScenarioError, match=r"there are: usual, unlimited, .*; and the switches skew_ms, ending_"):
        scenario_of(told)


@pytest.mark.parametrize(
    "told",
    ["kept_rows=0", "kept_rows=many", "kept_rows=", "ending_percent=101", "failing_percent=-1", "limits=perhaps"],
)
def test_a_value_that_cannot_be_names_its_switch(told: str) -> None:
    with pytest.raises(WrongScenarioError, match=rf"it cannot be: Expected .* at `\$.{told.partition('=')[0]}`"):
        scenario_of(told)


def test_a_switch_that_is_given_twice_is_refused() -> None:
    with pytest.raises(WrongScenarioError, match="a switch is given twice"):
        scenario_of("late,late_flat_ms=5,late_flat_ms=6")


def test_each_switch_that_a_word_can_tell_is_there() -> None:
    others = {"troubles", "outages", "listing_changes", "prelisted_days"}
    assert set(SWITCHES) | others == set(Scenario.__dataclass_fields__)
    assert not others & set(SWITCHES)
