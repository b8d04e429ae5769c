"""Pieces as notes: figures counted by hand, planted defects that each figure sees or does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_midi import tune

from genlab.data.midi import Tune
from genlab.data.music import Music
from genlab.data.rolls import Rolls
from genlab.data.sources.rolls import RollSource
from genlab.data.sources.tunes import TuneSource
from genlab.metrics.base import Samples
from genlab.metrics.language import Corpus
from genlab.metrics.music import (
    FramesEvaluation,
    MusicEvaluation,
    Spelling,
    clarity,
    copied,
    counted,
    distances,
    histograms,
    key_of,
    letter,
)
from genlab.metrics.report import Report


def notes(seed: int, **how) -> np.ndarray:
    return np.array([[n.start, n.length, n.pitch] for n in tune(seed, **how)], float)


def random_notes(seed: int, num: int = 120) -> np.ndarray:
    draws = np.random.default_rng(seed)
    found = np.column_stack(
        [draws.integers(0, 480, num) / 10, draws.integers(1, 40, num) / 12,
         draws.integers(21, 109, num)]
    )  # fmt: skip
    return found[np.lexsort((found[:, 2], found[:, 0]))]


class Made(TuneSource):
    """Tunes in one key; those of train and val have other seeds."""

    def tunes(self) -> dict[str, list[Tune]]:
        def some(seeds: range) -> list[Tune]:
            return [
                Tune(np.column_stack([p, np.full(len(p), 64)])) for p in (notes(s) for s in seeds)
            ]

        return {"train": some(range(40)), "val": some(range(100, 140))}


@pytest.fixture(scope="module")
def data() -> Music:
    made = Music(source=Made(), block=600, batch_size=4, seed=0)
    made.load()
    return made


def tokens(data: Music, pieces: list[np.ndarray]) -> torch.Tensor:
    rows = []
    for p in pieces:
        tune_ = Tune(np.column_stack([p, np.full(len(p), 64)]))
        ids = torch.from_numpy(data.remi.encode(data.remi.quantised(tune_)))[: data.block]
        rows.append(torch.nn.functional.pad(ids, (0, data.block - len(ids))))
    return torch.stack(rows)


def measured(data, x: torch.Tensor, metric=MusicEvaluation) -> Report:
    report = Report()
    metric().compare(report, None, data, Samples(x, None, None, len(x), 0))
    return report


def test_what_is_counted_by_hand() -> None:
    """C and E for a quarter, then G for an eighth, then C above for two quarters."""
    piece = np.array([[0, 1, 60], [0, 1, 64], [1, 0.5, 67], [1.5, 2, 72]])
    found = counted(piece)
    assert found["pitch_class"].tolist() == [0, 4, 7, 0]
    assert found["interval"].tolist() == [127 + 3, 127 + 5], "of the highest notes"
    assert found["harmony"].tolist() == [4]
    assert found["rhythm"].tolist() == [24, 12] and found["duration"].tolist() == [24, 24, 12, 48]
    assert found["polyphony"].tolist() == [2, 1, 1]
    held = counted(np.array([[0, 4, 48], [1, 1, 60], [2, 1, 62]]))
    assert held["polyphony"].tolist() == [1, 2, 2], "a held note sounds on"
    assert not any(len(v) for v in counted(np.zeros((0, 3))).values())


def test_the_key_is_found() -> None:
    scale = [0, 2, 4, 5, 7, 9, 11]
    for tonic in range(12):
        major = np.array([[i, 1 + 2 * (s in (0, 7)), 60 + tonic + s] for i, s in enumerate(scale)])
        key, clear = key_of(major.astype(float))
        assert key == tonic and clear > 0.8
    minor = np.array([[i, 1 + 2 * (s in (0, 3, 7)), 57 + s]
                      for i, s in enumerate([0, 2, 3, 5, 7, 8, 11])], float)  # fmt: skip
    assert key_of(minor)[0] == 12 + 9, "A minor"
    every = np.array([[i, 1, 60 + i] for i in range(12)], float)
    assert abs(key_of(every)[1]) < 1e-6 and key_of(np.zeros((0, 3))) == (0, 0.0)


def test_music21_finds_the_same_keys() -> None:
    """The reference, where it is there (its own profiles' default is Aarden's: ours are named)."""
    analysis = pytest.importorskip("music21.analysis.discrete")
    from music21 import note, stream

    for seed in range(6):
        piece = notes(seed, transpose=seed)
        part = stream.Stream()
        for start, length, pitch in piece:
            one = note.Note(int(pitch), quarterLength=float(length))
            part.insert(float(start), one)
        found = analysis.KrumhanslKessler(part).getSolution(part)
        key, clear = key_of(piece)
        assert found.tonic.pitchClass == key % 12
        assert (found.mode == "minor") == (key >= 12)
        assert abs(found.correlationCoefficient - clear) < 1e-6


def test_a_transposed_set_moves_pitches_and_no_intervals(data: Music) -> None:
    held = [notes(s) for s in range(100, 140)]
    same = measured(data, tokens(data, held))
    moved = measured(data, tokens(data, [np.add(p, [0, 0, 3]) for p in held]))
    for name in same.metrics:
        if name.endswith("_distance"):
            assert same.metrics[name] < 1e-9, name
    for name in ("pitch_class", "pitch", "key"):
        assert moved.metrics[f"{name}_distance"] > 0.2, name
    for name in ("interval", "harmony", "rhythm", "duration", "polyphony"):
        assert moved.metrics[f"{name}_distance"] < 1e-9, name
    assert abs(moved.metrics["key_clarity"] - same.metrics["key_clarity"]) < 1e-9


def test_copies_are_found_in_any_key(data: Music) -> None:
    train = [notes(s) for s in range(6)]
    for move in (0, 5):
        report = measured(data, tokens(data, [np.add(p, [0, 0, move]) for p in train]))
        longest = max(len(n) for n in data.heard(tokens(data, train)))
        assert report.metrics["longest_copy"] == longest, "the whole piece"
        assert report.metrics["copied_share"] == 1
        assert report.floor["longest_copy"] < longest / 2 and report.floor["copied_share"] < 0.5
        assert len(report.pictures["neighbours"]) == 6
    # the nearest piece is the one that was copied
    (heard,) = data.heard(report.pictures["neighbours"][:1])
    (mine,) = data.heard(report.pictures["neighbour_samples"][:1])
    assert np.array_equal(np.diff(heard[:, 2]), np.diff(mine[:, 2]))


def test_a_copied_passage_counts_its_notes(data: Music) -> None:
    """Twenty notes of a training piece within notes of none."""
    train, strange = data.tunes(data.train)[0], random_notes(1, 40)
    passage = train[30:50] - [train[30, 0], 0, 0]
    last = strange[-1, 0] + 1
    piece = np.concatenate([strange, np.add(passage, [last, 0, -1])])
    spelling = Spelling()
    corpus = Corpus("\0".join(spelling(p) for p in data.tunes(data.train)))
    text = spelling(piece)
    assert len(corpus.longest_copy([text])) + 1 == 20
    assert copied(corpus, [text, ""], 15).tolist() == [[20, 60], [0, 0]]
    assert copied(corpus, [text], 20).tolist() == [[0, 60]]
    slower = passage * [1.5, 1, 1]
    assert len(corpus.longest_copy([spelling(slower)])) < 10, "the same tones in another rhythm"


def test_random_notes_are_no_music(data: Music) -> None:
    noise = measured(data, tokens(data, [random_notes(s) for s in range(40)]))
    music = measured(data, tokens(data, [notes(s) for s in range(200, 240)]))
    for name in ("pitch_class", "pitch", "interval", "harmony", "rhythm", "duration"):
        name = f"{name}_distance"
        assert noise.metrics[name] > 3 * noise.floor[name] + 0.05, name
        assert music.metrics[name] < 2 * music.floor[name] + 0.1, name
        assert noise.interval[name][0] > noise.floor[name]
    assert noise.metrics["key_clarity"] < 0.6 < music.metrics["key_clarity"]
    assert noise.metrics["copied_share"] == 0
    assert music.metrics["well_formed_share"] == 1


def test_ill_formed_tokens_are_counted_and_silence_is_measured(data: Music) -> None:
    x = tokens(data, [notes(s) for s in range(4)])
    x[:, 5] = data.remi.bar  # a bar within a note, or in its place
    x[0] = 0
    found = measured(data, x)
    assert 0.9 < found.metrics["well_formed_share"] < 1
    assert found.notes["num_without_notes"] == 1
    empty = measured(data, torch.zeros_like(x))
    assert empty.metrics["pitch_distance"] == 1 and empty.metrics["longest_copy"] == 0


def test_the_floor_is_of_as_much_music_and_has_an_interval(data: Music) -> None:
    found = measured(data, tokens(data, [notes(s) for s in range(20)]))
    assert found.notes["num_floor"] == 20
    for name, value in found.floor.items():
        if name.endswith("_distance"):
            low, high = found.floor_interval[name]
            assert 0 <= low <= value <= high <= 1
    assert set(found.interval) >= {n for n in found.metrics if n.endswith("_distance")}


def test_frames_are_measured_by_the_same_figures() -> None:
    class Rolled(RollSource):
        frames_per_quarter = 4

        def pieces(self):
            def some(seeds: range) -> list[np.ndarray]:
                found = []
                for s in seeds:
                    roll = np.zeros((200, 88), bool)
                    for start, length, pitch in notes(s):
                        first = round(4 * start)
                        roll[first : first + round(4 * length), int(pitch) - 21] = True
                    found.append(roll)
                return found

            return {"train": some(range(20)), "val": some(range(100, 112))}

    rolls = Rolls(source=Rolled(), frames=200, batch_size=4, seed=0)
    rolls.load()
    x = rolls.val.batch(torch.arange(12))["x"]
    same = measured(rolls, x, FramesEvaluation)
    moved = measured(rolls, torch.roll(x, 2, dims=2), FramesEvaluation)
    assert same.metrics["pitch_distance"] == 0 and "well_formed_share" not in same.metrics
    assert moved.metrics["pitch_distance"] > 0.2 and moved.metrics["interval_distance"] == 0
    copy = measured(rolls, rolls.train.batch(torch.arange(5))["x"], FramesEvaluation)
    assert copy.metrics["copied_share"] == 1
    assert rolls.decode(copy.pictures["neighbours"])


def test_distances_are_those_of_shares() -> None:
    one, two = histograms([notes(0)]), histograms([notes(0), notes(0)])
    assert max(distances(one, two).values()) < 1e-12
    assert (clarity([notes(0), np.zeros((0, 3))]) > 0).tolist() == [True, False]


def test_letters_are_distinct_characters() -> None:
    found = [letter(i) for i in range(60_000)]
    assert len(set(found)) == len(found) and "\0" not in found
    "".join(found).encode("utf-32-le")


@pytest.mark.parametrize("given", [{"copy_length": 1}, {"pairs": -1}, {"num_samples": 1}])
def test_settings_that_cannot_be(given: dict) -> None:
    with pytest.raises(ValueError, match=f"metric.{next(iter(given))}"):
        MusicEvaluation(**given)


def test_the_pictures_can_be_written(data: Music, tmp_path: Path) -> None:
    report = measured(data, tokens(data, [notes(s) for s in range(3)]))
    pair = [data.decode(report.pictures[k]) for k in ("neighbour_samples", "neighbours")]
    assert data.view.pairs(*pair, tmp_path / "pairs.png")
    assert {p.suffix for p in tmp_path.iterdir()} == {".png", ".wav"}
