"""The tables of a GPU day, from its results.json.

python scripts/bench/gpu_tables.py gpu_day/results.json      prints what results.md holds
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def page(found: dict[str, Any]) -> str:
    stages = found["stages"]
    lines = ["# GPU day", "", ", ".join(f"{k} {v}" for k, v in found["machine"].items()), ""]
    lines += table(
        ("stage", "result", "seconds", "allowed", "remark"),
        [
            (name, "ok" if t["ok"] else "FAILED", t["seconds"], t["allowed"], remark(t))
            for name, t in stages.items()
        ],
    )
    speeds = [r for t in stages.values() for r in t.get("rows", ()) if "error" not in r]
    if speeds:
        head = ("model", "parameters", "batch", "precision", "compile", "step, ms", "a second")
        head += ("TFLOP/s", "of peak", "MFU", "peak memory, GiB")
        lines += ["", "## Training steps", "", *table(head, [speed(r) for r in speeds])]
    rows = [t for t in stages.values() if "claimed" in t]
    if rows:
        head = ("what", "published", "obtained", "verdict", "source", "command")
        lines += ["", "## Published numbers", "", *table(head, [published(t) for t in rows])]
    return "\n".join(lines) + "\n"


def table(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> list[str]:
    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(str(c).replace("|", "/").replace("\n", " ") for c in cells) + " |"

    return [line(head), "|" + "---|" * len(head), *map(line, rows)]


def remark(told: dict[str, Any]) -> str:
    names = ("error", "said", "backend", "stopped_at", "verdict")
    said = [f"{n.replace('_', ' ')}: {str(told[n])[-300:]}" for n in names if n in told]
    return "; ".join(said)


def speed(r: dict[str, Any]) -> tuple:
    return (
        r["model"],
        f"{r['parameters'] / 1e6:.1f} M",
        r["batch"],
        r["precision"],
        "on" if r["compile"] else "off",
        f"{r['step_ms']:.1f}",
        f"{r['per_second']:,.0f} {r['unit']}",
        f"{r['tflops']:.3g}",
        r["peak_tflops"] or "-",
        f"{r['mfu']:.1%}" if r["mfu"] is not None else "-",
        f"{r['memory_gib']:.1f}" if r["memory_gib"] is not None else "-",
    )


def published(t: dict[str, Any]) -> tuple:
    claimed, obtained = (
        ", ".join(f"{k} {v:.5g}" for k, v in t[name].items()) for name in ("claimed", "obtained")
    )
    return t["what"], claimed, obtained, t["verdict"], t["source"], f"`{t['command']}`"


if __name__ == "__main__":
    print(page(json.loads(Path(sys.argv[1]).read_text())), end="")
