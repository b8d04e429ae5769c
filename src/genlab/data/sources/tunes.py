"""Where pieces of music come from as notes: a folder of MIDI files, or a known set.

Read: `TuneSource` is what data/music.py asks for. `MidiFolder` leaves out what it cannot read and
counts it, by name; what is let in of a stranger's file is `midi.opened`. `MidiFrames` makes frames
of 88 keys of the same folder, which is what data/rolls.py asks for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from genlab.data import files
from genlab.data.midi import ENDINGS, Tune, library, opened
from genlab.data.sources.listing import FileFolder, Listing, mixed, unpacked
from genlab.data.sources.rolls import KEYS, LOWEST, JSBChorales, Pieces, RollSource
from genlab.views.score import notes_of

NAMED = 3  # files that are named in a message
NOTATED = ".abc"  # ABC notation, which is read by a program (abc2midi) and not by the library
FRAMES = 2**18  # of a piece


class TuneSource(ABC):
    """Where tunes come from."""

    class_names: Sequence[str] | None = None

    def prepare(self) -> None:  # noqa: B027
        """See that the files are there; any number of processes may call it."""

    @abstractmethod
    def tunes(self) -> dict[str, list[Tune]]:
        """The tunes of train, val and, where there is one, test."""

    def notes(self) -> list[str]:
        """What a user should know of what was read, and may not."""
        return []

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return type(self).__name__


class MidiFiles(FileFolder):
    """The MIDI files of a folder; those that cannot be read are left out before the split."""

    def __init__(self, root: str | None, *, val_fraction: float, group: str | None) -> None:
        super().__init__(
            root, endings=ENDINGS, noun="tunes", val_fraction=val_fraction, group=group
        )
        self.tunes: dict[Path, Tune] = {}
        self.left_out: dict[str, str] = {}  # file: why

    def kept(self, found: Listing) -> Listing:
        good = []
        for i, path in enumerate(found.paths):
            try:
                self.tunes[path] = opened(path)
                good.append(i)
            except (ValueError, OSError) as error:
                self.left_out[path.name] = str(error)
        if found.paths and not good:
            raise ValueError(
                f"data.root={self.root}: none of {len(found)} files is a tune that can be read"
                f" ({said(self.left_out)})"
            )
        return found.take(good)


class MidiFolder(TuneSource):
    """The MIDI files in a folder (or a zip or tar of one): root/CLASS/*.mid, or without classes.

    Folders root/train and root/val (or valid, test), or the metadata's column `split`, are the
    splits; else val is a share of the files, the classes in proportion, the same in every run.
    """

    def __init__(
        self, *, root: str | None, val_fraction: float = 0.1, group: str | None = None
    ) -> None:
        """`group`: a column of the metadata whose equal values stay on one side of the split."""
        self.files = MidiFiles(root, val_fraction=val_fraction, group=group)
        self.drums = 0

    def tunes(self) -> dict[str, list[Tune]]:
        library()
        read, self.files.left_out = self.files.tunes, {}
        read.clear()
        found = {
            split: [replace(read[p], label=c) for p, c in zip(listing.paths, listing.labels)]
            for split, listing in self.files.splits().items()
        }
        self.class_names = self.files.class_names
        self.drums = sum(tune.drums for tune in read.values())
        read.clear()
        return found

    def notes(self) -> list[str]:
        told, out = [], self.files.left_out
        if out:
            told.append(f"{len(out)} {_files(len(out))} cannot be read ({said(out)})")
        abc = [n for n in self.files.skipped if n.lower().endswith(NOTATED)]
        rest = [n for n in self.files.skipped if not n.lower().endswith(NOTATED)]
        if abc:
            told.append(
                f"{len(abc)} {_files(len(abc))} of ABC not read ({_shown(abc)}):"
                " `abc2midi FILE` makes a .mid of each tune"
            )
        if rest:
            told.append(f"{len(rest)} {_files(len(rest))} skipped: {_shown(rest)}")
        if self.drums:
            told.append(f"{self.drums:,} notes of drums left out")
        return told


class JSBTunes(TuneSource):
    """The 382 chorales of `jsb_chorales`, a frame a sixteenth: keys in frames in a row are a note.

    229 train, 76 val, 77 test. Frames know no metre: every bar is one of 4/4, upbeats are not told.
    """

    def __init__(self, *, root: str | None = None) -> None:
        """`root`: the folder of jsb-chorales-16th.json or its .gz; null looks and downloads."""
        self.frames = JSBChorales(root=root, grid="16th")

    def prepare(self) -> None:
        self.frames.prepare()

    def tunes(self) -> dict[str, list[Tune]]:
        per = self.frames.frames_per_quarter
        return {
            split: [tune_of(piece, per, f"{split} {i}") for i, piece in enumerate(pieces)]
            for split, pieces in self.frames.pieces().items()
        }


class NottinghamTunes(TuneSource):
    """The Nottingham Music Database as MIDI files, cleaned by Jukedeck: 1,034 tunes with chords.

    In no split: a tenth is held out by a hash of the files' names. Some tunes are in it twice.
    """

    folder: ClassVar = "nottingham"
    archive: ClassVar = "nottingham.zip"
    home: ClassVar = "https://github.com/jukedeck/nottingham-dataset"

    def __init__(
        self, *, root: str | None = None, part: Literal["both", "melody", "chords"] = "both"
    ) -> None:
        """`root`: the folder of nottingham.zip or a clone of `home`; null: $GENLAB_DATA."""
        if part not in ("both", "melody", "chords"):
            raise ValueError(f"data.part={part}: allowed are both, melody and chords")
        self.root, self.part = root, part
        self.left_out: list[str] = []

    def prepare(self) -> None:
        self._place()

    def _place(self) -> Path:
        if self.root is not None and (own := Path(self.root).expanduser() / "MIDI").is_dir():
            return own
        path = files.find(self.archive, name=self.folder, root=self.root)
        if path is None:
            why = f": git clone {self.home}, and write data.root=FOLDER"
            raise files.missing(self.archive, name=self.folder, root=self.root, why=why)
        return unpacked(path) / "MIDI"

    def tunes(self) -> dict[str, list[Tune]]:
        library()
        root = self._place()
        where = root if self.part == "both" else root / self.part
        paths = sorted(where.glob("*.mid"))
        if len(paths) < 2:
            raise ValueError(f"{where} has no .mid files: is it {self.home}?")
        listing = mixed(root, Listing(paths, [0] * len(paths)))
        num = max(1, round(len(listing) / 10))
        found: dict[str, list[Tune]] = {"train": [], "val": []}
        self.left_out = []
        for i, path in enumerate(listing.paths):
            try:
                found["val" if i < num else "train"].append(opened(path))
            except ValueError as error:
                self.left_out.append(f"{path.name}: {error}")
        return found

    def notes(self) -> list[str]:
        out = self.left_out
        return [f"{len(out)} {_files(len(out))} cannot be read: {_shown(out)}"] if out else []


class MidiFrames(RollSource):
    """The MIDI files of a folder as frames of 88 keys, `grid` of a quarter note.

    Notes outside of the piano's keys are left out; a piece begins with its first note.
    """

    def __init__(
        self, *, root: str | None, grid: int = 4, val_fraction: float = 0.1,
        group: str | None = None,
    ) -> None:  # fmt: skip
        """As `MidiFolder`."""
        if grid not in range(1, 97):
            raise ValueError(f"data.grid={grid}: write a whole number of frames a quarter, 1 to 96")
        self.source = MidiFolder(root=root, val_fraction=val_fraction, group=group)
        self.frames_per_quarter = grid
        self.outside = 0

    def pieces(self) -> dict[str, Pieces]:
        found: dict[str, Pieces] = {}
        self.outside = 0
        for split, tunes in self.source.tunes().items():
            rolls = [self._roll(t) for t in tunes]
            found[split] = [r for r in rolls if len(r)]
            if not found[split]:
                raise ValueError(f"data.root: no tune of {split} has a note of the piano's 88 keys")
        return found

    def _roll(self, tune: Tune) -> np.ndarray:
        """Frames [T, 88] bool."""
        key = tune.notes[:, 2].astype(int) - LOWEST
        inside = (key >= 0) & (key < KEYS)
        self.outside += int((~inside).sum())
        on = np.rint(tune.notes[inside, 0] * self.frames_per_quarter).astype(int)
        length = np.rint(tune.notes[inside, 1] * self.frames_per_quarter).astype(int).clip(1)
        first = on.min(initial=FRAMES)
        num = int((on + length - first).max(initial=0))
        if num > FRAMES:
            raise ValueError(
                f"data.grid={self.frames_per_quarter}: {tune.name} has {num:,} frames, {FRAMES:,}"
                " at most: write fewer a quarter"
            )
        roll = np.zeros((num, KEYS), bool)
        for start, long, k in zip(on - first, length, key[inside]):
            roll[start : start + long, k] = True
        return roll

    def notes(self) -> list[str]:
        told = self.source.notes()
        if self.outside:
            told.append(f"{self.outside:,} notes outside of a piano's keys left out")
        return told


def tune_of(roll: np.ndarray, per_quarter: int, name: str = "") -> Tune:
    """Frames [T, 88] as a tune: a key that sounds in frames in a row is a note."""
    found = np.array(notes_of(roll), float).reshape(-1, 3)
    notes = np.full((len(found), 4), 64.0)  # frames know no velocity
    notes[:, :2], notes[:, 2] = found[:, :2] / per_quarter, found[:, 2] + LOWEST
    return Tune(notes, name=name)


def twice(train: Sequence[bytes], val: Sequence[bytes]) -> int:
    """How many of val stand in train, note for note."""
    known = Counter(train)
    return sum(v in known for v in val)


def said(left_out: Mapping[str, str]) -> str:
    """The first files that are left out, and why."""
    first = "; ".join(f"{n}: {why}" for n, why in [*left_out.items()][:NAMED])
    return first + ("; ..." if len(left_out) > NAMED else "")


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _files(num: int) -> str:
    return "file" if num == 1 else "files"
