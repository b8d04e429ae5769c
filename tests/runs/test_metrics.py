"""Metrics from the command line: none, several, and one's own that give the wrong thing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from running import genlab_here

QUICK = [
    "data=ring", "model=diffusion", "net=mlp", "net.width=16", "data.batch_size=64",
    "budget.examples=512", "look_every=null", "logger=none", "callbacks.look.num=4",
]  # fmt: skip
MINE = """
from genlab.metrics.base import Evaluation
from genlab.metrics.report import Report


class Mean(Evaluation):
    def compare(self, report, model, data, samples):
        report.metrics["mean"] = float(samples.x.mean())
        report.metrics["energy_distance"] = 7.0


class Tensor(Evaluation):
    def compare(self, report, model, data, samples):
        report.metrics["mean"] = samples.x.mean()


class Nothing(Evaluation):
    pass


class Dict:
    def __call__(self, model, data, num=None, seed=0):
        return {"a": 1.0}


class Few:
    def __call__(self, model, data):
        return Report()
"""


def write(folder: Path, metric: str) -> list[str]:
    """A package of metrics, an experiment that uses `metric`; the words that name both."""
    (folder / "my_metrics").mkdir()
    (folder / "my_metrics" / "__init__.py").write_text(MINE)
    (folder / "experiment").mkdir()
    text = f"# @package _global_\n# mine\ndefaults:\n  - override /metric: none\n{metric}\n"
    (folder / "experiment" / "mine.yaml").write_text(text)
    return ["trust=[my_metrics]", "--config-dir", str(folder), "experiment=mine"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Tensor", "metric: Tensor gave metrics['mean'] as a Tensor: it must be a float"),
        ("Nothing", "metric: Nothing has no compare: write it"),
        ("Dict", "metric: Dict gave a dict: it must give a genlab.metrics.report.Report"),
        ("Few", "metric: Few takes other arguments"),
    ],
)
def test_an_own_metric_that_gives_the_wrong_thing_is_refused_before_training(
    name: str, said: str, tmp_path: Path, monkeypatch
) -> None:
    words = write(tmp_path, f"metric:\n  _target_: my_metrics.{name}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_metrics", raising=False)
    done = genlab_here("train", *words, *QUICK, f"hydra.run.dir={tmp_path / 'run'}")
    lines = [x for x in done.stderr.splitlines() if not x.endswith(str(tmp_path / "run"))]
    assert done.returncode == 2 and len(lines) == 1 and said in lines[0], done.stderr
    assert not (tmp_path / "run").exists()


def test_several_metrics_measure_one_run(tmp_path: Path, monkeypatch) -> None:
    node = "_target_: genlab.metrics.points.PointsEvaluation, num_samples: 50"
    words = write(
        tmp_path,
        f"metric:\n  mine: {{_target_: my_metrics.Mean, num_samples: 20}}\n  points: {{{node}}}",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_metrics", raising=False)
    run = tmp_path / "run"
    done = genlab_here("train", *words, *QUICK, f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    found = json.loads((run / "evaluation.json").read_text())
    assert {"mean", "mine/energy_distance", "points/energy_distance", "modes_covered"} <= set(
        found["metrics"]
    )
    assert found["floor"]["points/energy_distance"] == 0
    low, high = found["interval"]["points/energy_distance"]
    assert low < found["metrics"]["points/energy_distance"] < high
    assert found["metrics"]["finite_share"] == 1  # both measured the same


def test_without_a_metric_a_run_still_ends_with_its_report(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = genlab_here("train", *QUICK, "metric=none", f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    assert (run / "report.html").is_file() and not (run / "evaluation.json").exists()
    done = genlab_here("evaluate", f"run={run}")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "metric=none: nothing to measure with; write metric=knn_kl" in done.stderr
    assert "points" in done.stderr
    done = genlab_here("evaluate", f"run={run}", "metric=points", "metric.num_samples=20")
    assert done.returncode == 0, done.stderr
    assert "energy_distance" in done.stdout and " to " in done.stdout
