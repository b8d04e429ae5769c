"""What the rules of tunes find of planted defects: rows for scripts/bench/curation.py."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from genlab.curation.base import Example
from genlab.curation.kinds.tunes import TuneFile, Tunes
from genlab.curation.rules.duplicates import Near
from genlab.curation.rules.music import Melody
from genlab.data import midi

DATA = Path(os.environ.get("GENLAB_DATA", "data"))
Row = tuple[str, str, str, str, str]  # rule, what was planted, right, precision, wrongly found


def tunes() -> list[TuneFile]:
    with zipfile.ZipFile(DATA / "nottingham" / "nottingham.zip") as z:
        names = sorted(n for n in z.namelist() if n.count("/") == 1 and n.endswith(".mid"))
        names = names or sorted(n for n in z.namelist() if n.endswith(".mid"))
        found = []
        for name in names:
            data = z.read(name)
            try:
                found.append(TuneFile(data, midi.tune_of(data)))
            except ValueError:
                continue
    return found


def changed(notes: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Callable:
    def of(file: TuneFile, draws: np.random.Generator) -> TuneFile:
        return TuneFile(b"", replace(file.tune, notes=notes(file.tune.notes.copy(), draws)))

    return of


def transposed(notes: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    notes[:, 2] += draws.choice([-5, -3, -2, 2, 3, 5])
    return notes


def played(notes: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    notes[:, 3] = draws.integers(30, 120, len(notes))
    notes[:, 1] *= draws.uniform(0.7, 1.0, len(notes))
    return notes


def some_other(share: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    def of(notes: np.ndarray, draws: np.random.Generator) -> np.ndarray:
        hit = draws.random(len(notes)) < share
        notes[hit, 2] += draws.choice([-2, -1, 1, 2], int(hit.sum()))
        return notes

    return of


def cut(notes: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    last = notes[:, 0].max()
    return notes[(notes[:, 0] >= 0.05 * last) & (notes[:, 0] <= 0.9 * last)]


PLANTS = {
    "in another key": transposed, "louder and softer, shorter": played,
    "1 note in 100 another": some_other(0.01), "1 note in 50 another": some_other(0.02),
    "its middle 85 %": cut,
}  # fmt: skip


def duplicates() -> Iterator[Row]:
    draws = np.random.default_rng(0)
    rule, kind, files = Near(Melody()), Tunes(), tunes()
    held = [rule.sketch(Example("", t), kind) for t in files]
    twins = {*rule.decide(held)}
    clean = [i for i in range(len(files)) if i not in twins]
    yield (
        "near_tune",
        f"taken for copies of {len(files):,} as they are (Nottingham)",
        "",
        "",
        (f"{len(twins)} of {len(files)}"),
    )
    own = [held[i] for i in clean]
    for what, plant in PLANTS.items():
        made = changed(plant)
        new = [rule.sketch(Example("", made(files[i], draws)), kind) for i in clean]
        said = rule.decide(own + new)
        n = len(own)
        right = sum(n + k in said and said[n + k].value.place == k for k in range(n))
        found = sum(n + k in said for k in range(n))
        wrong = found - right + sum(i < n for i in said)
        yield (
            "near_tune", f"{n} tunes again, {what}", f"{right} of {n} ({right / n:.3f})",
            f"{right / max(1, right + wrong):.3f}", f"{wrong} of {n}",
        )  # fmt: skip


def parts() -> tuple:
    return (duplicates,)
