"""Settings of the command itself, and the environment that it hands on to the processes that it starts."""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from marketdata.api.settings import ApiSettings
from marketdata.core.errors import InvalidSetting
from marketdata.core.exchanges import registry
from marketdata.core.settings import ExchangeSettings
from marketdata.store.settings import DatabaseSettings
from marketdata.syncer.settings import GuardSettings

_PREFIX = "MARKETDATA_"
_OTHERS = frozenset({"MARKETDATA_RECORDED"})
"""What is no setting: where the tests find recordings."""
_LINKED_PORT = re.compile(r"_PORT_\d+_(TCP|UDP|SCTP)")

_FAULTS: Mapping[str, str] = {
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
"""pydantic's kinds of errors in words for people."""


class SimulatorSettings(BaseSettings):
    """What `marketdata simulate` reads from the environment or `.env`; the rest of it are options."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_file=".env", extra="ignore", env_ignore_empty=True)

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"


def read_settings[Settings: BaseSettings](read: Callable[[], Settings]) -> Settings:
    """The settings that `read`, a class or a function, gives.

    Raises InvalidSetting, which names the variable, also when there is one that nobody reads: it is misspelt.
    """
    _refuse_unknown()
    try:
        return read()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidSetting(
            f"{_PREFIX}{first['loc'][0]}".upper(),
            f"{_fault(first)}. It is an environment variable or a line in .env; .env.example shows its default.",
        ) from None


def _fault(error: ErrorDetails) -> str:
    """What is wrong with a value, without the value."""
    words = _FAULTS.get(error["type"])
    return error["msg"].removeprefix("Value error, ") if words is None else words.format(**error.get("ctx", {}))


def _refuse_unknown() -> None:
    """Raise InvalidSetting for a variable with our prefix that is no setting of any part of the platform."""
    parts = (ApiSettings, DatabaseSettings, GuardSettings, SimulatorSettings, ExchangeSettings)
    known = {f"{_PREFIX}{name}".upper() for part in parts for name in part.model_fields}
    known |= {f"{_PREFIX}{exchange}_URL".upper() for exchange in registry()}
    set_ = {**DotEnvSettingsSource(SimulatorSettings).env_vars, **EnvSettingsSource(SimulatorSettings).env_vars}
    for name, value in sorted((name.upper(), value or "") for name, value in set_.items()):
        if name.startswith(_PREFIX) and name not in known | _OTHERS and not _is_service_link(name, value):
            alike = difflib.get_close_matches(name, sorted(known), 1)
            meant = f"did you mean {alike[0]}? " if alike else ""
            raise InvalidSetting(name, f"there is no such setting; {meant}.env.example lists those that there are.")


def _is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes made the variable, as it does for each service that has a name like ours."""
    return "_SERVICE_" in name or value.startswith(("tcp://", "udp://")) or _LINKED_PORT.search(name) is not None


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with `changes`, for a process that it starts."""
    return {**os.environ, **changes}
