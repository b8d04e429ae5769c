"""Several metrics at once, and metrics of one's own that give the wrong thing."""

from __future__ import annotations

import pytest
import torch

from genlab.metrics.base import Evaluation
from genlab.metrics.report import Report
from genlab.metrics.several import check_metric, measure, rehearse

from .stand_ins import Ring, RingModel


def metric(give):
    class Mine:
        def __call__(self, model, data, *, num=None, seed=0):
            return give()

    return Mine()


WRONG = {
    "a dict": (lambda: {"metrics": {}}, "gave a dict: it must give a genlab.metrics.report.Report"),
    "nothing": (lambda: None, "gave a NoneType"),
    "a tensor": (
        lambda: Report(metrics={"a": torch.ones(())}),
        "metrics['a'] as a Tensor: it must",
    ),
    "a word": (lambda: Report(floor={"a": "low"}), "floor['a'] as a str"),
    "a flag": (lambda: Report(metrics={"a": True}), "metrics['a'] as a bool"),
    "one end": (lambda: Report(interval={"a": (1.0,)}), "interval['a']=(1.0,): it must be two"),
    "a fault": (lambda: 1 / 0, "ZeroDivisionError: division by zero (" + __file__),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_gives_the_wrong_thing_is_refused_in_one_line(case):
    give, said = WRONG[case]
    ring = Ring()
    with pytest.raises(ValueError) as told:
        rehearse({"mine": metric(give)}, RingModel(ring), ring)
    assert str(told.value).startswith("metric.mine: Mine ") and said in str(told.value)
    assert "\n" not in str(told.value)


def test_what_cannot_be_called_so_is_refused():
    with pytest.raises(ValueError, match="metric: object cannot be called as metric"):
        check_metric(object())

    class Other:
        def __call__(self, model):
            return Report()

    with pytest.raises(ValueError, match="Other takes other arguments"):
        check_metric(Other())


def test_a_rehearsal_is_short_and_leaves_the_random_state_and_the_metric():
    calls = []

    class Mine(Evaluation):
        kind = "points"

        def compare(self, report, model, data, samples):
            calls.append((samples.num, self.likelihood_examples, float(torch.rand(()))))
            report.metrics["mine"] = 1.0

    ring, mine, before = Ring(), Mine(), torch.get_rng_state()
    rehearse({"": mine}, RingModel(ring), ring)
    assert calls[0][:2] == (8, 8) and mine.likelihood_examples is None
    assert torch.equal(before, torch.get_rng_state())


def test_numbers_bear_the_metrics_name_only_where_they_clash():
    one = Report(
        metrics={"loss": 1.0, "distance": 2.0, "a": 3.0}, floor={"distance": 0.0},
        interval={"distance": (1.0, 3.0)}, notes={"num": 5}, pictures={"samples": torch.ones(1)},
    )  # fmt: skip
    two = Report(
        metrics={"loss": 1.0, "distance": 7.0, "b": 4.0}, remarks={"distance": "far"},
        notes={"num": 6}, pictures={"samples": torch.zeros(1), "pairs": torch.ones(2)},
    )  # fmt: skip
    both = measure({"one": metric(lambda: one), "two": metric(lambda: two)}, None, None)
    assert both.metrics == {
        "loss": 1.0, "one/distance": 2.0, "a": 3.0, "two/distance": 7.0, "b": 4.0
    }  # fmt: skip
    assert both.floor == {"one/distance": 0.0}
    assert both.interval == {"one/distance": (1.0, 3.0)}
    assert both.remarks == {"two/distance": "far"}
    assert both.notes == {"one/num": 5, "two/num": 6}
    assert float(both.pictures["samples"]) == 1 and len(both.pictures["pairs"]) == 2
    assert measure({"": metric(lambda: one)}, None, None) is one
