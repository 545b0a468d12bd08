"""Whether a failed call is made once more: only where that is safe and may help, and never for many of them."""

from marketdata.core.errors import UpstreamError, UpstreamGarbled, UpstreamRefused, UpstreamUnavailable

PER_CALL = 0.1
"""What each call saves towards a retry: in the long run there is one retry to ten calls."""

MOST_SAVED = 5.0


class RetryBudget:
    """How many retries an exchange may still be asked for: when everything fails, retrying only makes it worse."""

    def __init__(self) -> None:
        """A few retries at the start."""
        self._saved = MOST_SAVED

    def earn(self) -> None:
        """A call is made."""
        self._saved = min(MOST_SAVED, self._saved + PER_CALL)

    def spend(self) -> bool:
        """Whether there is a retry left; it is then spent."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


def is_worth_retrying(error: UpstreamError) -> bool:
    """Whether the same request, which only reads, may well succeed a moment later.

    Not after a deadline, which has taken its time already; nor when the exchange has said when to come back; nor when
    it has understood and certainly said no.
    """
    if isinstance(error, UpstreamUnavailable):
        return error.retry_after_s is None
    if isinstance(error, UpstreamRefused):
        return not error.is_certain
    return isinstance(error, UpstreamGarbled)


def is_doubtful(refusal: UpstreamRefused, first: UpstreamError) -> bool:
    """Whether what looks like a refusal in the second attempt may as well be the fault that failed the first."""
    return not refusal.is_certain and not isinstance(first, UpstreamRefused)
