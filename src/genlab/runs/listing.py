"""`genlab list`: the groups, their options, the experiments, from the YAML files' first lines."""

from __future__ import annotations

import sys

from genlab.runs.compose import conf_dir, groups, options
from genlab.runs.errors import UserError, nearest
from genlab.runs.shown import visible

ORDER = "experiment data net model objective sampler optim trainer callbacks logger metric debug"


def print_list(wanted: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    known = sorted(groups(), key=lambda g: ORDER.split().index(g) if g in ORDER.split() else 99)
    for name in wanted:
        if name not in known:
            raise UserError(f"there is no group {name!r}{nearest(name, known)}")
    console = Console(width=None if sys.stdout.isatty() else 120)
    for group in wanted or known:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        table.add_column(style="cyan", no_wrap=True, min_width=24)
        table.add_column()
        for option, line in options(group).items():
            table.add_row(Text(visible(f"{group}={option}")), Text(visible(line)))
        console.print(f"[bold]{group}[/bold]")
        console.print(table)
    if not wanted:
        console.print(f"\nfiles: {conf_dir()}/GROUP/OPTION.yaml", highlight=False)
