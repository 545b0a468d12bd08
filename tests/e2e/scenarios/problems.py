"""What every refusal has, whatever it is about."""

import httpx2

STATUSES = {
    "upstream-error": 502,
    "upstream-bad-data": 502,
    "upstream-rate-limited": 503,
    "upstream-banned": 503,
    "upstream-blocked": 503,
    "upstream-unavailable": 503,
    "upstream-timeout": 504,
}
"""What an exchange may be the reason of, by its code."""

_WITH_WAIT = {"upstream-rate-limited", "upstream-banned"}


def assert_problem(response: httpx2.Response, *codes: str) -> int:
    """A problem with one of these codes; gives how many seconds to wait, 0 where it does not say."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert problem["code"] in codes, problem
    assert response.status_code == STATUSES[problem["code"]]
    assert problem["request_id"] == response.headers["x-request-id"]
    assert response.headers.get("retry-after") == (str(problem["retry_after"]) if "retry_after" in problem else None)
    wait_s = int(problem.get("retry_after", 0))
    assert wait_s >= 1 or problem["code"] not in _WITH_WAIT
    return wait_s
