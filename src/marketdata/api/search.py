"""Finding instruments as people type them, and what they may have meant."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from marketdata.api.instruments import Instruments, Spellings, squeeze
from marketdata.core.models import Status, Symbol

MOST_SUGGESTIONS: Final = 5

_NEAR: Final = 0.7
"""How alike two names are that may be meant for one another: 1 is the same, 0.7 three of ten letters wrong."""

_NEAR_BASE: Final = 0.5
"""The same for the bases alone, where a name is in parts: what follows is the same in a thousand names."""

_PARTING: Final = re.compile(r"[-/_\s]")

_LONGEST_NAME: Final = 40
"""Nothing longer is a name; comparing it would only cost time."""


def rank(spellings: Spellings, words: Iterable[str]) -> int | None:
    """How well an instrument fits `words` (each squeezed): 0 best; None unless every word fits something of it.

    0: its base or symbol is one of them, 1: begins with one, 2: contains one, 3: only other names of it do.
    """
    best = 3
    for word in words:
        heads = (*spellings.bases, spellings.names[0])
        if word in heads:
            best = 0
        elif any(head.startswith(word) for head in heads):
            best = min(best, 1)
        elif any(word in head for head in heads):
            best = min(best, 2)
        elif word not in spellings.others and f"\n{word}" not in spellings.words:
            return None
    return best


def suggest(places: Iterable[Instruments], name: str) -> list[Symbol]:
    """Which instruments may have been meant by `name`, at most MOST_SUGGESTIONS, the likeliest first; perhaps none.

    Those of the same base before those of another that is spelt alike.
    """
    name = name[: 2 * _LONGEST_NAME]
    wanted = squeeze(name)
    if not 0 < len(wanted) <= _LONGEST_NAME:
        return []
    base = squeeze(_PARTING.split(name, maxsplit=1)[0])
    likely = [one for instruments in places for one in _likely(instruments, wanted, base)]
    likely.sort(key=lambda one: (-one[0], lateness(one[1]), one[1].exchange, one[1].symbol))
    return [symbol for _, symbol in likely[:MOST_SUGGESTIONS]]


def _likely(instruments: Instruments, wanted: str, base: str) -> Iterator[tuple[float, Symbol]]:
    """How likely those instruments are meant that may be: up to 1 by the spelling, and 1 more for the same base."""
    names, owners = instruments.spelt
    likeness: dict[int, float] = {}
    # from the likeliest down, so that the first name of an instrument is the one that counts
    for _, alike, at in extract(wanted, names, scorer=OSA.normalized_similarity, limit=len(names)):
        likeness.setdefault(owners[at], alike)
    for at, alike in likeness.items():
        bases = instruments.spellings[at].bases
        quote = squeeze(instruments.symbols[at].quote_asset)
        is_same = base in bases or any(wanted == one + quote for one in bases)  # as exchanges write it, in one word
        is_near = base == wanted or any(OSA.normalized_similarity(base, one) >= _NEAR_BASE for one in bases)
        if is_same or (is_near and alike >= _NEAR):
            yield alike + is_same, instruments.symbols[at]


def lateness(symbol: Symbol) -> int:
    """Of those that fit as well: what trades comes first, 0, and what is delisted last, 2."""
    return {Status.TRADING: 0, Status.DELISTED: 2}.get(symbol.status, 1)


def read_words(text: str) -> Sequence[str]:
    """The words of a search, squeezed; none if there is no letter or digit in it."""
    return [word for word in dict.fromkeys(map(squeeze, text.split())) if word]
