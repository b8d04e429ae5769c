"""Documents: the rows of jsonl, csv and Parquet files, or a folder of text and HTML files."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from genlab.curation.base import Example, Kind, Raw, Unread
from genlab.curation.kinds.beside import facts_of, numbered, plain
from genlab.data.metadata import METADATA
from genlab.data.records import is_records

FILES = (".txt", ".md", ".rst", ".html", ".htm", ".xhtml")
BYTES = 2**26  # of a file that is one document
EXCERPT = 600  # letters that the page shows


class Texts(Kind):
    """A document is a text; its other columns are what is known of it."""

    name = "text"
    noun: ClassVar[str] = "documents"

    def __init__(self, *, column: str = "text", endings: Sequence[str] = FILES) -> None:
        """`column` of a row that is the text; `endings` of files that are a document each."""
        self.column, self.endings = column, tuple(endings)

    def none_in(self, source: Path) -> str:
        there = Counter(p.suffix.lower() for p in source.rglob("*") if p.is_file())
        if not (common := next((e for e, _ in there.most_common() if e[1:].isalnum()), "")):
            return ""
        read = ", ".join(self.endings)
        return (
            f": {there.total():,} files, none a .jsonl, .csv or .parquet, or ending in {read};"
            f" kind.endings=[{common}] reads those"
        )

    def raws(self, source: Path) -> Iterator[Raw]:
        files = sorted(p for p in source.rglob("*") if p.is_file()) or [source]
        root = source.parent if source.is_file() else source
        facts = facts_of(source) if source.is_dir() else {}
        for path in files:
            name = path.relative_to(root).as_posix()
            if name in METADATA:
                continue
            if is_records(path):
                yield from self._rows(path, name)
            elif path.suffix.lower() in self.endings and not path.name.startswith("."):
                yield Raw(name, path, facts.get(name, {}))

    def _rows(self, path: Path, name: str) -> Iterator[Raw]:
        known = False  # a file without the column is another than was meant
        for number, row in numbered(path):
            if isinstance(row, Unread):
                yield Raw(f"{name}:{number}", row)
                continue
            known = known or self.column in row
            text = row.pop(self.column, None)
            if not known:
                there = ", ".join(list(row)[:8]) or "none"
                raise ValueError(
                    f"{path}, row {number}: it has no column {self.column!r};"
                    f" kind.column=NAME says which is the text; there are {there}"
                )
            if not isinstance(text, str):
                why = Unread(f"no text in the column {self.column!r}")
                yield Raw(f"{name}:{number}", why, plain(row))
                continue
            # surrogates without their other half, which JSON may hold, are no text
            yield Raw(f"{name}:{number}", text.encode("utf-8", "replace"), plain(row))

    def open(self, raw: Raw) -> str:
        if raw.source.stat().st_size > BYTES:  # type: ignore[union-attr]
            raise ValueError(f"over {BYTES:,} bytes: cut it into documents")
        return self.parse(raw.source.read_bytes())  # type: ignore[union-attr]

    def dump(self, data: str) -> bytes:
        return data.encode("utf-8", "replace")

    def parse(self, contents: bytes) -> str:
        try:
            return contents.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"no UTF-8 text: byte {error.start}") from None

    def write(self, examples: Sequence[Example], folder: Path, shard: int) -> None:
        rows = ({"text": e.data, "id": e.id, **e.facts, "split": folder.name} for e in examples)
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        with (folder / f".{shard:06d}.part").open("w", encoding="utf-8", newline="\n") as f:
            f.writelines(lines)

    def finish(self, folder: Path) -> None:
        """One file for all splits, in the order of the raw files within each."""
        with (folder / "documents.jsonl").open("wb") as whole:
            for split in sorted(p for p in folder.iterdir() if p.is_dir()):
                for part in sorted(split.glob(".*.part")):
                    whole.write(part.read_bytes())
                shutil.rmtree(split)

    def shown(self, data: str, beside: str | None = None) -> str:
        """Its beginning, or from a little before where the two differ first."""
        pairs = enumerate(zip(data, beside or ""))
        differs = next((i for i, (a, b) in pairs if a != b), 0)
        start = max(0, differs - EXCERPT // 4) if differs > EXCERPT // 2 else 0
        text = data[start : start + EXCERPT]
        return "… " * (start > 0) + text + " …" * (start + EXCERPT < len(data))

    @property
    def option(self) -> dict[str, str]:
        return {"data": "text_file", "data.path": "documents.jsonl"}
