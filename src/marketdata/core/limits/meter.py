"""What a process holds of a client's limits in the present minute. Pure: it is told the time and what was leased."""

from typing import Final

from marketdata.core.limits.pool import Amounts, Kind, Minute

LEASES: Final = 32
"""A lease is this part of what is left, 1 at the least: much while there is much, little near the end."""

IDLE_S: Final = 5.0
"""What a process has leased and not touched for so long is given back for the others."""


class Allowance:
    """How much of one kind a process may take, of its lease or, without the books, of its share."""

    __slots__ = ("_covered", "_lease", "is_alone", "last_spent", "left", "limit", "low", "taken", "waiting")

    def __init__(self) -> None:
        """Nothing."""
        self.limit = 0
        """What all processes may take in the minute."""
        self.taken = 0
        """What they have taken, with all leases, as far as is known."""
        self.left = 0
        """What may be taken here without asking anybody."""
        self.low = -1
        """At this much it is time to lease again; -1: there is no more."""
        self.waiting = 0
        """What those ask for who wait for a lease."""
        self.last_spent = float("-inf")
        """In seconds of the monotonic clock."""
        self.is_alone = False
        """Whether it is a share."""
        self._lease = 0
        self._covered = 0

    @property
    def rest(self) -> int:
        """What nobody has taken yet, as far as is known, and can be leased."""
        return 0 if self.is_alone else max(0, self.limit - self.taken)

    @property
    def unwritten(self) -> int:
        """What was taken here and nobody else knows of; less than 0, while it is alone: what is left of its lease."""
        return self._covered - self.left if self.is_alone else self._covered

    def spend(self, amount: int, now: float) -> bool:
        """Whether so much was left; it is taken then."""
        if amount > self.left:
            return False
        self.left -= amount
        self.last_spent = now
        return True

    def begin(self) -> None:
        """A new minute: all that was is over."""
        self.taken = self.left = self._covered = self._lease = 0
        self.is_alone = False
        self._set_low()

    def go_alone(self, share: int) -> None:
        """Go on with what is left of the lease and a share, of which what nobody knows of is taken already."""
        self._covered -= self.left  # that is in the books
        self.left = max(0, share - self._covered)
        self._covered += self.left
        self.is_alone = True
        self.low = -1

    def go_together(self) -> None:
        """Take from leases again; what is left of the share is void, but for what is left of a lease from before."""
        unwritten = self.unwritten
        self.left, self._covered = max(0, -unwritten), max(0, unwritten)
        self._lease = 0
        self.is_alone = False
        self._set_low()

    def ask(self, now: float) -> int:
        """What to lease now; less than 0 is given back and no longer held."""
        if self.is_alone:
            return 0
        is_idle = now - self.last_spent >= IDLE_S
        if is_idle and not self.waiting:
            idle, self.left = self.left, 0
            return -idle
        need = self.waiting - self.left
        if need <= 0 and self.left > self.low:
            return 0
        return min(self.rest, max(need, self.rest // LEASES, 1))

    def book(self, asked: int, told: int, taken: int | None) -> None:
        """`told` stands in the books now, which add up to `taken`; of it, `asked` is wanted, the rest was `unwritten`.

        `taken` None: it could not be written.
        """
        if taken is None:
            self.taken = self.limit
            self._set_low()
            return
        self._covered -= told - asked
        # what stood there before is had by others: no two get the same part of the limit
        granted = max(0, min(asked, self.limit - (taken - asked)))
        self._lease = granted or self._lease
        paid = 0 if self.is_alone else min(granted, self._covered)  # what was taken meanwhile on credit
        self._covered -= paid
        self.left += granted - paid
        self.learn(taken)

    def learn(self, taken: int) -> None:
        """Take note of what the books say."""
        if not self.is_alone:
            self.taken = taken
            self._set_low()

    def _set_low(self) -> None:
        self.low = self._lease // 2 if self.taken < self.limit else -1


class Meter:
    """The allowances of one client in the present minute."""

    def __init__(self, client_id: str) -> None:
        """Of no minute yet."""
        self.client_id = client_id
        self.requests = Allowance()
        self.candles = Allowance()
        self.start_ms = -1
        """Which minute it is; its beginning, epoch ms."""
        self.ends_at = float("-inf")
        """In seconds of the monotonic clock."""
        self.is_on_credit = False
        """Whether it is alone for a moment only, with very little."""
        self._by_kind: dict[Kind, Allowance] = {"requests": self.requests, "candles": self.candles}

    @property
    def is_alone(self) -> bool:
        """Whether it lives on shares."""
        return self.requests.is_alone

    @property
    def last_spent(self) -> float:
        """When something was last taken, in seconds of the monotonic clock."""
        return max(self.requests.last_spent, self.candles.last_spent)

    @property
    def has_unwritten(self) -> bool:
        """Whether something was taken that nobody else knows of."""
        return any(allowance.unwritten > 0 for allowance in self._by_kind.values())

    def set_limits(self, limits: tuple[int, int]) -> None:
        """`limits`: requests and candles in a minute."""
        self.requests.limit, self.candles.limit = limits

    def begin(self, minute: Minute) -> None:
        """Be in another minute, of which nothing is held yet."""
        self.start_ms = minute.start_ms
        self.ends_at = minute.ends_at
        self.is_on_credit = False
        for allowance in self._by_kind.values():
            allowance.begin()

    def put_back(self, allowance: Allowance, amount: int, start_ms: int) -> None:
        """Undo a part of what was taken in the minute that began at `start_ms`, if that is still the present one."""
        if start_ms == self.start_ms:
            allowance.left += amount

    def go_alone(self, minute: Minute, processes: int) -> None:
        """Go on with a share: of the limit, or of what was left when anybody last looked at this minute."""
        self.is_on_credit = False
        for kind, allowance in self._by_kind.items():
            free = allowance.limit
            if minute.is_seen:
                free = max(0, free - minute.taken.get(kind, 0))
                free -= (processes - 1) * (free // LEASES)  # that each other one may have leased since
            allowance.go_alone(max(0, free) // processes)

    def go_on_credit(self, processes: int) -> None:
        """Let a few in without knowing what others do: all processes together as much as one lease, or one each."""
        self.is_on_credit = True
        for allowance in self._by_kind.values():
            lease = allowance.limit // LEASES
            allowance.go_alone(lease and max(1, lease // processes))

    def go_together(self) -> None:
        """Take from leases again."""
        self.is_on_credit = False
        for allowance in self._by_kind.values():
            allowance.go_together()

    def learn(self, minute: Minute) -> None:
        """Take note of what the books say, if it is of this minute."""
        if minute.is_seen and minute.start_ms == self.start_ms:
            for kind, allowance in self._by_kind.items():
                allowance.learn(minute.taken.get(kind, 0))

    def ask(self, now: float) -> tuple[Amounts, Amounts]:
        """What to lease of each kind, and what to tell the books: that, and what they do not know of yet."""
        asked = {kind: allowance.ask(now) for kind, allowance in self._by_kind.items()}
        told = {kind: asked[kind] + max(0, allowance.unwritten) for kind, allowance in self._by_kind.items()}
        return asked, told

    def book(self, minute: Minute, asked: Amounts, told: Amounts, asked_in_ms: int) -> None:
        """Take over what the books say after `told` was written there; `asked_in_ms`: the minute it was asked in."""
        if minute.start_ms == asked_in_ms != self.start_ms:
            return  # it is over
        if self.is_on_credit:
            self.go_together()
        if minute.start_ms != self.start_ms:
            self.begin(minute)
            told = asked  # what was taken in another minute is of no interest in this one
        self.ends_at = minute.ends_at
        for kind, allowance in self._by_kind.items():
            allowance.book(asked[kind], told[kind], minute.taken.get(kind))
