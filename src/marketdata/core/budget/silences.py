"""How long an exchange is left in peace after it has told us to stop: asking on is what turns a limit into a ban."""

from collections.abc import Mapping

from marketdata.core.budget.pool import Silence, SilenceKind
from marketdata.core.budget.rule import TIME_MARGIN_S
from marketdata.core.errors import UpstreamBanned, UpstreamRateLimited

FIRST_SILENCE_S = 5.0
LONGEST_SILENCE_S = 60.0
"""After a refusal that does not say how long to wait: at first, and at most when it goes on."""

MEMORY_S = 60.0
"""A refusal goes on when it comes within this time after the last silence; each silence is then twice the last."""

UNTOLD_BAN_S = 120.0
"""After a ban that does not say until when: Binance's shortest."""

LONGEST_LIMIT_S = 900.0
LONGEST_BAN_S = 3 * 86_400.0
"""What is believed at most: Binance's longest ban, and for a refusal more than any exchange asks for."""

_MS_PER_S = 1000


class Silences:
    """Until when nobody asks. A shorter time never cuts a longer one short."""

    def __init__(self) -> None:
        """No silence."""
        self._kept: dict[SilenceKind, Silence] = {}

    def left_s(self, kind: SilenceKind, now: float) -> float:
        """For how many more seconds; 0: not at all."""
        silence = self._kept.get(kind)
        return 0.0 if silence is None else max(0.0, silence.until - now)

    def learn(self, known: Mapping[SilenceKind, Silence]) -> None:
        """Take over what other processes were told."""
        for kind, silence in known.items():
            self._keep(kind, silence)

    def begin(
        self, error: UpstreamRateLimited | UpstreamBanned, now: float, exchange_ms: int | None, local_ms: int
    ) -> tuple[SilenceKind, Silence] | None:
        """Keep the silence that `error` asks for; None when a longer one is kept already.

        The end of a ban is told in the exchange's time, `exchange_ms`; `local_ms` stands in where that is unknown.
        """
        kind: SilenceKind
        if isinstance(error, UpstreamBanned):
            kind, length_s = "banned", _ban_s(error, exchange_ms, local_ms)
        else:
            kind, length_s = "limited", self._limit_s(error, now)
        silence = Silence(now + length_s, length_s)
        return (kind, silence) if self._keep(kind, silence) else None

    def _keep(self, kind: SilenceKind, silence: Silence) -> bool:
        kept = self._kept.get(kind)
        if kept is not None and silence.until <= kept.until:
            return False
        self._kept[kind] = silence
        return True

    def _limit_s(self, error: UpstreamRateLimited, now: float) -> float:
        if error.retry_after_s:
            return min(error.retry_after_s, LONGEST_LIMIT_S)
        last = self._kept.get("limited")
        if last is None or now >= last.until + MEMORY_S:
            return FIRST_SILENCE_S
        # one that comes during a silence was on its way when that began: it says nothing new
        return 0.0 if now < last.until else min(LONGEST_SILENCE_S, max(FIRST_SILENCE_S, last.length_s * 2))


def _ban_s(error: UpstreamBanned, exchange_ms: int | None, local_ms: int) -> float:
    """How long, by its wait or until its end, whichever is longer; our own clock may be wrong, so it is asked last."""
    told_s = error.retry_after_s or 0.0
    if error.until_ms is not None and exchange_ms is not None:
        told_s = max(told_s, _left_s(error.until_ms, exchange_ms))
    elif error.until_ms is not None and not told_s:
        told_s = max(UNTOLD_BAN_S, _left_s(error.until_ms, local_ms))
    return min(told_s or UNTOLD_BAN_S, LONGEST_BAN_S)


def _left_s(until_ms: int, now_ms: int) -> float:
    return (until_ms - now_ms) / _MS_PER_S + TIME_MARGIN_S
