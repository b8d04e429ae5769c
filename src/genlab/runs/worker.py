"""One process of a run on several devices: `python -m genlab.runs.worker RUN RESUME`."""

from __future__ import annotations

import sys
from pathlib import Path

from genlab.cli import answer


def main(run: str, resume: str) -> None:
    from genlab.runs.folder import read_settings
    from genlab.runs.launch import watch_parent
    from genlab.runs.train import fit

    watch_parent()
    fit(read_settings(Path(run)), Path(run), resume=resume == "1")


if __name__ == "__main__":
    sys.exit(answer(lambda: main(*sys.argv[1:3])))
