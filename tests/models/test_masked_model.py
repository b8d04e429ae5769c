"""Masked diffusion against a law that is known: its bound, its draws, what is given anywhere."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from genlab.models.masked import MaskedDiffusion
from genlab.nn.bidirectional import Bidirectional
from genlab.objectives.masking import Masking
from genlab.rng import Draws
from genlab.samplers.masked import Ancestral, Filling, Surest

T, V = 3, 2
LAW = torch.tensor([0.22, 0.03, 0.1, 0.05, 0.02, 0.3, 0.08, 0.2], dtype=torch.float64)
ALL = torch.tensor(list(itertools.product(range(V), repeat=T)))  # LAW's sequences [8, 3]


class Exact(nn.Module):
    """log p(x_i = v | what is not a gap), of LAW."""

    def forward(self, tokens: Tensor, cond: None = None) -> Tensor:
        fits = ((tokens[:, None] == ALL) | (tokens[:, None] == V)).all(2)  # [B, 8]
        weight = fits * LAW
        per = torch.stack([(weight[:, :, None] * (v == ALL)).sum(1) for v in range(V)], -1)
        return (per / weight.sum(1)[:, None, None]).clamp(min=1e-300).log()


def model(sampler: Filling | None = None, **more) -> MaskedDiffusion:
    sampler = sampler or Ancestral(num_steps=100)
    return MaskedDiffusion(
        Exact(), objective=Masking(), sampler=sampler, shape=(T,), vocab=V, **more
    )


def shares(x: Tensor) -> Tensor:
    return (x[:, None] == ALL).all(2).double().mean(0)


def test_the_bound_of_the_exact_conditionals_is_the_law():
    """Whatever the order, log p(x) is the sum of log p(x_i | those before): so is its mean."""
    torch.manual_seed(0)
    x = ALL.repeat_interleave(4000, 0)
    each = model(num_bound=1).log_prob({"x": x}).view(8, -1)
    error = each.std(1) / 4000**0.5
    assert ((each.mean(1) - LAW.log()).abs() < 4 * error + 1e-9).all()
    found, variance = model(num_bound=16).log_prob_drawn({"x": x})
    assert float((found.view(8, -1).std(1) ** 2 / variance.view(8, -1).mean(1)).mean()) == (
        pytest.approx(1, abs=0.1)
    )


def test_gaps_are_one_to_all_of_what_counts_and_each_as_often():
    torch.manual_seed(0)
    x, mask = (
        torch.zeros(40_000, 5, dtype=torch.long),
        torch.tensor([True, True, False, True, True]),
    )
    gaps = Masking().gaps(x, mask.expand(40_000, 5))
    assert not gaps[:, 2].any()
    number = gaps.sum(1).bincount(minlength=5) / len(x)
    assert number.tolist() == pytest.approx([0, 0.25, 0.25, 0.25, 0.25], abs=0.01)
    assert gaps[:, mask].double().mean(0).tolist() == pytest.approx([0.625] * 4, abs=0.01)
    whole = Masking().gaps(x)
    assert (whole.sum(1).bincount(minlength=6)[1:] / len(x)).tolist() == pytest.approx(
        [0.2] * 5, abs=0.01
    )


def test_draws_have_the_law():
    """Chi-square of 4,000 draws, 7 degrees of freedom: below 24.3 with probability 0.999."""
    found = shares(model().sample(4000))
    assert float(((found - LAW) ** 2 / LAW).sum() * 4000) < 24.3


def test_few_steps_fill_together_and_lose_what_ties_tokens():
    once = shares(model(Ancestral(num_steps=1)).sample(4000))
    ones = (LAW[:, None] * ALL).sum(0)
    alone = torch.where(ALL == 1, ones, 1 - ones).prod(1)
    assert float(((once - alone) ** 2 / alone).sum() * 4000) < 24.3


@pytest.mark.parametrize("sampler", [Ancestral(num_steps=100), Surest(num_steps=3, choice=0)])
def test_what_is_given_stays_wherever_it_stands(sampler):
    given = {"x": torch.tensor([[0, 1, 0]]).expand(2000, T),
             "mask": torch.tensor([[False, True, False]]).expand(2000, T)}  # fmt: skip
    x = model(sampler).sample(2000, given=given)
    assert (x[:, 1] == 1).all() and (x < V).all()
    if isinstance(sampler, Ancestral):
        law = LAW * (ALL[:, 1] == 1)
        found = shares(x)[ALL[:, 1] == 1]
        law = (law / law.sum())[ALL[:, 1] == 1]
        assert float(((found - law) ** 2 / law).sum() * 2000) < 16.3  # 3 degrees, 0.999
    short = {"x": torch.tensor([[1]]), "mask": torch.tensor([[True]])}
    assert (
        model(sampler).sample(5, given={k: v.expand(5, 1) for k, v in short.items()})[:, 0] == 1
    ).all()


def test_maskgit_fills_by_the_cosine_and_the_surest_first():
    """32 gaps in 4 steps leave floor(32 cos(pi i / 8)): 29, 22, 12, 0."""
    left, sure = [], torch.linspace(4, 7, 32)

    def net_fn(tokens):
        left.append(int((tokens == 4).sum()))
        logits = torch.zeros(1, 32, 4)
        logits[0, :, 1] = sure
        return logits

    filled = []

    class Watched(Surest):
        def filled(self, gaps, s, u, i, whole):
            filled.append(super().filled(gaps, s, u, i, whole) & gaps)
            return filled[-1]

    start = torch.full((1, 32), 4)
    x = Watched(num_steps=4, choice=0.0)(net_fn, start, 4, Draws(0, 0, 1))
    assert left == [32, 29, 22, 12] and (x < 4).all()
    assert filled[0][0].nonzero().flatten().tolist() == [29, 30, 31]


def test_places_of_a_sequence_of_gaps_are_told_apart():
    net = Bidirectional(V, max_length=T, width=16, depth=1, heads=2)
    logits = net(torch.full((1, T), V))[0]
    assert not torch.allclose(logits[0], logits[1])
    with pytest.raises(ValueError, match=r"net\.positions=rope"):
        Bidirectional(V, max_length=T, positions="rope")


def test_probabilities_are_float64():
    """A tail of 1e-9 behind a token of all the rest: 1 - 1e-9 is 1 in float32."""

    class High:
        def rand(self, shape=()):
            return torch.full((1, *shape), 1 - 2.0**-24)

    logits = torch.tensor([[[0.0, -20.7, -200.0]]])
    tail = torch.tensor([[[0.0, -13.0, -200.0]]])
    gap = torch.full((1, 1), 3)
    assert int(Ancestral(num_steps=1)(lambda t: logits, gap, 3, High())) == 1
    assert int(Ancestral(num_steps=1)(lambda t: tail, gap, 3, High())) == 1


def test_each_step_fills_its_share_of_the_gaps_and_nothing_else():
    """Of 10 steps the first leaves 9 tenths, the second 8; a known token is not drawn again."""
    left = []

    def net_fn(tokens):
        left.append(float((tokens == 4).double().mean()))
        return torch.zeros(*tokens.shape, 4)  # whatever it knows, the net says nothing

    start = torch.full((50, 400), 4)
    start[:, :200] = 2
    x = Ancestral(num_steps=10)(net_fn, start, 4, Draws(0, 0, 50))
    assert (x[:, :200] == 2).all() and (x < 4).all()
    assert left == pytest.approx([(10 - i) / 20 for i in range(10)], abs=0.01)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Ancestral(num_steps=0), r"sampler\.num_steps=0"),
        (lambda: Surest(temperature=0), r"sampler\.temperature=0"),
        (lambda: Surest(choice=-1), r"sampler\.choice=-1"),
        (lambda: model(num_bound=0), r"model\.num_bound=0"),
        (
            lambda: MaskedDiffusion(
                Exact(), objective=Masking(), sampler=Surest(), shape=(1, 2), vocab=2
            ),
            "takes tokens",
        ),
        (
            lambda: model().sample(
                1, given={"x": torch.tensor([[5]]), "mask": torch.tensor([[True]])}
            ),
            "given.x has tokens from 5",
        ),
    ],
)
def test_mistakes_name_the_key(make, said):
    with pytest.raises(ValueError, match=said):
        make()
