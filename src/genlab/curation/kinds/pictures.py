"""Pictures: a folder of image files, with classes by folder or metadata.jsonl beside them."""

from __future__ import annotations

import base64
import io
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np

from genlab.curation.base import Raw
from genlab.curation.kinds.files import FileKind
from genlab.data.decode import whole

THUMB = 160  # pixels of the page's pictures


class Pictures(FileKind):
    """A picture is [H, W, 3] uint8."""

    name = "image"
    noun: ClassVar[str] = "pictures"
    endings = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
    suffix = ".png"

    def open(self, raw: Raw) -> np.ndarray:
        return whole(raw.source)

    def dump(self, data: np.ndarray) -> bytes:
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(data).save(file, "PNG", compress_level=1)
        return file.getvalue()

    packed = dump

    def parse(self, contents: bytes) -> np.ndarray:
        return whole(contents)

    def hash(self, data: np.ndarray) -> str:
        """Of the pixels: the same picture packed otherwise is the same."""
        return blake2b(f"{data.shape}".encode() + data.tobytes(), digest_size=16).hexdigest()

    def shown(self, data: np.ndarray, beside: Any = None) -> str:
        from PIL import Image

        image = Image.fromarray(data)
        image.thumbnail((THUMB, THUMB))
        return as_uri(image)

    @property
    def option(self) -> dict[str, str]:
        return {"data": "image_folder"}


def as_uri(image: Any) -> str:
    """A picture of Pillow's as a data: URI, which the page shows."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
