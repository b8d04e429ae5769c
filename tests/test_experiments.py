"""Whole experiments against their bars: minutes each, run by `make test-slow`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from running import genlab

Found = dict[str, dict[str, float]]
BARS: dict[str, list[Callable[[Found], bool]]] = {
    "digits_diffusion": [
        lambda f: f["metrics"]["frechet_distance"] <= 1.5 * f["floor"]["frechet_distance"],
        lambda f: f["metrics"]["confident_share"] >= 0.95,
        lambda f: f["metrics"]["class_agreement"] >= 0.97,
        lambda f: f["metrics"]["classes_drawn"] == 10,
    ],
    "shakespeare_gpt": [lambda f: f["metrics"]["loss"] <= 1.89],
    "toy2d_gan": [lambda f: f["metrics"]["modes_covered"] >= 7],
    "toy2d_diffusion": [
        lambda f: f["metrics"]["modes_covered"] >= 24,
        lambda f: f["metrics"]["high_quality_share"] >= 0.9,
    ],
    "toy2d_flow_matching": [
        lambda f: f["metrics"]["modes_covered"] >= 24,
        lambda f: f["metrics"]["high_quality_share"] >= 0.9,
    ],
    "toy2d_normalising_flow": [lambda f: f["metrics"]["kl_to_model"] <= 0.05],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BARS)
def test_an_experiment_reaches_its_bar(name: str, tmp_path: Path, request) -> None:
    if name.startswith("shakespeare"):
        request.getfixturevalue("data_root")
    done = genlab("train", f"experiment={name}", timeout=3000, GENLAB_OUTPUTS=str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(next(tmp_path.rglob("evaluation.json")).read_text())
    for i, bar in enumerate(BARS[name]):
        assert bar(found), (i, found["metrics"], found["floor"])
