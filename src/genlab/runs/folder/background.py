"""Saves in the background: training waits for a copy of the tensors, a thread writes it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch.utils._pytree import tree_leaves, tree_map_only

from genlab import machine
from genlab.runs.folder.checkpoint import read, remove, save


class AtomicCheckpointIO(TorchCheckpointIO):
    """Saves beside the target, syncs, hashes, and only then gives the file its name.

    Training waits for a copy of the tensors only; a thread writes it. One save at a time: the next
    waits for the one before, and `wait` for the last. An error is raised by whichever comes first.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(1, "save")
        self._job: Future | None = None

    def save_checkpoint(self, checkpoint: dict, path: Any, storage_options: Any = None) -> None:
        self.wait()
        held = snapshot(checkpoint)
        if held is None:
            save(checkpoint, Path(path))
        else:
            self._job = self._pool.submit(save, held, Path(path))

    def wait(self) -> None:
        """Until the last save is on disk."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def look(self) -> None:
        """Raise what a save met, if it is over."""
        if self._job is not None and self._job.done():
            self.wait()

    def teardown(self) -> None:
        self.wait()

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: Any = None
    ) -> dict:
        return read(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        remove(Path(path))


def snapshot(checkpoint: dict) -> dict | None:
    """The same data with tensors that training does not change; None where memory is short.

    Tensors that are one in the checkpoint (tied weights) are one in the copy.
    """
    copies: dict[tuple, torch.Tensor] = {}

    def held(value: torch.Tensor) -> torch.Tensor:
        key = (value.data_ptr(), value.shape, value.stride(), value.dtype, value.device)
        if key not in copies:
            copy = value.detach()
            copies[key] = copy.clone() if copy.device.type == "cpu" else copy.cpu()
        return copies[key]

    tensors = [t for t in tree_leaves(checkpoint) if isinstance(t, torch.Tensor)]
    if sum(t.numel() * t.element_size() for t in tensors) > machine.free_memory() / 4:
        return None
    return tree_map_only(torch.Tensor, held, checkpoint)
