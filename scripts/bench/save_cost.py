"""What a save costs beside torch.save: alternating rounds, medians, a checkpoint of 80 MB.

    OMP_NUM_THREADS=1 python scripts/bench/save_cost.py [ROUNDS]

Training waits for a copy of the tensors only. A thread writes, hashes (sha256), syncs file and
folder, and renames; the archive's CRC32 is left
out. Reading the file back is what `resume` does before it uses a file; straight after a save it
would see the page cache, not the disk, so it is not part of the save. The bar: training waits for
at most 1.10 x torch.save.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from genlab.runs.folder.background import AtomicCheckpointIO
from genlab.runs.folder.checkpoint import damage, save

STATE = {f"layer{i}": torch.randn(512, 512) for i in range(80)}  # 80 x 1 MiB


def plain(path: Path) -> None:
    torch.save(STATE, path)


def synced(path: Path) -> None:
    with path.open("wb") as f:
        torch.save(STATE, f)
        f.flush()
        os.fsync(f.fileno())


def main(rounds: int = 15) -> None:
    ways: dict[str, Callable[[Path], object]] = {
        "torch.save": plain,
        "torch.save + fsync": synced,
        "genlab, training waits": lambda path: plugin.save_checkpoint(STATE, path),
        "genlab, until on the disk": lambda path: save(STATE, path),
        "reading back and hashing": damage,
    }
    plugin = AtomicCheckpointIO()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for i in range(rounds):
            for name, way in ways.items():
                path = Path(folder) / f"{i}.ckpt"
                if name != "reading back and hashing":
                    path.unlink(missing_ok=True)
                began = time.perf_counter()
                way(path)
                seconds[name].append(time.perf_counter() - began)
                plugin.wait()
            for path in Path(folder).iterdir():
                path.unlink()
    medians = {name: statistics.median(t) for name, t in seconds.items()}
    base = medians["torch.save"]
    for name, median in medians.items():
        print(f"{name:26} {1000 * median:7.1f} ms  {median / base:5.2f} x torch.save")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
