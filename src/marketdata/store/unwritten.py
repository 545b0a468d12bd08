"""What a process has done that the shared books do not hold yet."""

from collections import defaultdict

from marketdata.core.budget import Lease, Role, Silence, SilenceKind
from marketdata.core.budget.bookings import Bookings


class Unwritten:
    """What this process has still to write into the books of one exchange."""

    def __init__(self) -> None:
        """Nothing."""
        self.lease: Lease | None = None
        """The last one; what was not spent of it is given back when it has ended."""
        self.spent: defaultdict[Role, Bookings] = defaultdict(Bookings)
        """Without a lease."""
        self.reported: tuple[int, float] | None = None
        """What the exchange says was used, and until when that counts."""
        self.silences: dict[SilenceKind, Silence] = {}

    def is_due(self, now: float) -> bool:
        """Whether there is something to write."""
        return bool(self._has_ended(now) or self.spent or self.reported or self.silences)

    def take_due(self, now: float) -> "Unwritten":
        """All that is to be written, which is no longer held here."""
        due = Unwritten()
        if self._has_ended(now):
            due.lease, self.lease = self.lease, None
        due.spent, self.spent = self.spent, due.spent
        due.reported, self.reported = self.reported, None
        due.silences, self.silences = self.silences, due.silences
        return due

    def put_back(self, due: "Unwritten") -> None:
        """What could not be written; what has come since is newer."""
        self.lease = self.lease or due.lease
        for role, spent in due.spent.items():
            for ends_at, weight in spent:
                self.spent[role].add(ends_at, weight)
        self.reported = self.reported or due.reported
        self.silences = due.silences | self.silences

    def end_lease(self) -> None:
        """Nothing more is spent from the lease."""
        if self.lease is not None:
            self.lease.spend_before = 0.0

    def _has_ended(self, now: float) -> bool:
        return self.lease is not None and now >= self.lease.spend_before
