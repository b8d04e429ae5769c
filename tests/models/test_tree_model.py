"""A model that counts, in whole runs: one pass, a resume to the bit, no averaging, one process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from running import TINY, fit, genlab, genlab_here, looks, losses

from genlab.models.tree import CountedTree
from genlab.objectives.trees import ChowLiu
from genlab.optim import Optim
from genlab.runs.folder.checkpoint import checkpoint_files
from genlab.runs.folder.load import load_model

pytestmark = pytest.mark.whole


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    file = tmp_path / "rows.csv"
    rows = [f"{'ab'[i % 2]},{'xyz'[i % 3]},{i % 17},{'ab'[i % 2]}" for i in range(320)]
    file.write_text("\n".join(["one,two,three,four", *rows]))
    return ["data=table", f"data.path={file}", "data.val_fraction=0.2", "model=tree",
            "objective=chow_liu"]  # fmt: skip


def counts(run: Path) -> torch.Tensor:
    return load_model(checkpoint_files(run)[0]).counts


def test_one_pass_counts_every_row_once_whatever_the_batches(words, tmp_path: Path) -> None:
    runs = [
        fit([*words, "budget.examples=256", f"data.batch_size={size}"], tmp_path / str(size))
        for size in (256, 16)
    ]
    one, many = map(counts, runs)
    # a number has another place within its bin, or the next one's, in another batch
    categories = [i for i in range(len(one)) if not 5 <= i < 5 + 32]
    assert one.dtype == torch.int64 and one.diagonal()[:2].sum() == 256
    assert torch.equal(*(c[categories][:, categories] for c in (one, many)))
    assert looks(runs[0])[-1] < looks(runs[0])[0]
    steps = losses(runs[1])
    assert steps[-1] < 0.9 * steps[0]  # each batch by the tree of those before


def test_a_resumed_run_has_the_same_counts(words, tmp_path: Path) -> None:
    whole = fit(words, tmp_path / "whole")
    part = fit([*words, "budget.examples=128"], tmp_path / "part")
    assert counts(part).diagonal()[:2].sum() == 128
    done = genlab_here("train", f"resume={part}", "budget.examples=256")
    assert done.returncode == 0, done.stderr
    assert torch.equal(counts(whole), counts(part))
    assert losses(whole) == losses(part)


def test_known_columns_are_asked_for_by_name(words, tmp_path: Path) -> None:
    run = fit(words, tmp_path / "run")
    done = genlab_here("sample", f"run={run}", "num=20", 'given={"one": "a"}')
    assert done.returncode == 0, done.stderr
    file = next(f for f in run.rglob("*.csv") if len(f.read_text().split()) == 21)
    rows = [line.split(",") for line in file.read_text().split()[1:]]
    assert len(rows) == 20 and {r[0] for r in rows} == {"a"} == {r[3] for r in rows}
    assert len({r[2] for r in rows}) > 5


def test_several_processes_and_an_optimiser_are_refused(words, tmp_path: Path) -> None:
    tiny = [w for w in TINY if w != "trainer=cpu"]
    done = genlab("train", *tiny, *words, "trainer=ddp_cpu", f"hydra.run.dir={tmp_path / 'r'}")
    assert done.returncode == 2 and "write trainer.devices=1" in done.stderr
    with pytest.raises(ValueError, match="learned by counting; write optim=null"):
        law = ChowLiu(widths=[2, 2])
        CountedTree(objective=law, shape=[4], optim=Optim(torch.optim.SGD))
