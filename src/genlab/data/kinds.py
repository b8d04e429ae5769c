"""What a column of a table holds, found from its cells; what looks like a slip is refused."""

from __future__ import annotations

import math

from genlab.data.columns import EXACT, KINDS, REAL, WHOLE, Cells, Column, Kind

SLIPS = 0.05  # of a column's cells: fewer words than that among numbers are a mistake


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
        _refuse_a_slip(name, known, kind)
    return KINDS[kind].of(name, cells, known)


def _refuse_a_slip(name: str, cells: Cells, kind: Kind) -> None:
    """A few words among numbers would make a category of every number: they are slips."""
    told = [c for c in cells if c is not None]
    words = {c for c in {*told} if not REAL.fullmatch(c)} if kind == "category" else set()
    if words and sum(c in words for c in told) < SLIPS * len(told):
        word = min(words)[:40]
        raise ValueError(
            f"column {name!r} holds numbers, but {word!r} too: mend the file, or write"
            f" 'data.missing=["
            ",{word}]' where it says nothing, or +data.columns.{name}=category"
        )
