"""Whole runs on a folder of one's own tunes: from files to the report, as events and as frames."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from made_midi import HOSTILE, folder
from running import TINY, fit, genlab_here, looks, losses
from test_runs import parts

import genlab as package
from genlab.runs.page.write import write_report
from genlab.runs.settings.compose import plan_of

pytest.importorskip("symusic")
pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def tunes(tmp_path_factory) -> Path:
    root = folder(tmp_path_factory.mktemp("own") / "tunes")
    for i, (data, _) in enumerate(HOSTILE.values()):
        (root / f"odd{i}.mid").write_bytes(data)
    return root


def words(tunes: Path, data: str, *more: str) -> list[str]:
    return [f"data={data}", f"data.root={tunes}", *more]


def events(tunes: Path, *more: str) -> list[str]:
    small = ["data.block=32", "net.width=16", "net.depth=1", "net.heads=2", "metric.num_samples=8"]
    return words(tunes, "midi_folder", "model=autoregressive", *small, *more)


def frames(tunes: Path, *more: str) -> list[str]:
    small = ["data.frames=24", "net.width=8", "metric.num_samples=8"]
    return words(tunes, "midi_frames", "model=frames", *small, *more)


@pytest.mark.parametrize("make", [events, frames], ids=["events", "frames"])
def test_three_lines_from_raw_files_to_the_report(make, tunes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = genlab_here("train", *make(tunes), *TINY, f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    assert f"{len(HOSTILE)} files cannot be read" in done.stdout + done.stderr
    done = genlab_here("sample", f"run={run}", "num=3", "given=1", "mask=1")
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "to hear" in said and "to play" in said
    done = genlab_here("evaluate", f"run={run}")
    assert done.returncode == 0, done.stderr
    found = json.loads((run / "evaluation.json").read_text())
    unit = "bits_per_note" if make is events else "nats_per_frame"
    assert found["metrics"][unit] > 0 and found["interval"][unit]
    assert {"interval_distance", "key_distance", "longest_copy"} <= set(found["floor"])
    page = write_report(run).read_text()
    assert "data:audio/wav;base64," in page and "data:audio/midi;base64," in page
    assert unit.replace("_", " ") in page


def test_the_mean_is_over_events_and_resume_is_bitwise(tunes: Path, tmp_path: Path) -> None:
    more = events(tunes, "data.transpose=4", "save_every=64")
    whole = fit(more, tmp_path / "whole")
    part = fit([*more, "budget.examples=128", "optim.horizon=256"], tmp_path / "part")
    fit(more, part, resume=True)
    assert parts(part) == parts(whole)
    accumulated = fit([*more, "trainer.accumulate=4"], tmp_path / "accumulated")
    for of in (losses, looks):
        torch.testing.assert_close(
            torch.tensor(of(accumulated)), torch.tensor(of(whole)), rtol=1e-4, atol=1e-4
        )
    done = genlab_here("evaluate", f"run={whole}")
    assert done.returncode == 0, done.stderr
    found = json.loads((whole / "evaluation.json").read_text())["metrics"]
    assert abs(found["loss"] - found["nats_per_event"]) < 1e-4
    done = genlab_here("export", f"run={whole}", f"to={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert torch.equal(package.load(tmp_path / "out").sample(2), package.load(whole).sample(2))


def test_a_recurrent_net_learns_events_by_class(tmp_path: Path) -> None:
    for name in ("jig", "reel"):
        folder(tmp_path / "tunes" / name, 12)
    small = ["data.block=24", "net.width=16", "data.num_classes=2"]
    run = fit(words(tmp_path / "tunes", "midi_folder", "model=autoregressive", "net=gru", *small),
              tmp_path / "run")  # fmt: skip
    done = genlab_here("sample", f"run={run}", "num=2", "cond=reel")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [(["data=midi_folder", "model=vae"], "for this data write model=autoregressive"),
     (["data=midi_frames", "model=autoregressive"], "for this data write model=frames"),
     (["data=midi_folder", "model=autoregressive", "metric=music_frames"], "measures rolls data"),
     (["data=midi_frames", "model=frames", "metric=music"], "measures music data")],
)  # fmt: skip
def test_what_does_not_fit_is_said(more: list[str], said: str) -> None:
    with pytest.raises(Exception, match=said):
        plan_of([*more, "data.root=tunes"])
