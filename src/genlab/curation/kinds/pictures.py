"""Pictures: a folder of image files, with classes by folder or metadata.jsonl beside them."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from genlab.curation.base import Example, Kind, Raw, hash_of
from genlab.curation.kinds.beside import facts_of
from genlab.data.decode import whole

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
THUMB = 160  # pixels of the page's pictures


class Pictures(Kind):
    """A picture is [H, W, 3] uint8; its folder is its label where no metadata say another."""

    name = "image"
    noun: ClassVar[str] = "pictures"

    def raws(self, source: Path) -> Iterator[Raw]:
        if source.is_file():
            raise ValueError(f"from={source}: pictures are a folder of files; unpack it first")
        facts = facts_of(source)
        for path in sorted(p for p in source.rglob("*") if p.is_file()):
            if path.suffix.lower() in ENDINGS and not path.name.startswith("."):
                name = path.relative_to(source).as_posix()
                folder = path.parent.relative_to(source).as_posix()
                own = {} if folder == "." or facts else {"label": folder}
                yield Raw(name, path, facts.get(name, own))

    def open(self, raw: Raw) -> np.ndarray:
        return whole(raw.source)

    def dump(self, data: np.ndarray) -> bytes:
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(data).save(file, "PNG", compress_level=1)
        return file.getvalue()

    def parse(self, contents: bytes) -> np.ndarray:
        return whole(contents)

    def hash(self, data: np.ndarray) -> str:
        """Of the pixels: the same picture packed otherwise is the same."""
        return blake2b(f"{data.shape}".encode() + data.tobytes(), digest_size=16).hexdigest()

    def write(self, examples: Sequence[Example], folder: Path, shard: int) -> None:
        rows = []
        for example in examples:
            stem = example.id.rpartition(".")[0].replace("/", "_")[-80:]
            name = f"{stem}_{hash_of('file', example.id):016x}.png"
            (folder / name).write_bytes(self.dump(example.data))
            rows.append({"file_name": name, "id": example.id, **example.facts})
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f".{shard:06d}.part").write_text("".join(lines), encoding="utf-8")

    def finish(self, folder: Path) -> None:
        parts = sorted(folder.glob(".*.part"))
        whole_text = b"".join(part.read_bytes() for part in parts)
        (folder / ".metadata.tmp").write_bytes(whole_text)
        os.replace(folder / ".metadata.tmp", folder / "metadata.jsonl")
        for part in parts:
            part.unlink()

    def shown(self, data: np.ndarray, beside: Any = None) -> str:
        from PIL import Image

        image = Image.fromarray(data)
        image.thumbnail((THUMB, THUMB))
        file = io.BytesIO()
        image.save(file, "PNG")
        return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"

    @property
    def option(self) -> dict[str, str]:
        return {"data": "image_folder"}
