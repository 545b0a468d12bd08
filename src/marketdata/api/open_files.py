"""How many files a process may have open; each connection is one."""

import resource

from marketdata.core.errors import InvalidSetting


def allow_files(needed: int) -> None:
    """Let this process have so many files open. Raises InvalidSetting when the system does not let it."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY or allowed >= needed:
        return
    if most != resource.RLIM_INFINITY and most < needed:
        raise InvalidSetting(
            "MARKETDATA_MAX_CONNECTIONS",
            f"it takes {needed} open files and this process may have {most}; lower it, or raise that limit (ulimit -n)",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))
