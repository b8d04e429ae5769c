"""Clips made by code, for tests: known frames, and files of every kind that hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

LEVELS = (0, 85, 170, 255)


def known(num: int, side: int = 8, seed: int = 0) -> np.ndarray:
    """Frames [num, side, side, 3] uint8 of 64 colours at most, each unlike the others."""
    draws = np.random.default_rng(seed)
    return np.array(LEVELS, np.uint8)[draws.integers(4, size=(num, side, side, 3))]


def save(path: Path, frames: np.ndarray, *, ms: int | list[int] = 100) -> Path:
    """Frames as a GIF, a WebP (both without loss), a folder of PNG files, or coded by PyAV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [Image.fromarray(f) for f in frames]
    if path.suffix in (".gif", ".webp"):
        more = {"lossless": True, "minimize_size": False} if path.suffix == ".webp" else {}
        if path.suffix == ".gif":
            palette = Image.fromarray(frames.reshape(-1, 1, 3)).quantize(256)
            images = [i.quantize(palette=palette, dither=Image.Dither.NONE) for i in images]
        images[0].save(path, save_all=True, append_images=images[1:], duration=ms, loop=0, **more)
    elif path.suffix == "":
        path.mkdir(exist_ok=True)
        for i, image in enumerate(images):
            image.save(path / f"{i}.png")
    else:
        coded(path, frames, rate=10)
    return path


def coded(
    path: Path, frames: np.ndarray, *, rate: int, codec: str = "ffv1", pixels: str = "bgr0"
) -> Path:
    """A file that PyAV writes; FFV1 in Matroska or AVI has no loss, others have."""
    import av

    codec = "mpeg4" if path.suffix in (".mp4", ".mov", ".m4v") and codec == "ffv1" else codec
    codec = "vp9" if path.suffix == ".webm" else codec
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels if codec in ("ffv1", "huffyuv") else "yuv420p"
        if codec == "mpeg4":
            stream.bit_rate = 8_000_000
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def smooth(num: int, side: int = 32) -> np.ndarray:
    """Frames [num, side, side, 3] of one even grey each, which a codec hardly changes."""
    levels = np.linspace(30, 220, num).round().astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (num, side, side, 3)).copy()
