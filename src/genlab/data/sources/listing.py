"""The files of a folder, and what is known of each: its class, its split, its columns.

Read: `Listing`, `listed` (which files, of which classes, and which are left out), then `FileFolder`
(splits). The layouts are those of the `datasets` library: ROOT/CLASS/file; or files side by side
and metadata.jsonl (or .csv, .parquet) with a row a file: `file_name`, and columns such as `label`,
`text`, `licence`; folders train and val (valid, validation, test) are the splits, as is a column
`split`. What the files hold is not looked at here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from genlab.data import archives
from genlab.data.files import cache
from genlab.data.metadata import METADATA, metadata_of, read_metadata
from genlab.data.origins import Origin, Origins, of_columns
from genlab.data.sources.images import spread
from genlab.rng import seed_of

VAL_NAMES = ("val", "valid", "validation", "test")
LABEL = "label"  # the column whose values are the classes
NAMED = 5  # files that are named in a message


@dataclass
class Listing:
    """Files, in one order with their labels and columns."""

    paths: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    names: list[str] | None = None  # of the classes: the folders, or the labels' values, sorted
    skipped: list[str] = field(default_factory=list)  # hidden files, and such of no known ending
    columns: dict[str, list[Any]] = field(default_factory=dict)  # of the metadata

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, ids: Sequence[int]) -> Listing:
        columns = {k: [values[i] for i in ids] for k, values in self.columns.items()}
        paths, labels = [self.paths[i] for i in ids], [self.labels[i] for i in ids]
        return Listing(paths, labels, self.names, self.skipped, columns)

    def origins(self, ids: Sequence[int], root: Path, default: Origin) -> Origins:
        """Of the files `ids`, which are named as they lie in `root`."""
        found = self.take(ids)
        names = [p.relative_to(root).as_posix() for p in found.paths]
        return of_columns(names, found.columns, default)


def files_in(folder: Path, endings: Sequence[str], *, deep: bool) -> tuple[list[Path], list[str]]:
    """The files of a folder with one of the endings, and the names of its others."""
    files = [p for p in (folder.rglob("*") if deep else folder.iterdir()) if p.is_file()]
    found = {p for p in files if p.suffix.lower() in endings and not p.name.startswith(".")}
    return sorted(found), sorted(p.name for p in files if p not in found)


def listed(
    root: Path, endings: Sequence[str], noun: str = "files", find: Callable[..., Any] = files_in
) -> Listing:
    """The files under a folder that have one of the endings, by the metadata that lie in it.

    Without metadata its folders with such files are the classes, by name. `find`: what is a file of
    the kind, where a folder may be one too.
    """
    if (metadata := metadata_of(root)) is not None:
        return _by_metadata(root, metadata, endings, noun, find)
    folders = sorted(p for p in root.iterdir() if p.is_dir())
    shown = [p for p in folders if not p.name.startswith(".")]
    by_class = {p.name: find(p, endings, deep=True) for p in shown}
    flat, skipped = find(root, endings, deep=False)
    skipped += [name for _, names in by_class.values() for name in names]
    skipped += [f"{p.name}/" for p in folders if p.name.startswith(".")]
    found = {name: files for name, (files, _) in by_class.items() if files}
    if flat and found:
        raise ValueError(
            f"data.root={root} has {noun} both in itself and in the folder {next(iter(found))}:"
            f" put every one into its class's folder, or all of them side by side"
        )
    if flat:
        return Listing(flat, [0] * len(flat), None, skipped)
    labels = [c for c, files in enumerate(found.values()) for _ in files]
    paths = [p for files in found.values() for p in files]
    return Listing(paths, labels, list(found) or None, skipped)


def _by_metadata(
    root: Path, metadata: Path, endings: Sequence[str], noun: str, find: Callable[..., Any]
) -> Listing:
    """The files that the metadata name: only such as lie in the folder, whatever it says."""
    files, skipped = find(root, endings, deep=True)
    there = {p.relative_to(root).as_posix(): p for p in files}
    rows = read_metadata(metadata)
    if missing := [name for name in rows if name not in there]:
        shown = ", ".join(n[:80] for n in missing[:NAMED]) + ", ..." * (len(missing) > NAMED)
        raise ValueError(
            f"{metadata}: {len(missing)} of {len(rows)} rows name no {noun[:-1]} in {root.name}"
            f" ({shown}): file_name is the path from its folder on, and ends in"
            f" {', '.join(endings)}"
        )
    skipped = [n for n in skipped if n not in METADATA]
    skipped += [name for name in there if name not in rows]
    keys = list(dict.fromkeys(k for row in rows.values() for k in row))
    columns = {k: [row.get(k) for row in rows.values()] for k in keys}
    names, labels = None, [0] * len(rows)
    if LABEL in columns:
        names = sorted({str(v) for v in columns[LABEL]})
        labels = [names.index(str(v)) for v in columns[LABEL]]
    return Listing([there[n] for n in rows], labels, names, skipped, columns)


def mixed(root: Path, found: Listing) -> Listing:
    """The files in an order by hashes of their names, the classes in proportion throughout."""
    keys = [seed_of("file", p.relative_to(root).as_posix()) for p in found.paths]
    return found.take(spread(torch.tensor(found.labels), keys).tolist())


class FileFolder:
    """A folder of files of one kind (or a zip or tar of one), in splits.

    Folders root/train and root/val (or valid, test), where there are both, are the splits, or the
    metadata's column `split`; else val is a share of the files, the classes in proportion, the same
    in every run. With `group`, a column, whole values of it are held out, whatever `split` says.
    """

    find = staticmethod(files_in)

    def __init__(
        self, root: str | None, *, endings: Sequence[str], noun: str, val_fraction: float = 0.1,
        group: str | None = None,
    ) -> None:  # fmt: skip
        if not 0 < val_fraction < 1:
            raise ValueError(f"data.val_fraction={val_fraction}: write a number between 0 and 1")
        self.root, self.val_fraction, self.group = root, val_fraction, group
        self.endings, self.noun = tuple(endings), noun
        self.class_names: list[str] | None = None
        self.skipped: list[str] = []
        self.root_read: Path | None = None  # where `train` lies
        self.train = Listing()

    def origins(self, ids: Sequence[int], default: Origin) -> Origins:
        """Of the training files `ids`, once they are listed."""
        if self.root_read is None:
            self.splits()
        return self.train.origins(ids, self.root_read, default)

    def folder(self) -> Path:
        """The folder itself; of an archive, where it is unpacked in the cache."""
        if self.root is None:
            raise ValueError("data.root=null: which folder? write data.root=FOLDER")
        root = Path(self.root).expanduser()
        if archives.is_archive(root):
            return unpacked(root)
        if root.is_file():
            remedy = (
                f"write data.root={root.parent}"
                if root.suffix.lower() in self.endings
                else f"a table is data=table data.path={root},"
                f" text is data=text_file data.path={root}"
            )
            raise ValueError(
                f"data.root={self.root} is a file, where a folder of {self.noun} (or a"
                f" {', '.join(archives.ENDINGS)} of one) is wanted: {remedy}"
            )
        if not root.is_dir():
            raise FileNotFoundError(f"data.root={self.root}: there is no such folder")
        return root

    def splits(self) -> dict[str, Listing]:
        """train and val, each mixed."""
        root = self.folder()
        held_out = next((root / n for n in VAL_NAMES if (root / n).is_dir()), None)
        if held_out is not None and (root / "train").is_dir():
            train, val = (self.kept(self._listed(p)) for p in (root / "train", held_out))
            if val.names != train.names:
                raise ValueError(
                    f"data.root={self.root}: train has the classes {train.names}, {held_out.name}"
                    f" {val.names}: give both the same"
                )
            self._refuse_few(train, val)
            self.skipped = train.skipped + val.skipped
            train, val = mixed(root, train), mixed(root, val)
        else:
            found = self.kept(self._listed(root))
            self.skipped = found.skipped
            train, val = self._cut(root, found)
            self._refuse_few(train, val)
        self.class_names, self.root_read, self.train = train.names, root, train
        return {"train": train, "val": val}

    def _listed(self, root: Path) -> Listing:
        return listed(root, self.endings, self.noun, self.find)

    def _cut(self, root: Path, found: Listing) -> tuple[Listing, Listing]:
        found = mixed(root, found)
        if self.group is not None and self.group not in found.columns:
            there = ", ".join(found.columns) or "it has no metadata"
            raise ValueError(f"data.group={self.group}: no such column in the metadata ({there})")
        if self.group is not None:  # asked for: it goes before the split that the set comes with
            held = by_group(self.groups(found), self.val_fraction)
        elif "split" in found.columns:
            held = [str(v) in VAL_NAMES for v in found.columns["split"]]
        else:
            num = max(1, round(len(found) * self.val_fraction))
            held = [i < num for i in range(len(found))]
        val = found.take([i for i, h in enumerate(held) if h])
        return found.take([i for i, h in enumerate(held) if not h]), val

    def kept(self, found: Listing) -> Listing:
        """What is split: all files, unless a kind of data leaves out what it cannot read."""
        return found

    def groups(self, found: Listing) -> list[str]:
        """What each file belongs to: files of one group stay on one side."""
        return [str(v) for v in found.columns[self.group]]

    def _refuse_few(self, train: Listing, val: Listing) -> None:
        if not len(train) or not len(val):
            raise ValueError(
                f"data.root={self.root} has {'too few' if len(train) or len(val) else 'no'}"
                f" {self.noun}: files ending in {', '.join(self.endings)} are looked for, in it and"
                " in its folders"
            )


def by_group(groups: Sequence[str], share: float) -> list[bool]:
    """Which are held out: whole groups, in the order of their hashes, up to a share of all."""
    held: set[str] = set()
    num, sizes = 0, Counter(groups)
    for name in sorted(sizes, key=lambda g: seed_of("group", g)):
        if num >= max(1, round(share * len(groups))):
            break
        held.add(name)
        num += sizes[name]
    return [g in held for g in groups]


def unpacked(archive: Path) -> Path:
    from filelock import FileLock

    with archive.open("rb") as f:
        target = cache() / "unpacked" / hashlib.file_digest(f, "sha256").hexdigest()[:32]
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):  # of several processes one unpacks
        if not target.is_dir():
            archives.unpack(archive, target)
    return target
