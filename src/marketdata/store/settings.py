"""Where the database is: the settings of the store."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_PLACEHOLDERS = frozenset(
    {"", "admin", "dummy", "example", "letmein", "none", "null", "pass", "passw0rd", "password", "placeholder", "pwd"}
    | {"qwerty", "secret", "todo", "123456", "12345678", "x", "xx", "xxx", "xxxx", "xxxxx", "xxxxxx", "xxxxxxxx"}
)
_PLACEHOLDER_STARTS = ("change", "replace", "your", "mypassword", "insert", "enter", "putyour")
_SCHEMES = ("postgresql://", "postgresql+psycopg://", "postgres://")


class DatabaseSettings(BaseSettings):
    """`MARKETDATA_DATABASE_URL` or, without it, an embedded server under `MARKETDATA_DATA_DIR`."""

    model_config = SettingsConfigDict(
        env_prefix="MARKETDATA_", env_file=".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    database_url: SecretStr | None = None
    """A PostgreSQL URL; it may hold a password, so it is never shown."""
    data_dir: Path = Path(".marketdata")
    """Where the embedded server keeps its data; unused with `database_url`."""

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        if not url.get_secret_value().startswith(_SCHEMES):
            raise ValueError("must begin with postgresql://")
        try:
            password = urlsplit(url.get_secret_value()).password
        except ValueError:
            raise ValueError("must be a URL; what is special in a password is written as %40 for @") from None
        given, place = (password, "its password") if password else (os.environ.get("PGPASSWORD", ""), "PGPASSWORD")
        if is_placeholder(unquote(given)):
            raise ValueError(
                f"{place} is a placeholder (in containers it is POSTGRES_PASSWORD of .env);"
                " make a password by `openssl rand -hex 24`, give it to the database's user and write it there"
            )
        return url


def is_placeholder(password: str) -> bool:
    """Whether it is what examples have in place of a password, which everybody knows."""
    letters = re.sub(r"[^a-z0-9]", "", password.lower())
    return bool(password) and (letters in _PLACEHOLDERS or letters.startswith(_PLACEHOLDER_STARTS))
