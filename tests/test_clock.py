"""The learning rate's law in closed form, and the clock that it goes by."""

from __future__ import annotations

import math

import pytest

from genlab.clock import Clock, steps, warmup_decay


def rate(examples: int, decay: str = "cosine", **changes) -> float:
    law = {"warmup": 100, "horizon": 1100, "final": 0.2, **changes}
    return warmup_decay(examples, decay=decay, **law)


def test_the_warm_up_is_a_line_to_one_that_does_not_begin_at_zero() -> None:
    assert rate(0) == pytest.approx(1 / 101) and rate(50) == pytest.approx(51 / 101)
    assert rate(100) == 1 and rate(100, "constant") == 1 and rate(0, warmup=0) == 1


@pytest.mark.parametrize("seen", [0, 250, 500, 1000, 5000])
def test_the_decay_is_its_formula_after_the_warm_up_and_stays_at_its_end(seen: int) -> None:
    done = min(1, seen / 1000)
    assert rate(100 + seen) == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi * done)) / 2)
    assert rate(100 + seen, "linear") == pytest.approx(0.2 + 0.8 * (1 - done))
    assert rate(100 + seen, "constant") == 1


def test_the_time_spent_counts_where_it_is_further() -> None:
    assert rate(350, "linear", spent=0.1) == pytest.approx(0.2 + 0.8 * 0.75)
    assert rate(350, "linear", spent=0.5) == pytest.approx(0.2 + 0.8 * 0.5)


def test_the_clock_counts_and_is_kept() -> None:
    clock, again = Clock(), Clock()
    for size in (16, 16, 5):
        clock.tick(size)
    again.load_state_dict(clock.state_dict())
    assert (clock.batches, clock.examples) == (3, 37) and again == clock
    assert [steps(n, 16) for n in (1, 16, 17, 32)] == [1, 1, 2, 2]
