"""Sums as tokens: every one is right, none is in two splits, words become questions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genlab.data.sums import Sums, answers, tokens_of


def sums(**changes) -> Sums:
    found = Sums(**{"batch_size": 16, "seed": 0, "num_train": 500, "num_held_out": 50, **changes})
    found.load()
    return found


@given(st.integers(1, 5).flatmap(lambda d: st.tuples(
    st.just(d), st.integers(0, 10**d - 1), st.integers(0, 10**d - 1))))  # fmt: skip
def test_what_is_written_is_the_sum(numbers: tuple[int, int, int]) -> None:
    digits, a, b = numbers
    data = Sums(digits=digits, num_train=10, num_held_out=1, batch_size=1, seed=0)
    x = tokens_of(torch.tensor([a]), torch.tensor([b]), digits)
    assert data.decode(x) == [f"{a:0{digits}d}+{b:0{digits}d}={a + b:0{digits + 1}d}"]
    assert "".join(map(str, x[0, -digits - 1 :].tolist())) == f"{a + b:0{digits + 1}d}"[::-1]


def test_no_pair_is_in_two_splits_and_the_seed_changes_none() -> None:
    one, two = sums(), sums(seed=1)
    parts = [set(one.split(s).pairs.tolist()) for s in ("train", "val", "test")]
    assert [len(p) for p in parts] == [500, 50, 50] and len(set.union(*parts)) == 600
    assert torch.equal(one.val.pairs, two.val.pairs)
    assert one.digest() == two.digest()


def test_the_loss_counts_the_sums_digits_alone() -> None:
    batch = sums().train_batch(0)
    assert batch["mask"].sum(1).tolist() == [4] * 16
    assert torch.equal(batch["mask"][0], answers(3))


def test_a_prompt_is_a_question_and_questions_are_held_out_ones() -> None:
    data = sums()
    _, known = data.asked(2, prompt="123+456=")
    assert (
        data.decode(torch.cat([known["x"], torch.zeros(2, 4, dtype=torch.long)], 1))
        == ["123+456=0000"] * 2
    )
    asked = data.questions(3)
    assert torch.equal(asked["x"], data.val.batch(torch.arange(3))["x"][:, :8])
    with pytest.raises(ValueError, match="write two numbers of 3 digits"):
        data.asked(1, prompt="12+456=")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"digits": 9}, "data.digits=9"), ({"digits": 1, "num_train": 99}, "100 pairs"),
     ({"shape": [13]}, "have \\[12\\]"), ({"vocab": 13}, "data.vocab=13")],
)  # fmt: skip
def test_what_cannot_be_is_told(wrong: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        sums(**wrong)
