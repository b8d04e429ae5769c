"""The one gate through which a picture file of any origin comes in.

Read: `opened` (a picture of a stated shape), `whole` (as it is). No torch: workers start quickly.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # no other decoder of Pillow's dozens is let near a file
PIXELS, LARGE = 45_000_000, 4_000_000  # refused from; decoded one at a time from (memory)

_one_large = threading.Lock()


def opened(
    path: Path, shape: Sequence[int], *, check_only: bool = False, key: str = "data.root"
) -> np.ndarray:
    """An image file as [C, H, W] uint8: its orientation applied, on white where it is transparent.

    The shorter side is scaled to fit (Lanczos) and what is left of the longer cut off evenly.
    `key`: what the user named the file by.
    """

    def decoded(image: Any) -> np.ndarray:
        return np.empty(0, np.uint8) if check_only else fitted(image, shape)

    try:
        return _open(path, decoded, light=check_only)
    except ValueError as error:
        remedy = "mend it or take it out of the folder" if key == "data.root" else "name another"
        raise ValueError(f"{key}: {path} is {error}: {remedy}") from None


def whole(file: Path | bytes) -> np.ndarray:
    """An image file in its own size as [H, W, 3] uint8, turned upright, on white.

    Raises ValueError for what is no image, with the reason.
    """
    return _open(
        io.BytesIO(file) if isinstance(file, bytes) else file,
        lambda i: np.array(_upright(i, "RGB")),
    )


def layers(file: Path) -> np.ndarray:
    """An image file as `whole`, with its opacity, neither turned nor on white [H, W, 4] uint8."""
    return _open(file, lambda i: np.array(i.convert("RGBA")))


def _open(file: Any, decoded: Callable[[Any], np.ndarray], *, light: bool = False) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, over {PIXELS:,}")
            large = image.width * image.height > LARGE and not light
            with _one_large if large else contextlib.nullcontext():
                return decoded(image)  # opening has read the header, and its size
    except Exception as error:  # Pillow's decoders raise a dozen kinds
        reason = str(error).splitlines()[0].replace(str(file), "it") if str(error) else error
        allowed = ", ".join(FORMATS)
        raise ValueError(f"no image that can be read ({reason}); allowed are {allowed}") from None


def _upright(image: Any, mode: str) -> Any:
    from PIL import Image, ImageOps

    ImageOps.exif_transpose(image, in_place=True)  # as below: no copy of a large one but where due
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode.startswith(("I", "F")):  # 16 bits: convert() would cut, not scale
        image = Image.fromarray((np.asarray(image, np.float32) / 257).astype(np.uint8))
    return image if image.mode == mode else image.convert(mode)


def fitted(image: Any, shape: Sequence[int]) -> np.ndarray:
    """A Pillow image as [C, H, W] uint8, scaled and cut as `opened` says."""
    from PIL import Image, ImageOps

    c, h, w = shape
    image = _upright(image, "L" if c == 1 else "RGB")
    image = ImageOps.fit(image, (w, h), method=Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(h, w, c).transpose(2, 0, 1)
