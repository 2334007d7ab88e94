"""Changes of a JSON value that leave it JSON: what a blind change of its bytes seldom does."""

from __future__ import annotations

import json
import random
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53 + 1,
    2**63,
    10**320,
    -(10**4000),
    0.1,
    -0.0,
    1e308,
    5e-324,
    float("inf"),
    float("nan"),
    "",
    " ",
    "0",
    "\x00",
    "\ud800",
    "\u202e",
    "../../x",
    "/etc/passwd",
    "-",
    "é" * 300,
    [],
    {},
    [[]],
    [0, 1],
    [[1, 0]],
    [[0, 1], [2, 3, 0.5]],
    {"": {}},
)


def change(value: Any, rng: random.Random) -> Any:
    """The value with one part replaced, left out, doubled, or put elsewhere."""
    places = list(walk(value))
    if not places:
        return rng.choice(ODD_VALUES)
    holder, key = rng.choice(places)
    act = rng.randrange(6)
    if act == 0:
        del holder[key]
    elif act == 1 and isinstance(holder, list):
        holder.extend(holder[key:] * rng.choice((1, 2, 50)))
    elif act == 2:
        other, other_key = rng.choice(places)
        holder[key] = json.loads(json.dumps(other.get(other_key) if isinstance(other, dict) else 1))
    elif act == 3 and isinstance(holder, dict):
        holder[rng.choice(("", "qid", "a" * 300, "\ud800", key + "_"))] = holder.pop(key)
    elif act == 4 and isinstance(holder[key], (int, float)):
        holder[key] = altered_number(holder[key], rng)
    else:
        holder[key] = rng.choice(ODD_VALUES)
    return value


def altered_number(number: float, rng: random.Random) -> float:
    try:
        return rng.choice((-number, number + 1, number - 1, number * 1e6, number / 3, int(number)))
    except (ValueError, OverflowError):
        return 0


def walk(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a value as its holder and key."""
    found: list[tuple[Any, Any]] = []
    todo = [value]
    while todo:
        holder = todo.pop()
        if isinstance(holder, (dict, list)):
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            found += [(holder, key) for key in keys]
            todo += [holder[key] for key in keys]
    return found


def change_line(data: bytes, rng: random.Random) -> bytes:
    """JSON Lines with one line's value changed; the bytes as they are where that line is no JSON."""
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    try:
        value = change(json.loads(lines[place]), rng)
        lines[place] = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return data
    if rng.random() < 0.1:
        lines.insert(place, lines[place])
    return b"\n".join(lines)
