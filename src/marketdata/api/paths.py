"""What our paths take, and which of them somebody meant who asked for one that there is not."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final

_MOST: Final = 3
_NEAR: Final = 0.7
"""How alike each word of a path is to the one that may be meant: 1 is the same."""

_LONGEST: Final = 300
"""No longer path is compared."""


def allowed_methods(path: str, known: Mapping[str, Collection[str]]) -> list[str]:
    """The methods that `path` takes, in capitals; `known`: those of each template. A symbol may hold a slash."""
    found = set()
    for template, methods in known.items():
        pattern = re.sub(r"\\{(\w+)\\}", lambda name: ".+" if name[1] == "symbol" else "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path, re.DOTALL):
            found |= {method.upper() for method in methods}
    return sorted(found | {"HEAD"} if "GET" in found else found)  # a HEAD is answered as the GET that it stands for


def near_paths(path: str, known: Iterable[str]) -> list[str]:
    """Those of `known` that `path` may be meant for, likeliest first; their placeholders fit anything."""
    if len(path) > _LONGEST:
        return []
    asked = path.strip("/").split("/")
    likely = {}
    for template in known:
        words = template.strip("/").split("/")
        likeness = max(_likeness(asked, words), _likeness(["v1", *asked], words))  # the version is soon forgotten
        if likeness >= _NEAR:
            likely[template] = likeness
    return sorted(likely, key=lambda template: -likely[template])[:_MOST]


def _likeness(asked: Sequence[str], words: Sequence[str]) -> float:
    """That of the two words that are least alike."""
    if len(asked) != len(words):
        return 0
    return min(
        SequenceMatcher(None, one.lower(), word).ratio()
        for one, word in zip(asked, words, strict=True)
        if not word.startswith("{")
    )
