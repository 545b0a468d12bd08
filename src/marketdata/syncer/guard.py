"""The fourth step of a sync: a listing that cannot be trusted is quarantined as a whole, and nothing changes.

It is judged by how it differs from what is known, instrument by instrument, not by how long it is:
as many new names as are missing are no better than a short listing. What an operator has accepted is not held against
it.
"""

from collections.abc import Collection, Sequence

from marketdata.core.errors import ListingQuarantined
from marketdata.core.models import Listing, Status
from marketdata.store.symbols import StoredSymbol
from marketdata.store.syncs import Shift, SyncReport, SyncRun
from marketdata.syncer.rules import GuardRules


def find_shift(stored: Sequence[StoredSymbol], listing: Listing, accepted: SyncRun | None) -> Shift:
    """How `listing` differs from what is known: the instruments in `stored` that a listing is expected to have.

    What is missing stays missed until it is delisted, so that no number of small losses makes a large one. `accepted`:
    the newest run that was applied because an operator trusted it; what was missing or unreadable then is no news.
    """
    known = {row.symbol.exchange_symbol: row for row in stored if is_expected(row)}
    listed = {instrument.exchange_symbol: instrument for instrument in listing.instruments}
    unreadable = [refusal.exchange_symbol for refusal in listing.refused]
    report = SyncReport() if accepted is None else accepted.report
    known_unreadable = [refusal.exchange_symbol for refusal in report.refused]
    known_missing = {
        one for one, row in known.items() if row.missing_since is not None and row.symbol.symbol in report.missing
    }
    both = [(listed[one], row) for one, row in known.items() if one in listed]

    def turned(status: Status) -> list[str]:
        return [one.exchange_symbol for one, row in both if one.status is status is not row.symbol.status]

    return Shift(
        missing=_sorted(known.keys() - listed.keys() - set(unreadable) - known_missing),
        replaced=_sorted([one.exchange_symbol for one, row in both if one.identity != row.identity]),
        delisted=_sorted(turned(Status.DELISTED)),
        unknown=_sorted(turned(Status.UNKNOWN)),
        new=_sorted(listed.keys() - known.keys()),
        unreadable=_sorted({name for name in unreadable if name is not None} - set(known_unreadable)),
        nameless=max(0, unreadable.count(None) - known_unreadable.count(None)),
    )


def is_expected(row: StoredSymbol) -> bool:
    """Whether a listing without this instrument has lost it: the last one had it, or it is only missing so far."""
    return row.replaced_at is None and (row.listed or row.symbol.status is not Status.DELISTED)


def guard(listing: Listing, stored: Sequence[StoredSymbol], shift: Shift, rules: GuardRules, accepted: Shift) -> None:
    """Return if `listing` may be applied to `stored`, else raise ListingQuarantined.

    `shift`: how it differs from what is known; `accepted`: what of that an operator has let through.
    """
    rows = len(listing.instruments) + len(listing.refused)
    if not listing.instruments:
        reason = listing.refused[0].reason if listing.refused else ""
        raise ListingQuarantined(
            f"none of the listing's {rows} rows could be read, the first because: {reason}"
            if rows
            else "the listing is empty"
        )
    before = sum(map(is_expected, stored))
    lost = _lost(shift) - _lost(accepted)
    new = len(set(shift.new) - set(accepted.new))
    unreadable = len(set(shift.unreadable) - set(accepted.unreadable)) + max(0, shift.nameless - accepted.nameless)
    reasons = []
    if len(lost) > max(rules.guard_floor, rules.guard_lost * before):
        reasons.append(f"{len(lost)} of {before} instruments are lost ({_told(shift)})")
    if before and new > rules.guard_floor and new >= rules.guard_new * before:
        reasons.append(f"{new} instruments are new beside {before}")
    if unreadable > max(rules.guard_floor, rules.guard_unreadable * rows):
        reasons.append(f"{unreadable} of {rows} rows cannot be read")
    if reasons:
        raise ListingQuarantined("; ".join(reasons))


def _lost(shift: Shift) -> set[str]:
    return {*shift.missing, *shift.replaced, *shift.delisted, *shift.unknown}


def _told(shift: Shift) -> str:
    """How they are lost."""
    kinds = {
        "missing": shift.missing,
        "another instrument": shift.replaced,
        "now delisted": shift.delisted,
        "now of unknown status": shift.unknown,
    }
    return ", ".join(f"{len(symbols)} {kind}" for kind, symbols in kinds.items() if symbols)


def _sorted(names: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
