"""Exchanges that are not well as a whole: in maintenance, overloaded, closed to this place or to this address.

Each exchange has its own troubles with their own bytes; in one it answers every request the same.
"""

from collections.abc import Callable, Mapping

from marketdata.simulator.answers import Answer, Asked, Exchange

type Trouble = Callable[[Asked], Answer]


class WrongTroubleError(ValueError):
    """An exchange knows no such trouble; the message names those that it knows."""


class Troubled:
    """An exchange that is in a trouble when it is told to be."""

    def __init__(self, exchange: Exchange, troubles: Mapping[str, Trouble]) -> None:
        """`exchange`, which is well; and the troubles that it knows, by name."""
        self._exchange = exchange
        self._troubles = troubles
        self.trouble: str | None = None
        """The one it is in, by its name; None: it is well."""

    @property
    def known(self) -> tuple[str, ...]:
        """The names of all that there are."""
        return tuple(self._troubles)

    def suffer(self, trouble: str | None) -> None:
        """Be in a trouble from now on; None: be well. Raises WrongTroubleError."""
        if trouble is not None and trouble not in self._troubles:
            raise WrongTroubleError(f"no trouble of this exchange is called {trouble!r}; there are: {self.known}")
        self.trouble = trouble

    def answer(self, asked: Asked) -> Answer:
        """The exchange's answer, or that of its trouble."""
        return self._exchange.answer(asked) if self.trouble is None else self._troubles[self.trouble](asked)

    def failing(self, status: int, asked: Asked) -> Answer | None:
        """The answer of a trouble with this status, of several each second another; None: there is none."""
        found = [answer for trouble in self._troubles.values() if (answer := trouble(asked)).status == status]
        return found[asked.now_ms // 1000 % len(found)] if found else None


def always(answer: Answer) -> Trouble:
    """The same answer to everything."""
    return lambda _: answer
