"""The rules of the guard, by themselves: whoever only reads settings needs no database library for it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class GuardRules(BaseModel):
    """What makes a listing untrustworthy, and an instrument that is missing delisted. A share of 0.2 is a fifth."""

    model_config = ConfigDict(frozen=True)

    guard_lost: Annotated[
        _Share,
        Field(
            description="A listing is quarantined when more than this share of the instruments known is lost:"
            " missing, another instrument, newly delisted or of unknown status."
        ),
    ] = 0.2
    guard_new: Annotated[
        _Share, Field(description="A listing is quarantined when it has this share of new instruments, or more.")
    ] = 0.5
    guard_unreadable: Annotated[
        _Share,
        Field(description="A listing is quarantined when more than this share of its rows cannot be read."),
    ] = 0.01
    guard_floor: Annotated[
        int, Field(ge=0, description="So few lost, new or unreadable ones never quarantine a listing: small exchanges.")
    ] = 5
    delist_after_listings: Annotated[
        int, Field(ge=1, description="An instrument counts as delisted when so many listings in a row do not have it …")
    ] = 3
    delist_after: Annotated[
        float,
        Field(
            ge=0, le=31_536_000, allow_inf_nan=False, description="… and so many seconds have passed since the first."
        ),
    ] = 1800
