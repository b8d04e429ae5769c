"""The picture of what lies between samples, as `genlab evaluate` writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import settled

from genlab.runs.evaluate import save_between
from genlab.runs.settings.plan import Plan


@pytest.mark.parametrize(
    ("words", "there"),
    [(["model=gan"], "wide"), (["model=vae"], "wide"), 
     (["data=digits_pixels", "model=autoregressive"], ""),
     (["model=diffusion", "sampler.num_steps=2"], "wide"), (["model=gan", "data=ring"], "square")],
)  # fmt: skip
def test_families_with_a_latent_have_one(words, there: str, tmp_path: Path) -> None:
    plan = Plan(settled(words), ())
    data = plan.data()
    data.prepare()
    save_between(plan.model(), data, tmp_path)
    if there:
        picture = np.asarray(Image.open(tmp_path / "between.png"))
        assert picture.shape[0] > 300  # eight rows of nine; ways through the plane
        assert (picture.shape[1] > picture.shape[0]) is (there == "wide")
    else:
        assert not list(tmp_path.iterdir())
