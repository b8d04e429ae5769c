"""Joules: the energy that the processors' packages have used, by RAPL, where the system shows it.

The counters are the machine's, not the run's: what else runs on it is counted too. They start over
at a number of their own; `Joules` counts on across it. GPUs and memory are not in it.
"""

from __future__ import annotations

from pathlib import Path

RAPL = Path("/sys/class/powercap")
NAME = "energy/joules"  # of the ledger's figure


class Joules:
    """Joules since it was made; None where no counter can be read (often only root may)."""

    def __init__(self) -> None:
        self._last, self._spent = counters(), 0.0

    def spent(self) -> float | None:
        now = counters()
        if not now or now.keys() != self._last.keys():
            return None
        self._spent += sum((now[p] - self._last[p]) % size(p) for p in now) / 1e6
        self._last = now
        return self._spent


def counters() -> dict[Path, int]:
    """Microjoules of each package at this moment."""
    try:
        files = sorted(RAPL.glob("*-rapl:[0-9]*/energy_uj"))
        packages = [f for f in files if f.parent.name.count(":") == 1]  # not the parts of one
        return {f.parent: int(f.read_text()) for f in packages}
    except (OSError, ValueError):
        return {}


def size(package: Path) -> int:
    """Where a package's counter starts over."""
    try:
        return int((package / "max_energy_range_uj").read_text())
    except (OSError, ValueError):
        return 2**63
