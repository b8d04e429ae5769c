"""Sounds that are taken by number: waveforms in memory, or files that are decoded when asked for.

Read: `Clips`. Files come in through the gate of audio.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlab import machine
from genlab.data.audio import length, opened
from genlab.data.broken import refuse
from genlab.data.sources.listing import Listing


class Clips:
    """Sound files [N] as waveforms of one rate, mono; decoded when asked for until `hold`."""

    def __init__(self, listing: Listing, *, root: Path, rate: int, peak: float | None) -> None:
        """`peak`: the largest sample that each file is scaled to; None leaves levels alone."""
        self.paths, self.root, self.rate, self.peak = list(listing.paths), root, rate, peak
        self.labels = torch.tensor(listing.labels, dtype=torch.long)
        self.lengths = torch.zeros(0, dtype=torch.long)  # samples at `rate` [N]
        self.waves: Tensor | None = None  # all, one after another

    def __len__(self) -> int:
        return len(self.paths)

    def wave(self, i: int) -> Tensor:
        """The whole waveform of sound i [samples]."""
        if self.waves is None:
            return torch.from_numpy(opened(self.paths[i], self.rate, peak=self.peak))
        end = int(self._ends[i])
        return self.waves[end - int(self.lengths[i]) : end]

    def num_silent(self) -> int:
        """How many that are held have no sample but 0."""
        if self.waves is None:
            return 0
        return sum(not self.wave(i).any() for i in range(len(self)))

    def hold(self) -> Clips:
        """Read all into memory; those that cannot be read are named together."""
        most, num, found = machine.memory() / 2, 0, []
        for wave in self._all(lambda p: opened(p, self.rate, peak=self.peak)):
            found.append(torch.from_numpy(wave))
            if (num := num + 4 * len(wave)) > most:
                raise ValueError(
                    "data.num_workers=0 would hold more sounds in memory than half of it: write"
                    " data.num_workers=4 to decode them on demand"
                )
        self.lengths = torch.tensor([len(w) for w in found])
        self.waves = torch.cat(found)
        self._ends = self.lengths.cumsum(0)
        return self

    def check(self) -> Clips:
        """Read all headers."""
        self.lengths = torch.tensor(list(self._all(lambda p: length(p, self.rate))))
        return self

    def _all(self, read: Any) -> Iterator[Any]:
        broken: list[ValueError] = []
        for path in self.paths:
            try:
                yield read(path)
            except ValueError as error:
                broken.append(error)
        refuse(broken, len(self), "sound")

    def identity(self) -> list[Tensor | str]:
        """What a hash of them is taken over: names and sizes stand for files that are not held."""
        if self.waves is not None:
            return [self.waves, self.lengths]
        return [f"{p.relative_to(self.root).as_posix()} {p.stat().st_size}" for p in self.paths]
