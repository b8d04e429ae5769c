"""The cells of a sweep, as their folders say: settings, state, figures. It has no other memory.

    SWEEP/3_digits_vae/   overrides.yaml, written when the cell is planned; then a run as any other

So a sweep that was killed, on one machine or many, goes on from what lies in its folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genlab.rows import NOT_VALUES, append, read_rows
from genlab.runs.folder.layout import read_json, read_small, write_yaml
from genlab.runs.say.secrets import redact
from genlab.shown import number

OVER = ("finished", "pruned")  # such a cell is not run again
SEED = "seed"  # the knob that is averaged over


@dataclass
class Cell:
    """One run of a sweep. `looks`: the ledger's rows of looks, in the order of their examples."""

    folder: Path
    words: list[str] = field(default_factory=list)
    state: str = "not started"
    reason: str = ""
    looks: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return int(self.folder.name.partition("_")[0])

    @property
    def asked(self) -> dict[str, str]:
        """Overrides as they were typed, `+` too."""
        return {k: text for k, _, text in (w.partition("=") for w in self.words)}

    @property
    def settings(self) -> dict[str, str]:
        return settings_of(self.words)


def settings_of(words: Sequence[str]) -> dict[str, str]:
    """Overrides as key: text, Hydra's own left out."""
    pairs = (w.lstrip("+").partition("=") for w in words)
    return {k: text for k, _, text in pairs if not k.startswith(("hydra.", "hydra/"))}


def read_cells(sweep: Path) -> list[Cell]:
    """The cells of a sweep by number, those that are planned too."""
    heads = {p: p.name.partition("_")[0] for p in sweep.iterdir()} if sweep.is_dir() else {}
    folders = [
        folder
        for folder, head in heads.items()
        if head.isascii() and head.isdigit() and folder.is_dir() and "$" not in folder.name
    ]  # a name becomes a word of a command line: no interpolation comes from there
    return sorted(map(read_cell, folders), key=lambda cell: cell.number)


def read_cell(folder: Path) -> Cell:
    """One cell; what its folder does not say is left empty."""
    cell = Cell(folder)
    words = read_yaml(folder / "overrides.yaml")
    cell.words = [str(w) for w in words] if isinstance(words, list) else []
    for row in read_rows(folder / "metrics.jsonl"):
        _take(cell, row)
    evaluation = read_json(folder / "evaluation.json")
    metrics = evaluation.get("metrics")
    found = {k: number(v) for k, v in metrics.items()} if isinstance(metrics, dict) else {}
    cell.figures |= {k: v for k, v in found.items() if v is not None}
    if cell.state == "finished" and not evaluation and _is_measured(folder):
        cell.state = "unfinished"  # trained, and killed before it was measured
    return cell


def _take(cell: Cell, row: dict[str, Any]) -> None:
    """What a row of the ledger says of its cell; a later row counts more."""
    kind = row["kind"]
    if kind == "failed":
        cell.state, cell.reason = "failed", str(row.get("error", ""))
        return
    if kind in ("train", "look", "end"):
        cell.state, cell.reason = "unfinished", ""
    if kind == "end":
        cell.state = "pruned" if row.get("state") == "pruned" else "finished"
    if kind == "look":
        cell.looks.append(row)
    if kind in ("train", "look"):
        values = {k: number(v) for k, v in row.items() if k not in NOT_VALUES}
        cell.figures |= {k: v for k, v in values.items() if v is not None}
    for name in ("examples", "seconds"):
        if (value := number(row.get(name))) is not None:
            cell.figures[name] = max(value, cell.figures.get(name, 0.0))


def _is_measured(folder: Path) -> bool:
    settings = read_yaml(folder / "config.yaml")
    return isinstance(settings, dict) and bool(settings.get("evaluate") and settings.get("metric"))


def read_yaml(path: Path) -> Any:
    """A small file of a sweep; None where it cannot be read."""
    from genlab.runs.gate.files import parse
    from genlab.runs.say.errors import UserError

    try:
        return parse(read_small(path, 2**20).decode("utf-8", "replace"), str(path))
    except (UserError, OSError):
        return None


def seeds_together(all_settings: Sequence[dict[str, str]]) -> list[list[int]]:
    """The numbers of runs that differ in their seed alone, where they are two or more."""
    groups: dict[frozenset, list[int]] = {}
    for i, settings in enumerate(all_settings):
        if SEED in settings:
            key = frozenset((k, v) for k, v in settings.items() if k != SEED)
            groups.setdefault(key, []).append(i)
    return [group for group in groups.values() if len(group) > 1]


def differing(cells: Sequence[Cell]) -> list[str]:
    """The keys whose values are not the same in all cells."""
    known = [cell for cell in cells if cell.words]
    keys = dict.fromkeys(key for cell in known for key in cell.settings)
    return [k for k in keys if len({cell.settings.get(k) for cell in known}) > 1]


def own_words(folder: Path, words: Sequence[str]) -> str:
    """What a cell has of its own: its overrides, less those that all cells of its sweep have."""
    shared = read_yaml(folder.parent / "multirun.yaml")
    for key in ("hydra", "overrides", "task"):
        shared = shared.get(key) if isinstance(shared, dict) else None
    typed = {str(w).partition("=")[0]: str(w) for w in shared or ()}
    own = [w for w in words if _is_swept(typed.get(w.partition("=")[0]))]
    return " ".join(own or words)


def _is_swept(word: str | None) -> bool:
    from genlab.runs.settings.mistakes import read

    return word is None or read(word).is_sweep_override()


def note_failure(folder: Path, words: Sequence[str], reason: str) -> None:
    """A row of a cell that failed: why, for the sweep's table and its page."""
    ledger = folder / "metrics.jsonl"
    last = {k: v for row in read_rows(ledger) for k, v in row.items()}
    clock = {k: last.get(k, 0) for k in ("examples", "batches", "seconds")}
    append(ledger, {"kind": "failed", **clock, "error": redact(reason)[:1000]})
    if not (folder / "overrides.yaml").exists():  # refused before its settings were written
        write_yaml(folder / "overrides.yaml", redact(list(words)))
