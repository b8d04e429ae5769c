"""Piano rolls: pieces of any length in a batch, weights, windows, and the published sets' facts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from genlab.data.rolls import PieceExamples, Rolls
from genlab.data.sources.rolls import JSBChorales, Nottingham, RollSource, roll
from genlab.metrics.likelihood import Totals


def pieces(*lengths: int, seed: int = 0) -> list[np.ndarray]:
    draws = np.random.default_rng(seed)
    return [draws.random((n, 88)) < 0.1 for n in lengths]


class Few(RollSource):
    frames_per_quarter = 2

    def pieces(self) -> dict[str, list[np.ndarray]]:
        return {"train": pieces(5, 3, 9, 4, 7, 6), "val": pieces(4, 8, 6, seed=1)}


def few(**given) -> Rolls:
    return Rolls(source=Few(), **{"frames": 6, "batch_size": 4, "seed": 0, **given})


def test_a_batch_is_its_pieces_and_silence_after_them() -> None:
    all_of = pieces(5, 3, 9)
    batch = PieceExamples(all_of).batch(torch.tensor([1, 2]))
    assert batch["x"].shape == (2, 9, 88) and batch["x"].dtype == torch.float32
    for row, piece in enumerate((all_of[1], all_of[2])):
        n = len(piece)
        assert np.array_equal(batch["x"][row, :n].numpy() > 0, piece)
        assert batch["x"][row, n:].sum() == 0
        assert batch["mask"][row].tolist() == [True] * n + [False] * (9 - n)
    alone = PieceExamples(all_of).batch(torch.tensor([1]))
    assert alone["x"].shape == (1, 3, 88), "no longer than its longest piece"


def test_the_first_frames_of_a_held_out_piece_are_given() -> None:
    data = few(given_frames=2)
    val = data.val.batch(torch.arange(3))
    assert val["mask"].sum(1).tolist() == [2, 6, 4] and not val["mask"][:, :2].any()
    assert val["x"][:, :2].any(), "they are there to be read"
    assert data.train.batch(torch.arange(6))["mask"].sum(1).tolist() == [5, 3, 9, 4, 7, 6]
    assert few(given_frames=0).val.batch(torch.arange(3))["mask"].sum() == 4 + 8 + 6


def test_the_mean_of_weighted_means_is_the_mean_over_frames() -> None:
    """In val as a whole, and in a training batch however it is shared out."""
    data = few()
    val = data.val.batch(torch.arange(3))
    per_frame = torch.rand(3, 8) * val["mask"]
    mean = per_frame.sum(1) / val["mask"].sum(1)
    torch.testing.assert_close((mean * val["weight"]).mean(), per_frame.sum() / val["mask"].sum())
    whole = data.train_batch(3)
    assert abs(float(whole["weight"].mean()) - 1) < 1e-6
    assert torch.allclose(whole["weight"] * whole["mask"].sum() / 4, whole["mask"].sum(1).float())
    shares = [
        data.train_batch(3, rank=r, world=2, micro=m, accumulate=2) for m in (0, 1) for r in (0, 1)
    ]
    assert torch.equal(torch.cat([s["weight"] for s in shares]), whole["weight"])


def test_windows_lie_evenly_over_a_piece_and_know_what_stands_before() -> None:
    all_of = pieces(7, 2)
    examples = PieceExamples(all_of, window=4)
    ids = torch.tensor([0, 0, 0, 0, 1])
    draws = torch.tensor([[0.0], [0.3], [0.6], [0.99], [0.5]])
    batch = examples.batch(ids, draws)
    for row, first in enumerate((0, 1, 2, 3)):
        assert np.array_equal(batch["x"][row].numpy() > 0, all_of[0][first : first + 4])
        before = all_of[0][first - 1] if first else np.zeros(88, bool)
        assert np.array_equal(batch["start"][row].numpy() > 0, before)
    assert np.array_equal(batch["x"][4, :2].numpy() > 0, all_of[1]) and batch["start"][4].sum() == 0
    assert batch["mask"].sum(1).tolist() == [4, 4, 4, 4, 2]
    data = few(window=4)
    assert data.train_batch(0)["x"].shape[1] <= 4 and "start" in data.train_batch(0)
    assert "start" not in data.val.batch(torch.arange(2)), "held-out pieces are whole"


def test_units_and_what_is_decoded() -> None:
    data = few()
    assert data.units(Totals(examples=3, values=10, log_prob=-25.0), discrete=True) == {
        "nats_per_frame": 2.5
    }
    x = torch.zeros(2, 6, 88)
    x[0, 2, 7] = 1
    first, silence = data.decode(x)
    assert first.shape == (3, 88) and first[2, 7] and silence.shape == (0, 88)
    p = torch.cat([torch.from_numpy(p) for p in Few().pieces()["train"]]).double()
    assert abs(data.measured_std() - float(p.std(correction=0))) < 1e-9


def test_a_beginning_is_asked_for_by_its_piece() -> None:
    data = few()
    cond, given = data.asked(2, given="1", mask="3")
    assert cond is None and given["x"].shape == (2, 3, 88) and given["mask"].all()
    assert np.array_equal(given["x"][1].numpy() > 0, Few().pieces()["val"][1][:3])
    assert data.asked(2) == (None, None)
    for words, said in (
        ({"given": "3"}, "given=3: write the number of a held-out piece, 0 to 2"),
        ({"given": "a.mid"}, "given=a.mid: write the number"),
        ({"given": "1", "mask": "7"}, "mask=7: write how many of its frames, 0 to 6"),
        ({"mask": "7"}, "mask=7: rolls data take none"),
        ({"prompt": "C"}, "rolls data take no prompt"),
    ):
        with pytest.raises(ValueError, match=said):
            data.asked(2, **words)


def test_what_does_not_fit_is_refused() -> None:
    for words, said in (
        ({"shape": [5, 88]}, r"shape=\[5, 88\]: rolls have \[data.frames, 88\], here \[6, 88\]"),
        ({"frames": 0}, "data.frames=0"),
        ({"window": 0}, "data.window=0"),
        ({"given_frames": -1}, "data.given_frames=-1"),
        ({"levels": 2}, "data.levels=2: rolls have none"),
    ):
        with pytest.raises(ValueError, match=said):
            few(**words)
    with pytest.raises(ValueError, match=r"piece of Few has 4 frames: write data.given_frames=3"):
        few(given_frames=4).load()
    with pytest.raises(ValueError, match=r"data.grid=8th: allowed are quarter, 16th"):
        JSBChorales(grid="8th")


def test_frames_of_a_file() -> None:
    assert [np.flatnonzero(f).tolist() for f in roll([[21, 108], [], [60, 60]])] == [
        [0, 87],
        [],
        [39],
    ]


def test_the_chorales_are_the_published_ones(data_root: Path) -> None:
    """229, 76 and 77 pieces of 13,807, 4,602 and 4,725 frames: those of JSB_Chorales.mat."""
    source = JSBChorales()
    source.prepare()
    found = source.pieces()
    assert {k: (len(v), sum(map(len, v))) for k, v in found.items()} == {
        "train": (229, 13807), "val": (76, 4602), "test": (77, 4725),
    }  # fmt: skip
    with gzip.open(data_root / "jsb-chorales" / "jsb-chorales-quarter.json.gz") as f:
        first = json.load(f)["test"][0]
    assert [(np.flatnonzero(frame) + 21).tolist() for frame in found["test"][0]] == list(
        map(sorted, first)
    )
    assert sum(map(len, JSBChorales(grid="16th").pieces()["test"])) == 18900


def test_the_chorales_are_read_unpacked_too(data_root: Path, tmp_path: Path) -> None:
    packed = data_root / "jsb-chorales" / "jsb-chorales-quarter.json.gz"
    (tmp_path / "jsb-chorales-quarter.json").write_bytes(gzip.decompress(packed.read_bytes()))
    source = JSBChorales(root=str(tmp_path))
    source.prepare()
    assert len(source.pieces()["train"]) == 229
    (tmp_path / "jsb-chorales-quarter.json").write_bytes(b"[]")
    with pytest.raises(ValueError, match="damaged or another file"):
        source.pieces()


def test_the_tunes_are_the_published_ones() -> None:
    from genlab.data import files

    if files.find(Nottingham.file, name=Nottingham.folder, root=None) is None:
        pytest.skip("Nottingham.mat is in no folder of data: genlab train data=nottingham gets it")
    found = Nottingham().pieces()
    assert {k: (len(v), sum(map(len, v))) for k, v in found.items()} == {
        "train": (694, 176561), "val": (173, 45513), "test": (170, 44463),
    }  # fmt: skip
    assert all(p.dtype == bool and p.shape[1] == 88 for p in found["val"])
