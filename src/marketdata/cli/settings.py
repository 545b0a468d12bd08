"""Settings of the command itself, and the environment that it hands on to the processes that it starts."""

import os
from collections.abc import Callable
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from marketdata.core.errors import InvalidSetting

_PREFIX = "MARKETDATA_"


class SimulatorSettings(BaseSettings):
    """What `marketdata simulate` reads from the environment or `.env`; the rest of it are options."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_file=".env", extra="ignore", env_ignore_empty=True)

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"


def read_settings[Settings: BaseSettings](read: Callable[[], Settings]) -> Settings:
    """The settings that `read`, a class or a function, gives. Raises InvalidSetting, which names the variable."""
    try:
        return read()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        variable = f"{_PREFIX}{first['loc'][0]}".upper()
        fault = first["msg"].removeprefix("Value error, ")
        raise InvalidSetting(
            variable, f"{fault}. It is an environment variable or a line in .env; .env.example shows its default."
        ) from None


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with `changes`, for a process that it starts."""
    return {**os.environ, **changes}
