"""Autoregressive models: probabilities sum to one, the cache changes nothing, prompts stay."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from genlab.models.autoregressive import Autoregressive
from genlab.models.conditions import Classes
from genlab.nn.rnn import GRU, LSTM
from genlab.nn.transformer import GPT
from genlab.objectives.tokens import CrossEntropy
from genlab.samplers.tokens import Greedy, Sample

V, T = 3, 4
NETS = {
    "gpt": lambda **k: GPT(V, max_length=T, width=16, depth=2, heads=2, **k),
    "gpt2": lambda **k: GPT(
        V, max_length=T, width=16, depth=1, heads=2, norm="layer", positions="learned", **k
    ),
    "gru": lambda **k: GRU(V, width=16, depth=1, **k),
    "lstm": lambda **k: LSTM(V, width=16, depth=2, **k),
}


def model(net: str = "gpt", sampler=None, shape=(T,), num_classes=None, **kwargs) -> Autoregressive:
    torch.manual_seed(0)
    made = NETS[net](num_classes=num_classes)
    for p in made.parameters():  # far from uniform, or a mistake would hide
        torch.nn.init.normal_(p, std=0.8)
    return Autoregressive(
        made,
        objective=CrossEntropy(),
        sampler=sampler or Sample(),
        shape=shape,
        vocab=V,
        conditions=Classes(num_classes=num_classes),
        **kwargs,
    )


EVERY = torch.tensor(list(product(range(V), repeat=T)))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("start", [None, 0])
def test_the_probabilities_of_all_sequences_sum_to_one(net, start):
    m = model(net, start_token=start)
    with torch.no_grad():
        log_prob = m.log_prob({"x": EVERY})
        assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-5)
        assert log_prob.std() > 0.5
        given_start = m.log_prob({"x": EVERY, "start": torch.full((len(EVERY),), 2)})
        assert given_start.exp().sum().item() == pytest.approx(1, abs=1e-5)
        assert not torch.allclose(given_start, log_prob)


@pytest.mark.parametrize("net", NETS)
def test_samples_have_the_models_probabilities(net):
    m = model(net)
    x = m.sample(3000, seed=5)
    index = (x * torch.tensor([V ** (T - 1 - i) for i in range(T)])).sum(1)
    found = torch.bincount(index, minlength=len(EVERY)) / 3000
    with torch.no_grad():
        expected = m.log_prob({"x": EVERY}).exp()
    error = (expected * (1 - expected) / 3000).sqrt()
    assert ((found - expected).abs() < 4.5 * error + 1e-3).all()


def naive(m: Autoregressive, u: torch.Tensor, context) -> torch.Tensor:
    """Reads everything again for each token; `context(t)` is how many tokens are read."""
    tokens = torch.full((len(u), 1), m.start_token)
    for t in range(u.shape[1]):
        logits = m.net(tokens[:, -context(t) :], None, None)[0][:, -1]
        tokens = torch.cat([tokens, m.sampler(logits, u[:, t])[:, None]], 1)
    return tokens[:, 1:]


@pytest.mark.parametrize("net", NETS)
def test_the_cache_changes_nothing(net):
    m = model(net)
    u = torch.stack([torch.rand(T, generator=g) for g in generators(9)])
    with torch.no_grad():
        assert torch.equal(m.sample(9, seed=2), naive(m, u, lambda t: t + 1))


def generators(num: int):
    from genlab.rng import Draws

    return Draws(2, 0, num).generators


def test_beyond_max_length_it_goes_on_from_the_last_half():
    m = model(sampler=Sample(length=11))
    u = torch.stack([torch.rand(11, generator=g) for g in generators(9)])

    def context(t):  # tokens read: 1 2 3 4, then 2 3 4, 2 3 4, ...
        return t + 1 if t < T else T // 2 + (t - T) % (T - T // 2 + 1)

    x = m.sample(9, seed=2)
    assert x.shape == (9, 11)
    with torch.no_grad():
        assert torch.equal(x, naive(m, u, context))


def test_a_recurrent_net_has_no_longest_length():
    m = model("gru", sampler=Sample(length=30))
    u = torch.stack([torch.rand(30, generator=g) for g in generators(4)])
    with torch.no_grad():
        assert torch.equal(m.sample(4, seed=2), naive(m, u, lambda t: t + 1))


@pytest.mark.parametrize("net", NETS)
def test_prompts_of_different_lengths_stay_and_rows_are_independent(net):
    m = model(net, sampler=Sample(length=9))
    x = torch.randint(V, (5, 6))
    lengths = torch.tensor([0, 2, 6, 1, 3])
    mask = torch.arange(6) < lengths[:, None]
    out = m.sample(5, given={"x": x, "mask": mask}, seed=4)
    assert torch.equal(out[:, :6][mask], x[mask])
    for i in range(5):
        given = {"x": x[i : i + 1, : lengths[i]], "mask": mask[i : i + 1, : lengths[i]]}
        assert torch.equal(m.sample(1, given=given, seed=4, first=i)[0], out[i])
    assert torch.equal(out[0], model(net, sampler=Sample(length=9)).sample(1, seed=4)[0])


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("sampler", [Sample, Greedy])
def test_after_the_stop_token_nothing_else_is_drawn(net, sampler):
    """What stands before it is what would be drawn without; a prompt's own stop ends nothing."""
    plain = model(net, sampler=sampler(length=12))
    stopping = model(net, sampler=sampler(length=12, stop=1))
    x = torch.randint(V, (6, 5), generator=torch.Generator().manual_seed(2))
    x[0, 0] = 1
    mask = torch.arange(5) < torch.tensor([3, 0, 5, 1, 0, 2])[:, None]
    given = {"x": x, "mask": mask}
    long, short = plain.sample(6, given=given, seed=4), stopping.sample(6, given=given, seed=4)
    assert sampler is Greedy or (long != short).any()
    for i in range(6):
        n = int(mask[i].sum())
        stops = (long[i, n:] == 1).nonzero()
        end = n + int(stops[0]) if len(stops) else 12
        assert torch.equal(short[i, :end], long[i, :end]) and (short[i, end:] == 1).all()
        one = {"x": x[i : i + 1, :n], "mask": mask[i : i + 1, :n]}
        assert torch.equal(stopping.sample(1, given=one, seed=4, first=i)[0], short[i])


def test_drawing_ends_when_all_have_stopped():
    m = model("gru", sampler=Sample(length=500, stop=1))
    calls = []
    m.net.register_forward_hook(lambda *_: calls.append(1))
    x = m.sample(3, seed=0)
    last = int((x == 1).int().argmax(1).max())
    assert len(calls) == last + 1 < 100 and (x[:, last:] == 1).all()


def test_a_prompt_may_be_longer_than_max_length():
    x = torch.randint(V, (2, 7))
    out = model(sampler=Greedy(length=9)).sample(2, given={"x": x, "mask": x >= 0})
    assert torch.equal(out[:, :7], x)


def test_the_mask_says_what_counts():
    m, mask = model(), torch.arange(T) < torch.tensor([1, 3, 4])[:, None]
    x = EVERY[[5, 40, 70]]
    batch = {"x": x, "mask": mask}
    with torch.no_grad():
        whole = m.log_prob(batch)
        for i, n in enumerate((1, 3, 4)):
            short = m.log_prob({"x": x[i : i + 1, :n]})
            torch.testing.assert_close(whole[i : i + 1], short)
            torch.testing.assert_close(m.loss(batch)["loss"][i], -short[0] / n)


def test_classes_condition_and_each_example_draws_its_own():
    m = model(num_classes=4)
    cond = torch.tensor([0, 1, 2, 3])
    with torch.no_grad():
        a = m.log_prob({"x": EVERY[:4], "cond": cond})
        b = m.log_prob({"x": EVERY[:4], "cond": cond.flip(0)})
    assert not torch.allclose(a, b)
    drawn = m.sample(40, seed=1)
    parts = torch.cat([m.sample(7, seed=1, first=i) for i in range(0, 35, 7)])
    assert torch.equal(drawn[:35], parts)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: model(shape=(1, 8, 8)), r"data.shape=\[1, 8, 8\].*digits_pixels"),
        (lambda: model(start_token=9), r"model.start_token=9"),
        (lambda: model(sampler=Sample(stop=3)), r"sampler.stop=3.*0 to 2"),
        (lambda: model(sampler=Greedy(stop=-1)), r"sampler.stop=-1"),
        (lambda: prompted([[0, 1]], [[False, True]]), r"given.mask.*without a gap"),
        (lambda: prompted([[0, 7]], [[True, True]]), r"given.x has tokens from 0 to 7"),
        (lambda: prompted([[0] * 5], [[True] * 5]), r"sampler.length=5"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def prompted(x, mask):
    return model().sample(1, given={"x": torch.tensor(x), "mask": torch.tensor(mask)})
