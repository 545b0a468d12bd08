"""How exchanges count, each in its own kind of window: what a budget must never exceed."""

from marketdata.core.models import Budget


def most_counted(budget: Budget, arrivals: list[tuple[float, int]]) -> float:
    """The most that the exchange ever counted of requests that arrived at these seconds of its clock."""
    arrivals = sorted(arrivals)
    if budget.window == "bucket":
        return _fullest_bucket(budget, arrivals)
    if budget.window == "fixed":
        windows: dict[float, int] = {}
        for at, weight in arrivals:
            windows[at // budget.window_s] = windows.get(at // budget.window_s, 0) + weight
        return max(windows.values(), default=0)
    return max(
        (sum(weight for at, weight in arrivals if end - budget.window_s < at <= end) for end, _ in arrivals), default=0
    )


def _fullest_bucket(budget: Budget, arrivals: list[tuple[float, int]]) -> float:
    level, most, last = 0.0, 0.0, 0.0
    for at, weight in arrivals:
        level = max(0.0, level - (at - last) * budget.limit / budget.window_s) + weight
        most, last = max(most, level), at
    return most
