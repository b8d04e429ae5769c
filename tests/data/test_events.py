"""REMI's events: pieces on the grid come back exactly, and odd tokens do no harm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab.data.events import END, Piece, Remi, tidied
from genlab.data.midi import EIGHTHS, Tune, bars_of

FORMS = [Remi(grid=12, longest=8, velocities=1), Remi(grid=4, longest=2, velocities=8)]


@st.composite
def tunes(draw) -> Tune:
    """Notes anywhere, in metres that change: off the grid, doubled, one over another."""
    note = st.tuples(st.floats(0, 40), st.floats(0, 12), st.integers(0, 127), st.integers(1, 127))
    notes = np.array(draw(st.lists(note, min_size=1, max_size=40)), float)
    notes = notes[np.lexsort((notes[:, 2], notes[:, 0]))]
    changes = draw(st.dictionaries(st.floats(0.25, 40), st.integers(1, EIGHTHS), max_size=3))
    first = draw(st.integers(1, EIGHTHS))
    return Tune(notes, tuple(sorted({**changes, 0.0: first}.items())))


@pytest.mark.parametrize("remi", FORMS, ids=["plain", "loud"])
@settings(max_examples=150, deadline=None)
@given(tune=tunes())
def test_a_piece_on_the_grid_comes_back_exactly(remi: Remi, tune: Tune) -> None:
    piece = remi.quantised(tune)
    ids = remi.encode(piece)
    assert remi.decode(ids) == piece
    assert ids.min() > END and ids.max() < remi.vocab
    assert remi.read(ids)[1] == 0, "what is encoded is well formed"
    assert remi.decode(np.append(ids, [END, *ids])) == piece, "a piece ends at <|end|>"
    # a tune that lies on the grid is not changed by being laid on it
    on_grid = piece.notes / [remi.grid, remi.grid, 1, 1]
    on_grid[:, 3] = [
        80 if remi.velocities == 1 else (2 * v + 1) * 64 // 8 for v in piece.notes[:, 3]
    ]
    starts = np.cumsum([0, *piece.bars])[:-1] / 2
    assert remi.quantised(Tune(on_grid, tuple(zip(starts.tolist(), piece.bars)))) == piece


@pytest.mark.parametrize("remi", FORMS, ids=["plain", "loud"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_tokens_are_read_and_what_they_spell_comes_back(remi: Remi, data) -> None:
    ids = np.array(data.draw(st.lists(st.integers(0, remi.vocab - 1), max_size=60)), np.int64)
    piece, slips = remi.read(ids)
    assert 0 <= slips <= 2 * len(ids)
    again = remi.decode(remi.encode(piece))
    assert again == piece and np.array_equal(tidied(piece.notes), piece.notes)


def test_the_tokens_of_a_bar_by_hand() -> None:
    """A bar of 3/4: a chord on its first quarter, a note a triplet eighth after the second."""
    remi = Remi(grid=12, longest=4, velocities=1)
    notes = np.array([[0, 1, 60, 64], [0, 2, 64, 64], [4 / 3, 1 / 3, 67, 64]])
    ids = remi.encode(remi.quantised(Tune(notes, ((0.0, 6),))))
    bar, place, pitch, length = remi.bar, remi.position, remi.pitch, remi.duration
    assert ids.tolist() == [
        bar + 5, place, pitch + 60, length + 11, pitch + 64, length + 23,
        place + 16, pitch + 67, length + 3,
    ]  # fmt: skip
    assert remi.vocab == 1 + 16 + 96 + 128 + 48


def test_laid_on_the_grid_a_note_is_moved_by_half_a_unit_at_most() -> None:
    draws = np.random.default_rng(0)
    notes = np.column_stack([np.sort(draws.uniform(0, 30, 50)), draws.uniform(0.2, 3, 50),
                             np.arange(50) + 30, np.full(50, 64)])  # fmt: skip
    notes[0, 0] = 0
    remi = Remi(grid=6, longest=4, velocities=1)
    found = remi.quantised(Tune(notes)).notes
    found = found[np.argsort(found[:, 2])]
    assert np.abs(found[:, 0] / 6 - notes[:, 0]).max() <= 1 / 12 + 1e-9
    assert np.abs(found[:, 1] / 6 - notes[:, 1]).max() <= 1 / 12 + 1e-9


def test_empty_bars_before_the_first_note_are_left_out() -> None:
    notes = np.array([[9.0, 1, 60, 64]])
    piece = Remi(grid=4, longest=4, velocities=1).quantised(Tune(notes, ((0.0, 8),)))
    assert piece == Piece(np.array([[4, 4, 60, 0]]), (8,))


def test_two_of_one_pitch_do_not_overlap() -> None:
    notes = np.array([[0, 8, 60, 0], [0, 4, 60, 0], [4, 9, 60, 0], [2, 2, 61, 0]])
    assert tidied(notes).tolist() == [[0, 4, 60, 0], [2, 2, 61, 0], [4, 9, 60, 0]]
    for two in ([[0, 2, 60, 0], [0, 5, 60, 0]], [[0, 5, 60, 0], [0, 2, 60, 0]]):
        assert tidied(np.array(two)).tolist() == [[0, 5, 60, 0]], "the longer of two at once"


def test_what_is_out_of_place_is_counted_and_passed_over() -> None:
    remi = Remi(grid=4, longest=4, velocities=1)
    bar, place, pitch, length = remi.bar + 7, remi.position, remi.pitch + 60, remi.duration
    good = [bar, place, pitch, length]
    for more, slips in (
        ([], 0), ([length], 1), ([place], 1), ([pitch], 0), ([pitch, pitch, length], 1),
        ([place + 31], 1), ([bar, pitch], 1),
    ):  # fmt: skip
        piece, found = remi.read(np.array(good + more))
        assert found == slips, more
        assert len(piece.notes) == 1
    assert remi.read(np.array([pitch, length]))[1] == 2, "before any bar"


def test_a_transposition_moves_pitches_alone_and_stays_on_the_keys() -> None:
    remi = Remi(grid=4, longest=4, velocities=1)
    ids = np.array([[remi.bar + 7, remi.position, remi.pitch + 125, remi.duration]] * 3)
    moved = remi.transposed(ids, np.array([0, -3, 5]))
    assert moved[:, 2].tolist() == [remi.pitch + p for p in (125, 122, 127)]
    assert np.array_equal(np.delete(moved, 2, 1), np.delete(ids, 2, 1))


@pytest.mark.parametrize(
    ("given_", "said"),
    [({"grid": 5}, "data.grid=5: allowed is an even"), ({"longest": 0}, "data.longest=0"),
     ({"velocities": 64}, "data.velocities=64: allowed is")],
)  # fmt: skip
def test_a_grid_that_cannot_be_is_refused(given_: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Remi(**{"grid": 4, "longest": 4, "velocities": 1, **given_})


def test_a_piece_of_too_many_bars_is_refused() -> None:
    far = Tune(np.array([[0, 1, 60, 64], [16000.0, 1, 60, 64]]), ((0.0, 2),))
    with pytest.raises(ValueError, match="16,001 bars, 4,096 at most"):
        Remi(grid=4, longest=4, velocities=1).quantised(far)
    assert len(bars_of(far.metres, 16000.0)) == 16001
