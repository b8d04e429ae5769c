"""Whole runs on clips of one's own: from raw files to a report that plays, captions, resume."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from films import known, save
from PIL import Image
from running import fit, genlab_here
from test_runs import parts

import genlab as package
from genlab.metrics import features
from genlab.runs.page.write import write_report

pytestmark = pytest.mark.whole
SMALL = ["net.width=8", "net.multipliers=[1,2]", "net.attention=[2]", "net.head_dim=8"]
WORDS = ["model=diffusion", "data=video_folder", "data.shape=[3,4,8,8]", "data.num_classes=2",
         "sampler.num_steps=3", *SMALL]  # fmt: skip


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two classes, of GIFs and of folders of frames, and a file that is no clip."""
    for i in range(24):
        save(tmp_path / "clips" / "fly" / f"{i}.gif", known(6, seed=i))
        save(tmp_path / "clips" / "walk" / f"{i}", known(5, seed=100 + i))
    (tmp_path / "clips" / "fly" / "broken.gif").write_bytes(b"GIF89a")
    return tmp_path / "clips"


def test_own_files_from_raw_to_a_report_that_plays(clips, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(features.RECIPE, "min_examples", 200)
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    words = [*WORDS, f"data.root={clips}", "metric.num_samples=24", "budget.examples=64",
             "data.batch_size=16", "look_every=64", "save_every=64", "trainer=cpu", "logger=none",
             "trainer.precision=32-true", "callbacks.look.num=4",
             "data.val_fraction=0.4"]  # fmt: skip
    done = genlab_here("train", *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "1 file that cannot be read left out: broken.gif" in done.stderr
    page = (tmp_path / "run" / "report.html").read_text()
    assert not re.search(r'(src|href)="https?:', page)
    played = re.findall(r'<img[^>]*src="data:image/gif;base64,([^"]+)"', page)
    assert played
    for data in played:
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.n_frames >= 2 and image.info["loop"] == 0
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    for name in ("frame_kernel_distance", "adjacent_correlation", "still_share", "order_real",
                 "order_preferred", "near_copies", "class_agreement"):  # fmt: skip
        assert name in found["metrics"], name
    done = genlab_here("sample", f"run={tmp_path / 'run'}", "num=3", "cond=walk")
    assert done.returncode == 0 and "to play" in done.stdout + done.stderr, done.stderr
    (gif,) = (tmp_path / "run" / "samples").glob("seed*.gif")
    with Image.open(gif) as image:
        assert image.n_frames == 4
    again = genlab_here("evaluate", f"run={tmp_path / 'run'}")
    assert again.returncode == 0, again.stderr


def test_resume_is_bitwise_and_an_export_draws_the_same(clips: Path, tmp_path: Path) -> None:
    words = [*WORDS, f"data.root={clips}", "save_every=64", "data.batch_size=16"]
    whole = fit(words, tmp_path / "whole")
    part = fit([*words, "budget.examples=128", "optim.horizon=256"], tmp_path / "part")
    fit(words, part, resume=True)
    assert parts(part) == parts(whole)
    exported = genlab_here("export", f"run={whole}", f"to={tmp_path / 'out'}")
    assert exported.returncode == 0, exported.stderr
    mine, theirs = (package.load(p).sample(2) for p in (tmp_path / "out", whole))
    assert torch.equal(mine, theirs) and mine.shape == (2, 3, 4, 8, 8)


def test_captions_are_asked_for_in_words(tmp_path: Path) -> None:
    rows = []
    for i in range(40):
        save(tmp_path / "told" / f"{i}.gif", known(4, seed=i))
        rows.append({"file_name": f"{i}.gif", "text": f"a {('red', 'blue')[i % 2]} storm"})
    (tmp_path / "told" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["model=flow_matching", "data=captioned_videos", f"data.root={tmp_path / 'told'}",
             "data.shape=[3,4,8,8]", "conditions=captions", "conditions.encoder.width=16",
             "sampler.num_steps=3", "budget.examples=32", "look_every=32", *SMALL]  # fmt: skip
    run = fit(words, tmp_path / "run")
    done = genlab_here("sample", f"run={run}", "num=2", "cond=a red storm")
    assert done.returncode == 0, done.stderr
    path = next((run / "samples").glob("seed*.png"))
    assert np.asarray(Image.open(path)).ndim == 3
    assert "a red storm" in done.stdout + done.stderr or path.is_file()
    assert "data:image/gif;base64," in write_report(run).read_text()
