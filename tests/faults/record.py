"""One line per fault test for docs/reliability.md, where `make faults` asks for it."""

from __future__ import annotations

import json
import os


def record(name: str, cases: int, passed: int, note: str = "") -> None:
    """Append to the file that $GENLAB_FAULTS names."""
    if path := os.environ.get("GENLAB_FAULTS"):
        with open(path, "a", encoding="utf-8") as f:
            f.write(
                json.dumps({"name": name, "cases": cases, "passed": passed, "note": note}) + "\n"
            )
