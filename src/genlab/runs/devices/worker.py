"""One process of a run on several devices: `python -m genlab.runs.devices.worker RUN RESUME`."""

from __future__ import annotations

import sys
from pathlib import Path

from genlab.runs.say.answer import answer
from genlab.runs.say.terminal import outlive


def main(run: str, resume: str, *trust: str) -> None:
    from genlab.runs.devices.processes import watch_parent
    from genlab.runs.folder.layout import read_settings
    from genlab.runs.settings.plan import Plan
    from genlab.runs.train import Training, close

    watch_parent()
    settings = {**read_settings(Path(run)), "trust": list(trust)}  # never from a file
    plan = Plan(settings, trust, secrets=True)
    close(Training(plan, Path(run)).fit(resume=resume == "1"))


if __name__ == "__main__":
    outlive()
    sys.exit(answer(lambda: main(*sys.argv[1:])))
