"""`genlab list`: the groups, their options, the experiments, from the YAML files' first lines.

`genlab list runs` is in list_runs.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

from genlab.runs.gate.files import check_folder
from genlab.runs.say.errors import UserError, nearest
from genlab.runs.settings.conf import conf_dir, groups, options
from genlab.runs.settings.flags import in_order
from genlab.shown import one_line

ORDER = "experiment data net model objective sampler optim trainer callbacks logger metric debug"
ORDER += " hydra/sweeper"


def print_list(words: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    words = in_order(words, ("--config-dir", "-cd"))
    if words == ["runs"]:
        from genlab.runs.list_runs import print_runs

        return print_runs()
    folders = []
    while words[:1] and words[0].startswith("-"):
        folders, words = [*folders, Path(words[1])], words[2:]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"--config-dir {folder}: there is no such folder")
        check_folder(folder)
    names = (*groups(*folders), "prepare", "rule", "pool")
    found = {group: options(group, *folders) for group in names}
    known = sorted(found, key=lambda g: ORDER.split().index(g) if g in ORDER.split() else 99)
    for name in words:
        if name not in known:
            of = [group for group in known if name in found[group]]
            remedy = (
                f"; it is an option: genlab list {of[0]}" if of else nearest(name, [*known, "runs"])
            )
            raise UserError(f"there is no group {name!r}{remedy}")
    console = Console(width=None if sys.stdout.isatty() else 120)
    for group in words or known:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        table.add_column(style="cyan", no_wrap=True, min_width=24)
        table.add_column()
        for option, line in sorted(found[group].items()):
            table.add_row(Text(one_line(f"{group}={option}")), Text(one_line(line)))
        console.print(Text(one_line(group), style="bold"))
        console.print(table)
    if not words:
        for folder in folders:
            console.print(f"\nyour own: {folder}", highlight=False, markup=False)
        console.print(f"\nfiles: {conf_dir()}/GROUP/OPTION.yaml", highlight=False)
