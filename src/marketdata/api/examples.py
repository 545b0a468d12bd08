"""Examples of answers and errors, as the running product gave them; `make openapi` asks it for them anew."""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

EXAMPLES_FILE: Final = "examples.json"


@dataclass(frozen=True, slots=True)
class Example:
    """One good answer."""

    media_type: str
    value: Any
    """The document of JSON, the text of all else."""


@dataclass(frozen=True, slots=True)
class Examples:
    """What the OpenAPI document shows."""

    answers: dict[str, dict[str, Example]]
    """By operation id, then by what the example is called."""
    problems: dict[str, dict[str, Any]]
    """A problem document for each code."""


def read_examples() -> Examples:
    """The examples that are kept beside this module."""
    kept = json.loads(files(__package__).joinpath(EXAMPLES_FILE).read_text(encoding="utf-8"))
    answers = {
        operation_id: {name: Example(**example) for name, example in named.items()}
        for operation_id, named in kept["answers"].items()
    }
    return Examples(answers, kept["problems"])
