"""Whole numbers of the smallest unit written as decimals, in the ways that the exchanges write them."""


def padded(number: int, scale: int) -> str:
    """All `scale` decimals, as Binance writes: `83137.90`."""
    if not scale:
        return str(number)
    digits = str(number).rjust(scale + 1, "0")
    return f"{digits[:-scale]}.{digits[-scale:]}"


def short(number: int, scale: int) -> str:
    """No zeros at the end, as Binance wrote until 2019: `10000`."""
    text = padded(number, scale)
    return text.rstrip("0").rstrip(".") if scale else text


def one_decimal(number: int, scale: int) -> str:
    """No zeros at the end, but at least one decimal, as Hyperliquid writes: `66383.0`."""
    text = short(number, scale)
    return text if "." in text else text + ".0"


def json_number(number: int, scale: int) -> str:
    """A JSON number as an encoder of doubles writes it, as Coinbase does: `111360`, `0.00012`, `1.5e-7`."""
    text = short(number, scale)
    if not text.startswith("0.000000"):
        return text
    digits = str(number).rstrip("0")
    exponent = len(str(number)) - 1 - scale
    return f"{digits[0]}.{digits[1:]}e{exponent}" if len(digits) > 1 else f"{digits}e{exponent}"


def significant(number: int, scale: int, digits: int) -> int:
    """`number` rounded to so many significant digits; its whole part is never rounded, as Hyperliquid's prices."""
    surplus = min(len(str(number)) - digits, scale)
    if surplus <= 0:
        return number
    unit: int = 10**surplus
    return (number + unit // 2) // unit * unit
