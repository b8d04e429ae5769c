"""Quantisers against the truth: nearest codes, gradients, running means, restarts, a grid."""

from __future__ import annotations

import itertools

import pytest
import torch

from genlab.objectives.quantisation import FSQ, VQ, ResidualVQ, VectorQuantiser, perplexity
from genlab.objectives.variational import Gaussian

K, D = 7, 3


def quantiser(**options) -> VectorQuantiser:
    torch.manual_seed(0)
    return VectorQuantiser(vocab=K, dim=D, **options)


def latents(num: int = 5, shape: tuple[int, ...] = (2, 4)) -> torch.Tensor:
    return torch.randn(num, D, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", [(), (6,), (2, 4)])
def test_the_code_is_the_nearest_vector(shape):
    vq, z = quantiser().eval(), latents(shape=shape)
    flat = z.movedim(1, -1).flatten(0, -2)
    nearest = torch.cdist(flat, vq.codebook).argmin(1).view(5, *shape)
    quantised, codes, distance = vq(z)
    assert torch.equal(codes, nearest)
    torch.testing.assert_close(quantised, vq.vectors(codes))
    expected = (z - quantised).square().flatten(1).sum(1)
    torch.testing.assert_close(distance, expected)
    assert torch.equal(vq.codes(vq.vectors(codes)), codes)


@pytest.mark.parametrize("make", [lambda: quantiser().eval(), lambda: FSQ(levels=(5, 4, 3))])
def test_the_gradient_passes_straight_through(make):
    """What z is given is the loss's slope at the quantised vectors, by finite differences there."""
    q, z = make(), latents().requires_grad_(True)
    weight = torch.randn(z.shape, generator=torch.Generator().manual_seed(2))

    def f(v):  # quadratic, so that a central difference is exact
        return (weight * v + (v - 0.3) ** 2).sum()

    quantised, codes, _ = q(z)
    f(quantised).backward()
    at, step = q.vectors(codes), 0.5
    for index in [(0, 0, 0, 0), (3, 2, 1, 3), (4, 1, 0, 2)]:
        nudge = torch.zeros_like(at)
        nudge[index] = step
        slope = (f(at + nudge) - f(at - nudge)) / (2 * step)
        if isinstance(q, FSQ):  # z was bounded first
            n = q.levels[index[1]]
            slope = slope * (1 - 1e-3) * (1 - z[index].tanh() ** 2) * (n - 1) / 2 * 2 / (n - 1)
        assert z.grad[index].item() == pytest.approx(slope.item(), rel=1e-3)
    if isinstance(q, VectorQuantiser):
        z.grad = None
        q(z)[2].sum().backward()  # commitment: 2 (z - sg(e))
        torch.testing.assert_close(z.grad, 2 * (z - at).detach())
    assert not [p for p in q.parameters() if p.requires_grad]


def test_the_codebook_is_the_running_mean_of_its_vectors():
    """With decay 0 one step is Lloyd's: each code used is the mean of what it stands for."""
    vq, z = quantiser(decay=0.0, revive=0.0), latents()
    vq.begun.fill_(True)
    vq.train()
    before, codes = vq.codebook.clone(), vq.codes(z)
    vq(z)
    flat = z.movedim(1, -1).flatten(0, -2)
    for k in range(K):
        mine = flat[codes.flatten() == k]
        torch.testing.assert_close(vq.codebook[k], mine.mean(0) if len(mine) else before[k])
    frozen = vq.codebook.clone()
    vq.eval()
    vq(latents())
    assert torch.equal(vq.codebook, frozen)


def test_the_running_mean_follows_the_decay():
    vq, z = quantiser(decay=0.9, revive=0.0).train(), latents()
    vq.begun.fill_(True)
    vq.usage.fill_(2.0)
    before = vq.codebook.clone()
    codes = vq.codes(z).flatten()
    vq(z)
    flat, k = z.movedim(1, -1).flatten(0, -2), int(codes.mode().values)
    n, m = (codes == k).sum(), flat[codes == k].sum(0)
    expected = (0.9 * 2 * before[k] + 0.1 * m) / (0.9 * 2 + 0.1 * n)
    torch.testing.assert_close(vq.codebook[k], expected)
    assert vq.usage[k].item() == pytest.approx(1.8 + 0.1 * n.item())


def test_it_begins_on_the_data_and_dead_codes_come_back():
    vq, z = quantiser(), 50 + latents(40)
    vq.train()
    vq(z)
    flat = z.movedim(1, -1).flatten(0, -2)
    assert torch.cdist(vq.codebook, flat).min(1).values.max() < 1  # far from N(0, 1)
    vq.codebook[0] = 1e4  # stands for nothing from here on
    for _ in range(300):
        vq(z)
    assert torch.cdist(vq.codebook[:1], flat).min() < 1
    assert perplexity(vq.counts(vq.eval().codes(z)))[0] > 0.6 * K
    off = quantiser(revive=0.0).train()
    off(z)
    off.codebook[0] = 1e4
    for _ in range(300):
        off(z)
    assert (off.codebook[0] == 1e4).all()


def test_clusters_are_found():
    """Four clusters, seven codes: after some steps each cluster has a code of its own."""
    g = torch.Generator().manual_seed(3)
    centres = 10 * torch.randn(4, D, generator=g)
    vq = quantiser(decay=0.8).train()
    for _ in range(100):
        x = centres[torch.randint(4, (64,), generator=g)] + 0.1 * torch.randn(64, D, generator=g)
        vq(x)
    nearest = torch.cdist(centres, vq.codebook)
    assert nearest.min(1).values.max() < 0.3
    assert len(set(nearest.argmin(1).tolist())) == 4


def residual(**options) -> ResidualVQ:
    torch.manual_seed(0)
    return ResidualVQ(**{"stages": 3, "vocab": K, "dim": D, **options})


@pytest.mark.parametrize("shape", [(), (6,), (2, 4)])
def test_each_stage_stands_for_what_those_before_left_over(shape):
    """Algorithm 1 of SoundStream by brute force: vector by vector, code by code."""
    vq, z = residual().eval(), latents(shape=shape)
    quantised, codes, distance = vq(z)
    assert codes.shape == (5, *vq.code_shape(shape)) == (5, *shape, 3)
    flat, found = z.movedim(1, -1).reshape(-1, D), codes.reshape(-1, 3)
    far = torch.zeros(len(flat))
    for n, vector in enumerate(flat):
        left = vector
        for i, stage in enumerate(vq.each):
            distances = [(left - e).square().sum().item() for e in stage.codebook]
            assert found[n, i] == distances.index(min(distances))
            left = left - stage.codebook[found[n, i]]
            far[n] += left.square().sum()
        torch.testing.assert_close(quantised.movedim(1, -1).reshape(-1, D)[n], vector - left)
    torch.testing.assert_close(distance, far.view(5, -1).sum(1))
    assert torch.equal(vq.codes(z), codes)
    torch.testing.assert_close(vq.vectors(codes), quantised)
    coarse = vq.each[0].vectors(codes[..., 0]) + vq.each[1].vectors(codes[..., 1])
    torch.testing.assert_close(vq.vectors(codes[..., :2]), coarse)


def test_more_stages_come_nearer_and_learn_with_their_inputs():
    vq, z = residual(decay=0.8).train(), latents(400)
    for _ in range(50):
        vq(z)
    codes = vq.eval().codes(z)
    far = [(z - vq.vectors(codes[..., :n])).square().mean().item() for n in (1, 2, 3)]
    assert far[1] < 0.7 * far[0] and far[2] < 0.7 * far[1]
    alone = quantiser(decay=0.8).train()
    for _ in range(50):
        alone(z)
    assert far[0] < 1.2 * alone.eval()(z)[2].mean().item() / z[0].numel()


def test_dropout_decodes_from_the_first_codes_alone():
    vq, z = residual(dropout=True, decay=0.0, revive=0.0), latents(64)
    for stage in vq.each:
        stage.begun.fill_(True)
    torch.manual_seed(3)
    frozen = [stage.codebook.clone() for stage in vq.each]
    quantised, codes, distance = vq.train()(z)
    for stage, codebook in zip(vq.each, frozen):
        stage.codebook.copy_(codebook)  # as it was when the codes were read
    lasts = []
    for i in range(64):
        whole = [vq.vectors(codes[i : i + 1, ..., :n])[0] for n in (1, 2, 3)]
        lasts.append(next(n for n, w in enumerate(whole) if torch.allclose(w, quantised[i])))
        far, left = 0.0, z[i]
        for n in range(lasts[-1] + 1):
            left = z[i] - whole[n]
            far += left.square().sum()
        torch.testing.assert_close(distance[i], far)
    assert min(lasts.count(n) for n in range(3)) > 10
    whole = vq.eval()(z)
    torch.testing.assert_close(whole[0], vq.vectors(whole[1]))


def test_the_residuals_gradient_passes_straight_through():
    vq, z = residual().eval(), latents().requires_grad_(True)
    weight = torch.randn(z.shape, generator=torch.Generator().manual_seed(2))
    (vq(z)[0] * weight).sum().backward()
    torch.testing.assert_close(z.grad, weight)
    z.grad = None
    vq(z)[2].sum().backward()  # each stage's commitment: 2 (z - its sum so far)
    codes = vq.codes(z)
    sums = sum(2 * (z - vq.vectors(codes[..., :n])) for n in (1, 2, 3))
    torch.testing.assert_close(z.grad, sums.detach())


def test_fsq_is_the_whole_grid():
    fsq = FSQ(levels=(4, 3))
    assert (fsq.vocab, fsq.dim) == (12, 2)
    codes = torch.arange(12)[None]
    vectors = fsq.vectors(codes)  # [1, 2, 12]
    grid = {tuple(round(v, 4) for v in column) for column in vectors[0].T.tolist()}
    ticks = [[-1, -1 / 3, 1 / 3, 1], [-1, 0, 1]]
    assert grid == {tuple(round(v, 4) for v in p) for p in itertools.product(*ticks)}
    assert torch.equal(fsq.codes(torch.atanh(vectors.clamp(-0.999, 0.999))), codes)
    extremes = fsq.codes(torch.tensor([[-1e9, -1e9], [1e9, 1e9]]))
    assert extremes.tolist() == [0, 11]


def test_perplexity_counts_the_codes_in_use():
    counts = VectorQuantiser(vocab=10, dim=D).counts
    assert perplexity(counts(torch.arange(8).repeat(3))).tolist() == pytest.approx([8], rel=1e-5)
    assert perplexity(counts(torch.zeros(9, dtype=torch.long))).tolist() == pytest.approx([1])
    vq = ResidualVQ(stages=2, vocab=4, dim=D)
    codes = torch.stack([torch.arange(4).repeat(2), torch.tensor([0, 1] * 4)], -1).view(2, 4, 2)
    assert vq.counts(codes).tolist() == [[2, 2, 2, 2], [4, 4, 0, 0]]
    assert perplexity(vq.counts(codes)).tolist() == pytest.approx([4, 2], rel=1e-5)


def test_the_loss_is_in_nats_per_example():
    x, params, distance = torch.randn(4, 2, 3), torch.randn(4, 2, 3), torch.rand(4)
    objective = VQ(Gaussian(sigma=1.0), quantiser(), beta=0.25)
    terms = objective.loss(x, params, torch.zeros(4, 5, dtype=torch.long), distance)
    normal = torch.distributions.Normal(params, 1.0)
    nll = -normal.log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(terms["loss"], nll + 0.25 * distance)
    assert all(t.shape == (4,) for t in terms.values())


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: VectorQuantiser(vocab=1), "objective.quantiser.vocab=1"),
        (lambda: VectorQuantiser(decay=1.0), "objective.quantiser.decay=1.0"),
        (lambda: VectorQuantiser(revive=1.0), "objective.quantiser.revive=1.0"),
        (lambda: ResidualVQ(stages=0), "objective.quantiser.stages=0"),
        (lambda: ResidualVQ(vocab=64, dim=D)(latents()), "a batch has 40 vectors"),
        (lambda: FSQ(levels=(5, 4), vocab=21), "write 20"),
        (lambda: FSQ(levels=(1, 5)), "objective.quantiser.levels="),
        (lambda: VQ(Gaussian(), FSQ(), beta=-1.0), "objective.beta=-1.0"),
    ],
)
def test_errors_name_the_key(make, key):
    with pytest.raises(ValueError, match=key) as error:
        make()
    assert "\n" not in str(error.value)
