"""The loss at each noise level: 1 is the best affine denoiser's, for every objective."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from gaussian import S, exact_net
from test_mean_flow import exact as exact_mean_flow

from genlab.metrics.noise_levels import measure
from genlab.metrics.report import Report
from genlab.models.diffusion import Diffusion
from genlab.nn.mlp import MLP
from genlab.objectives.consistency import EasyConsistency
from genlab.objectives.diffusion import DDPM, EDM, Flow
from genlab.objectives.flows import CosineFlow
from genlab.objectives.mean_flow import MeanFlow
from genlab.objectives.noise_levels import EDGES, denoised
from genlab.samplers.diffusion import Euler

PATHS = {
    "edm": EDM(),
    "ddpm": DDPM(prediction="v"),
    "flow": Flow(),
    "cosine": CosineFlow(),
    "mean_flow": MeanFlow(),
}


def exact_ddpm(x, level):
    """v of the normal law, between two of the T levels as well."""
    index = level * 1000
    low = index.floor().long().clamp(max=998)
    table = PATHS["ddpm"].sigmas().log()
    sigma = torch.lerp(table[low], table[low + 1], index - low).exp()[:, None]
    alpha = (1 + sigma**2).rsqrt()
    return alpha**2 * sigma * (1 - S**2) / (alpha**2 * (S**2 + sigma**2)) * x


def law(num: int = 4000) -> torch.Tensor:
    return S * torch.randn(num, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", PATHS)
def test_of_a_normal_law_the_exact_denoiser_is_at_1_at_every_level(name):
    path, x = PATHS[name], law()
    nets = {"mean_flow": exact_mean_flow, "ddpm": exact_ddpm}
    net_fn = nets[name] if name in nets else exact_net(path)
    torch.manual_seed(0)
    found = denoised(path, net_fn, x)
    there = found.error.isfinite().all(0)
    assert there.tolist() == [name != "ddpm"] + 8 * [True]  # DDPM's levels begin at 0.01
    ratio, loss = found.ratio[:, there], found.loss()[:, there]
    edges = torch.tensor(EDGES, dtype=torch.float64)
    assert (ratio >= edges[:-1][there]).all() and (ratio <= edges[1:][there]).all()
    torch.testing.assert_close(loss.mean(0), torch.ones(len(loss.T)).double(), atol=0.05, rtol=0)
    worse = denoised(path, lambda x, t: net_fn(x, t) + 1, x).loss().nanmean(0)
    assert (worse[there] > 1.05).any()


def test_where_the_path_has_no_levels_there_is_no_number():
    found = denoised(EDM(sigma_min=0.05, sigma_max=2.0), exact_net(EDM()), law(50))
    edges = list(pairwise(EDGES))
    there = [high > 0.05 and low < 2.0 for low, high in edges]
    assert found.error.isfinite().all(0).tolist() == there
    assert float(found.ratio[:, there].min()) >= 0.05 and float(found.ratio[:, there].max()) <= 2.0
    assert denoised(EasyConsistency(), lambda x, t: x, law(5)) is None  # f is no E[x_0 | x_t]


class Points:
    """Held-out points of deviation 0.5."""

    val = None

    def __init__(self, num: int) -> None:
        self.num, self.val = num, self
        self.x = 0.5 * torch.randn(num, 8, generator=torch.Generator().manual_seed(1))

    def __len__(self) -> int:
        return self.num

    def batch(self, ids, generator):
        return {"x": self.x[ids]}


def measured(objective, chunk: int = 250) -> Report:
    torch.manual_seed(0)
    model = Diffusion(MLP((8,)), objective=objective, sampler=Euler(num_steps=1), shape=(8,))
    report = Report()
    measure(report, model, Points(1000), chunk=chunk)
    return report


def test_edm_begins_flat():
    """A network that says nothing: EDM's c_skip is the best linear denoiser at each level."""
    rows = measured(EDM(sigma_data=0.5)).noise_levels
    assert len(rows) == 9
    for row in rows:
        assert row["loss"] == pytest.approx(1.0, abs=0.06), row
        assert row["interval"][0] < row["loss"] < row["interval"][1]
        assert row["ratio"][0] < row["ratio"][1] < row["ratio"][0] * 10**0.5
    flow = [row["loss"] for row in measured(Flow()).noise_levels]  # D = x_t: all of the noise
    assert flow[0] == pytest.approx(1.25, abs=0.1) and flow[-1] == pytest.approx(5.0, abs=0.3)


def test_a_model_that_denoises_nothing_has_no_rows():
    report = Report()
    measure(report, torch.nn.Identity(), Points(10))
    assert report.noise_levels == []
