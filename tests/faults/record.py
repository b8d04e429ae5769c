"""What a fault test saw, for the table that `make faults` writes."""

from __future__ import annotations

import json
import os


def record(name: str, cases: int, passed: int, note: str = "") -> None:
    """Append a row to the file that GENLAB_FAULTS names; nothing where it names none."""
    if path := os.environ.get("GENLAB_FAULTS"):
        row = {"name": name, "cases": cases, "passed": passed, "note": note}
        with open(path, "a", encoding="utf-8") as f:
            f.write(json.dumps(row) + "\n")
