"""Pictures with captions: a folder of one's own, and known sets of emoji and clip art.

Read: `CaptionedFolder`. The captions are a column of the metadata that lie in the folder (or in a
.zip of it); which side a picture is on is listing.py's. A known set says where its .zip is, and
whose pictures stay together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar

from genlab.data import files
from genlab.data.origins import Origin, Origins
from genlab.data.pictures import Files, Pictures
from genlab.data.sources.folder import ENDINGS
from genlab.data.sources.images import ImageSource
from genlab.data.sources.listing import FileFolder, Listing

LONG = 2000  # letters of a caption; what goes on behind them is cut off


class CaptionedFolder(ImageSource):
    """A folder with pictures and metadata.jsonl: a row a picture, `file_name` and `text`."""

    def __init__(
        self,
        *,
        root: str | None,
        column: str = "text",
        val_fraction: float = 0.1,
        group: str | None = None,
    ) -> None:
        """`column`: of the captions; pictures that are equal in `group` stay on one side."""
        self.files = FileFolder(
            root, endings=ENDINGS, noun="images", val_fraction=val_fraction, group=group
        )
        self.column = column
        self._splits: dict[str, Listing] | None = None

    def splits(self) -> dict[str, Listing]:
        """Which pictures are in train and val, and what is known of each."""
        if self._splits is None:
            found = self.files.splits()
            self.skipped = self.files.skipped
            columns = found["train"].columns
            if self.column not in columns:
                there = ", ".join(columns) if columns else "nothing"
                raise ValueError(
                    f"data.column={self.column}: the folder's metadata.jsonl says {there} of its"
                    ' pictures: write {"file_name": ..., "text": ...} for each, or data.column=NAME'
                )
            self._splits = found
        return self._splits

    def origins(self, ids: Sequence[int]) -> Origins:
        self.splits()
        return self.files.origins(ids, self.origin)

    def captions(self) -> dict[str, list[str]]:
        """The captions of train and val, in the pictures' order; "" for a picture without one."""
        return {name: list(map(self._caption, f.columns[self.column], f.paths))
                for name, f in self.splits().items()}  # fmt: skip

    def _caption(self, said: object, path: object) -> str:
        if not isinstance(said, str | None):
            raise ValueError(
                f"data.column={self.column}: of {path} it says no text, but {str(said)[:40]!r}"
            )
        return (said or "")[:LONG]

    def read(self, shape: Sequence[int] | None) -> dict[str, Pictures]:
        if shape is None or shape[0] not in (1, 3):
            raise ValueError(
                f"data.shape={'null' if shape is None else list(shape)}: pictures become"
                " data.shape=[1,HEIGHT,WIDTH] (grey) or [3,HEIGHT,WIDTH] (colour)"
            )
        splits, root = self.splits(), self.files.folder()
        return {
            name: Files(f.paths, None, shape=tuple(shape), root=root) for name, f in splits.items()
        }


class KnownPictures(CaptionedFolder):
    """A set in a .zip that is known by its hash."""

    folder: str
    file: str
    digest: str
    groups: ClassVar[str | None] = None
    why: ClassVar = " (a .zip of 64x64 pictures with metadata.jsonl)"

    def __init__(self, *, root: str | None = None, val_fraction: float = 0.1) -> None:
        """`root`: the folder of its .zip, null looks (see files.py)."""
        super().__init__(root=None, val_fraction=val_fraction, group=self.groups)
        self.root = root

    def prepare(self) -> None:
        if files.find(self.file, name=self.folder, root=self.root) is None:
            raise files.missing(self.file, name=self.folder, root=self.root, why=self.why)

    def splits(self) -> dict[str, Listing]:
        if self._splits is None:
            path = files.require(self.file, name=self.folder, root=self.root)
            with path.open("rb") as f:
                found = hashlib.file_digest(f, "sha256").hexdigest()
            if found != self.digest:
                raise ValueError(
                    f"{path} is damaged or another file (sha256 {found[:12]}..., expected"
                    f" {self.digest[:12]}...): get it anew"
                )
            self.files.root = str(path)
        return super().splits()


class Emoji(KnownPictures):
    """1,911 emoji in the style of Google (Noto) or Twitter, with their names.

    Both styles have the same emoji, and the same of them are held out.
    """

    digests: ClassVar = {
        "google": "af2d156d3d125d32846e8eb1f86f48ad395df2acce830fc1a3f1f3da57d75312",
        "twitter": "2ca26458d123591fecce27733e7f5a5612d84de1a72b509db5e076311c17c2db",
    }
    groups: ClassVar = "hexcode"
    # as the LICENSE files of both repositories say of the pictures
    origins_of: ClassVar = {
        "google": Origin("Apache-2.0", "https://github.com/googlefonts/noto-emoji"),
        "twitter": Origin("CC-BY-4.0", "https://github.com/twitter/twemoji"),
    }

    def __init__(
        self, *, style: str = "google", root: str | None = None, val_fraction: float = 0.1
    ) -> None:
        if style not in self.digests:
            raise ValueError(f"data.style={style}: allowed are {', '.join(self.digests)}")
        self.folder, self.file = f"emoji-{style}", f"emoji-{style}-64.zip"
        self.digest, self.origin = self.digests[style], self.origins_of[style]
        super().__init__(root=root, val_fraction=val_fraction)


class OpenMoji(KnownPictures):
    """4,495 emoji of OpenMoji with what they show; the skin tones of one stay on one side."""

    folder, file = "openmoji", "openmoji-64.zip"
    origin: ClassVar = Origin("CC-BY-SA-4.0", "https://openmoji.org")  # its LICENSE.txt
    digest: ClassVar = "5be3ab2236799aaa2bb061d55996473a295c7a1a3cb7ba8e6aac143a69bb6fe4"
    groups: ClassVar = "hexcode"

    def __init__(self, *, root: str | None = None, val_fraction: float = 0.1) -> None:
        super().__init__(root=root, val_fraction=val_fraction)
        self.files = OfOneFigure(
            None, endings=ENDINGS, noun="images", val_fraction=val_fraction, group=self.groups
        )


class OfOneFigure(FileFolder):
    """Emoji that differ in skin tone alone are one group."""

    tones: ClassVar = {f"1F3F{n}" for n in "BCDEF"}

    def groups(self, found: Listing) -> list[str]:
        codes = super().groups(found)
        return ["-".join(c for c in code.split("-") if c not in self.tones) for code in codes]


class OpenClipart(KnownPictures):
    """4,621 drawings of the Open Clip Art Library 0.18 with their titles; titles stay together."""

    folder, file = "openclipart", "openclipart-64.zip"
    # each drawing says so in its own cc:license
    origin: ClassVar = Origin("Public domain", "Open Clip Art Library 0.18")
    digest: ClassVar = "4f10a03d1567b0845b8d8b290b7caef9b4d5ed2fbe0341929066bb01d3217db2"
    groups: ClassVar = "text"
