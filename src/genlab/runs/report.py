"""`genlab report`: the report of a run, or the comparison of a sweep's cells."""

from __future__ import annotations

from pathlib import Path

from genlab.runs.folder.layout import find_run
from genlab.runs.page.record import find_cells, is_run
from genlab.runs.page.sweep import write_comparison
from genlab.runs.page.write import write_report
from genlab.runs.say.errors import UserError
from genlab.shown import visible


def report_command(overrides: list[str]) -> None:
    from genlab.runs.settings.overrides import parse

    asked, _ = parse("report", overrides)
    path = report(find_run("last") if asked["run"] == "last" else Path(asked["run"]))
    print(visible(str(path)))


def report(path: Path) -> Path:
    """Write the report that fits: of a run, or of the runs below a folder; gives its path."""
    path = Path(path)
    if not path.is_dir():
        raise UserError(
            f"run={path}: there is no such folder; give outputs/<name>/<run> or a sweep's"
        )
    if any((path / mark).is_file() for mark in ("metrics.jsonl", "provenance.json")):
        return write_report(path)
    if find_cells(path):
        return write_comparison(path)
    if is_run(path):
        return write_report(path)
    raise UserError(
        f"run={path}: neither a run folder (no config.yaml) nor a sweep of such folders"
    )
