"""Text: known sets, the source code of Python's own library, any file of text or of rows.

Read: `TextSource` is what text.py asks for; then a class a set. Folders are text_folder.py's.
"""

from __future__ import annotations

import os
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from genlab.data import files, records
from genlab.data.origins import Origin, Origins, Traced
from genlab.data.sources import documents
from genlab.data.sources.documents import Place, sides
from genlab.rng import seed_of

SHARED = 100  # characters in two lines from which on files that share them are one cluster

TOKENS = "tokens"  # the folder beside a text that `genlab prepare tokenizer=...` fills
PACKED = (b"\x1f\x8b", b"PK\3\4", b"BZh", b"\xfd7zXZ")  # gzip, zip, bzip2, xz


class TextSource(Traced, ABC):
    """Where documents come from."""

    characters: int | None = None  # how many different ones there are, where it is known unread
    found: Origins | None = None  # of the training documents, where each has an origin of its own
    tokens: Path | None = None  # a folder beside the text, with the tokens of it (token_files.py)

    def prepare(self) -> None:
        """Download what is missing; any number of processes may call it."""

    @abstractmethod
    def documents(self) -> tuple[Iterable[str], Iterable[str]]:
        """The documents of train and of val, lists or such as are read while they are gone through.

        Either can be gone through more than once.
        """

    def origins(self, num: int) -> Origins:
        """Of the `num` training documents, once they have been read."""
        return self.found or Origins.whole(self.origin, num, "document 1", noun="documents")

    def take(self, found: Origins) -> None:
        """What was found on the way through all training documents."""
        self.found = found

    def notes(self) -> list[str]:
        """What a user should know of what was read and may not."""
        return []

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
    # Shakespeare died in 1616; char-rnn, which put the plays together, is MIT
    origin: ClassVar = Origin("Public domain", "https://github.com/karpathy/char-rnn")
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

    origin: ClassVar = Origin("PSF-2.0", "https://docs.python.org/3/license.html")
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
    """Any UTF-8 text file, whose end is val, or one of rows with a document in each.

    Of a text lines that end in CR LF are read as ending in LF. Rows (see records.py) are held out
    whole: where their column `split` says so, else a share by hash.
    """

    large: ClassVar = 2**26  # bytes of a text from which on it is read in parts

    def __init__(
        self,
        *,
        path: str | None,
        column: str = "text",
        group: str | None = None,
        val_fraction: float = 0.1,
    ) -> None:
        """`column`: of a row's text; rows that are equal in `group` stay on one side.

        The last `val_fraction` of a text's characters is val, or that share of the rows.
        """
        check_share(val_fraction)
        self.path, self.column, self.group = path, column, group
        self.val_fraction = val_fraction

    def documents(self) -> tuple[Iterable[str], Iterable[str]]:
        path = self.file()
        self.tokens = folder if (folder := path.parent / TOKENS).is_dir() else None
        if records.is_records(path):
            return documents.of_rows(
                path,
                column=self.column,
                group=self.group,
                share=self.val_fraction,
                told=self.take,
            )
        if path.stat().st_size > self.large:
            self.refuse_packed(path)
            return documents.of_file(path, self.val_fraction, f"data.path={self.path}")
        return cut(self.text(path), self.val_fraction)

    def file(self) -> Path:
        """The file, if it is one."""
        if self.path is None:
            raise ValueError("data.path=null: which file? write data.path=FILE")
        path = Path(self.path).expanduser()
        if path.is_dir() and not records.is_records(path):
            inside = sorted(p.name for p in path.iterdir() if p.is_file())[:3]
            raise ValueError(
                f"data.path={self.path} is a folder, where one text file is wanted: write"
                f" data.path={path / (inside[0] if inside else 'FILE')}"
                ", or data=text_folder data.root=FOLDER for all of them"
                "; a folder of images is data=image_folder data.root=FOLDER"
            )
        if not path.exists():
            raise FileNotFoundError(f"data.path={self.path}: there is no such file")
        return path

    def refuse_packed(self, path: Path) -> None:
        with path.open("rb") as f:
            if f.read(8).startswith(PACKED):
                raise ValueError(f"data.path={self.path} is a packed file: unpack it first")

    def text(self, path: Path) -> str:
        """The whole file."""
        self.refuse_packed(path)
        text = "".join(documents.parts_of(path, f"data.path={self.path}"))
        if not text.strip():
            raise ValueError(f"data.path={self.path} is empty: name a file with text in it")
        return text


def check_share(val_fraction: float) -> None:
    if not 0 < val_fraction < 1:
        raise ValueError(f"data.val_fraction={val_fraction}: write a number between 0 and 1")


class KJV(TextSource):
    """The King James Bible: 1,189 chapters, a document each; a tenth of its 66 books is val."""

    folder: ClassVar = "kjv"
    origin: ClassVar = Origin("Public domain", "King James Version")  # but in the UK: the Crown's
    file: ClassVar = "kjv.jsonl.gz"
    size: ClassVar = 4209277  # unpacked
    digest_of_file: ClassVar = "1c44f947c0189a7734b074583ddedfdfc668c3784b1cfef1726c6b71a3445f9a"
    why: ClassVar = ' (a line a chapter: {"title": "Genesis 1", "text": a verse a line})'

    def __init__(self, *, root: str | None = None) -> None:
        """`root`: the folder of kjv.jsonl.gz, null looks (see files.py)."""
        self.root = root

    def prepare(self) -> None:
        if files.find(self.file, name=self.folder, root=self.root) is None:
            raise files.missing(self.file, name=self.folder, root=self.root, why=self.why)

    def documents(self) -> tuple[list[str], list[str]]:
        path = files.require(self.file, name=self.folder, root=self.root)
        files.read(path, sha256=self.digest_of_file, size=self.size, packed=True)
        rows = list(records.read_records(path))
        books = [Place(row["title"].rsplit(" ", 1)[0]) for row in rows]
        side = sides(books, 0.1, self.folder)
        train, val = (
            [row["text"] for row, book in zip(rows, books) if side(book) == name]
            for name in ("train", "val")
        )
        return train, val


class WikiText2(TextSource):
    """WikiText-2 (Merity et al. 2016) without its train file: train is valid, val is test.

    Of words with <unk> for the rare ones, as published; each file is one document.
    """

    folder: ClassVar = "wikitext2-small"
    # Wikipedia's, as its authors say (Merity et al. 2016)
    origin: ClassVar = Origin("CC-BY-SA-3.0", "https://en.wikipedia.org")
    contents: ClassVar = {  # unpacked: (bytes, sha256)
        "valid.txt.gz": (
            1121681,
            "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
        ),
        "test.txt.gz": (
            1256449,
            "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
        ),
    }
    why: ClassVar = (
        " (valid.txt and test.txt of pytorch/examples, word_language_model/data/wikitext-2, each"
        " packed by gzip)"
    )

    def __init__(self, *, root: str | None = None) -> None:
        """`root`: the folder of valid.txt.gz and test.txt.gz, null looks (see files.py)."""
        self.root = root

    def prepare(self) -> None:
        for file in self.contents:
            if files.find(file, name=self.folder, root=self.root) is None:
                raise files.missing(file, name=self.folder, root=self.root, why=self.why)

    def documents(self) -> tuple[list[str], list[str]]:
        train, val = (
            files.read(
                files.require(file, name=self.folder, root=self.root),
                sha256=digest,
                size=size,
                packed=True,
            ).decode()
            for file, (size, digest) in self.contents.items()
        )
        return [train], [val]
