"""What a column of a table holds, found from its cells; what looks like a slip is refused."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from genlab.data import naming
from genlab.data.columns import (
    EXACT,
    REAL,
    WHOLE,
    Categories,
    Cells,
    Column,
    Integers,
    Kind,
    Numbers,
)
from genlab.data.modes import Modes

KINDS: dict[str, type[Column]] = {c.kind: c for c in (Integers, Numbers, Categories, Modes)}
SLIPS = 0.05  # of a column's cells: fewer words than that among numbers are a mistake
# numbers as people write them: 1,234.50  1.234,50  1 234  3,5  $12  12.5 %  EUR 3  (12)
SIGN = r"(?:[%‰$€£¥₹₽₩₺₴]|USD|EUR|GBP|CHF|JPY)?"
DIGITS = r"(?!0\d)(?:\d{1,3}([.,' ’\u00a0\u202f])\d{3}(?:\1\d{3})*|\d+)(?:[.,]\d*)?"
NOTED = re.compile(rf"[-+−(]?{SIGN}\s?[-+−]?{DIGITS}\s?{SIGN}\)?")


def infer(cells: Cells) -> Kind:
    """What a column holds: whole numbers, numbers, or texts (a missing cell says nothing)."""
    texts = {c for c in cells if c is not None}
    if not texts:
        return "category"
    if all(WHOLE.fullmatch(t) and len(t) < 18 and abs(int(t)) <= EXACT for t in texts):
        return "integer"
    if all(REAL.fullmatch(t) and math.isfinite(float(t)) for t in texts):
        return "category" if any(_is_name(t) for t in texts) else "continuous"
    return "category"


def _is_name(text: str) -> bool:
    """Is it a number with zeros before it, or too long for a float: a key, a telephone?"""
    whole = text.lstrip("-").split(".")[0]
    return (len(whole) > 1 and whole[0] == "0") or len(whole) > 15


def fit_column(name: str, cells: Cells, known: Cells, kind: Kind | None) -> Column:
    """The column of the training rows' `cells`; `known` are those and the held-out ones."""
    if kind is None:
        kind = infer(known)
        if kind == "category":
            _refuse_numbers(name, [c for c in known if c is not None])
    return KINDS[kind].of(name, cells, known)


def fit_columns(
    train: Mapping[str, Cells], val: Mapping[str, Cells], kinds: Mapping[str, Kind]
) -> dict[str, Column]:
    """The columns by name; where several are refused, the first one's reason and all their names.

    `kinds`: those that are said.
    """
    fitted, refused = {}, {}
    for name, cells in train.items():
        try:
            fitted[name] = fit_column(name, cells, [*cells, *val[name]], kinds.get(name))
        except ValueError as error:
            refused[name] = str(error)
    if refused:
        reason, *others = refused.values()
        if others:
            reason += f"; {len(others)} more refused too"
            reason += f", all left out: {naming.drop(*refused)}" * (len(refused) <= naming.MOST)
        raise ValueError(reason)
    return fitted


def _refuse_numbers(name: str, told: list[str]) -> None:
    """Numbers that a few words or their notation would make categories of are slips."""
    counts = Counter(told)
    words = {c for c in counts if not REAL.fullmatch(c)}
    noted = {c for c in words if len(c) <= 40 and NOTED.fullmatch(c)}
    numbers = len(told) - sum(counts[c] for c in words - noted)
    if not words or numbers <= (1 - SLIPS) * len(told):
        return
    keep = naming.kind(name, "category")
    if len(noted) > 1:
        raise ValueError(
            f"column {name!r} holds {len(counts):,} numbers, some written as {min(noted)!r}: write"
            " them as 1234.5 in the file (genlab prepare kind=table ... +rule@rules.numbers=numbers"
            f" does), or, where they are texts, {keep}"
        )
    if sum(counts[c] for c in words) < SLIPS * len(told):
        word = min(words)[:40]
        missing = naming.typed(f'data.missing=["",{naming.item(word)}]')
        raise ValueError(
            f"column {name!r} holds numbers, but {word!r} too: mend the file, or write {missing}"
            f" where it says nothing, or {keep}"
        )


def restored(state: Any) -> Column:
    """The column that gave `state`; what none can have given (a stranger's) is refused."""
    if not isinstance(state, dict) or not _whole(state):
        raise ValueError(f"no column of a table says {str(state)[:80]!r}")
    return KINDS[state["kind"]](**{k: v for k, v in state.items() if k != "kind"})


def _whole(state: dict[str, Any]) -> bool:
    kind = state.get("kind")
    cls = KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None or {*state} != {"name", "kind", *cls.keys}:
        return False
    held = [state[k] for k in cls.lists]
    alike = all(isinstance(some, list) and len(some) == len(held[0]) > 0 for some in held)
    return alike and isinstance(state["name"], str) and cls.holds(state)
