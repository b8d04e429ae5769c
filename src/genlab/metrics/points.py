"""Points: where the law is known the floors are its own, else those of training points.

Read: `distances` and `shares` (what is measured), `law_floor` (what the law itself scores),
`train_floor` (what training points score, where no law is known).
"""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.metrics import likelihood, toy
from genlab.metrics.base import Evaluation, Samples
from genlab.metrics.interval import (
    groups_of,
    jackknife,
    jackknife_interval,
    mean_interval,
    num_groups,
    share_interval,
)
from genlab.metrics.near import PointCopies
from genlab.metrics.report import Data, Model, Report, gather
from genlab.rng import generator

DRAWN = 50_000  # points of the law, for a floor without a closed form
KNOWN = "law_log_prob, in_support, mode figures, kl_to_model"  # what needs a law that is known
REPEATS = 8  # draws as large as the samples, for a floor that depends on their number


class PointsEvaluation(Evaluation):
    """Points, against held-out points and, where it is known, the exact law."""

    kind = "points"
    near = PointCopies()
    least = 2

    def __init__(
        self,
        *,
        num_samples: int = 5000,
        chunk: int = 2500,
        likelihood_examples: int | None = None,
    ) -> None:
        super().__init__(
            num_samples=num_samples, chunk=chunk, likelihood_examples=likelihood_examples
        )
        self._floor: tuple[tuple, Report] | None = None  # of the law and number asked last

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        x, val = samples.x, gather(data.val, torch.arange(len(data.val)))["x"]
        if len(x) > 1:
            distances(report, x, val)
            shares(report, data, x)
        key = (data.fingerprint(), len(x))
        if self._floor is None or self._floor[0] != key:
            floor_of = train_floor if exact_log_prob(data, val[:1]) is None else law_floor
            self._floor = key, floor_of(data, len(x), val) if len(x) > 1 else Report()
        floor = self._floor[1]
        report.floor |= {k: v for k, v in floor.floor.items() if k in report.metrics}
        report.floor_interval |= {
            k: v for k, v in floor.floor_interval.items() if k in report.metrics
        }
        report.notes |= floor.notes
        self.law(report, model, data, samples.cond, val)
        report.pictures["samples"] = x

    def law(
        self, report: Report, model: Model, data: Data, asked: Tensor | None, val: Tensor
    ) -> None:
        """What a perfect model's likelihood is, and how far this one's is from it, in nats.

        kl_to_model: KL(law | model) = E_law[log p - log q], from held-out points (a bound where the
        model's likelihood is one). For data with classes the model's q is given the class.
        """
        log_p = exact_log_prob(data, val)
        if log_p is None or model.likelihood == "none" or asked is not None:
            return
        bound = "" if model.likelihood == "exact" else "_bound"
        name = f"nats_per_example{bound}"
        floor = likelihood.entropy(log_p)
        report.floor[name] = floor
        if self.likelihood_examples is None:
            report.metrics[f"kl_to_model{bound}"] = report.metrics[name] - floor
            report.floor[f"kl_to_model{bound}"] = 0.0


def distances(report: Report, x: Tensor, val: Tensor) -> None:
    """Energy and sliced Wasserstein distance of x [N, D] from held-out points [M, D]."""
    groups = num_groups(len(x), len(val))
    if not groups:
        report.metrics["energy_distance"] = toy.energy_distance(x, val)
        report.metrics["sliced_wasserstein"] = toy.sliced_wasserstein(x, val)
        return
    mine, theirs = (groups_of(len(points), most=groups) for points in (x, val))
    energy, without = toy.energy_distances(x, val, mine, theirs)
    report.metrics["energy_distance"] = energy
    report.interval["energy_distance"] = jackknife_interval(energy, without)
    sliced = report.metrics["sliced_wasserstein"] = toy.sliced_wasserstein(x, val)
    without = [toy.sliced_wasserstein(x[mine != g], val[theirs != g]) for g in range(groups)]
    report.interval["sliced_wasserstein"] = jackknife_interval(sliced, without)


def shares(report: Report, data: Data, x: Tensor) -> None:
    """How x [N, D] lies about the modes, and how likely it is under the law, where these exist."""
    num = len(x)
    if (modes := modes_of(data)) is not None:
        values = toy.mode_metrics(x, *modes)
        report.metrics |= values
        hits = round(values["high_quality_share"] * num)
        report.interval["high_quality_share"] = share_interval(hits, num)
        if "mode_kl" in values:
            part = {"mode_kl": values["mode_kl"]}
            report.interval |= jackknife(lambda ids: toy.mode_metrics(x[ids], *modes), num, part)
    log_p = exact_log_prob(data, x)
    if log_p is not None:
        report.metrics |= toy.law_metrics(log_p)
        inside = log_p[torch.isfinite(log_p)]
        report.interval["in_support"] = share_interval(len(inside), num)
        if len(inside) > 1:
            report.interval["law_log_prob"] = mean_interval(inside)


def law_floor(data: Data, num: int, val: Tensor) -> Report:
    """What `num` draws from the law itself score, as a report's floor.

    Exact: unbiased distances, the support, and for modes far apart whatever a Gaussian's closed
    form gives. The rest is the mean over draws, with its interval.
    """
    report = Report()
    report.notes["floor"] = "the law itself: exact, or from a large draw with its interval"
    exact, drawn = report.floor, report.floor_interval
    exact["energy_distance"] = 0.0
    many = fresh_points(data, DRAWN + REPEATS * num)
    large, repeats = many[:DRAWN], many[DRAWN:].split(num)
    sliced = torch.tensor([toy.sliced_wasserstein(x, val) for x in repeats])
    exact["sliced_wasserstein"], drawn["sliced_wasserstein"] = with_interval(sliced)
    if exact_log_prob(data, val[:1]) is not None:
        exact["in_support"] = 1.0
        exact["law_log_prob"], drawn["law_log_prob"] = with_interval(exact_log_prob(data, large))
    if (modes := modes_of(data)) is not None:
        centres, std = modes
        share, entropy = toy.separate_modes(centres, std)
        if share is None:
            good = torch.cdist(large.double(), centres.double()).amin(1) < 3 * std
            share, drawn["high_quality_share"] = with_interval(good)
        else:
            exact["law_log_prob"] = -entropy
            drawn.pop("law_log_prob", None)
        exact["high_quality_share"] = share
        exact["modes_covered"] = toy.expected_modes(len(centres), num * share)
        exact["mode_kl"] = toy.expected_mode_kl(len(centres), num * share)
    return report


def train_floor(data: Data, num: int, val: Tensor) -> Report:
    """What training points score against the held-out ones, as a report's floor."""
    report = Report()
    size = min(num, len(data.train))
    draws = [
        torch.randperm(len(data.train), generator=generator("floor", i)) for i in range(REPEATS)
    ]
    sliced = [toy.sliced_wasserstein(gather(data.train, ids[:size])["x"], val) for ids in draws]
    report.floor["energy_distance"] = 0.0
    report.floor["sliced_wasserstein"], report.floor_interval["sliced_wasserstein"] = with_interval(
        torch.tensor(sliced)
    )
    report.notes |= {
        "law": f"not known, so without {KNOWN}",
        "floor": f"exact for energy_distance; {size:,} training points for sliced_wasserstein, mean"
        f" of {REPEATS} draws",
    }
    return report


def with_interval(values: Tensor) -> tuple[float, tuple[float, float]]:
    return float(values.double().mean()), mean_interval(values)


def modes_of(data: Data) -> tuple[Tensor, float] | None:
    """The centres [K, D] and the standard deviation around them, where the law has modes."""
    modes, std = getattr(data, "modes", None), getattr(data, "mode_std", None)
    return None if modes is None or std is None else (torch.as_tensor(modes), float(std))


def exact_log_prob(data: Data, x: Tensor) -> Tensor | None:
    """The exact law's log-density at x [N], or None where it has none in closed form."""
    try:
        return data.log_prob(x)
    except (AttributeError, NotImplementedError):
        return None


def fresh_points(data: Data, num: int) -> Tensor:
    """Draws from the law that no held-out point and, for the first batches, a model has seen."""
    rows, count, k = [], 0, 10**9  # far beyond the batches of any run
    while count < num:
        rows.append(data.train_batch(k)["x"])
        count, k = count + len(rows[-1]), k + 1
    return torch.cat(rows)[:num]
