"""reproduction.md and reproduction.json: every row that was run, failures too.

Read: `write` merges what came out now into what stands there already, then `markdown` shows it all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genlab.runs.folder.layout import read_json, write_json, write_text
from genlab.runs.papers.row import FAST, Claim, Row
from genlab.shown import spaced

HEAD = f"""\
# Published numbers, run again

Written by `genlab reproduce`. Each row is a file in conf/paper/, which states paper, recipe,
protocol and tolerance before anything runs; `genlab reproduce ROW` runs it again. A mean is over
seeds, with its 95 % interval (Student's t); of one seed the interval is the evaluation's own, over
examples. Verdicts: **reproduced** is within the row's tolerance, **better** and **missed** beyond
it; **shortened** says that less was trained, or fewer seeds were run, than the row has. No row was
tuned on a test split. `make reproduce-fast` runs those again that take at most {FAST} minutes.

"""


def write(folder: Path, found: Mapping[str, dict[str, Any]], rows: Mapping[str, Row]) -> Path:
    """Both files, with the rows that are there already and were not run now; gives the .md."""
    folder.mkdir(parents=True, exist_ok=True)
    records = {**read_json(folder / "reproduction.json"), **found}
    known = {k: v for k, v in records.items() if k in rows and isinstance(v, dict)}
    write_json(folder / "reproduction.json", known)
    path = folder / "reproduction.md"
    write_text(path, markdown(known, rows))
    return path


def markdown(records: Mapping[str, dict[str, Any]], rows: Mapping[str, Row]) -> str:
    order = sorted(records, key=lambda k: (rows[k].family, rows[k].kind, k))
    lines = [
        "| row | family, data | figure | claimed | obtained | seeds | verdict | minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [line for name in order for line in _lines(rows[name], records[name])]
    told = [_told(rows[name], records[name]) for name in order]
    return HEAD + "\n".join([*lines, "", *told]).rstrip() + "\n"


def _lines(row: Row, record: dict[str, Any]) -> list[str]:
    """A line a figure; what is the same for all stands in the first."""
    lines = []
    for i, claim in enumerate(row.claims):
        got = record["obtained"].get(claim.figure)
        shown = _shown(claim, got) if got else "none"
        first = (f"[{row.name}](#{row.name})", f"{row.family}, {row.kind}") if not i else ("", "")
        last = (str(record["seeds"]), record["verdict"], f"{record['minutes']:g}")
        cells = [
            *first,
            spaced(claim.figure),
            claim.text,
            shown,
            *(last if not i else ("", "", "")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _shown(claim: Claim, got: dict[str, Any]) -> str:
    mean, *ends = (claim.written(v) for v in (got["mean"], *(got["interval"] or ())))
    return mean + (f" ({' to '.join(ends)})" if ends else "")


def _told(row: Row, record: dict[str, Any]) -> str:
    """What a row is, in words."""
    machine = record["machine"]
    said = [("Paper", f"{row.paper}; {row.place}"), ("Protocol", row.protocol)]
    said += [("Unsaid there, taken here", row.unsaid), ("Otherwise here", row.differs)]
    said += [("Shortened", row.shortened)]
    within = ", ".join(f"{spaced(c.figure)} {c.within:g}" for c in row.claims)
    values = "; ".join(
        f"{spaced(c.figure)} {', '.join(map(c.written, got['values']))}"
        for c in row.claims
        if (got := record["obtained"].get(c.figure))
    )
    said += [("Tolerance", within), ("Each seed", values)]
    said += [("Trained", f"`genlab train {' '.join(row.train)}`")]
    said += [("Measured", f"`genlab evaluate run=RUN {' '.join(row.evaluate)}`")]
    ran = f"{record['date']}, {machine['cpu']}, {machine['threads']} of {machine['cores']} cores"
    ran += f", commit {record['commit'] or 'unknown'}" + (", changed" if record["dirty"] else "")
    said += [("Run", ran)]
    lines = [f"- {name}: {text}" for name, text in said if text]
    return "\n".join([f"## {row.name}", "", row.title, "", *lines, ""])


def read(folder: Path) -> dict[str, Any]:
    return read_json(folder / "reproduction.json")
