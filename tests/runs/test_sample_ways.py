"""`genlab sample` from a picture, between samples, guided by a weaker run, with another average."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from running import fit
from safetensors.torch import load_file

from genlab.runs.folder.load import load_model
from genlab.runs.sample import sample_command
from genlab.runs.say.errors import UserError

WORDS = ["data=digits", "model=diffusion", "sampler.num_steps=3", "callbacks=post_hoc",
         "callbacks.post_hoc.snapshot_every=32"]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(WORDS, tmp_path_factory.mktemp("ways") / "run")


def drawn(run: Path, to: Path, *words: str) -> tuple[torch.Tensor, Path]:
    sample_command([f"run={run}", f"to={to}", "num=4", "device=cpu", *words])
    (numbers,) = to.glob("*.safetensors")
    return load_file(numbers)["x"], numbers.with_suffix(".png")


def test_from_a_picture_between_and_guided(run: Path, tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (8, 8)).astype("uint8")
    Image.fromarray(grey).save(tmp_path / "a.png")
    given = [f"given={tmp_path / 'a.png'}", "mask=all"]
    start = torch.from_numpy(grey / 127.5 - 1).float()
    near, picture = drawn(run, tmp_path / "near", *given, "level=0.01")
    far, _ = drawn(run, tmp_path / "far", *given, "level=10")
    off = [float((x - start).abs().mean()) for x in (near, far)]
    assert picture.is_file() and off[0] < 0.15 < off[1]
    ways, picture = drawn(run, tmp_path / "ways", "between=3", "cond=7")
    plain, _ = drawn(run, tmp_path / "plain", "cond=7")
    assert ways.shape == (4, 3, 1, 8, 8) and picture.is_file()
    torch.testing.assert_close(ways[:, 0], plain, rtol=1e-4, atol=1e-4)
    (early, *_) = sorted((run / "checkpoints").glob("*.ckpt"))
    guided, _ = drawn(run, tmp_path / "guided", "cond=7", f"weaker={early}", "sampler.guidance=3")
    assert guided.shape == plain.shape


def test_another_average_draws_other_samples(run: Path, tmp_path: Path) -> None:
    assert len(list((run / "ema").glob("examples=*.safetensors"))) > 1
    short, _ = drawn(run, tmp_path / "short", "ema=0.03")
    long, _ = drawn(run, tmp_path / "long", "ema=0.2")
    assert not torch.equal(short, long)
    raw, averaged = load_model(run, raw=True), load_model(run, ema=0.2)
    assert all(averaged.state_dict()[k].shape == w.shape for k, w in raw.state_dict().items())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["level=1"], "begins from a whole example: given=FILE mask=all"),
        (["level=1", "between=3"], "without between"),
        (["ema=0.9"], "a share of training"),
        (["between=1"], "at least 2"),
    ],
)
def test_what_cannot_be_is_refused(run: Path, tmp_path: Path, words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        drawn(run, tmp_path, *words)
