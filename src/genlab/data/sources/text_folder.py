"""A folder of texts, a document each: plain files (.txt, .md, .py, ...), or HTML pages.

Read: `TextFolder`; `HtmlFolder` takes the main text out of pages. The folder may be a stranger's: a
link that leads out of it is left out, and so is what is no UTF-8; the start names what was.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from genlab.data.origins import Origin, Origins, origin_of
from genlab.data.records import LINE, read_records
from genlab.data.sources.documents import TEST, VAL, Documents, Place, sides
from genlab.data.sources.listing import METADATA, FileFolder
from genlab.data.sources.text import TextSource, check_share

NAMED = 5  # files that are named in a message


class TextFolder(TextSource):
    """The files of a folder (or of a .zip or .tar of it) whose names fit, a document each.

    Folders train and val (or valid, validation, test), where both are, are the splits; else a share
    by a hash of what the files hold, so that copies are on one side.
    """

    def __init__(
        self, *, root: str | None, patterns: Sequence[str], val_fraction: float = 0.1
    ) -> None:
        """`patterns` of names, such as *.txt; a hidden file or folder is passed over."""
        check_share(val_fraction)
        if not patterns:
            raise ValueError("data.patterns=[]: which files? write 'data.patterns=[\"*.txt\"]'")
        self.root, self.patterns, self.val_fraction = root, list(patterns), val_fraction
        self._wrong: dict[str, str] = {}  # name: why it is left out

    def documents(self) -> tuple[Documents, Documents]:
        root = FileFolder(self.root, endings=(), noun="texts").folder()
        places = {path: self._place(path, root) for path in self.files(root)}
        if not places:
            raise ValueError(
                f"data.root={self.root} has no file called {' or '.join(self.patterns)}: write"
                " 'data.patterns=[\"*.ENDING\"]'"
            )
        side = sides(places.values(), self.val_fraction, f"data.root={self.root}")
        split = {path: side(place) for path, place in places.items()}

        known = self.known(root)

        def read(name: str) -> Iterator[str]:
            found = Origins("documents")
            for path in split:
                if split[path] == name and (text := self.text(path)).strip():
                    file = path.relative_to(root).as_posix()
                    found.add(known.get(file, self.origin), file)
                    yield text
            if name == "train":
                self.take(found)

        return Documents(lambda: read("train")), Documents(lambda: read("val"))

    def known(self, root: Path) -> dict[str, Origin]:
        """The origins of files that the folder's metadata tell of, by their names in it."""
        path = next((root / n for n in METADATA if (root / n).is_file()), None)
        rows = read_records(path) if path is not None else ()
        return {str(row.get("file_name")): origin_of(row, self.origin) for row in rows}

    def files(self, root: Path) -> Iterator[Path]:
        """The files whose names fit, in order; none that a link leads out of the folder for."""
        inside = root.resolve()
        for path in sorted(root.rglob("*")):
            parts = path.relative_to(root).parts
            if any(p.startswith(".") for p in parts) or not path.is_file():
                continue
            if not any(fnmatch.fnmatch(path.name, p) for p in self.patterns):
                continue
            if not path.resolve().is_relative_to(inside):
                self._wrong[path.name] = "leads out of the folder"
            elif path.stat().st_size > LINE:
                self._wrong[path.name] = f"over {LINE:,} bytes"
            else:
                yield path

    def _place(self, path: Path, root: Path) -> Place:
        top = path.relative_to(root).parts[0].lower()
        split = top if top in (*VAL, *TEST) and (root / "train").is_dir() else None
        with path.open("rb") as f:
            key = hashlib.file_digest(f, "sha256").hexdigest()
        return Place(key, split)

    def text(self, path: Path) -> str:
        """The text of a file; "" for one that is left out."""
        try:
            return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            self._wrong[path.name] = "no UTF-8"
        return ""

    def notes(self) -> list[str]:
        if not self._wrong:
            return []
        shown = ", ".join(f"{name} ({why})" for name, why in [*self._wrong.items()][:NAMED])
        more = ", ..." if len(self._wrong) > NAMED else ""
        return [f"{len(self._wrong)} file{'s' * (len(self._wrong) > 1)} left out: {shown}{more}"]


class HtmlFolder(TextFolder):
    """The main text of a folder's HTML pages, by trafilatura: without menus, headers and scripts.

    What is lost is told: pages of which nothing is left, and the share of all pages' letters that
    is kept. Links, pictures and the marks of bold or headings are lost always.
    """

    def __init__(
        self,
        *,
        root: str | None,
        patterns: Sequence[str] = ("*.html", "*.htm"),
        tables: bool = True,
        val_fraction: float = 0.1,
    ) -> None:
        """`tables`: keep the cells of tables, with bars between them."""
        super().__init__(root=root, patterns=patterns, val_fraction=val_fraction)
        self.tables = tables
        self._letters: dict[Path, tuple[int, int]] = {}  # of a page's main text, and of all of it

    def text(self, path: Path) -> str:
        try:
            from trafilatura import bare_extraction, html2txt
        except ImportError:
            raise ValueError(
                f"data.root={self.root}: pages are read by trafilatura: pip install 'genlab[text]'"
            ) from None
        page = path.read_bytes()
        main = bare_extraction(page, include_comments=False, include_tables=self.tables)
        found = (main.text if main else None) or ""
        self._letters[path] = len(found), len(html2txt(page))
        if not found.strip():
            self._wrong[path.name] = "no main text"
        return found

    def notes(self) -> list[str]:
        main, whole = (sum(n) for n in zip(*self._letters.values())) if self._letters else (0, 0)
        kept = f"{main / whole:.0%} of the letters of {len(self._letters):,} pages kept"
        return [kept, *super().notes()] if whole else super().notes()
