"""Training from Python: the run's folder comes back, and a mistake is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from running import TINY

import genlab
from genlab.runs.notebook import data_of, evaluate, train

pytestmark = pytest.mark.whole


def test_a_run_from_python_is_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra.core.hydra_config import HydraConfig

    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # as in a notebook: nothing before
    run = train(*TINY, "data=ring", "model=vae", "budget.examples=32")
    assert run.parent == tmp_path / "ring_vae" and (run / "report.html").exists()
    assert genlab.load(run).sample(3).shape == (3, 2)
    data = data_of(run)
    assert data.kind == "points" and len(data.val.batch(torch.arange(3))["x"]) == 3  # read now
    found = evaluate(run, "metric.num_samples=50", "seed=3")
    assert found["notes"]["seed"] == 3 and found["metrics"]["finite_share"] == 1
    assert "metric.num_samples=50" in found["notes"]["changed"]


def test_a_folder_of_ones_own_configs_is_heard_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "my conf, (2) [x]=é's \\"
    (own / "experiment").mkdir(parents=True)
    (own / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 7\n")
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    words = [*TINY, "data=ring", "model=vae", "experiment=mine", "budget.examples=32"]
    run = train(*words, f"--config-dir={own}")
    assert "seed: 7" in (run / "config.yaml").read_text()


def test_a_mistake_is_a_value_error_of_one_line() -> None:
    with pytest.raises(ValueError, match="nearest: width") as caught:
        train("net.wdith=64")
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ValueError, match="each override as a text of its own"):
        train(["net.width=64"])
