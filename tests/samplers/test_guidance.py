"""Guidance against closed forms: weights, where it acts, what is put right, a weaker model."""

from __future__ import annotations

import math

import pytest
import torch
from gaussian import Noise

from genlab.objectives.diffusion import EDM, Flow
from genlab.samplers.diffusion import Euler, Heun
from genlab.samplers.guidance import (
    Guidance,
    by_weaker,
    classifier_free,
    rescaled,
    thresholded,
)
from genlab.samplers.multistep import DPMpp

MEANS = torch.tensor([[-1.0, 0.4], [0.8, 0.1], [0.2, -0.9]], dtype=torch.float64)  # of classes
S = 0.3  # the deviation within a class; no class: all three of them
ALL = torch.tensor([3, 3, 3, 3])


def log_density(x: torch.Tensor, c: torch.Tensor, alpha: float, sigma: float) -> torch.Tensor:
    """log p_t(x | c) [B], up to what does not depend on x."""
    variance = (alpha * S) ** 2 + sigma**2
    each = -((x[:, None] - alpha * MEANS) ** 2).sum(-1) / (2 * variance)
    chosen = each.gather(1, c.clamp(max=2)[:, None])[:, 0]
    return torch.where(c == 3, each.logsumexp(1) - math.log(3), chosen)


def truth(x, cond, none, weight, alpha, sigma) -> torch.Tensor:
    """(x + sigma^2 grad log p(x | c)^w p(x)^(1 - w)) / alpha: Tweedie's formula."""
    x = x.clone().requires_grad_()
    log_p = weight * log_density(x, cond, alpha, sigma)
    log_p = log_p + (1 - weight) * log_density(x, none, alpha, sigma)
    (score,) = torch.autograd.grad(log_p.sum(), x)
    return (x.detach() + sigma**2 * score) / alpha


def flow_net(x: torch.Tensor, t: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    t = float(t[0])
    D = truth(x, c, c, 1.0, 1 - t, t)
    return (x - D) / t


def edm_net(x: torch.Tensor, c_noise: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    sigma, data = float((4 * c_noise[0]).exp()), EDM().sigma_data
    total = math.sqrt(sigma**2 + data**2)
    y = total * x
    D = truth(y, c, c, 1.0, 1.0, sigma)
    return (D - data**2 / total**2 * y) / (sigma * data / total)


NETS = {"Flow": (Flow(), flow_net, 0.4), "EDM": (EDM(), edm_net, 0.7)}
X = torch.randn(4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
COND = torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 3.0])
def test_the_guided_denoiser_is_that_of_the_powers_of_two_densities(name, weight):
    path, net, t = NETS[name]
    found, net_fn = classifier_free(path, net, COND, ALL, Guidance(weight=weight))
    expected = truth(X, COND, ALL, weight, *path.alpha_sigma(t))
    torch.testing.assert_close(found.denoise(net_fn, X, t), expected)
    torch.testing.assert_close(found.drift(net_fn, X, t), (X - expected) / t)
    negative = torch.tensor([1, 2, 0, 1])  # away from another class
    found, net_fn = classifier_free(path, net, COND, negative, Guidance(weight=weight))
    expected = truth(X, COND, negative, weight, *path.alpha_sigma(t))
    torch.testing.assert_close(found.denoise(net_fn, X, t), expected)


def counted(net):
    sizes = []

    def passed(x, t, c):
        sizes.append(len(x))
        return net(x, t, c)

    return passed, sizes


def test_two_outputs_are_one_pass_and_one_is_one():
    for weight, size in ((3.0, 8), (1.0, 4), (0.0, 4)):
        net, sizes = counted(flow_net)
        path, net_fn = classifier_free(Flow(), net, COND, ALL, Guidance(weight=weight))
        path.denoise(net_fn, X, 0.3)
        assert sizes == [size]


@pytest.mark.parametrize("solver", [Euler, Heun, DPMpp])
def test_guidance_acts_between_two_ratios_alone(solver):
    """It costs nothing outside, and an interval that holds all levels changes nothing."""
    net, sizes = counted(flow_net)
    path, net_fn = classifier_free(Flow(), net, COND, ALL, Guidance(weight=3, above=0.2, below=2))
    times = [t for t in Flow().times(20).tolist() if 0 < t < 1]
    path_sizes = []
    for t in times:
        sizes.clear()
        path.drift(net_fn, X, t)
        path_sizes.append(sizes[0])
    ratios = [t / (1 - t) for t in times]
    assert path_sizes == [8 if 0.2 < r <= 2 else 4 for r in ratios]

    def drawn(guidance):
        it, net_fn = classifier_free(Flow(), flow_net, COND, ALL, guidance)
        return solver(num_steps=20, schedule="karras")(it, net_fn, Noise(4), (2,))

    whole = drawn(Guidance(weight=3))
    torch.testing.assert_close(drawn(Guidance(weight=3, above=1e-9, below=1e9)), whole)
    part = drawn(Guidance(weight=3, above=0.2, below=2))
    assert not torch.allclose(part, whole)
    assert not torch.allclose(part, drawn(Guidance(weight=1)))


def test_each_of_several_levels_is_guided_by_itself():
    guidance = Guidance(weight=3, above=0.2, below=2)

    def linear(x, t, c):
        return x * t[:, None] + c[:, None]

    path, net_fn = classifier_free(Flow(), linear, COND, ALL, guidance)
    t = torch.tensor([0.05, 0.3, 0.6, 0.9], dtype=torch.float64)
    found = path.denoise(net_fn, X, t)
    for i in range(4):
        one, one_fn = classifier_free(Flow(), linear, COND[i : i + 1], ALL[:1], guidance)
        alone = one.denoise(one_fn, X[i : i + 1], float(t[i]))
        torch.testing.assert_close(found[i : i + 1], alone)


def test_rescaling_brings_the_deviation_back():
    plain, D = torch.randn(3, 1, 8, 8), 4 * torch.randn(3, 1, 8, 8)
    whole = rescaled(D, plain, 1.0)
    torch.testing.assert_close(whole.flatten(1).std(1), plain.flatten(1).std(1))
    torch.testing.assert_close(rescaled(D, plain, 0.7), 0.7 * whole + 0.3 * D)
    assert torch.equal(Guidance(weight=2, rescale=1.0).sharpened(plain, plain), plain)


def test_thresholding_holds_values_within_one():
    D = torch.tensor([[0.5, -0.2, 0.1, 0.9], [4.0, -2.0, 1.0, 0.5]])
    found = thresholded(D, 0.75)
    s = float(D[1].abs().quantile(0.75))
    torch.testing.assert_close(found[0], D[0])  # s is never below 1
    torch.testing.assert_close(found[1], torch.tensor([1.0, -2.0 / s, 1.0 / s, 0.5 / s]))


def test_a_weaker_model_is_what_it_goes_away_from():
    """Karras 2024, eq. 5, with a weaker net whose clusters are wider."""

    def weak(x, t):
        return flow_net(x, t, ALL)

    def strong(x, t):
        return flow_net(x, t, COND)

    path, net_fn = by_weaker(Flow(), strong, Flow(), weak, Guidance(weight=2.0))
    t = 0.4
    expected = 2 * Flow().denoise(strong, X, t) - Flow().denoise(weak, X, t)
    torch.testing.assert_close(path.denoise(net_fn, X, t), expected)
    assert by_weaker(Flow(), strong, Flow(), weak, Guidance())[0].__class__ is Flow


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Heun(guidance_above=3, guidance_below=2), r"sampler\.guidance_above=3"),
        (lambda: Heun(rescale=1.5), r"sampler\.rescale=1\.5"),
        (lambda: Heun(threshold=0), r"sampler\.threshold=0"),
    ],
)
def test_wrong_knobs_are_refused_by_name(wrong, said):
    with pytest.raises(ValueError, match=said):
        wrong()
