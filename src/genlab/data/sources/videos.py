"""Where clips come from: a folder of one's own, with classes or captions, and LPC's figures.

Read: `VideoSource` is what data/videos.py asks for. What is a clip in a folder, and what is let in
of a stranger's file, is moving.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from genlab.data.films import FilmFiles, Films
from genlab.data.moving import ANIMATIONS, CODED, films_in
from genlab.data.records import read_records
from genlab.data.sources.captioned import CaptionedFolder, KnownPictures
from genlab.data.sources.listing import METADATA, FileFolder, Listing, listed

ENDINGS = (*ANIMATIONS, *CODED)
STRIPS = "frames"  # the column that says how many frames stand side by side in a picture


class VideoSource(ABC):
    """Where clips come from."""

    class_names: Sequence[str] | None = None
    skipped: Sequence[str] = ()  # files that were found and are no part of the data

    def prepare(self) -> None:  # noqa: B027
        """See that the files are there; any number of processes may call it."""

    @abstractmethod
    def read(self, shape: Sequence[int], *, stride: int, fps: float | None) -> dict[str, Films]:
        """The splits train and val of clips for examples [C, T, H, W]; they may be longer."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return type(self).__name__


class FilmFolder(FileFolder):
    """A folder of clips, as `FileFolder`; metadata with a column `frames` name strips of frames."""

    def __init__(
        self, root: str | None, *, val_fraction: float = 0.1, group: str | None = None
    ) -> None:
        super().__init__(
            root, endings=ENDINGS, noun="clips", val_fraction=val_fraction, group=group
        )

    def _listed(self, root: Path) -> Listing:
        metadata = next((root / n for n in METADATA if (root / n).is_file()), None)
        if metadata is not None and STRIPS in next(iter(read_records(metadata)), {}):
            return listed(root, (*ENDINGS, ".png"), self.noun)
        return listed(root, self.endings, self.noun, films_in)


def films_of(
    splits: dict[str, Listing], root: Path, shape: Sequence[int], stride: int, fps: float | None
) -> dict[str, Films]:
    frame = (shape[0], *shape[2:])
    return {
        name: FilmFiles(found, root=root, shape=frame, stride=stride, fps=fps)
        for name, found in splits.items()
    }


class VideoFolder(VideoSource):
    """The clips in a folder (or a zip or tar of one): root/CLASS/clip.gif, or without classes.

    Folders root/train and root/val (or valid, test), or the metadata's column `split`, are the
    splits; else val is a share of the clips, the classes in proportion, the same in every run.
    """

    def __init__(
        self, *, root: str | None, val_fraction: float = 0.1, group: str | None = None
    ) -> None:
        """`group`: a column of the metadata whose equal values stay on one side of the split."""
        self.files = FilmFolder(root, val_fraction=val_fraction, group=group)

    def read(self, shape: Sequence[int], *, stride: int, fps: float | None) -> dict[str, Films]:
        found = self.files.splits()
        self.class_names, self.skipped = self.files.class_names, self.files.skipped
        return films_of(found, self.files.folder(), shape, stride, fps)


class CaptionedClips(VideoSource):
    """Where clips with captions come from."""

    @abstractmethod
    def captions(self) -> dict[str, list[str]]:
        """The captions of train and val, in the clips' order."""


class CaptionedVideoFolder(CaptionedFolder, CaptionedClips):
    """A folder with clips and metadata.jsonl: a row a clip, `file_name` and `text`."""

    def __init__(
        self,
        *,
        root: str | None,
        column: str = "text",
        val_fraction: float = 0.1,
        group: str | None = None,
    ) -> None:
        super().__init__(root=root, column=column, val_fraction=val_fraction, group=group)
        self.files = FilmFolder(root, val_fraction=val_fraction, group=group)

    def read(self, shape: Sequence[int], *, stride: int, fps: float | None) -> dict[str, Films]:
        return films_of(self.splits(), self.files.folder(), shape, stride, fps)


class LPCSprites(KnownPictures, CaptionedClips):
    """4,800 clips of 400 figures of the Liberated Pixel Cup: walking, casting a spell, slashing.

    64x64 pixels, 8, 7 and 6 frames, seen from four sides, with captions. 480 clips of 40 figures
    are held out. Its classes are the twelve of action and side. CC BY-SA 3.0 or GPL-3.0.
    """

    folder, file = "lpc-sprites", "lpc-sprites.zip"
    digest: ClassVar = "a463d392b2de0397fe11f40c1a5c48de71b435a51142ab5ea87bc25c202c3095"
    why: ClassVar = " (a .zip of strips of 64x64 pictures with metadata.jsonl)"

    def __init__(self, *, root: str | None = None) -> None:
        super().__init__(root=root)
        self.files = FilmFolder(None)

    def splits(self) -> dict[str, Listing]:
        if self._splits is None:
            found = super().splits()
            said = {
                split: [
                    f"{a.split()[0]} {d.split()[0]}"
                    for a, d in zip(*map(f.columns.get, ("action", "direction")))
                ]
                for split, f in found.items()
            }
            self.class_names = sorted({name for names in said.values() for name in names})
            for split, listing in found.items():
                listing.labels = [self.class_names.index(name) for name in said[split]]
                listing.names = self.class_names
        return self._splits

    def read(self, shape: Sequence[int], *, stride: int, fps: float | None) -> dict[str, Films]:
        return films_of(self.splits(), self.files.folder(), shape, stride, fps)
