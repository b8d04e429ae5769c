"""Figures of the faults tests: `make faults` gathers them into docs/reliability.md."""

from __future__ import annotations

import json
import os


def record(name: str, cases: int, passed: int, note: str = "", *, control: bool = False) -> None:
    """Append one figure to the file that $GENLAB_FAULTS names, where it names one.

    A control shows that a test bites: `passed` of its cases took effect where nothing guards.
    """
    if path := os.environ.get("GENLAB_FAULTS"):
        row = {"name": name, "cases": cases, "passed": passed, "note": note}
        row |= {"control": True} if control else {}
        with open(path, "a", encoding="utf-8") as f:
            f.write(json.dumps(row) + "\n")


def share(count: int) -> int:
    """How many of `count` cases to run: $GENLAB_FAULTS_SHARE of them (1 unless set), at least 1."""
    return max(1, round(count * float(os.environ.get("GENLAB_FAULTS_SHARE", "1"))))
