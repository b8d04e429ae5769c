"""What `watermark` finds of marks laid over pictures: rows for scripts/bench/curation.py.

The least correlation was chosen on openclipart. A mark is counted if it can be seen: three quarters
of its pixels are changed by 8 grey levels or more (white letters on white are not).
"""

from __future__ import annotations

import io
import random
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from planted_copies import DATA, PICTURES, Row, row

from genlab.curation.base import Example
from genlab.curation.rules.pictures import grey
from genlab.curation.rules.watermark import Watermark
from genlab.data.decode import whole

MARKS = {  # colour of the letters, and of an edge around them
    "white letters with a black edge": ("white", "black"), "white letters": ("white", None),
    "grey letters": ((128, 128, 128), None),
}  # fmt: skip


def template(colour, edge, path: Path) -> np.ndarray:
    """The mark [H, W, 4], about 8 x 42 pixels, which is written too."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGBA", (120, 30), (0, 0, 0, 0))
    more = {"stroke_width": 1, "stroke_fill": edge} if edge else {}
    font = ImageFont.load_default(size=11)
    ImageDraw.Draw(image).text((4, 4), "SAMPLE", font=font, fill=colour, **more)
    image = image.crop(image.getbbox())
    image.save(path)
    return np.asarray(image)


def marked(data: np.ndarray, mark: np.ndarray, opacity: float, draw: random.Random) -> np.ndarray:
    (h, w), (H, W) = mark.shape[:2], data.shape[:2]
    y, x = draw.randint(0, H - h), draw.randint(0, W - w)
    a = opacity * mark[..., 3:] / 255
    found = data.astype(float)
    found[y : y + h, x : x + w] = found[y : y + h, x : x + w] * (1 - a) + mark[..., :3] * a
    return found.round().astype(np.uint8)


def seen(before: np.ndarray, after: np.ndarray, mark: np.ndarray) -> bool:
    changed = np.abs(grey(before) - grey(after)) >= 8
    return changed.sum() >= 0.75 * (mark[..., 3] > 127).sum()


def packed(data: np.ndarray) -> np.ndarray:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(data).save(file, "JPEG", quality=75)
    return whole(file.getvalue())


def marks() -> Iterator[Row]:
    for name, archive in PICTURES.items():
        draw = random.Random(1)
        with zipfile.ZipFile(DATA / archive) as z:
            names = sorted(n for n in z.namelist() if n.endswith(".png"))
            pictures = [whole(z.read(n)) for n in draw.sample(names, 500)]
        for what, (colour, edge) in MARKS.items():
            with tempfile.TemporaryDirectory() as place:
                mark = template(colour, edge, Path(place) / "mark.png")
                rule = Watermark(template=str(Path(place) / "mark.png"))
            wrong = sum(rule(Example("", p)) is not None for p in pictures)
            for opacity in (0.3, 0.6):
                pairs = [(p, marked(p, mark, opacity, draw)) for p in pictures]
                planted = [packed(after) for p, after in pairs if seen(p, after, mark)]
                right = sum(rule(Example("", p)) is not None for p in planted)
                told = f"{name}: {what}, opacity {opacity}, then JPEG of quality 75"
                yield row("watermark", told, len(planted), right, len(pictures), wrong)


def parts() -> tuple:
    return (marks,)
