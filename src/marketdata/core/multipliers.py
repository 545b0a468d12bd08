"""Which bases carry a factor and which are just called that: a table with evidence, entry by entry.

A number in front of a base is a factor only when it is listed here. A base that looks multiplied and is not here keeps
its spelling and is reported as unclassified, for somebody to look up.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple


class Multiplied(NamedTuple):
    """A base spelling whose number is a factor of an asset."""

    factor: int
    asset: str


BINANCE_FUTURES: Mapping[str, Multiplied] = {
    # Binance's launch announcements of the USD-M perpetuals name the underlying asset and, where the token has a spot
    # market, its price is the stated fraction of the contract's: each contract below is quoted per `factor` tokens.
    "1000SHIB": Multiplied(1000, "SHIB"),  # Shiba Inu; spot SHIBUSDT trades at a thousandth
    "1000PEPE": Multiplied(1000, "PEPE"),  # Pepe; spot PEPEUSDT
    "1000FLOKI": Multiplied(1000, "FLOKI"),  # Floki; spot FLOKIUSDT
    "1000BONK": Multiplied(1000, "BONK"),  # Bonk; spot BONKUSDT
    "1000LUNC": Multiplied(1000, "LUNC"),  # Terra Classic; spot LUNCUSDT
    "1000XEC": Multiplied(1000, "XEC"),  # eCash; spot XECUSDT
    "1000BTTC": Multiplied(1000, "BTTC"),  # BitTorrent; the contract until 2022, spot BTTCUSDT
    "1000SATS": Multiplied(1000, "SATS"),  # SATS (Ordinals); elsewhere SATS and 10000SATS
    "1000RATS": Multiplied(1000, "RATS"),  # Rats (Ordinals); elsewhere RATS
    "1000CAT": Multiplied(1000, "CAT"),  # Simon's Cat; elsewhere CAT and 10000CAT
    "1000CHEEMS": Multiplied(1000, "CHEEMS"),  # announced 2024-11-25 for the token Cheems
    "1000WHY": Multiplied(1000, "WHY"),  # announced 2024-11-25 for the token Why
    "1000X": Multiplied(1000, "X"),  # X Empire, whose own ticker is X
    "1000000MOG": Multiplied(1_000_000, "MOG"),  # Mog Coin; elsewhere MOG
    "1000000BOB": Multiplied(1_000_000, "BOB"),  # Build On BNB; elsewhere BOB
    "1MBABYDOGE": Multiplied(1_000_000, "BABYDOGE"),  # Baby Doge Coin, announced 2024-09-16; M: a million
}

NAMES: frozenset[str] = frozenset(
    {
        "1INCH",  # the 1inch network's token
        "00",  # the token of 00 (zerozero); Coinbase's 00-USD
        "0G",  # the 0G network's token
        "2Z",  # DoubleZero's token
        "4",  # the BNB chain token that is called 4
    }
)
"""Bases that begin with a digit and carry no factor."""

_LOOKS_MULTIPLIED = re.compile(r"\d+[KMBkmb]?(?=[^\d.])")


def classify_base(base: str, factors: Mapping[str, Multiplied]) -> Multiplied | None:
    """Read a base as the exchange spells it; `factors` is the exchange's own table.

    Gives factor and asset, factor 1 for a plain name, None when a number is in front and nobody has looked it up.
    """
    known = factors.get(base)
    if known is not None:
        return known
    if base in NAMES or not _LOOKS_MULTIPLIED.match(base):
        return Multiplied(1, base)
    return None
