"""Which values of a code are in use, as an evaluation says it."""

from __future__ import annotations

import math

import torch

from genlab.metrics.codes import MOST, code_laws, measure
from genlab.metrics.held_out import HeldOut
from genlab.metrics.report import Report
from genlab.objectives.code_laws import CodeLaws

from .stand_ins import Stub, Table


class Data:
    kind, vocab, levels, num_classes = "points", None, None, None

    def __init__(self, num: int) -> None:
        draws = torch.Generator().manual_seed(0)
        self.val = Table(torch.randn(num, 5, generator=draws), torch.arange(num))


class Coder(Stub):
    """Values 0 and 1 of its code are those of x, the others are nothing."""

    def __init__(self, part: str = "", std: float = 0.5) -> None:
        self.part, self.std, self.seen = part, std, []

    def code_laws(self, batch):
        self.seen.append(len(batch["x"]))
        used = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
        std = (self.std * used + (1 - used)).expand_as(batch["x"])
        return CodeLaws(batch["x"] * used, std, True, self.part)


def test_active_units_are_a_figure_with_the_number_of_values_beside_it() -> None:
    report, model = Report(), Coder()
    measure(report, model, Data(300), chunk=77)
    assert report.metrics == {"active_units": 2.0}
    assert report.remarks == {"active_units": "among 5 values"}
    assert sum(model.seen) == 300 and max(model.seen) == 77
    measure(report, Coder("the top layer"), Data(30))
    assert report.remarks == {"active_units": "among 5 values of the top layer"}


def test_at_most_so_many_examples_are_encoded() -> None:
    model = Coder()
    assert len(code_laws(model, Data(MOST + 50)).mean) == MOST == sum(model.seen)


def test_a_model_without_laws_and_broken_ones_have_no_figure() -> None:
    class Without(Stub):
        def code_laws(self, batch):
            return None

    for model in (Stub(), Without(), Coder(std=math.nan), Coder(std=0.0)):
        report = Report()
        measure(report, model, Data(30))
        assert report.metrics == {} == report.remarks
    assert code_laws(Coder(), Data(1)) is None, "one example has no variance"


def test_every_evaluation_with_a_likelihood_has_it_and_draws_nothing_for_it() -> None:
    before = torch.get_rng_state()
    report = HeldOut(chunk=50)(Coder(), Data(120))
    assert report.metrics["active_units"] == 2
    assert torch.equal(before, torch.get_rng_state())
