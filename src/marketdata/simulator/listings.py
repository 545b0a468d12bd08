"""The planned changes of all listings of one simulator: what steers them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from marketdata.simulator.listing_changes import ListingChange, WrongListingChangeError


class Changeable(Protocol):
    """A listing whose instruments may be planned to change."""

    def plan(self, change: ListingChange) -> bool:
        """Let one change; False: nothing of that name is announced by then. Raises WrongListingChangeError."""
        ...

    def keep(self) -> None:
        """Let all be as they were announced."""
        ...


class Listings:
    """The changes of all exchanges."""

    def __init__(self, exchanges: Mapping[str, Sequence[Changeable]]) -> None:
        """None yet; `exchanges`: what each lists, by its id."""
        self._exchanges = exchanges
        self._all: list[ListingChange] = []

    def __iter__(self) -> Iterator[ListingChange]:
        """All of them, as they were added."""
        return iter(self._all)

    def add(self, *changes: ListingChange) -> None:
        """Plan changes, all or none. Raises WrongListingChangeError."""
        before = tuple(self._all)
        try:
            for change in changes:
                self._plan(change)
        except WrongListingChangeError:
            self.clear()
            for change in before:
                self._plan(change)
            raise

    def clear(self) -> None:
        """None any more."""
        self._all.clear()
        for catalogues in self._exchanges.values():
            for catalogue in catalogues:
                catalogue.keep()

    def _plan(self, change: ListingChange) -> None:
        known = self._exchanges.get(change.exchange)
        if known is None:
            raise WrongListingChangeError(
                f"no exchange is called {change.exchange!r}; there are: {', '.join(self._exchanges)}"
            )
        if not any(catalogue.plan(change) for catalogue in known):
            raise change.wrong("nothing of that name is announced by then")
        self._all.append(change)
