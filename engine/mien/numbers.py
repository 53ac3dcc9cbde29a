"""Numbers out of JSON that somebody else wrote: what isn't one, or is beyond reason, is refused by name."""

from __future__ import annotations

import json
import math
from typing import Any


def whole(value: Any) -> int:
    """A whole number, also one that is written 25.0. Raises `TypeError` or `ValueError`."""
    try:
        return int(value)
    except OverflowError:
        raise ValueError(f"{value} is no whole number") from None


def number(value: Any) -> float:
    """Infinite when it is too large for one. Raises `TypeError` or `ValueError`."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def bounded(name: str, value: float, low: float, high: float) -> float:
    """`value`, when it lies between the two; not a number lies nowhere. Raises `ValueError`."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}, not between {low:g} and {high:g}")
    return value


def json_object(text: str | bytes) -> dict[str, Any]:
    """Raises `ValueError` for what is no JSON, no object, or nested beyond reason."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError:
        raise ValueError("this is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("this is not a JSON object")  # noqa: TRY004 - bad data, not a bad call
    return value
