"""How an answer with candles is spoilt: each way by name, and whether what is spoilt may still be served."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from marketdata.core.exchanges import get_adapter
from marketdata.core.models import Interval
from tests.faults.world import PRICES, SYMBOLS, Call, Spoil, Tokens, World

NO_NUMBERS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "inf",
    "",
    " 1",
    "1 ",
    "1,5",
    "1_000",
    "+1",
    "--1",
    ".5",
    "1.",
    "0x10",
    "٣",
    "1e",
    "1e99999999",
    "1e-99999999",
    "1E+400",
    "1.5e1000",
    "9" * 101,
    "null",
    "one",
)
"""Text that is no number, or none of a size that a price can have."""

NO_ROWS = ("null", "{}", "[]", "0", '"row"', "true", "[null]", '[[1767225600000,"1"]]')
NO_BODIES = ("", "null", "{}", '"candles"', "0", "[", "[[", "[{}", "[0]", "[[]]", "[null]", "[[[]]]", "{} []", "[] []")
SWAPPED = ("null", "true", "{}", "[]", "[1]")

type Way = Callable[[World, Call, list[Tokens], random.Random], str | None]


@dataclass(frozen=True)
class Damage:
    """One way."""

    way: Way
    is_harmless: bool = False
    """What it touches is right all the same: it must be served as if nothing were."""
    is_outside: bool = False
    """It is right and outside the asked range: cut away, or refused where the exchange never sends such."""


def spoil(name: str, seed: int) -> Spoil:
    """It as a World plays it; the same each time that the same is asked."""
    return lambda world, call, rows: DAMAGES[name].way(world, call, rows, random.Random(seed))


def _one(rows: list[Tokens], chance: random.Random) -> Tokens:
    return chance.choice(rows) if rows else {}


def _put(row: Tokens, name: str, token: str) -> None:
    if name in row:
        row[name] = token


def no_number(_world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    row = _one(rows, chance)
    name = chance.choice([one for one in (*PRICES, "v", "q", "tb", "tq") if one in row] or ["o"])
    _put(row, name, json.dumps(chance.choice(NO_NUMBERS)))


def bare_no_number(_world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    _put(
        _one(rows, chance),
        chance.choice(PRICES),
        chance.choice(["NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1"]),
    )


def negative(world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    row = _one(rows, chance)
    name = chance.choice([one for one in ("v", "q", "tb", "tq", "n") if one in row] or ["v"])
    is_text = name != "n" and world.exchange != "coinbase"
    _put(row, name, chance.choice(['"-1"', '"-0.00000001"', '"-0"']) if is_text else chance.choice(["-1", "-7"]))


def high_below_low(_world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    row = _one(rows, chance)
    if row:
        row["h"], row["l"] = row["l"], row["h"]


def barely_outside(world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    """By less than a float can tell."""
    row = _one(rows, chance)
    if not row:
        return
    mark = "" if world.exchange == "coinbase" else '"'
    row["h"] = f"{mark}123456.1{mark}"
    row["l"] = f"{mark}123455.1{mark}"
    row["o"] = f"{mark}123455.6{mark}"
    row["c"] = f"{mark}{chance.choice(['123456.1' + '0' * 30 + '1', '123455.0' + '9' * 40])}{mark}"


def off_grid(world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    """With its end, so that it is as long as ever; where no grid is verified, over the candle beside it."""
    row, by = _one(rows, chance), chance.choice([1, 999, 1000, 30_000])
    if world.exchange == "coinbase":
        _shift(row, "t", max(1, by // 1000))
        return
    spec = get_adapter(world.exchange).capabilities.spec(world.interval)
    if spec is not None and spec.anchor is None:
        repeated(world, _call, rows, chance)
        return
    _shift(row, "t", by)
    _shift(row, "T", by)


def _shift(row: Tokens, name: str, by: int) -> None:
    if row:
        row[name] = str(int(row[name]) + by)


def of_another_length(world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> str | None:
    row, step = _one(rows, chance), world.interval.min_duration_ms
    if "T" not in row:
        return "[[]]"
    _shift(row, "T", chance.choice([step * 2, -step, -step - 1, -2 * step, 10**15, -(10**14)]))
    return None


def repeated(_world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    if rows:
        at = chance.randrange(len(rows))
        rows.insert(at + chance.randrange(2), dict(rows[at]))


def all_repeated(_world: World, _call: Call, rows: list[Tokens], _chance: random.Random) -> None:
    rows += [dict(row) for row in rows]


def swapped(_world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> str | None:
    if len(rows) < 2:
        return "[[]]"
    at = chance.randrange(len(rows) - 1)
    rows[at : at + 2] = [rows[at + 1], rows[at]]
    return None


def turned_round(_world: World, _call: Call, rows: list[Tokens], _chance: random.Random) -> str | None:
    if len(rows) < 2:
        return "[[]]"
    rows.reverse()
    return None


def other_type(_world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    row = _one(rows, chance)
    _put(row, chance.choice([name for name in row if name != "junk"] or ["o"]), chance.choice(SWAPPED))


def text_and_number(world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    """Numbers where text is due, and text where a time is."""
    row = _one(rows, chance)
    if world.exchange == "coinbase" or chance.random() < 0.3:
        _put(row, "t", json.dumps(row.get("t", "")))
    else:
        name = chance.choice(PRICES)
        _put(row, name, row.get(name, '"1"').strip('"'))


def slot_missing(_world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    row = _one(rows, chance)
    row.pop(next((name for name in reversed(row) if name != "junk"), ""), None)
    row.pop("junk", None)


def stranger(_world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    """One value more than is known."""
    row = _one(rows, chance)
    if row:
        row["stranger"] = chance.choice(['"x"', "1", "null", "[[1,{}]]"])


def key_twice(world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> str | None:
    if world.exchange != "hyperliquid" or not rows:
        return "[[]]"
    name = chance.choice(list(rows[0]))
    colon = chance.choice([":", " :", "\n: "])
    return world.render(rows).replace(f'"{name}":', f'"{name}"{colon}{rows[0][name]},"{name}":', 1)


def another_symbol(world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> str | None:
    row = _one(rows, chance)
    if "s" not in row:
        return foreign(world, _call, rows, chance)
    _put(row, *chance.choice([("s", '"ETH"'), ("s", '"btc"'), ("i", '"12h"'), ("i", '"1M "')]))
    return None


def foreign(world: World, _call: Call, _rows: list[Tokens], chance: random.Random) -> str:
    """The answer of another exchange."""
    name = chance.choice([one for one in SYMBOLS if one != world.exchange])
    other = World(name, world.interval, world.opens, world.missing, world.seed, None, 0)
    return other.render([other.row(world.opens[0], world.opens[1])])


def no_row(world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> str:
    body = world.render(rows)
    return f"[{chance.choice(NO_ROWS)}{',' if rows else ''}{body[1:]}"


def no_body(_world: World, _call: Call, _rows: list[Tokens], chance: random.Random) -> str:
    return chance.choice(NO_BODIES)


def later(world: World, call: Call, rows: list[Tokens], _chance: random.Random) -> None:
    """The sound candle after the range, as from an exchange that takes no end."""
    rows += [world.row(*pair) for pair in zip(world.opens, world.opens[1:], strict=False) if pair[0] > call.end_ms][:1]


def of_the_future(world: World, _call: Call, rows: list[Tokens], chance: random.Random) -> None:
    """Sound but for its time."""
    opens, step = world.opens[-1], world.interval.min_duration_ms
    if world.interval is not Interval.MONTH_1:  # else it is February, which is as long as the shortest month
        opens += chance.choice([2, 3, 1000]) * step
    rows.append(world.row(opens, opens + step))


def earlier(world: World, call: Call, rows: list[Tokens], _chance: random.Random) -> None:
    """The sound candle before the range, as exchanges send it at times."""
    if call.start_ms is not None and world.interval is not Interval.MONTH_1:
        step = world.interval.min_duration_ms
        start = world.opens[0]
        opens = start + (call.start_ms - 1 - start) // step * step
        rows.insert(0, world.row(opens, opens + step))


DAMAGES: Mapping[str, Damage] = {
    "a price or an amount is no number": Damage(no_number),
    "a bare token is no JSON number": Damage(bare_no_number),
    "an amount is negative": Damage(negative),
    "high and low have changed places": Damage(high_below_low),
    "a price is outside by less than a float can tell": Damage(barely_outside),
    "it is off the grid": Damage(off_grid),
    "it is of another length": Damage(of_another_length),
    "a candle comes twice": Damage(repeated),
    "all candles come twice": Damage(all_repeated),
    "two have changed places": Damage(swapped),
    "the order is turned round": Damage(turned_round),
    "a value is of another type": Damage(other_type),
    "text and number have changed places": Damage(text_and_number),
    "a value is missing": Damage(slot_missing),
    "there is a value more": Damage(stranger, is_harmless=True),
    "a key stands twice": Damage(key_twice),
    "it is of another symbol": Damage(another_symbol),
    "it is another exchange's": Damage(foreign),
    "a row is none": Damage(no_row),
    "the body is none": Damage(no_body),
    "it is of the future": Damage(of_the_future),
    "it is later than asked": Damage(later, is_outside=True),
    "it is earlier than asked": Damage(earlier, is_outside=True),
}
