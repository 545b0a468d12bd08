"""The fourth step of a sync: a listing that must not be applied is refused as a whole, and nothing changes."""

from marketdata.core.errors import SyncRefused
from marketdata.core.models import Listing


def guard(listing: Listing) -> None:
    """Return if `listing` may be applied. Raises SyncRefused: no exchange lists nothing at all."""
    if not listing.instruments:
        rows = len(listing.refused)
        raise SyncRefused(
            f"none of the listing's {rows} rows could be read, the first because: {listing.refused[0].reason}"
            if rows
            else "the listing is empty"
        )
