"""Frame after frame: the likelihood by hand, pieces of any length, drawing with a cache."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from genlab.models.frames import Frames
from genlab.nn.frames import FrameGRU
from genlab.nn.tcn import TCN
from genlab.objectives.frames import KeysCrossEntropy
from genlab.samplers.frames import IndependentKeys

T, K = 8, 3


class Echo(nn.Module):
    """The law of a frame is that each key sounds as before with probability 3/4: logit +-ln 3."""

    def forward(self, frames, cond=None, state=None):
        return (2 * frames - 1) * math.log(3.0), None


def model(net: nn.Module, **sampler) -> Frames:
    return Frames(
        net, objective=KeysCrossEntropy(), sampler=IndependentKeys(**sampler), shape=(T, K)
    )


def net(kind=FrameGRU) -> nn.Module:
    torch.manual_seed(0)
    made = kind((T, K), width=12)
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return made.eval()


def pieces() -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(2)
    return [torch.randint(2, (n, K), generator=g).float() for n in (8, 3, 5)]


def padded(all_of: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    lengths = torch.tensor([len(p) for p in all_of])
    x = nn.utils.rnn.pad_sequence(all_of, batch_first=True, padding_value=1.0)
    mask = torch.arange(x.shape[1]) < lengths[:, None]
    return {"x": x, "mask": mask, "weight": lengths / lengths.float().mean()}


def test_the_likelihood_by_hand():
    """Frames 010, 011 after silence: keys as before 2 + 2 times, changed once and once."""
    x = torch.tensor([[[0.0, 1, 0], [0, 1, 1]]])
    as_before, changed = math.log(3 / 4), math.log(1 / 4)
    first, second = 2 * as_before + changed, 2 * as_before + changed
    found = model(Echo()).log_prob({"x": x})
    torch.testing.assert_close(found, torch.tensor([first + second]))
    loss = model(Echo()).loss({"x": x})["loss"]
    torch.testing.assert_close(loss, torch.tensor([-(first + second) / 2]))
    # where the first frame is given and not counted, it is still what the second goes by
    mask = torch.tensor([[False, True]])
    torch.testing.assert_close(
        model(Echo()).log_prob({"x": x, "mask": mask}), torch.tensor([second])
    )
    # what stands before: all keys sounded
    start = torch.ones(1, K)
    torch.testing.assert_close(
        model(Echo()).log_prob({"x": x, "start": start}),
        torch.tensor([as_before + 2 * changed + second]),
    )


def test_all_pieces_of_two_frames_have_probability_one():
    net_ = net()
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * (2 * K)).view(-1, 2, K)
    total = model(net_).log_prob({"x": every}).double().exp().sum()
    torch.testing.assert_close(total, torch.tensor(1.0, dtype=torch.double), rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", [FrameGRU, TCN])
def test_a_padded_batch_is_its_pieces_alone(kind):
    """Likelihoods are those of each alone, and the gradient that of the mean over all frames."""
    m, all_of = model(net(kind)), pieces()
    batch = padded(all_of)
    alone = torch.stack([m.log_prob({"x": p[None]})[0] for p in all_of])
    torch.testing.assert_close(m.log_prob(batch), alone)
    mean = -alone.sum() / sum(map(len, all_of))
    loss = m.loss(batch)["loss"].mean()
    torch.testing.assert_close(loss, mean)
    parameters = list(m.parameters())
    for a, b in zip(torch.autograd.grad(loss, parameters), torch.autograd.grad(mean, parameters)):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [FrameGRU, TCN])
def test_drawing_with_a_state_is_reading_all_again(kind):
    """The cached draw is, key for key, that of a loop that reads the whole piece each time."""
    from genlab.rng import Draws

    m = model(net(kind), temperature=1.3).eval()
    x = m.sample(5, seed=4, first=2)
    u, read = Draws(4, 2, 5).rand((T, K)), torch.zeros(5, 1, K)
    for t in range(T):
        p = (m.net(read)[0][:, -1] / 1.3).sigmoid()
        read = torch.cat([read, (u[:, t] < p).float()[:, None]], 1)
    assert torch.equal(x, read[:, 1:]) and 0 < x.mean() < 1


@pytest.mark.parametrize("kind", [FrameGRU, TCN])
def test_it_goes_on_from_beginnings_of_different_lengths(kind):
    m, g = model(net(kind)), torch.Generator().manual_seed(3)
    known = torch.randint(2, (3, 5, K), generator=g).float()
    lengths = torch.tensor([5, 0, 2])
    mask = (torch.arange(5) < lengths[:, None])[..., None].expand(3, 5, K)
    x = m.sample(3, given={"x": known, "mask": mask}, seed=1)
    assert torch.equal(x[:, :5][mask], known[mask])
    for i, n in enumerate(lengths.tolist()):  # each as if it were alone
        part = {"x": known[i : i + 1, :n], "mask": torch.ones(1, n, K, dtype=torch.bool)}
        alone = m.sample(1, given=part if n else None, seed=1, first=i)
        assert torch.equal(alone[0], x[i])
    assert torch.equal(m.sample(3, seed=1)[1], x[1]), "nothing given is nothing changed"


def test_the_law_that_is_drawn_and_its_temperature():
    """Echo after silence: a key sounds with probability 1/4; at temperature 1/2 with 1/10."""
    first = model(Echo()).sample(4000)[:, 0].mean()
    assert abs(first - 0.25) < 4 * (0.25 * 0.75 / 12000) ** 0.5
    cool = model(Echo(), temperature=0.5).sample(4000)[:, 0].mean()
    assert abs(cool - 0.1) < 4 * (0.1 * 0.9 / 12000) ** 0.5


def test_its_length_is_the_samplers():
    assert model(net(), length=3).sample(2).shape == (2, 3, K)
    assert model(net(), length=30).sample(2).shape == (2, 30, K)


def test_what_cannot_be_given_is_refused():
    m, x = model(net()), torch.zeros(2, 4, K)
    gap = torch.zeros(2, 4, K, dtype=torch.bool)
    gap[:, 1] = True
    part = torch.ones(2, 4, K, dtype=torch.bool)
    part[:, :, 0] = False
    for mask in (gap, part):
        with pytest.raises(ValueError, match="first frames of each example, whole"):
            m.sample(2, given={"x": x, "mask": mask})
    long = torch.zeros(2, T + 1, K)
    with pytest.raises(
        ValueError, match=r"knows 9 frames, but 8 are drawn: write sampler.length=9"
    ):
        m.sample(2, given={"x": long, "mask": torch.ones_like(long, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"0 \(silent\) or 1"):
        m.sample(2, given={"x": x + 0.5, "mask": torch.ones_like(x, dtype=torch.bool)})
    for sampler, said in (({"temperature": 0.0}, "temperature=0.0"), ({"length": 0}, "length=0")):
        with pytest.raises(ValueError, match=said):
            IndependentKeys(**sampler)
    with pytest.raises(ValueError, match=r"data.shape=\[8\]: frames are \[T, K\]"):
        Frames(net(), objective=KeysCrossEntropy(), sampler=IndependentKeys(), shape=[8])
