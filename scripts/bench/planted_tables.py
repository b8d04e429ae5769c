"""What the rules of rows find of planted defects: rows for scripts/bench/curation.py."""

from __future__ import annotations

import csv
import gzip
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from genlab.curation.base import Example, Leave
from genlab.curation.kinds.tables import Row, Tables
from genlab.curation.rules.duplicates import Exact
from genlab.curation.rules.tables import (
    IdleColumns,
    Missing,
    Numbers,
    Outlying,
    OutOfRange,
    PersonalCells,
    Rounded,
    number_of,
)

DATA = Path(os.environ.get("GENLAB_DATA", "data"))
Told = tuple[str, str, str, str, str]
FORMS = ("{:,}", "${:,}", "{:,} USD", "{} %", "€ {:,}", "{:,.2f}")


def rows(name: str, most: int = 10_000) -> list[dict[str, str]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as f:
        return [dict(row) for _, row in zip(range(most), csv.DictReader(f))]


def looked(cells: dict) -> Example:
    return Example("", Row(cells, False), cells)


def decided(rule, held: list[dict]) -> dict:
    return rule.decide([rule.sketch(looked(cells), Tables()) for cells in held])


def told(rule: str, what: str, planted: int, found: int, clean: int, wrong: int) -> Told:
    recall = f"{found} of {planted} ({found / planted:.3f})"
    return rule, what, recall, f"{found / max(1, found + wrong):.3f}", f"{wrong} of {clean}"


def moved(cell: str, share: float) -> str:
    return repr(float(cell) * (1 + share)) if number_of(cell) else cell.lower()


def defects() -> Iterator[Told]:
    draw = random.Random(0)
    adult, homes = rows("adult/train.csv.gz"), rows("california-housing/housing.csv.gz")
    for name, held in (("adult", adult), ("california-housing", homes)):
        clean = list({str(r): r for r in held}.values())
        copies = [draw.randrange(len(clean)) for _ in range(500)]
        found = decided(Exact(), [*clean, *(clean[i] for i in copies)])
        at = {i: said.value.place for i, said in found.items()}
        right = sum(at.get(len(clean) + k) == i for k, i in enumerate(copies))
        wrong = sum(i < len(clean) for i in found)
        yield told(
            "exact", f"{name}: 500 of {len(clean):,} rows again", 500, right, len(clean), wrong
        )
    # numbers of many digits, of which the last ones move; and texts of another case
    base = [r for r in homes if number_of(r["median_income"])]
    own = decided(Rounded(), base)
    base = [r for i, r in enumerate(base) if i not in own]
    for share in (1e-6, 1e-5, 1e-4):
        planted = []
        for row in draw.sample(base, 500):
            planted.append({k: moved(v, draw.uniform(-share, share)) for k, v in row.items()})
        found = decided(Rounded(), [*base, *planted])
        right = sum(i >= len(base) for i in found)
        what = (
            f"california-housing: 500 rows again, each of 9 numbers moved by up to {share:g} of it"
        )
        yield told("near_row", what, 500, right, len(base), len(found) - right)
    rule = Missing()
    broken = [{k: "?" if i % 5 else v for i, (k, v) in enumerate(r.items())} for r in adult[:500]]
    found = sum(rule(looked(r)) is not None for r in broken)
    wrong = sum(rule(looked(r)) is not None for r in adult)
    yield told("missing", "adult: 500 rows, four of five cells of which are ?", 500, found,
               len(adult), wrong)  # fmt: skip
    rule = OutOfRange(limits={"age": [0, 120], "hours-per-week": [0, 168]})
    broken = [{**r, draw.choice(["age", "hours-per-week"]): str(draw.choice([-1, 999, 1e6]))}
              for r in adult[:500]]  # fmt: skip
    found = sum(rule(looked(r)) is not None for r in broken)
    wrong = sum(rule(looked(r)) is not None for r in adult)
    yield told("out_of_range", "adult: 500 rows of an age or hours that cannot be", 500, found,
               len(adult), wrong)  # fmt: skip
    columns = ("longitude", "latitude", "housing_median_age")
    broken = [{**r, (c := draw.choice(columns)): repr(float(r[c]) * draw.choice([-10, 10, 100]))}
              for r in homes[:200]]  # fmt: skip
    found = decided(Outlying(columns=columns), [*homes, *broken])
    right = sum(i >= len(homes) for i in found)
    what = "california-housing: 200 rows with a place or an age times -10, 10 or 100"
    yield told("outlying", what, 200, right, len(homes), len(found) - right)
    found = decided(Outlying(), homes)
    what = "california-housing as it is, all columns: rows far out in one (rooms, people, income)"
    yield "outlying", what, "", "", f"{len(found)} of {len(homes)}"
    rule, right, wrong, num = Numbers(columns=["n"]), 0, 0, 2000
    for _ in range(num):
        number = draw.randrange(1000, 10**7)
        said = rule(looked({"n": draw.choice(FORMS).format(number)}))
        value = None if said is None or said.data is None else float(said.data.cells["n"])
        right, wrong = (
            right + (value == number or said is None),
            wrong + (value not in (number, None)),
        )
    yield told("numbers", f"{num:,} as 1,234  $1,234  1,234 USD  12 %  € 1,234  1,234.00", num,
               right, num, wrong)  # fmt: skip
    words = {v for r in adult for v in r.values() if number_of(v) is None}
    wrong = sum(not isinstance(rule(looked({"n": w})), Leave) for w in words if w != "?")
    yield "numbers", f"taken for one among {len(words) - 1} categories of adult", "", "", \
        f"{wrong} of {len(words) - 1}"  # fmt: skip
    rule = PersonalCells()
    notes = [{**r, "note": f"see a{i}@example.org"} for i, r in enumerate(adult[:500])]
    found = sum(rule(looked(r)) is not None for r in notes)
    wrong = sum(rule(looked(r)) is not None for r in adult)
    what = "adult: 500 rows with an address in a cell"
    yield told("personal_cells", what, 500, found, len(adult), wrong)
    rule = IdleColumns()
    held = [{"row": str(i), "set": "adult", **r} for i, r in enumerate(adult)]
    named = list(rule.tells([rule.sketch(looked(r), Tables()) for r in held]))
    right = sum("'row'" in n or "'set'" in n for n in named)
    what = "adult with a column of row numbers and one of a single value"
    yield told("idle_columns", what, 2, right, 15, len(named) - right)


def parts() -> tuple[Callable[[], Iterator[Told]], ...]:
    return (defects,)


if __name__ == "__main__":
    for part in parts():
        for found in part():
            print(f"| {' | '.join(found)} |", flush=True)
