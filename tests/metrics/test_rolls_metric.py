"""Pieces as frames: the published unit, distances against what is counted by hand, and copies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from genlab.data.rolls import Rolls
from genlab.data.sources.rolls import RollSource
from genlab.metrics.base import Samples
from genlab.metrics.report import Report
from genlab.metrics.rolls import (
    RollsEvaluation,
    Spelling,
    counted,
    distances,
    histograms,
    variation,
)
from genlab.models.frames import Frames
from genlab.objectives.frames import KeysCrossEntropy
from genlab.samplers.frames import IndependentKeys


class Uniform(nn.Module):
    """Every key at odds of its own, whatever was before: the likelihood is known."""

    def __init__(self) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.full((), -2.0))

    def forward(self, frames, cond=None, state=None):
        return self.logit.expand_as(frames), None


class Chords(RollSource):
    """Pieces of 20 to 39 frames of four neighbouring keys, some of them twice."""

    def pieces(self):
        def some(num: int, seed: int) -> list[np.ndarray]:
            draws, found = np.random.default_rng(seed), []
            for i in range(num):
                piece = np.zeros((20 + i % 20, 88), bool)
                for t in range(len(piece)):
                    piece[t, draws.integers(20, 60) + np.array([0, 4, 7, 12])] = True
                found.append(piece)
            return found

        return {"train": some(60, 0), "val": some(40, 1)}


@pytest.fixture(scope="module")
def data() -> Rolls:
    return Rolls(source=Chords(), frames=24, batch_size=4, seed=0)


def model() -> Frames:
    return Frames(
        Uniform(), objective=KeysCrossEntropy(), sampler=IndependentKeys(), shape=(24, 88)
    )


def test_the_published_unit_is_the_mean_over_all_frames(data) -> None:
    report = Report()
    RollsEvaluation(chunk=7).likelihood(report, model(), data, 0)
    on, off = (float(-torch.tensor(s * 2.0).sigmoid().log()) for s in (-1, 1))
    expected = 4 * on + 84 * off  # each frame has four keys
    assert report.metrics["nats_per_frame"] == pytest.approx(expected, rel=1e-5)
    assert report.metrics["loss"] == pytest.approx(expected, rel=1e-5)
    low, high = report.interval["nats_per_frame"]
    assert low <= report.metrics["nats_per_frame"] <= high
    frames = sum(len(p) - 1 for p in Chords().pieces()["val"])
    assert sum(int(data.val.batch(torch.tensor([i]))["mask"].sum()) for i in range(40)) == frames


def test_long_pieces_count_for_more() -> None:
    """A model that is right of the long piece alone: pooled over frames, not over pieces."""

    class Two(RollSource):
        def pieces(self):
            long, short = np.zeros((31, 88), bool), np.ones((11, 88), bool)
            return {"train": [long] * 4, "val": [long, short]}

    data = Rolls(source=Two(), frames=4, batch_size=2, seed=0)
    report = Report()
    RollsEvaluation().likelihood(report, model(), data, 0)
    on, off = (float(-torch.tensor(s * 2.0).sigmoid().log()) for s in (-1, 1))
    expected = 88 * (30 * off + 10 * on) / 40
    assert report.metrics["nats_per_frame"] == pytest.approx(expected, rel=1e-5)
    assert report.metrics["loss"] == pytest.approx(expected, rel=1e-5)


def test_what_is_counted() -> None:
    roll = np.zeros((4, 88), bool)
    roll[0, [10, 14, 17]] = True
    roll[1, [10, 12]] = True
    roll[3, 12] = True
    found = counted(roll)
    assert sorted(found["pitch"].tolist()) == [10, 10, 12, 12, 14, 17]
    assert sorted(found["chord"].tolist()) == [2, 3, 4, 7]
    assert (found["melody"] - 127).tolist() == [-5], "silence parts the third from the second"
    assert found["polyphony"].tolist() == [3, 2, 0, 1]
    assert sorted(found["duration"].tolist()) == [1, 1, 1, 1, 2]


def test_distances_of_equal_and_of_disjoint_sets() -> None:
    a, b = np.zeros((5, 88), bool), np.zeros((5, 88), bool)
    a[:, [10, 14]], b[:, 30] = True, True
    same = distances(histograms([a, a]), histograms([a]))
    assert set(same) == {
        f"{n}_distance" for n in ("pitch", "chord", "melody", "polyphony", "duration")
    }
    assert all(v == 0 for v in same.values())
    other = distances(histograms([a]), histograms([b]))
    assert other["pitch_distance"] == other["polyphony_distance"] == other["chord_distance"] == 1
    assert other["melody_distance"] == other["duration_distance"] == 0
    assert variation(np.array([1.0, 1, 0]), np.array([0.0, 2, 2])) == 0.5
    assert variation(np.zeros(3), np.zeros(3)) == 0


def samples_of(rolls: np.ndarray) -> Samples:
    return Samples(torch.from_numpy(rolls).float(), None, None, num=len(rolls), seed=0)


def compared(data, rolls: np.ndarray) -> Report:
    report = Report()
    RollsEvaluation(copy_length=6, pairs=2).compare(report, model(), data, samples_of(rolls))
    return report


def test_real_pieces_score_as_the_floor_and_noise_does_not(data) -> None:
    real = np.stack([p[:20] for p in Chords().pieces()["train"]][20:50])
    found = compared(data, real)
    for name in ("pitch", "chord", "polyphony"):
        key = f"{name}_distance"
        assert found.metrics[key] < found.floor[key] + 0.1
        low, high = found.interval[key]
        assert 0 <= low <= found.metrics[key] <= high <= 1
    noise = compared(data, np.random.default_rng(2).random((30, 24, 88)) < 0.05)
    assert noise.metrics["chord_distance"] > 0.5 > found.metrics["chord_distance"]
    assert noise.metrics["longest_copy"] <= 1


def test_a_copied_passage_is_found_in_frames_and_shown_beside_its_piece(data) -> None:
    train = Chords().pieces()["train"]
    rolls = np.random.default_rng(3).random((10, 24, 88)) < 0.05
    rolls[7, 5:16] = train[33][2:13]
    found = compared(data, rolls)
    assert found.metrics["longest_copy"] == 11
    assert found.metrics["copied_share"] == pytest.approx(11 / 240)
    assert found.floor["longest_copy"] < 6
    first = found.pictures["neighbour_samples"][0].numpy()
    assert np.array_equal(first, rolls[7])
    assert np.array_equal(found.pictures["neighbours"][0].numpy()[:20], train[33][:20])


def test_a_passage_does_not_reach_from_one_piece_into_the_next(data) -> None:
    train = Chords().pieces()["train"]
    joined = np.concatenate([train[0][-8:], train[1][:8]])
    rolls = np.zeros((4, 24, 88), bool)
    rolls[0, :16] = joined
    assert compared(data, rolls).metrics["longest_copy"] == 8


def test_each_different_frame_is_a_character() -> None:
    spell, roll = Spelling(), np.eye(5, 88, dtype=bool)[[0, 1, 0, 2]]
    assert spell(roll) == "\1\2\1\3" and spell(roll[2:]) == "\1\3"


def test_the_whole_evaluation_has_its_figures(data) -> None:
    report = RollsEvaluation(num_samples=12, chunk=5)(model(), data)
    assert {"nats_per_frame", "longest_copy", "copied_share", "pitch_distance"} <= set(
        report.metrics
    )
    assert report.pictures["samples"].shape == (12, 24, 88)
    assert report.notes["num_floor"] == 12 and report.notes["frames"] == 24
