"""Where the database is: the settings of the store."""

from pathlib import Path

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

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
        if url is not None and not url.get_secret_value().startswith(_SCHEMES):
            raise ValueError("must begin with postgresql://")
        return url
