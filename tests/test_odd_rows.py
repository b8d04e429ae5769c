"""The ledger's rows: what is none is named and set aside, and never fails a resume."""

from __future__ import annotations

from pathlib import Path

import pytest

from genlab.rows import damaged_rows, line_of, mend, parse, read_rows

GOOD = {"kind": "train", "examples": 16, "batches": 1, "seconds": 0.5, "train/loss": float("nan")}
NO_ROWS = {
    "nested too deep": b'{"kind": "train", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "nested, torn": b"[" * 5000,
    "batches in words": line_of({**GOOD, "batches": "2"}),
    "no batches": line_of({**GOOD, "batches": None}),
    "examples are true": line_of({**GOOD, "examples": True}),
    "seconds in a list": line_of({**GOOD, "seconds": [1]}),
    "a kind that is none": line_of({**GOOD, "kind": ["train"]}),
    "a list": b"[1, 2]",
    "cut": line_of(GOOD)[:30],
}


@pytest.mark.parametrize("name", NO_ROWS)
def test_what_is_no_row_is_set_aside(name: str, tmp_path: Path) -> None:
    path, line = tmp_path / "metrics.jsonl", NO_ROWS[name].rstrip(b"\n")
    path.write_bytes(line_of(GOOD) + line + b"\n" + line_of({**GOOD, "batches": 2}))
    assert parse(line) is None and len(read_rows(path)) == 2
    assert damaged_rows(path) == ["metrics.jsonl line 2 is torn or damaged"]
    assert mend(path, 1, 1) == ["metrics.jsonl line 2 is torn or damaged"]
    assert path.read_bytes() == line_of(GOOD)
    assert (tmp_path / "metrics.damaged.jsonl").read_bytes() == line + b"\n"
