"""Processes that decode images: one that dies or hangs is named with the file it was on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import data_of
import pytest
from PIL import Image
from record import record
from running import TINY

from genlab.data import pictures, workers


@pytest.fixture
def images(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    root.mkdir()
    for i in range(60):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(root / f"{i:03d}.png")
    return root


def batches(root: Path):
    data = data_of.image_folder(root, batch_size=8, num_workers=2)
    data.load()
    return data, iter(data.train_dataloader())


@pytest.mark.parametrize("fault", ["killed", "hangs"])
def test_it_is_named_with_its_file(fault, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = batches(images)
    bad = data.train.pictures.paths[int(data.train_ids(3)[5])]  # an example of the fourth batch
    original = pictures.opened

    def opened(path: Path, *arguments, **more):
        if path == bad:
            if fault == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        return original(path, *arguments, **more)

    data, found = batches(images)
    monkeypatch.setattr(pictures, "opened", opened)
    monkeypatch.setattr(workers, "PATIENCE", 1)
    began = time.monotonic()
    with pytest.raises(workers.WorkerFault, match=bad.name) as error:
        for _ in range(8):
            next(found)
    assert ("died" if fault == "killed" else "nothing for 1 s") in str(error.value)
    assert time.monotonic() - began < 20
    record(f"a decoding worker {fault}: named with its file", 1, 1)


def test_batches_are_those_of_one_process(images: Path) -> None:
    data, found = batches(images)
    for k in range(6):
        assert next(found)["x"].equal(data.train_batch(k)["x"])


@pytest.mark.faults
@pytest.mark.parametrize("precision", ["32-true", "auto"])
def test_a_batch_too_large_says_what_to_try(precision: str, tmp_path: Path) -> None:
    """10 GiB of outputs: less than the machine has, which would be refused; more than the limit."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30, 12 * 2**30))

    left_out = ("data.batch", "budget", *(["trainer.precision"] if precision == "auto" else []))
    tiny = [o for o in TINY if not o.startswith(left_out)]
    done = subprocess.run(
        [sys.executable, "-m", "genlab.cli", "train", *tiny, "data=ring", "net=mlp",
         "data.batch_size=500_000", "budget.examples=1_000_000", "look_every=null"],
        env={**os.environ, "GENLAB_OUTPUTS": str(tmp_path)},
        capture_output=True, text=True, timeout=300, check=False, preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr[-2000:]
    last = done.stderr.strip().splitlines()[-1]
    assert "out of memory" in last and "data.batch_size=250000" in last, last
    assert "Traceback" not in done.stderr
    record("out of memory: one line with the batch size to try", 1, 1)
