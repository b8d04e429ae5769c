"""Write docs/reliability.md, and the corpus' figures in SECURITY.md: `make faults` runs it.

python scripts/faults_table.py ROWS.jsonl [ROWS.jsonl ...]
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import sys
from pathlib import Path

import torch

HEAD = """\
# Reliability: what was provoked, and what came of it

Written by `make faults` on {date}: {system}, {cores} cores, Python {python}, torch {torch}{part}.
A case is one kill, one flipped bit, one failed system call, one signal, one resumed run; it has
passed where the run went on bit for bit, or the damage was named and an older checkpoint used.

| fault | cases | passed | note |
|---|---:|---:|---|
"""
CONTROLS = """
Controls: the same input where nothing guards, which shows that it bites.

| control | cases | took effect | note |
|---|---:|---:|---|
"""
FUZZ = """
Fuzzers (`make fuzz`): odd inputs to each gate, each accepted or refused in one line, within 10 s
and 1 GB.

| gate | inputs | passed | note |
|---|---:|---:|---|
"""
TAIL = """
Kills are of processes; a cut of the power was not tried, nor network file systems. Equal bits are
promised on the same kind of machine, with the same versions and number of threads.
"""


def line(row: dict) -> str:
    note = row["note"].replace("|", "\\|")
    return f"| {row['name']} | {row['cases']} | {row['passed']} | {note} |\n"


def main(paths: list[str]) -> None:
    rows: dict[str, dict] = {}
    for path in paths:
        for text in Path(path).read_text(encoding="utf-8").splitlines():
            row = json.loads(text)
            rows[row["name"]] = row  # a test that was run again counts once
    portion = float(os.environ.get("GENLAB_FAULTS_SHARE", "1"))
    text = HEAD.format(
        date=datetime.date.today().isoformat(),
        system=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count(),
        python=platform.python_version(),
        torch=torch.__version__.partition("+")[0],
        part="" if portion == 1 else f"; {portion:.0%} of the random cases",
    )
    found = sorted(rows.values(), key=lambda r: r["name"])
    fuzzed = [r for r in found if r["name"].startswith("fuzz: ")]
    counted = [r for r in found if not r.get("control") and r not in fuzzed]
    text += "".join(map(line, counted))
    cases, passed = (sum(r[k] for r in counted) for k in ("cases", "passed"))
    text += f"| **all** | **{cases}** | **{passed}** | |\n"
    if controls := [r for r in found if r.get("control")]:
        text += CONTROLS + "".join(map(line, controls))
    if fuzzed:
        text += FUZZ + "".join(line({**r, "name": r["name"][6:]}) for r in fuzzed)
    text += TAIL
    target = Path(__file__).resolve().parent.parent / "docs" / "reliability.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")
    print(f"{target}: {passed} of {cases} cases passed")
    write_corpus(rows)


def write_corpus(rows: dict[str, dict]) -> None:
    """What SECURITY.md says of the hostile corpus, where all of it was run."""
    told = [rows.get(f"hostile {kind} refused") for kind in ("configs", "files")]
    plain = [
        rows.get(n) for n in ("hostile configs, plain Hydra", "hostile pickles, plain loaders")
    ]
    if not all([*told, *plain]):
        return
    cases, passed = ([row[key] for row in told] for key in ("cases", "passed"))
    text = (
        f"It holds {cases[0]} hostile configs and {cases[1]} hostile files: {sum(passed)} of"
        f" {sum(cases)} are refused. Against plain {plain[0]['note']};\n{plain[1]['note']}."
    )
    target = Path(__file__).resolve().parent.parent / "SECURITY.md"
    written = target.read_text(encoding="utf-8")
    pattern = r"(<!-- corpus[^\n]*-->\n).*?(\n<!-- end -->)"
    target.write_text(
        re.sub(pattern, lambda m: m[1] + text + m[2], written, flags=re.S), encoding="utf-8"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
