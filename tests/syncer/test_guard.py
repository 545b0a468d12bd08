"""What is not believed, at its very borders, and what an operator's word changes about it."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from marketdata.core.errors import ListingQuarantined
from marketdata.core.models import ExchangeId, ListedInstrument, Listing, Refusal, Status
from marketdata.store.symbols import StoredSymbol
from marketdata.store.syncs import Shift, SyncReport, SyncRun
from marketdata.syncer.compare import Moment, compare
from marketdata.syncer.guard import find_shift, guard
from marketdata.syncer.rules import GuardRules
from tests.listings import instrument

EXCHANGE = ExchangeId("somewhere")
RULES = GuardRules()


def instruments(numbers: Iterable[int], status: Status = Status.TRADING, identity: str = "") -> list[ListedInstrument]:
    return [
        instrument(f"C{number}USDT", base=f"C{number}", status=status, identity=identity and f"{identity}{number}")
        for number in numbers
    ]


def unreadable(numbers: Iterable[int]) -> tuple[Refusal, ...]:
    return tuple(Refusal(exchange_symbol=f"C{number}USDT", reason="it has no tickSize") for number in numbers)


def stored(count: int) -> list[StoredSymbol]:
    listing = Listing(instruments=tuple(instruments(range(count))))
    return compare(EXCHANGE, [], listing, Moment(1, 1), RULES).symbols


def applied(*refused: Refusal) -> SyncRun:
    return SyncRun(
        id=1,
        runs=1,
        exchange=EXCHANGE,
        first_started_at=1,
        started_at=1,
        finished_at=1,
        first_read_at=1,
        read_at=1,
        outcome="succeeded",
        generation=1,
        report=SyncReport(refused=refused),
    )


def judge(
    before: int,
    listed: list[ListedInstrument],
    refused: tuple[Refusal, ...] = (),
    *,
    last: SyncRun | None = None,
    rules: GuardRules = RULES,
    accepted: Shift | None = None,
) -> str:
    """Why the listing is not believed; empty if it is."""
    listing, rows = Listing(instruments=tuple(listed), refused=refused), stored(before)
    try:
        guard(listing, rows, find_shift(rows, listing, last), rules, accepted or Shift())
    except ListingQuarantined as error:
        return error.reason
    return ""


def with_changed(before: int, changed: list[ListedInstrument]) -> list[ListedInstrument]:
    """The listing of `before` with some of its instruments as they are in `changed`."""
    return [*{one.exchange_symbol: one for one in [*instruments(range(before)), *changed]}.values()]


@pytest.mark.parametrize("before", [100, 1000, 2500])
def test_up_to_a_fifth_may_be_lost_in_any_way(before: int) -> None:
    fifth = before // 5
    for lost, is_believed in ((fifth, True), (fifth + 1, False)):
        gone = judge(before, instruments(range(lost, before)))
        delisted = judge(before, with_changed(before, instruments(range(lost), Status.DELISTED)))
        unknown = judge(before, with_changed(before, instruments(range(lost), Status.UNKNOWN)))
        replaced = judge(before, with_changed(before, instruments(range(lost), identity="other")))
        assert [not reason for reason in (gone, delisted, unknown, replaced)] == [is_believed] * 4
    assert judge(before, instruments(range(fifth + 1, before))) == (
        f"{fifth + 1} of {before} instruments are lost ({fifth + 1} missing)"
    )


def test_losses_of_all_kinds_count_together() -> None:
    changed = [*instruments(range(10), Status.DELISTED), *instruments(range(10, 15), identity="other")]
    listed = with_changed(100, changed)
    assert judge(100, listed[:-5]) == ""
    assert judge(100, listed[:-6]) == (
        "21 of 100 instruments are lost (6 missing, 5 another instrument, 10 now delisted)"
    )


def test_all_with_other_names_are_as_many_and_not_believed() -> None:
    assert judge(100, instruments(range(1000, 1100))) == (
        "100 of 100 instruments are lost (100 missing); 100 instruments are new beside 100"
    )


def test_less_than_half_as_many_may_be_new() -> None:
    assert judge(100, instruments(range(149))) == ""
    assert judge(100, instruments(range(150))) == "50 instruments are new beside 100"
    assert judge(0, instruments(range(5000))) == "", "the first listing is all new"


def test_up_to_a_hundredth_of_the_rows_may_become_unreadable() -> None:
    assert judge(1000, instruments(range(990)), unreadable(range(990, 1000))) == ""
    assert judge(1000, instruments(range(989)), unreadable(range(989, 1000))) == ("11 of 1000 rows cannot be read")
    assert judge(0, instruments(range(989)), unreadable(range(989, 1000))) != "", "the first listing, too"


def test_rows_that_an_operator_accepted_as_unreadable_are_no_news() -> None:
    known = unreadable(range(1000, 1100))
    assert judge(1000, instruments(range(1000)), known) != ""
    assert judge(1000, instruments(range(1000)), known, last=applied(*known)) == ""
    nameless = (Refusal(exchange_symbol=None, reason="it is no row"),) * 20
    assert judge(1000, instruments(range(1000)), nameless, last=applied(*nameless[:9])) != ""
    assert judge(1000, instruments(range(1000)), nameless, last=applied(*nameless[:10])) == ""


def test_a_row_that_cannot_be_read_is_not_lost() -> None:
    assert judge(10, instruments(range(5)), unreadable(range(5, 10))) == ""


@pytest.mark.parametrize("before", [6, 10, 25])
def test_small_exchanges_have_a_floor(before: int) -> None:
    assert judge(before, instruments(range(5, before))) == ""
    assert judge(before, instruments(range(before + 5))) == ""
    assert (judge(before, instruments(range(6, before))) == "") == (before > 30)
    assert judge(10, instruments(range(9)), rules=GuardRules(guard_floor=0)) == ""
    assert judge(10, instruments(range(7)), rules=GuardRules(guard_floor=0)) != ""


def test_nothing_at_all_is_never_believed() -> None:
    assert judge(0, []) == "the listing is empty"
    assert judge(3, [], accepted=Shift(missing=("C0USDT", "C1USDT", "C2USDT"))) == "the listing is empty"
    assert judge(3, [], unreadable(range(3))) == (
        "none of the listing's 3 rows could be read, the first because: it has no tickSize"
    )


def applied_to(rows: list[StoredSymbol], listed: list[ListedInstrument], number: int) -> list[StoredSymbol]:
    """What is stored after a listing, a minute later than the one before."""
    listing = Listing(instruments=tuple(listed))
    after = {row.symbol.exchange_symbol: row for row in rows}
    written = compare(EXCHANGE, rows, listing, Moment(number * 60_000, number), RULES).symbols
    after |= {row.symbol.exchange_symbol: replace(row, row_id=hash(row.symbol.symbol)) for row in written}
    return [*after.values()]


def reason(rows: list[StoredSymbol], listed: list[ListedInstrument], accepted: SyncRun | None = None) -> str:
    listing = Listing(instruments=tuple(listed))
    try:
        guard(listing, rows, find_shift(rows, listing, accepted), RULES, Shift())
    except ListingQuarantined as error:
        return error.reason
    return ""


def test_many_small_losses_are_a_large_one() -> None:
    rows = applied_to(applied_to([], instruments(range(100)), 1), instruments(range(20, 100)), 2)
    assert reason(rows, instruments(range(20, 100))) == ""
    assert reason(rows, instruments(range(21, 100))) == "21 of 100 instruments are lost (21 missing)"
    rows = applied_to(rows, instruments(range(20, 100)), 40)
    assert {row.symbol.status for row in rows[:20]} == {Status.DELISTED}
    assert reason(rows, instruments(range(36, 100))) == "", "what is delisted is no longer missed"
    assert reason(rows, instruments(range(37, 100))) == "17 of 80 instruments are lost (17 missing)"


def test_what_was_only_missing_is_not_new_when_it_returns() -> None:
    rows = applied_to(applied_to([], instruments(range(30)), 1), instruments(range(6, 30)), 2)
    assert reason(rows, instruments(range(30))) == ""
    assert reason(rows, instruments(range(45))) == "15 instruments are new beside 30"


def test_what_an_operator_accepted_as_missing_is_not_missed_again() -> None:
    rows = applied_to(applied_to([], instruments(range(100)), 1), instruments(range(40, 100)), 2)
    names = tuple(row.symbol.symbol for row in rows if row.missing_since is not None)
    assert len(names) == 40
    run = applied().model_copy(update={"accepted_run": 1, "report": SyncReport(missing=names)})
    assert reason(rows, instruments(range(40, 100))) == "40 of 100 instruments are lost (40 missing)"
    assert reason(rows, instruments(range(40, 100)), run) == ""
    assert reason(rows, instruments(range(60, 100)), run) == ""
    assert reason(rows, instruments(range(61, 100)), run) != "", "others are missed"
    back = applied_to(rows, instruments(range(100)), 3)
    assert reason(back, instruments(range(40, 100)), run) != "", "those that came back are missed again"


def test_what_is_accepted_is_not_held_against_a_listing_and_nothing_else() -> None:
    listing = Listing(instruments=tuple(instruments(range(40, 100))), refused=unreadable(range(200, 220)))
    accepted = find_shift(stored(100), listing, None)
    assert (len(accepted.missing), len(accepted.unreadable)) == (40, 20)
    assert judge(100, list(listing.instruments), listing.refused, accepted=accepted) == ""
    assert judge(100, instruments(range(60, 100)), listing.refused, accepted=accepted) == ""
    assert judge(100, instruments(range(61, 100)), listing.refused, accepted=accepted) != ""
    assert judge(100, instruments(range(60)), accepted=accepted) != "", "others are lost"
    grown = find_shift(stored(100), Listing(instruments=tuple(instruments(range(400)))), None)
    assert judge(100, instruments(range(400)), accepted=grown) == ""


def test_thresholds_are_settings() -> None:
    rules = GuardRules(guard_lost=0.5, guard_new=2, guard_unreadable=0.1)
    assert judge(100, instruments(range(50, 100)), rules=rules) == ""
    assert judge(100, instruments(range(51, 100)), rules=rules) != ""
    assert judge(100, instruments(range(299)), rules=rules) == ""
    assert judge(100, instruments(range(300)), rules=rules) != ""
    assert judge(100, instruments(range(90)), unreadable(range(90, 100)), rules=rules) == ""


def test_what_is_accepted_need_not_come_again() -> None:
    """The exchange recovered by itself."""
    refused = (*unreadable(range(200, 220)), *[Refusal(exchange_symbol=None, reason="it is no row")] * 20)
    listing = Listing(instruments=tuple(instruments([*range(40, 100), *range(300, 400)])), refused=refused)
    accepted = find_shift(stored(100), listing, None)
    assert (len(accepted.new), accepted.nameless) == (100, 20)
    assert judge(100, list(listing.instruments), refused, accepted=accepted) == ""
    assert judge(100, instruments(range(100)), accepted=accepted) == ""


def test_rows_with_and_without_a_name_count_together() -> None:
    nameless = (Refusal(exchange_symbol=None, reason="it is no row"),) * 3
    assert judge(100, instruments(range(100)), (*unreadable(range(200, 202)), *nameless)) == ""
    assert judge(100, instruments(range(100)), (*unreadable(range(200, 203)), *nameless)) == (
        "6 of 106 rows cannot be read"
    )


def test_of_rows_without_a_name_as_many_are_accepted_as_there_were() -> None:
    nameless = (Refusal(exchange_symbol=None, reason="it is no row"),) * 20
    assert judge(100, instruments(range(100)), nameless, accepted=Shift(nameless=15)) == ""
    assert judge(100, instruments(range(100)), nameless, accepted=Shift(nameless=14)) != ""
    assert judge(100, instruments(range(100)), unreadable(range(200, 205)), accepted=Shift(nameless=1)) == ""


@pytest.mark.parametrize("identity", ["0", "other"])
def test_any_other_identity_is_another_instrument(identity: str) -> None:
    assert judge(100, instruments(range(100), identity=identity)) != ""


def test_a_handful_of_new_ones_is_never_too_many() -> None:
    assert judge(4, instruments(range(8))) == ""
