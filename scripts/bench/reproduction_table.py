"""The README's short table of published numbers, from docs/reproduction.json.

python scripts/bench/reproduction_table.py
"""

from __future__ import annotations

from pathlib import Path

from genlab.runs.papers.row import names, read_row
from genlab.runs.papers.table import read
from genlab.shown import spaced

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    records = read(ROOT / "docs")
    print("| row | what | claimed | obtained (95 %) | seeds | verdict |\n|---|---|---|---|---|---|")
    for name in names():
        if (record := records.get(name)) is None:
            continue
        row = read_row(name)
        for claim in row.claims[:1] if not record["obtained"] else row.claims:
            got = record["obtained"].get(claim.figure)
            ends = [claim.written(v) for v in (got["interval"] or ())] if got else []
            shown = claim.written(got["mean"]) if got else "none"
            shown += f" ({' to '.join(ends)})" if ends else ""
            cells = (f"`{name}`", spaced(claim.figure), claim.text, shown, record["seeds"])
            print("| " + " | ".join(map(str, (*cells, record["verdict"]))) + " |")


if __name__ == "__main__":
    main()
