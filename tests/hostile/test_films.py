"""No hostile clip takes effect: each is left out by name within 5 s and 500 MB, others are kept."""

from __future__ import annotations

import json
import os
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from data_of import video_folder
from films import coded, known, save, smooth

from genlab.data import blocks, moving
from genlab.data.moving import opened

av = pytest.importorskip("av")


def gif(width: int, height: int, frames: bytes, end: bytes = b";") -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frames + end


def frame(x: int = 0, y: int = 0, across: int = 1, down: int = 1) -> bytes:
    """A frame of a GIF whose pixels are all 0; of more than one pixel its data end early."""
    return b"," + struct.pack("<HHHHB", x, y, across, down, 0) + b"\x02\x02\x44\x01\x00"


def webp(width: int, height: int, chunks: bytes) -> bytes:
    sides = [(n - 1).to_bytes(3, "little") for n in (width, height)]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"".join(sides) + chunks
    return b"RIFF" + struct.pack("<I", len(body)) + body


def anmf(x: int, y: int, across: int, down: int) -> bytes:
    parts = [n.to_bytes(3, "little") for n in (x, y, across - 1, down - 1, 100)]
    return b"ANMF" + struct.pack("<I", 16) + b"".join(parts) + b"\0"


def claiming(folder: Path, side: int) -> bytes:
    """An AVI whose header says that its frames have so many pixels a side."""
    data = coded(folder / "x.avi", known(4, side=16), rate=5).read_bytes()
    at = data.index(b"strf") + 12
    return data[:at] + struct.pack("<ii", side, side) + data[at + 8 :]


def heard(folder: Path) -> bytes:
    """A Matroska file with sound alone."""
    import numpy as np

    with av.open(str(folder / "x.mkv"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(
            np.zeros((1, 800), np.int16), format="s16", layout="mono"
        )
        sound.sample_rate = 8000
        out.mux(stream.encode(sound))
        out.mux(stream.encode(None))
    return (folder / "x.mkv").read_bytes()


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
Maker = Callable[[Path], bytes]
# name of the file: its bytes, and why it is refused
FILMS: dict[str, tuple[Maker, str]] = {
    "canvas.gif": (lambda f: gif(65535, 65535, frame() * 2), "65535 x 65535 pixels"),
    "beyond.gif": (lambda f: gif(8, 8, frame() + frame(0, 0, 65535, 65535)), "frame 1 reaches"),
    "many.gif": (lambda f: gif(8, 8, frame() * 6000), "over 5,000 frames"),
    "large.gif": (lambda f: gif(4000, 4000, frame() * 400), "400 frames of 4000 x 4000"),
    "blocks.gif": (lambda f: gif(8, 8, b"!\xfe" + b"\x01a" * 2_100_000 + b"\0"), "over 2,097,"),
    "cut.gif": (lambda f: gif(8, 8, frame() + frame()[:-3], b""), "it ends in the middle"),
    "kind.gif": (lambda f: gif(8, 8, frame() + b"?" + frame()), "of no known kind"),
    "still.gif": (lambda f: gif(8, 8, frame()), "1 frame: nothing moves"),
    "none.gif": (lambda f: gif(8, 8, b""), ""),
    "zero.gif": (lambda f: gif(0, 0, frame() * 2), ""),
    "empty.gif": (lambda f: b"", "it begins as no GIF"),
    "film.gif": (lambda f: coded(f / "x.mkv", known(4, side=16), rate=5).read_bytes(), "no GIF"),
    "canvas.webp": (lambda f: webp(2**24, 2**24, anmf(0, 0, 8, 8) * 2), "16777216 x 16777216"),
    "beyond.webp": (lambda f: webp(8, 8, anmf(0, 0, 9, 8) * 2), "frame 0 reaches beyond"),
    "chunk.webp": (lambda f: webp(8, 8, b"ANMF\xff\xff\xff\x7f"), "a chunk claims 2,147,483,647"),
    "many.webp": (lambda f: webp(8, 8, anmf(0, 0, 8, 8) * 6000), "over 5,000 frames"),
    "still.webp": (lambda f: webp(8, 8, b""), "it is a still picture"),
    "hollow.webp": (lambda f: webp(8, 8, anmf(0, 0, 8, 8) * 2), ""),
    "playlist.mp4": (lambda f: PLAYLIST, "begins as no MP4"),
    "concat.mkv": (lambda f: b"ffconcat version 1.0\nfile /etc/passwd\n", "begins as no MP4"),
    "empty.mp4": (lambda f: b"", "begins as no MP4"),
    "wave.avi": (lambda f: b"RIFF\x24\0\0\0WAVEfmt ", "begins as no MP4"),
    "gif.mp4": (lambda f: gif(8, 8, frame() * 2), "begins as no MP4"),
    "cut.mp4": (lambda f: save(f / "x.mp4", smooth(20)).read_bytes()[:600], ""),
    "hollow.mp4": (lambda f: b"\0\0\0\x18ftypisom" + bytes(12), ""),
    "claims.avi": (lambda f: claiming(f, 8000), "8000 x 8000 pixels"),
    "codec.avi": (lambda f: coded(f / "y.avi", known(4, side=16), rate=5, codec="huffyuv",
                                  pixels="rgb24").read_bytes(), "its codec is huffyuv"),
    "sound.mkv": (heard, "it holds no moving picture"),
}  # fmt: skip


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.fixture
def good(tmp_path: Path) -> Path:
    for i in range(4):
        save(tmp_path / "clips" / f"good{i}.gif", known(4, seed=i))
    save(tmp_path / "clips" / "good4", known(4, seed=4))
    return tmp_path / "clips"


@pytest.mark.parametrize("name", FILMS)
def test_a_hostile_clip_is_left_out_and_named(name: str, good: Path) -> None:
    make, says = FILMS[name]
    (good / name).write_bytes(make(good.parent))
    data = video_folder(good, batch_size=2, val_fraction=0.5)
    before, began = peak(), time.process_time()
    data.load()
    assert time.process_time() - began < 5 and peak() - before < 500 * 2**20
    found = data.describe()
    assert len(data.train) + len(data.val) == 5 and "1 file that cannot be read left out" in found
    assert f"{name} (" in found and says in found, found
    assert "\n" not in found and "/etc" not in found


@pytest.mark.parametrize("name", FILMS)
def test_read_on_demand_it_is_named_at_the_latest_when_it_is_read(name: str, good: Path) -> None:
    make, says = FILMS[name]
    (good / name).write_bytes(make(good.parent))
    data = video_folder(good, batch_size=2, val_fraction=0.5, num_workers=1, std=0.5)
    try:
        data.load()
        for split in (data.train, data.val):
            split.batch(torch.arange(len(split)))
        said = data.describe()
    except ValueError as error:
        said = str(error)
        assert said.startswith("data.root: ") and "\n" not in said
    assert f"{name} (" in said and says in said, said


def test_a_playlist_that_came_through_would_open_no_other_file(tmp_path: Path) -> None:
    """The control: without these options FFmpeg reads what the playlist names."""
    coded(tmp_path / "x.ts", smooth(10), rate=25, codec="mpeg2video")
    playlist = PLAYLIST.replace(b"/etc/passwd", str(tmp_path / "x.ts").encode())
    (tmp_path / "p.mp4").write_bytes(playlist)

    def read(**options: str) -> int:
        with (tmp_path / "p.mp4").open("rb") as f:
            return sum(1 for _ in av.open(f, format="hls", container_options=options).decode())

    assert read() == 10
    for name in ("protocol_whitelist", "format_whitelist"):
        with pytest.raises(av.FFmpegError):
            read(**{name: moving.OPTIONS[name]})
    with pytest.raises(ValueError, match=r"p\.mp4 \(it begins as no MP4"):
        opened(tmp_path / "p.mp4", [3, 8, 8])


def test_nothing_but_hostile_clips_is_one_line(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.gif").write_bytes(b"GIF89a")
    with pytest.raises(
        ValueError, match=r"none of \d files is a clip that can be read: \d\.gif"
    ) as e:
        video_folder(tmp_path).load()
    assert "\n" not in str(e.value)


def test_a_pipe_is_no_clip_and_is_not_waited_for(good: Path) -> None:
    os.mkfifo(good / "pipe.gif")
    (good / "frames").mkdir()
    os.mkfifo(good / "frames" / "0.png")
    os.mkfifo(good / "frames" / "1.png")
    data = video_folder(good, batch_size=2)
    data.load()
    assert len(data.train) + len(data.val) == 5


def test_frames_that_last_for_ages_are_not_repeated_without_end(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gif", known(8), ms=600_000)
    with pytest.raises(ValueError, match=r"a\.gif \(over 5,000 frames: cut it into pieces\)"):
        opened(path, [3, 8, 8], fps=1000)


def test_frames_are_counted_whatever_the_header_says(tmp_path: Path, monkeypatch) -> None:
    paths = [
        save(tmp_path / name, known(30, side=32)) for name in ("a.gif", "a.mkv", "b", "c.webp")
    ]
    for path in paths:
        assert len(opened(path, [3, 8, 8])) == 30
    monkeypatch.setattr(moving, "FRAMES", 29)
    for path in paths:
        with pytest.raises(ValueError, match="over 29 frames"):
            opened(path, [3, 8, 8])
    monkeypatch.setattr(moving, "FRAMES", 30)
    monkeypatch.setattr(moving, "ALL_PIXELS", 30 * 32 * 32 - 1)
    for path in paths:
        with pytest.raises(ValueError, match="30 frames of 32 x 32: cut it into pieces"):
            opened(path, [3, 8, 8])


def test_a_file_that_takes_too_long_stops_the_start_and_is_named(good: Path, monkeypatch) -> None:
    monkeypatch.setattr(moving, "SECONDS", 0.0)
    with pytest.raises(ValueError, match=r"reading it takes over 0 s: cut it into pieces"):
        video_folder(good).load()


def test_a_strip_is_said_to_hold_any_number_of_frames(tmp_path: Path) -> None:
    from PIL import Image

    rows = []
    for i, num in enumerate((4, 4, 4, 10**9, -3, 1, "9" * 30, "many", None)):
        Image.new("RGB", (32, 8)).save(tmp_path / f"{i}.png")
        rows.append({"file_name": f"{i}.png", "frames": num})
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = video_folder(tmp_path, val_fraction=0.4, batch_size=1)
    data.load()
    assert len(data.train) + len(data.val) == 3
    assert "6 files that cannot be read left out" in data.describe()


def test_the_walk_over_blocks_agrees_with_pillow(tmp_path: Path) -> None:
    for name in ("a.gif", "a.webp"):
        path = save(tmp_path / name, known(7, side=12))
        with path.open("rb") as f:
            assert blocks.animated(f, path.stat().st_size, most=10) == (12, 12, 7)
