"""Where sounds come from: a folder of one's own, spoken digits (FSDD), sounds around us (ESC-10).

Read: `SoundSource` is what data/sounds.py asks for: the files of each split, with their classes.
What is let in of a stranger's file is `audio.opened`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from genlab.data import files
from genlab.data.audio import ENDINGS
from genlab.data.origins import Origin, Origins, Traced
from genlab.data.sources.listing import FileFolder, Listing, listed, mixed


class SoundSource(Traced, ABC):
    """Where sounds come from."""

    class_names: Sequence[str] | None = None
    skipped: Sequence[str] = ()  # files that were found and are no part of the data

    def prepare(self) -> None:
        """See that the files are there; any number of processes may call it."""

    @abstractmethod
    def read(self) -> tuple[Path, dict[str, Listing]]:
        """The folder, and in it the files of train, val and, where there is one, test."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return type(self).__name__


class SoundFolder(SoundSource):
    """The sounds in a folder (or a zip or tar of one): root/CLASS/*.wav, or without classes.

    Folders root/train and root/val (or valid, test), or the metadata's column `split`, are the
    splits; else val is a share of the files, the classes in proportion, the same in every run.
    """

    def __init__(
        self, *, root: str | None, val_fraction: float = 0.1, group: str | None = None
    ) -> None:
        """`group`: a column of the metadata whose equal values stay on one side of the split."""
        self.files = FileFolder(
            root, endings=ENDINGS, noun="sounds", val_fraction=val_fraction, group=group
        )

    def origins(self, ids: Sequence[int]) -> Origins:
        return self.files.origins(ids, self.origin)

    def read(self) -> tuple[Path, dict[str, Listing]]:
        found = self.files.splits()
        self.class_names, self.skipped = self.files.class_names, self.files.skipped
        return self.files.folder(), found


class KnownSounds(SoundSource):
    """A set whose files lie in one archive with metadata.jsonl, or in its authors' own folder."""

    folder: ClassVar[str]  # in $GENLAB_DATA
    archive: ClassVar[str]
    sha256: ClassVar[str]
    words: ClassVar[Sequence[str] | None] = None  # better names of the classes, in their order
    home: ClassVar[str]  # the folder that `git clone` brings, where its authors keep it

    def __init__(self, *, root: str | None = None) -> None:
        """`root`: the archive's folder or a clone of `home`; null looks in $GENLAB_DATA."""
        self.root = root
        self._train: tuple[Path, Listing] | None = None

    def prepare(self) -> None:
        self._place()

    def _place(self) -> Path:
        """The archive, or the clone."""
        if self.root is not None and self.is_clone(Path(self.root).expanduser()):
            return Path(self.root).expanduser()
        path = files.find(self.archive, name=self.folder, root=self.root)
        if path is None:
            why = f": git clone {self.home}, and write data.root=FOLDER"
            raise files.missing(self.archive, name=self.folder, root=self.root, why=why)
        with path.open("rb") as f:
            if (got := hashlib.file_digest(f, "sha256").hexdigest()) != self.sha256:
                raise ValueError(
                    f"{path} is damaged or another file (sha256 {got[:12]}..., expected"
                    f" {self.sha256[:12]}...): put the right one there"
                )
        return path

    def read(self) -> tuple[Path, dict[str, Listing]]:
        place = self._place()
        if place.is_dir():
            root, found = place, self.of_clone(place)
        else:
            root = FileFolder(str(place), endings=ENDINGS, noun="sounds").folder()
            found = listed(root, ENDINGS, "sounds")
        self.class_names = self.words or found.names
        found = mixed(root, found)
        splits: dict[str, list[int]] = {"train": [], "val": [], "test": []}
        for i in range(len(found)):
            splits[self.split_of({k: v[i] for k, v in found.columns.items()})].append(i)
        parts = {name: found.take(ids) for name, ids in splits.items()}
        self._train = root, parts["train"]
        return root, parts

    def origins(self, ids: Sequence[int]) -> Origins:
        if self._train is None:
            self.read()
        root, found = self._train
        return found.origins(ids, root, self.origin)

    @abstractmethod
    def is_clone(self, folder: Path) -> bool:
        """Whether the set lies there as its authors keep it."""

    @abstractmethod
    def of_clone(self, folder: Path) -> Listing:
        """Its files there, with the columns that the archive's metadata have."""

    @abstractmethod
    def split_of(self, row: dict[str, Any]) -> str:
        """The split that a file belongs to, by its columns."""


class FSDD(KnownSounds):
    """The Free Spoken Digit Dataset: 3,000 recordings of "zero" to "nine" by six people, 8 kHz.

    Each speaker has 50 recordings of each digit. The authors' rule is that the first five are the
    test set; here the next five are val, and 2,400 are train: all speakers are in all three. For
    speakers that were not heard: data=audio_folder data.root=fsdd.zip data.group=speaker.
    """

    folder, archive = "fsdd", "fsdd.zip"
    sha256 = "4f40f182cde04a0b3466b016452f68f3e96307d439989d1300f50dcfe9f966bf"
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    home = "https://github.com/Jakobovski/free-spoken-digit-dataset"
    origin = Origin("CC-BY-SA-4.0", home)  # its README.md

    def is_clone(self, folder: Path) -> bool:
        return (folder / "recordings").is_dir()

    def of_clone(self, folder: Path) -> Listing:
        paths = sorted((folder / "recordings").glob("[0-9]_*_*.wav"))
        rows = [p.stem.split("_") for p in paths]
        digits = [str(i) for i in range(10)]
        columns = {"speaker": [r[1] for r in rows], "index": [int(r[2]) for r in rows]}
        return Listing(paths, [digits.index(r[0]) for r in rows], digits, [], columns)

    def split_of(self, row: dict[str, Any]) -> str:
        return "test" if row["index"] < 5 else "val" if row["index"] < 10 else "train"


class ESC10(KnownSounds):
    """ESC-10: 400 recordings of 5 s in 10 classes, from a dog's bark to a chainsaw (Piczak 2015).

    Of the authors' five folds the last is test, the fourth val; pieces of one recording are in one
    fold. A clone is that of ESC-50, of which these are a part, at 44.1 kHz.
    """

    folder, archive = "esc10", "esc10-16k.zip"
    sha256 = "39fca25fd6c56190b740c2fe7f1755640cd506ec9198232a06110115eaab801c"
    home = "https://github.com/karolpiczak/ESC-50"
    origin = Origin("CC-BY-3.0", home)  # its LICENSE: of ESC-10; the rest of ESC-50 is CC-BY-NC

    def is_clone(self, folder: Path) -> bool:
        return (folder / "meta" / "esc50.csv").is_file()

    def of_clone(self, folder: Path) -> Listing:
        from genlab.data.records import read_records

        rows = [r for r in read_records(folder / "meta" / "esc50.csv") if r["esc10"] == "True"]
        names = sorted({r["category"] for r in rows})
        paths = [folder / "audio" / Path(r["filename"]).name for r in rows]
        columns = {"fold": [int(r["fold"]) for r in rows]}
        return Listing(paths, [names.index(r["category"]) for r in rows], names, [], columns)

    def split_of(self, row: dict[str, Any]) -> str:
        return {5: "test", 4: "val"}.get(row["fold"], "train")
