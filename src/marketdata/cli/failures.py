"""How a command ends that cannot do what was asked: one line on stderr and an exit status that means something."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from marketdata.core.errors import (
    AlreadyRunning,
    DatabaseUnavailable,
    InvalidSetting,
    MarketDataError,
    UnknownExchange,
)

FAILED = 1
USAGE = 2
ALREADY_RUNNING = 3
NO_DATABASE = 4

EXIT_STATUSES = (
    "Exit status: 0 done; 1 failed; 2 wrong usage or setting; 3 another process has the place or the port;"
    " 4 the database cannot be used."
)


class Application(typer.Typer):
    """The commands; what goes wrong as expected is told without a traceback."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run the command of the command line and exit."""
        try:
            return super().__call__(*args, **kwargs)
        except MarketDataError as error:
            fail(str(error))
            sys.exit(exit_status(error))


def exit_status(error: MarketDataError) -> int:
    """What the shell is told of `error`."""
    match error:
        case InvalidSetting() | UnknownExchange():
            return USAGE
        case AlreadyRunning():
            return ALREADY_RUNNING
        case DatabaseUnavailable():
            return NO_DATABASE
        case _:
            return FAILED


def fail(message: str) -> None:
    """Say on stderr what went wrong."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False).print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """For the imports of what a command needs beyond the command itself: say what to install if it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("marketdata"):
            raise
        fail(f"this command needs {error.name}, which is not installed: install market-data-platform[{extra}]")
        raise typer.Exit(FAILED) from None
