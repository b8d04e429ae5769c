"""trainer=fsdp on NCCL with one rank (gloo on the CPU): the curve and the file of a plain run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from running import TINY, fit, genlab
from test_runs import FAMILIES, losses

from genlab.runs.folder.checkpoint import newest, read

pytestmark = pytest.mark.gpu
SHORT = ["budget.examples=64", "look_every=64", "save_every=64", "callbacks.look.num=2"]


@pytest.mark.parametrize("family", ["diffusion", "gpt"])
def test_one_rank_trains_as_no_shards_do(family: str, device: str, tmp_path: Path) -> None:
    words = [*FAMILIES[family], *SHORT, f"trainer.accelerator={device}"]
    plain = fit(words, tmp_path / "plain")
    tiny = [o for o in TINY if o != "trainer=cpu"]
    run = tmp_path / "sharded"
    more = ["trainer=fsdp", "trainer.devices=1", f"hydra.run.dir={run}"]
    done = genlab("train", *tiny, *words, *more, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert losses(run) == pytest.approx(losses(plain), rel=1e-4)
    a, b = read(newest(plain))["state_dict"], read(newest(run))["state_dict"]
    assert list(a) == list(b)
    for name in a:
        torch.testing.assert_close(b[name], a[name], rtol=1e-3, atol=1e-3)
