"""Text: Shakespeare, the source code of Python's own library, any text file.

Read: `TextSource` is what text.py asks for; then a class a set.
"""

from __future__ import annotations

import os
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from genlab.data import files
from genlab.rng import seed_of

SHARED = 100  # characters in two lines from which on files that share them are one cluster

PACKED = (b"\x1f\x8b", b"PK\3\4", b"BZh", b"\xfd7zXZ")  # gzip, zip, bzip2, xz


class TextSource(ABC):
    """Where documents come from."""

    characters: int | None = None  # how many different ones there are, where it is known unread

    def prepare(self) -> None:  # noqa: B027
        """Download what is missing; any number of processes may call it."""

    @abstractmethod
    def documents(self) -> tuple[list[str], list[str]]:
        """The documents of train and of val."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return type(self).__name__


def cut(text: str, val_fraction: float) -> tuple[list[str], list[str]]:
    """One text as train, its beginning, and val, its end, by characters."""
    at = int(len(text) * (1 - val_fraction))
    return [text[:at]], [text[at:]]


class Shakespeare(TextSource):
    """Tiny Shakespeare: 1,115,394 characters, the first 90 % train (char-rnn, nanoGPT)."""

    characters: ClassVar = 65
    folder: ClassVar = "tinyshakespeare"
    url: ClassVar = (
        "https://raw.githubusercontent.com/karpathy/char-rnn/"
        "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt"
    )
    size: ClassVar = 1115394
    digest_of_file: ClassVar = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

    def __init__(self, *, root: str | None = None) -> None:
        """`root`: the folder of input.txt, null looks and downloads (see files.py)."""
        self.root = root

    def prepare(self) -> None:
        files.fetch(
            "input.txt",
            [self.url],
            name=self.folder,
            root=self.root,
            sha256=self.digest_of_file,
            size=self.size,
        )

    def documents(self) -> tuple[list[str], list[str]]:
        path = files.require("input.txt", name=self.folder, root=self.root)
        contents = files.read(path, sha256=self.digest_of_file, size=self.size)
        return cut(contents.decode(), 0.1)


class StdlibCode(TextSource):
    """The source files of the running Python's own library, a document each: no download.

    Tests, installed packages and generated tables are left out. Files that share two lines in a row
    (`clusters`) are in one split, so that val is no copy of train; which tenth of the clusters is
    val goes by a hash of a name, the same on every machine. The text is the Python version's.
    """

    left_out: ClassVar = {
        "test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__",
        "encodings", "pydoc_data",
    }  # fmt: skip
    generated: ClassVar = "_sysconfigdata"  # how the names of files begin that no person wrote

    def __init__(self, *, limit: int | None = None) -> None:
        """`limit` keeps the first N files of each split, in their hashes' order."""
        self.limit = limit

    def sources(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(sysconfig.get_paths()["stdlib"]):
            folders[:] = [f for f in folders if f not in self.left_out]  # nor is it walked into
            for name in names:
                if name.endswith(".py") and not name.startswith(self.generated):
                    yield Path(folder, name)

    def documents(self) -> tuple[list[str], list[str]]:
        root = Path(sysconfig.get_paths()["stdlib"])
        texts = {p.relative_to(root).as_posix(): _source(p) for p in self.sources()}
        cluster = clusters({name: text for name, text in texts.items() if text})
        order = sorted(cluster, key=lambda name: seed_of("file", name))
        val = [name for name in order if seed_of("file", cluster[name]) % 10 == 0]
        train = [name for name in order if seed_of("file", cluster[name]) % 10]
        return [texts[n] for n in train[: self.limit]], [texts[n] for n in val[: self.limit]]


def clusters(texts: dict[str, str]) -> dict[str, str]:
    """Each text's cluster, called by the first name in it.

    Texts are in one cluster where two lines in a row, of SHARED characters together, stand in both.
    """
    leader = {name: name for name in texts}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    seen: dict[str, str] = {}
    for name in sorted(texts):
        lines = [line for line in texts[name].split("\n") if line.strip()]
        for one, two in pairwise(lines):
            if len(one) + 1 + len(two) >= SHARED:
                other = seen.setdefault(f"{one}\n{two}", name)
                if other != name:
                    first, second = sorted((find(other), find(name)))
                    leader[second] = first
    return {name: find(name) for name in texts}


def _source(path: Path) -> str:
    """The text of a source file; "" for the few that are not UTF-8 or cannot be read."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return ""


class TextFile(TextSource):
    """Any UTF-8 text file; its end is val. Lines that end in CR LF are read as ending in LF."""

    def __init__(self, *, path: str | None, val_fraction: float = 0.1) -> None:
        """The last `val_fraction` of the characters of the file at `path` is val."""
        if not 0 < val_fraction < 1:
            raise ValueError(f"data.val_fraction={val_fraction}: write a number between 0 and 1")
        self.path, self.val_fraction = path, val_fraction

    def documents(self) -> tuple[list[str], list[str]]:
        return cut(self.text(), self.val_fraction)

    def text(self) -> str:
        """The whole file."""
        if self.path is None:
            raise ValueError("data.path=null: which file? write data.path=FILE")
        path = Path(self.path).expanduser()
        if path.is_dir():
            inside = sorted(p.name for p in path.iterdir() if p.is_file())[:3]
            raise ValueError(
                f"data.path={self.path} is a folder, where one text file is wanted: write"
                f" data.path={path / (inside[0] if inside else 'FILE')}"
                "; a folder of images is data=image_folder data.root=FOLDER"
            )
        if not path.is_file():
            raise FileNotFoundError(f"data.path={self.path}: there is no such file")
        raw = path.read_bytes()
        if raw.startswith(PACKED):
            raise ValueError(f"data.path={self.path} is a packed file: unpack it first")
        try:
            text = raw.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"data.path={self.path} is not UTF-8 text: byte {error.start} is"
                f" 0x{error.object[error.start]:02x}; convert it, as with iconv -t UTF-8"
            ) from None
        if not text.strip():
            raise ValueError(f"data.path={self.path} is empty: name a file with text in it")
        return text
