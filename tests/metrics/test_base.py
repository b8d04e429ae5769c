"""What every metric shares: asking, drawing, counting, telling."""

from __future__ import annotations

import pytest
import torch

from genlab.metrics.base import FEW, MANY, Evaluation
from genlab.models.conditions import Conditions

from .stand_ins import Handout, Stub, Table


class Mean(Evaluation):
    def compare(self, report, model, data, samples):
        report.metrics["mean"] = float(samples.x.mean())
        report.pictures["samples"] = samples.x
        self.samples = samples


class Data:
    """Ten examples [4], with whatever conditions."""

    num_classes = vocab = levels = None

    def __init__(self, cond=None, num_classes=None):
        self.val = Table(torch.arange(40.0).view(10, 4), cond)
        self.num_classes = num_classes

    def units(self, totals, *, discrete):
        return {}


class Asked(Stub):
    """Draws what it is asked for."""

    def sample(self, num, cond=None, given=None, *, seed=0, first=0):
        return cond.float().view(num, -1)


def test_samples_are_asked_by_index_so_chunks_do_not_matter():
    x = torch.arange(10.0)[:, None]
    for chunk in (1, 3, 10, 99):
        metric = Mean(num_samples=10, chunk=chunk)
        report = metric(Handout(x), Data())
        assert torch.equal(metric.samples.x, x) and "samples_cond" not in report.pictures


@pytest.mark.parametrize(
    "cond",
    [
        torch.arange(10) + 5,  # numbers that are no classes
        torch.randint(0, 9, (10, 7)),  # captions
        torch.randn(10, 3),  # values
    ],
)
def test_samples_are_asked_for_under_the_conditions_of_held_out_examples(cond):
    metric = Mean(num_samples=25, chunk=4)
    report = metric(Asked(), Data(cond))
    assert torch.equal(report.pictures["samples_cond"], metric.samples.cond)  # and shown with it
    rows = {tuple(row) for row in cond.float().view(10, -1).tolist()}
    assert {tuple(row) for row in metric.samples.x.tolist()} == rows
    assert torch.equal(metric.samples.cond.float().view(25, -1), metric.samples.x)
    assert report.notes["conditional"] is True
    assert report.remarks["loss"] == "given condition"


def test_several_conditions_by_name_are_asked_for_together():
    class Both(Stub):
        def sample(self, num, cond=None, given=None, *, seed=0, first=0):
            return torch.cat([cond["a"], cond["b"]], 1).float()

    cond = {"a": torch.arange(10)[:, None], "b": torch.arange(10)[:, None] * 2}

    class Named(Data):
        def __init__(self):
            super().__init__()
            self.val.batch = lambda ids, generator=None: {
                "x": torch.zeros(len(ids), 2), "cond": {k: v[ids] for k, v in cond.items()},
            }  # fmt: skip

    metric = Mean(num_samples=12, chunk=5)
    metric(Both(), Named())
    assert torch.equal(metric.samples.x[:, 1], 2 * metric.samples.x[:, 0])


def test_classes_come_in_the_held_out_proportions_and_the_likelihood_says_given_class():
    labels = torch.tensor([0] * 6 + [1] * 3 + [2])
    metric = Mean(num_samples=25)
    report = metric(Asked(), Data(labels, num_classes=3))
    assert metric.samples.cond.bincount().tolist() in ([15, 8, 2], [15, 7, 3])
    assert report.remarks["loss"] == "given class"


def test_a_model_without_conditions_is_not_asked():
    class Free(Handout):
        conditions = Conditions()

        def sample(self, num, cond=None, given=None, *, seed=0, first=0):
            assert cond is None
            return super().sample(num, first=first)

    report = Mean(num_samples=5)(Free(torch.zeros(5, 4)), Data(torch.zeros(10).long(), 1))
    assert "conditional" not in report.notes
    assert report.remarks == {}


def test_more_samples_of_a_model_that_draws_in_a_few_passes():
    class Net(torch.nn.Module, Stub):
        def __init__(self, passes):
            super().__init__()
            self.net, self.passes = torch.nn.Linear(4, 4), passes

        def sample(self, num, cond=None, given=None, *, seed=0, first=0):
            x = torch.ones(num, 4)
            for _ in range(self.passes):
                x = self.net(x).detach()
            return x

    for passes, expected in ((1, MANY), (4, MANY), (18, FEW)):
        net = Net(passes)
        assert Mean()(net, Data()).notes["num_samples"] == expected
        assert not net.net._forward_hooks
        assert Mean(num_samples=7)(net, Data()).notes["num_samples"] == 7
        assert Mean(num_samples=7)(net, Data(), num=3).notes["num_samples"] == 3


def test_what_is_done_is_told_from_0_to_1():
    told = []
    metric = Mean(num_samples=10, chunk=3, likelihood_examples=5)
    metric.progress = lambda stage, share: told.append((stage, share))
    metric(Handout(torch.zeros(10, 4)), Data())
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == ["held-out likelihood", "drawing samples", "comparing"]
    for stage in stages:
        shares = [share for s, share in told if s == stage]
        assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1


def test_samples_that_are_not_finite_leave_their_conditions_too():
    class Broken(Asked):
        def sample(self, num, cond=None, given=None, *, seed=0, first=0):
            x = super().sample(num, cond, given)
            x[x == 3] = torch.nan
            return x

    metric = Mean(num_samples=10)
    report = metric(Broken(), Data(torch.arange(10)))
    assert report.metrics["finite_share"] == 0.9
    assert 3 not in metric.samples.cond and len(metric.samples.x) == 9
