"""A film of a run's looks: the same seeds, look after look, as one animated GIF.

A GIF moves in every browser, in PowerPoint and in Slack; an animated WebP in browsers alone. Which
looks make a film is said in page.py, by their files' suffix.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

FRAMES, SIDE, BYTES = 32, 560, 2 * 2**20  # most frames, pixels of width, bytes of the file
PIXELS = 4_000_000  # of a look's picture, by its header: a larger one is left out
HOLD, END = 600, 2500  # milliseconds that a frame stands, and the last
STRIP, BAR = 20, 3  # pixels of the caption's line, and of the bar that says how far


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, evenly from the first to the last."""
    num = min(count, most)
    return list(dict.fromkeys(round(i * (count - 1) / max(1, num - 1)) for i in range(num)))


def film(looks: Sequence[tuple[int, bytes]]) -> bytes | None:
    """The GIF of (examples seen, PNG file); None of fewer than two pictures that can be read.

    Every frame says its examples. Where the file would be larger than `BYTES` the picture is made
    smaller, then the frames fewer.
    """
    chosen = [looks[i] for i in evenly(len(looks), FRAMES)]
    pictures = [(n, p) for n, data in chosen if (p := _picture(data)) is not None]
    side = SIDE
    while len(pictures) > 1:
        made = _encoded(_frames(pictures, side))
        if len(made) <= BYTES:
            return made
        least, share = SIDE // 4, BYTES / len(made)
        if side == least:
            fewer = max(1, int(0.9 * share * len(pictures)))
            pictures = [pictures[i] for i in evenly(len(pictures), fewer)]
        side = max(least, int(0.95 * side * share**0.5))  # bytes go with the pixels
    return None


def _picture(data: bytes) -> Image | None:
    from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height > PIXELS:
                return None
            return image.convert("L" if image.mode in ("1", "L") else "RGB")
    except Exception:  # a damaged picture has many ways to fail; the page says so where it stands
        return None


def _frames(pictures: Sequence[tuple[int, Image]], side: int) -> list[Image]:
    """All on one canvas, small pixels enlarged by a whole number, a caption above each."""
    from PIL import Image, ImageDraw, ImageFont

    size = [max(p.size[k] for _, p in pictures) for k in (0, 1)]
    scale = side // size[0] if size[0] <= side else side / size[0]
    width, height = (max(1, round(s * scale)) for s in size)
    mode = "L" if all(p.mode == "L" for _, p in pictures) else "RGB"
    font, last, frames = ImageFont.load_default(12), max(n for n, _ in pictures), []
    for examples, picture in pictures:
        frame = Image.new(mode, (max(width, 160), height + STRIP + BAR), "white")
        how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
        small = picture.resize([max(1, round(s * scale)) for s in picture.size], how)
        frame.paste(small, (0, STRIP + BAR))
        pen = ImageDraw.Draw(frame)
        pen.text((4, 2), f"{examples:,} examples", fill="#1f242c", font=font)
        done = examples / last if last else 1.0
        pen.rectangle((0, STRIP, round(done * (frame.width - 1)), STRIP + BAR - 2), fill="#3d7cc9")
        frames.append(frame)
    return frames


def _encoded(frames: Sequence[Image]) -> bytes:
    """The GIF. Colours are 256 for all frames, found in three of them: one palette flickers not."""
    from PIL import Image

    if frames[0].mode == "RGB":
        small = [frames[i].resize((128, 128)) for i in evenly(len(frames), 3)]
        sheet = Image.new("RGB", (128, 128 * len(small)))
        for i, frame in enumerate(small):
            sheet.paste(frame, (0, 128 * i))
        palette = sheet.quantize(256)
        frames = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    out = BytesIO()
    times = [HOLD] * (len(frames) - 1) + [END]
    frames[0].save(
        out, format="GIF", save_all=True, append_images=frames[1:], duration=times, loop=0
    )
    return out.getvalue()
