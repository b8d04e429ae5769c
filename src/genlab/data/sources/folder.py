"""A folder of image files, of any size, or a zip or tar of one.

Read: `listed` (which files, of which classes, and which are left out), then `ImageFolder`. What is
let in of a stranger's file is `pictures.opened`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from genlab.data import archives
from genlab.data.files import cache
from genlab.data.pictures import Files, Pictures
from genlab.data.sources.images import ImageSource, spread
from genlab.rng import seed_of

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
VAL_NAMES = ("val", "valid", "validation", "test")


@dataclass
class Listing:
    """The image files under a folder."""

    paths: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    names: list[str] | None = None  # of the classes, the folders; None if there are none
    skipped: list[str] = field(default_factory=list)  # hidden files and such that are no images


def listed(root: Path) -> Listing:
    """The image files under a folder; its folders with images are the classes, by name."""
    folders = sorted(p for p in root.iterdir() if p.is_dir())
    by_class = {p.name: _images_in(p, deep=True) for p in folders if not p.name.startswith(".")}
    flat, skipped = _images_in(root, deep=False)
    skipped += [name for _, names in by_class.values() for name in names]
    skipped += [f"{p.name}/" for p in folders if p.name.startswith(".")]
    found = {name: files for name, (files, _) in by_class.items() if files}
    if flat and found:
        raise ValueError(
            f"data.root={root} has images both in itself and in the folder {next(iter(found))}:"
            " put every image into its class's folder, or all of them side by side"
        )
    if flat:
        return Listing(flat, [0] * len(flat), None, skipped)
    labels = [c for c, files in enumerate(found.values()) for _ in files]
    paths = [p for files in found.values() for p in files]
    return Listing(paths, labels, list(found) or None, skipped)


def _images_in(folder: Path, *, deep: bool) -> tuple[list[Path], list[str]]:
    """The image files of a folder, and the names of its other files."""
    files = [p for p in (folder.rglob("*") if deep else folder.iterdir()) if p.is_file()]
    images = {p for p in files if p.suffix.lower() in ENDINGS and not p.name.startswith(".")}
    return sorted(images), sorted(p.name for p in files if p not in images)


def mixed(root: Path, found: Listing) -> tuple[list[Path], list[int]]:
    """The files in an order by hashes of their names, the classes in proportion throughout."""
    keys = [seed_of("file", p.relative_to(root).as_posix()) for p in found.paths]
    order = spread(torch.tensor(found.labels), keys).tolist()
    return [found.paths[i] for i in order], [found.labels[i] for i in order]


class ImageFolder(ImageSource):
    """The images in a folder (or a zip or tar of one): root/CLASS/*.png, or without classes.

    Folders root/train and root/val (or valid, test), where there are both, are the splits; else
    val is a share of the files, the classes in proportion, the same in every run.
    """

    def __init__(self, *, root: str | None, val_fraction: float = 0.1) -> None:
        if not 0 < val_fraction < 1:
            raise ValueError(f"data.val_fraction={val_fraction}: write a number between 0 and 1")
        self.root, self.val_fraction = root, val_fraction

    def read(self, shape: Sequence[int] | None) -> dict[str, Pictures]:
        if shape is None or shape[0] not in (1, 3):
            raise ValueError(
                f"data.shape={'null' if shape is None else list(shape)}: image files become"
                " data.shape=[1,HEIGHT,WIDTH] (grey) or [3,HEIGHT,WIDTH] (colour)"
            )
        root = self.folder()
        held_out = next((root / n for n in VAL_NAMES if (root / n).is_dir()), None)
        if held_out is not None and (root / "train").is_dir():
            train, val = self._stated_splits(root, held_out)
        else:
            train, val = self._cut(root)
        return {
            name: Files(paths, torch.tensor(labels), shape=tuple(shape), root=root)
            for name, (paths, labels) in (("train", train), ("val", val))
        }

    def folder(self) -> Path:
        """The folder itself; of an archive, where it is unpacked in the cache."""
        if self.root is None:
            raise ValueError("data.root=null: which folder? write data.root=FOLDER")
        root = Path(self.root).expanduser()
        if archives.is_archive(root):
            return _unpacked(root)
        if root.is_file():
            remedy = (
                f"write data.root={root.parent}"
                if root.suffix.lower() in ENDINGS
                else f"a table is data=table data.path={root},"
                f" text is data=text_file data.path={root}"
            )
            raise ValueError(
                f"data.root={self.root} is a file, where a folder of images (or a"
                f" {', '.join(archives.ENDINGS)} of one) is wanted: {remedy}"
            )
        if not root.is_dir():
            raise FileNotFoundError(f"data.root={self.root}: there is no such folder")
        return root

    def _stated_splits(self, root: Path, held_out: Path) -> tuple:
        train, val = listed(root / "train"), listed(held_out)
        if val.names != train.names:
            raise ValueError(
                f"data.root={self.root}: train has the classes {train.names}, {held_out.name}"
                f" {val.names}: give both the same folders"
            )
        self._refuse_few(train.paths, val.paths)
        self.class_names, self.skipped = train.names, train.skipped + val.skipped
        return mixed(root, train), mixed(root, val)

    def _cut(self, root: Path) -> tuple:
        found = listed(root)
        num = max(1, round(len(found.paths) * self.val_fraction))
        self._refuse_few(found.paths[num:], found.paths)
        self.class_names, self.skipped = found.names, found.skipped
        paths, labels = mixed(root, found)
        return (paths[num:], labels[num:]), (paths[:num], labels[:num])

    def _refuse_few(self, train: list[Path], val: list[Path]) -> None:
        if not train or not val:
            raise ValueError(
                f"data.root={self.root} has {'too few' if train or val else 'no'} images:"
                f" files ending in {', '.join(ENDINGS)} are looked for, in it and in its folders"
            )


def _unpacked(archive: Path) -> Path:
    from filelock import FileLock

    with archive.open("rb") as f:
        target = cache() / "unpacked" / hashlib.file_digest(f, "sha256").hexdigest()[:32]
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):  # of several processes one unpacks
        if not target.is_dir():
            archives.unpack(archive, target)
    return target
