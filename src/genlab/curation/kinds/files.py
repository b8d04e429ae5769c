"""Kinds whose examples are a file each: a folder in, train/ val/ test/ with metadata.jsonl out."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from genlab.curation.base import Example, Kind, Raw, hash_of
from genlab.curation.kinds.beside import facts_of


class FileKind(Kind):
    """An example is a file; its folder is its label where no metadata say another."""

    endings: ClassVar[tuple[str, ...]]  # of raw files
    suffix: ClassVar[str] = ""  # of what is written, where all is alike

    def raws(self, source: Path) -> Iterator[Raw]:
        if source.is_file():
            raise ValueError(f"from={source}: {self.noun} are a folder of files; unpack it first")
        facts = facts_of(source)
        for path in self.paths(source):
            name = path.relative_to(source).as_posix()
            folder = path.parent.relative_to(source).as_posix()
            own = {} if folder == "." or facts else {"label": folder}
            yield Raw(name, path, facts.get(name, own))

    def paths(self, source: Path) -> Iterator[Path]:
        """The raw files below a folder, in one order."""
        for path in sorted(p for p in source.rglob("*") if p.is_file()):
            if path.suffix.lower() in self.endings and not path.name.startswith("."):
                yield path

    def suffix_of(self, example: Example) -> str:
        """How the name of what is written ends."""
        return self.suffix

    @abstractmethod
    def packed(self, data: Any) -> bytes:
        """The file that is written of it."""

    def store(self, data: Any, path: Path) -> None:
        """Write it to its place in the set."""
        path.write_bytes(self.packed(data))

    def write(self, examples: Sequence[Example], folder: Path, shard: int) -> None:
        rows = []
        for example in examples:
            stem = example.id.removesuffix(Path(example.id).suffix).replace("/", "_")[-80:]
            name = f"{stem}_{hash_of('file', example.id):016x}{self.suffix_of(example)}"
            self.store(example.data, folder / name)
            rows.append({"file_name": name, "id": example.id, **example.facts})
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f".{shard:06d}.part").write_text("".join(lines), encoding="utf-8")

    def finish(self, folder: Path) -> None:
        for split in (p for p in folder.iterdir() if p.is_dir()):
            parts = sorted(split.glob(".*.part"))
            whole_text = b"".join(part.read_bytes() for part in parts)
            (split / ".metadata.tmp").write_bytes(whole_text)
            os.replace(split / ".metadata.tmp", split / "metadata.jsonl")
            for part in parts:
                part.unlink()
