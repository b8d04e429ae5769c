"""Membership, exact on known losses: what is remembered is found, what is not is not."""

from __future__ import annotations

import contextlib
import math

import pytest
import torch
from data_of import digits
from sklearn.metrics import roc_auc_score

from genlab.data.edits.canaries import Canaries
from genlab.data.edits.forget import Forget
from genlab.metrics.membership import Membership, auc, exposure, true_positives, unseen
from genlab.models.conditions import Conditions


def test_auc_is_the_share_of_pairs_and_its_interval_holds() -> None:
    g = torch.Generator().manual_seed(0)
    members, others = torch.randn(200, generator=g), torch.randn(300, generator=g) + 0.5
    members, others = (v.mul(4).round() for v in (members, others))  # with ties
    truth = roc_auc_score([1] * 200 + [0] * 300, (-torch.cat([members, others])).numpy())
    value, (low, high) = auc(members, others)
    assert value == pytest.approx(truth, abs=1e-12) and low < value < high
    held = 0
    for _ in range(400):  # P(X < Y) for normals a half apart
        a, b = torch.randn(60, generator=g), torch.randn(80, generator=g) + 0.5
        low, high = auc(a, b)[1]
        held += low <= 0.5 * (1 + math.erf(0.5 / 2)) <= high
    assert 0.91 < held / 400 < 0.98
    assert auc(torch.zeros(5), torch.ones(5))[0] == 1.0


def test_true_positives_at_one_percent() -> None:
    others = torch.arange(200.0)
    members = torch.tensor([-1.0, 0.5, 1.5, 2.5, 300.0])
    assert true_positives(members, others)[0] == 0.6  # below the third of 200: two are false
    assert true_positives(others, others)[0] == 0.01


def test_exposure_by_ranks() -> None:
    others = torch.arange(1.0, 1024.0)
    bits = exposure(torch.tensor([0.0, 1.5, 2000.0]), others)
    assert bits.tolist() == pytest.approx([10.0, 9.0, 0.0])
    g = torch.Generator().manual_seed(0)
    drawn = [float(exposure(u[:1], u[1:])) for u in torch.rand(4000, 64, generator=g)]
    assert sum(drawn) / 4000 == pytest.approx(unseen(63), abs=0.07)
    assert unseen(10**6) == pytest.approx(1 / math.log(2), abs=1e-3)


class Remembers:
    """Its loss is low on what it was shown, by `strength`, and noise on all else."""

    likelihood, device, conditions = "none", torch.device("cpu"), Conditions()

    def __init__(self, shown: torch.Tensor, strength: float) -> None:
        self.shown, self.strength = {row.numpy().tobytes() for row in shown}, strength

    def loss(self, batch) -> dict[str, torch.Tensor]:
        known = torch.tensor([row.numpy().tobytes() in self.shown for row in batch["x"]])
        return {"loss": torch.randn(len(known)) - self.strength * known}

    def drawing(self):
        return contextlib.nullcontext()


def test_what_is_remembered_is_found_with_its_control() -> None:
    data = digits()
    data.edits = [Canaries(repeats=[1, 10], num=20)]
    train = data.train.batch(torch.arange(len(data.train)))["x"]
    found = Membership(num_examples=300)(Remembers(train, 20.0), data)
    assert found.metrics["membership_auc"] == 1.0 == found.metrics["membership_found"]
    low, high = found.interval["control_auc"]
    assert low < 0.5 < high
    assert found.metrics["exposure_10"] == pytest.approx(math.log2(301)), "all are first"
    blank = Membership(num_examples=300)(Remembers(train[:0], 20.0), data)
    low, high = blank.interval["membership_auc"]
    assert low < 0.5 < high and blank.metrics["membership_found"] < 0.05
    low, high = blank.interval["exposure_1"]
    assert low < blank.floor["exposure_1"] < high


def test_the_forgotten_are_told_from_held_out_ones_before_and_not_after() -> None:
    plain, data = digits(), digits()
    ids = list(range(0, 60, 2))
    data.edits = [Forget(ids=ids)]
    before = Remembers(plain.train.batch(torch.arange(len(plain.train)))["x"], 3.0)
    after = Remembers(data.train.batch(torch.arange(len(data.train)))["x"], 3.0)
    metric = Membership(num_examples=300, draws=1, ids=ids)
    assert metric(before, plain).metrics["asked_auc"] > 0.95
    metric.ids = None
    found = metric(after, data)
    low, high = found.interval["forgotten_auc"]
    assert low < 0.5 < high and found.notes["num_forgotten"] == 30
    assert found.metrics["membership_auc"] > 0.95
    with pytest.raises(ValueError, match=r"metric\.ids=\[9999\]: numbers from 0 to"):
        Membership(ids=[9999])(before, plain)
