"""Whole runs on pieces of music: resume to the bit, processes agree, commands and pages work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from running import fit, genlab_here, looks, losses, on_two_processes
from test_runs import parts

import genlab as package
from genlab.runs.page.write import write_report
from genlab.runs.settings.compose import plan_of

pytestmark = pytest.mark.whole
WORDS = ["data=jsb_chorales", "data.frames=12", "model=frames"]
NETS = {
    "gru": ["net=frame_gru", "net.width=8", "net.dropout=0.1"],
    "tcn": ["net=tcn", "net.width=8", "callbacks.checkpoint.best=val/loss"],
    "windows": ["net=frame_lstm", "net.width=8", "data.window=16", "data.grid=16th"],
}


@pytest.mark.parametrize("name", NETS)
def test_resume_is_bitwise(name: str, data_root: Path, tmp_path: Path) -> None:
    words = [*WORDS, *NETS[name], "save_every=64"]
    whole = fit(words, tmp_path / "whole")
    part = fit([*words, "budget.examples=128", "optim.horizon=256"], tmp_path / "part")
    fit(words, part, resume=True)
    assert parts(part) == parts(whole)


def test_two_processes_see_the_same_frames(data_root: Path, tmp_path: Path) -> None:
    """Shares of a batch are of different lengths, and still weigh as in one process."""
    words = [*WORDS, *NETS["gru"], "net.dropout=0", "budget.examples=64", "look_every=64"]
    one = fit(words, tmp_path / "one")
    two = on_two_processes(words, tmp_path / "two")
    accumulated = fit([*words, "trainer.accumulate=4"], tmp_path / "accumulated")
    for other in (two, accumulated):
        torch.testing.assert_close(
            torch.tensor(losses(other)), torch.tensor(losses(one)), rtol=1e-5, atol=1e-5
        )
        torch.testing.assert_close(
            torch.tensor(looks(other)), torch.tensor(looks(one)), rtol=1e-4, atol=1e-4
        )


def test_the_commands_work_on_a_run(data_root: Path, tmp_path: Path) -> None:
    run = fit([*WORDS, *NETS["gru"], "metric.num_samples=8"], tmp_path / "run")
    for more in ([], ["given=3", "mask=4", "sampler.temperature=0.5"], ["sampler.length=20"]):
        done = genlab_here("sample", f"run={run}", "num=3", *more)
        assert done.returncode == 0, done.stderr
        assert "to hear" in done.stderr + done.stdout
    heard = [p for p in (run / "samples").glob("seed*.mid") if p.read_bytes()[:4] == b"MThd"]
    assert len(heard) == 3
    done = genlab_here("evaluate", f"run={run}", "split=test")
    assert done.returncode == 0, done.stderr
    found = json.loads((run / "evaluation.json").read_text())
    assert found["notes"]["split"] == "test" and found["notes"]["num_held_out"] == 77
    assert abs(found["metrics"]["nats_per_frame"] - found["metrics"]["loss"]) < 1e-4
    page = write_report(run).read_text()
    assert 'download="samples.mid"' in page and "data:audio/midi;base64," in page
    assert "nats per frame" in page
    exported = genlab_here("export", f"run={run}", f"to={tmp_path / 'out'}")
    assert exported.returncode == 0, exported.stderr
    assert torch.equal(package.load(tmp_path / "out").sample(2), package.load(run).sample(2))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data=jsb_chorales", "model=vae"], "for this data write model=frames"),
        (["data=jsb_chorales", "model=autoregressive"], "for this data write model=frames"),
        (
            ["data=digits", "model=frames"],
            "learns from data=jsb_chorales, midi_frames, nottingham",
        ),
        (["data=shakespeare", "model=frames"], "needs frames"),
        (["data=jsb_chorales", "model=frames", "metric=image"], "measures image data"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_remedy(words: list[str], said: str) -> None:
    from genlab.runs.say.errors import UserError

    with pytest.raises(UserError, match=said):
        plan_of(words)
