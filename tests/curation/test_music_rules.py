"""Tunes curated: one in another key is found again, and what is left trains as data=prepared."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_midi import HOSTILE, tune

from genlab.curation.base import Example, Leave
from genlab.curation.kinds.tunes import TuneFile, Tunes
from genlab.curation.rules.duplicates import Near
from genlab.curation.rules.music import Melody, Notes, chords
from genlab.data.midi import Tune
from genlab.runs.prepare import prepare_command
from genlab.runs.settings.prepared import chosen
from genlab.views.midi import write_midi

pytest.importorskip("symusic")
pytest.importorskip("rensa")


def notes(seed: int, transpose: int = 0) -> np.ndarray:
    return np.array([tuple(n) for n in tune(seed, transpose=transpose)], float)


def of(array: np.ndarray) -> TuneFile:
    return TuneFile(b"", Tune(array))


def says(rule, array: np.ndarray):
    return rule(Example("a", of(array)))


def test_chords_follow_one_another_in_any_key() -> None:
    two = np.array([[0, 1, 60, 80], [0, 1, 64, 80], [1, 0.5, 62, 80], [1.5, 1, 67, 80]], float)
    assert chords(two) == ["24:2:0", "12:5:0"]
    assert chords(two + np.array([10, 0, -7, 5])) == chords(two) and chords(two[:1]) == []


def test_a_tune_again_is_found_in_another_key_and_other_tunes_are_not() -> None:
    rule, kind = Near(Melody()), Tunes()
    first = [notes(i) for i in range(20)]
    later = [notes(i, transpose=3 + i % 3) for i in range(20)]
    for other in later:
        other[:, 3] = 50  # softer
    other = later[7]
    other[::100, 2] += 1  # and a slip
    found = rule.decide([rule.sketch(Example("", of(x)), kind) for x in [*first, *later]])
    assert {i: said.value.place for i, said in found.items()} == {20 + i: i for i in range(20)}


def test_the_same_steps_in_another_order_are_another_tune() -> None:
    draws = np.random.default_rng(0)
    steps = draws.integers(-3, 4, 60)
    held = []
    for order in (np.arange(60), draws.permutation(60)):
        pitches = 60 + np.clip(np.cumsum(steps[order]), -30, 30)
        array = np.stack([np.arange(60), np.ones(60), pitches, np.full(60, 80)], 1)
        held.append(Near(Melody()).sketch(Example("", of(array.astype(float))), Tunes()))
    assert not Near(Melody()).decide(held)


def test_tunes_of_too_few_notes_or_too_long() -> None:
    whole = notes(0)
    assert says(Notes(), whole) is None
    assert says(Notes(), whole[:15]) == Leave("under 16", 15)
    assert says(Notes(most=50), whole).why == "over 50"
    assert says(Notes(quarters=10.0), whole).why == "over 10 quarters"
    drone = whole[:20].copy()
    drone[:, 2] = 60
    assert says(Notes(), drone) == Leave("under 3 pitches", 1)
    with pytest.raises(ValueError, match="least=5 most=4"):
        Notes(least=5, most=4)


def test_a_folder_of_tunes_from_raw_to_prepared(tmp_path) -> None:
    raw, to = tmp_path / "raw", tmp_path / "set"
    for i in range(12):
        path = raw / ("jig", "reel")[i % 2] / f"{i}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_midi([tune(i)], path)
    write_midi([tune(3, transpose=2)], raw / "reel" / "other.mid")
    (raw / "jig" / "bad.mid").write_bytes(HOSTILE["a track longer than the file"][0])
    prepare_command(["kind=music", f"from={raw}", f"to={to}", "processes=1"])
    dataset = json.loads((to / "dataset.json").read_text())
    assert dataset["raws"] == 14 and dataset["kept"] == 12
    assert (dataset["left_out"]["readable"], dataset["left_out"]["near"]) == (1, 1)
    lines = (to / "train" / "metadata.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert {r["label"] for r in rows} == {"jig", "reel"}
    for row in rows:  # as it was, byte by byte
        written = (to / "train" / row["file_name"]).read_bytes()
        assert written == (raw / row["id"]).read_bytes()
    assert "data:image/png" in (to / "report.html").read_text()
    words = chosen(["model=autoregressive", "data=prepared", f"data.root={to}"])
    assert "data=midi_folder" in words
