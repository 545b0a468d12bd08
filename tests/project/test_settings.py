"""`.env.example` lists exactly the settings that the platform reads, each with its default."""

import importlib
import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import marketdata
from tests.built_in import ADAPTERS

PROJECT = Path(__file__).parents[2]
SOURCE = Path(marketdata.__file__).parent
LINE = re.compile(r"^#?(MARKETDATA_[A-Z0-9_]+)=(.*)$", re.MULTILINE)


def settings() -> dict[str, object]:
    """Environment variable → default, of every settings class in the source and every exchange's URL."""
    found: dict[str, object] = {
        f"MARKETDATA_{name.upper()}_URL": adapter.base_url for name, adapter in ADAPTERS.items()
    }
    for path in SOURCE.glob("*/settings.py"):
        module = importlib.import_module(f"marketdata.{path.parent.name}.settings")
        for model in vars(module).values():
            if isinstance(model, type) and issubclass(model, BaseSettings) and model is not BaseSettings:
                prefix = model.model_config.get("env_prefix", "")
                found |= {
                    f"{prefix}{name}".upper(): field.get_default(call_default_factory=True)
                    for name, field in model.model_fields.items()
                }
    return found


def test_the_example_lists_every_setting_and_no_other() -> None:
    listed = dict(LINE.findall((PROJECT / ".env.example").read_text()))
    assert set(listed) == set(settings())


def test_the_example_shows_the_defaults() -> None:
    defaults = settings()
    for name, shown in LINE.findall((PROJECT / ".env.example").read_text()):
        default = defaults[name]
        if default is None:
            continue
        text = ",".join(default) if isinstance(default, tuple) else str(default)
        assert shown == text, name


def test_nothing_in_the_example_is_a_secret_or_set() -> None:
    lines = (PROJECT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["POSTGRES_PASSWORD="]


@pytest.mark.parametrize("name", ["compose.yaml", ".env.demo"])
def test_containers_use_known_settings(name: str) -> None:
    used = set(re.findall(r"MARKETDATA_[A-Z0-9_]+", (PROJECT / name).read_text()))
    assert used <= set(settings())
