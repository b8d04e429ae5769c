"""The film of a run's looks: what moves, how large it is, and of which files it is made."""

from __future__ import annotations

import os
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.runs.page.film import NAME, read_film, write_film
from genlab.runs.page.record import read_record
from genlab.views.film import BYTES, FRAMES, SIDE, evenly, film


def png(value: int | np.ndarray, size: tuple[int, int] = (40, 20)) -> bytes:
    array = np.full(size[::-1], value, np.uint8) if isinstance(value, int) else value
    out = BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def frames_of(data: bytes) -> list[np.ndarray]:
    with Image.open(BytesIO(data)) as image:
        found = []
        for i in range(image.n_frames):
            image.seek(i)
            found.append(np.asarray(image.convert("L")).copy())
        return found


def run_with(folder: Path, looks: dict[int, bytes], suffix: str = ".png") -> Path:
    (folder / "samples").mkdir(parents=True)
    for examples, data in looks.items():
        (folder / "samples" / f"{examples:012d}{suffix}").write_bytes(data)
    return folder


def test_looks_follow_one_another_and_say_their_examples() -> None:
    made = film([(100 * i, png(40 * i)) for i in range(4)])
    assert made is not None and made[:6] == b"GIF89a"
    frames = frames_of(made)
    assert [int(f[-1, -1]) for f in frames] == [0, 40, 80, 120], "in order, the pixels untouched"
    assert frames[0].shape[1] == 40 * (SIDE // 40), "enlarged by a whole number"
    heads = [f[:19] for f in frames]
    assert all((a != b).any() for a, b in pairwise(heads)), "each has a caption of its own"
    with Image.open(BytesIO(made)) as image:
        assert image.info["loop"] == 0 and image.info["duration"] == 600


def test_a_smaller_first_look_keeps_its_scale() -> None:
    frames = frames_of(film([(0, png(0, (20, 10))), (1, png(200))]) or b"")
    assert frames[0].shape == frames[1].shape
    assert (frames[0] == 0).sum() >= (20 * SIDE // 40) * (10 * SIDE // 40)
    assert int(frames[0][-1, -1]) == 255


def test_one_picture_or_none_makes_no_film() -> None:
    assert film([(0, png(1))]) is None and film([]) is None
    assert film([(0, png(1)), (1, b"torn"), (2, b"")]) is None
    assert len(frames_of(film([(0, png(1)), (1, b"torn"), (2, png(9))]) or b"")) == 2


def test_a_film_is_bounded() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 200, 280, 3), dtype=np.uint8)
    looks = [(i, png(noise[i % 3])) for i in range(FRAMES + 8)]
    made = film(looks)
    assert made is not None and len(made) <= BYTES
    large = png(np.zeros((2100, 2100), np.uint8))
    assert film([(0, large), (1, large)]) is None, "over the pixels that are looked at"


def test_looks_are_taken_evenly_with_both_ends() -> None:
    assert evenly(10, 4) == [0, 3, 6, 9]
    assert evenly(3, 40) == [0, 1, 2] and evenly(0, 4) == [] and evenly(1, 4) == [0]


def test_a_run_has_a_film_and_texts_have_none(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", {0: png(0), 64: png(90), 128: png(180)})
    record = read_record(run)
    assert write_film(record) == run / NAME
    assert [int(f[-1, -1]) for f in frames_of((run / NAME).read_bytes())] == [0, 90, 180]
    shown = read_film(record)
    assert shown and shown["last"] == 128
    assert shown["moving"].value.uri.startswith("data:image/gif")
    assert read_record(run).looks.keys() == {0, 64, 128}, "the film is no look"
    texts = read_record(run_with(tmp_path / "text", {0: b"a", 64: b"b"}, ".txt"))
    assert write_film(texts) is None and read_film(texts) is None


def test_a_film_is_made_again_after_a_new_look_only(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", {0: png(0), 64: png(90)})
    write_film(read_record(run))
    (run / NAME).write_bytes(b"kept")
    write_film(read_record(run))
    assert (run / NAME).read_bytes() == b"kept", "it is younger than every look"
    late = run / "samples" / f"{128:012d}.png"
    late.write_bytes(png(180))
    os.utime(late, (4e9, 4e9))
    write_film(read_record(run))
    assert len(frames_of((run / NAME).read_bytes())) == 3


@pytest.mark.parametrize("what", ["film", "folder", "look", "huge", "occupied"])
def test_a_strangers_folder_leads_nowhere(tmp_path: Path, what: str) -> None:
    outside = tmp_path / "outside"
    run_with(outside, {0: png(0), 64: png(90)})
    (outside / "film.gif").write_bytes(b"canary")
    run = run_with(tmp_path / "run", {0: png(0), 64: png(90), 128: png(180)})
    if what == "film":
        (run / NAME).symlink_to(outside / "film.gif")
        os.utime(outside / "film.gif", (1, 1))
    elif what == "folder":
        for path in (run / "samples").iterdir():
            path.unlink()
        (run / "samples").rmdir()
        (run / "samples").symlink_to(outside / "samples")
    elif what == "look":
        (run / "samples" / f"{128:012d}.png").unlink()
        (run / "samples" / f"{128:012d}.png").symlink_to(outside / "samples" / f"{64:012d}.png")
    elif what == "huge":
        with (run / NAME).open("wb") as f:
            f.truncate(2**34)
        os.utime(run / NAME, (4e9, 4e9))
    else:
        (run / NAME).mkdir()
    record = read_record(run)
    made, shown = write_film(record), read_film(record)
    assert (outside / "film.gif").read_bytes() == b"canary"
    assert not (outside / "samples" / "film.gif").exists()
    if what == "look":
        assert len(frames_of((run / NAME).read_bytes())) == 2, "the link's picture is left out"
    elif what == "film":
        assert made and not (run / NAME).is_symlink(), "a file of its own in the link's place"
    else:
        assert shown is None
    assert not list((run / "samples").glob(".*.tmp"))
