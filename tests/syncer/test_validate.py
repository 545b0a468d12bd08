"""What cannot be kept exactly is refused by name; what can passes as it is."""

import pytest

from marketdata.core.models import Listing, Refusal
from marketdata.syncer.validate import validate
from tests.listings import instrument


def test_a_good_listing_passes_as_it_is() -> None:
    listing = Listing(
        instruments=(instrument(), instrument("币安人生USDT", base="币安人生")), unclassified=("BTCUSDT",)
    )
    assert validate(listing) == listing


@pytest.mark.parametrize(
    "field, value",
    [
        ("exchange_symbol", ""),
        ("exchange_symbol", "BTC\0USDT"),
        ("base_asset", "BTC\n"),
        ("exchange_status", "x" * 201),
        ("tick_size", "00.1"),
        ("tick_size", "-1"),
        ("tick_size", "1E-8"),
        ("tick_size", "\u0661.5"),
        ("step_size", "0." + "0" * 300 + "1"),
        ("listed_at", -1),
        ("expires_at", 253_402_300_800_000),
        ("base_multiplier", 2**63),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(field: str, value: object) -> None:
    bad = instrument().model_copy(update={field: value})
    good = instrument("ETHUSDT", base="ETH")
    listing = validate(Listing(instruments=(bad, good)))
    assert listing.instruments == (good,)
    assert len(listing.refused) == 1
    assert listing.refused[0].reason.startswith(field)


def test_what_is_only_reported_is_made_printable() -> None:
    listing = validate(
        Listing(
            instruments=(instrument(),),
            refused=(Refusal(exchange_symbol="A\0", reason="no\0t"), Refusal(exchange_symbol=None, reason="row")),
            unclassified=("B\x1f",),
            base_mismatches=("C\x7f",),
            unknown_words={"status=\0": 2},
        )
    )
    assert [refusal.exchange_symbol for refusal in listing.refused] == ["A?", None]
    assert listing.refused[0].reason == "no?t"
    assert (listing.unclassified, listing.base_mismatches) == (("B?",), ("C?",))
    assert listing.unknown_words == {"status=?": 2}
