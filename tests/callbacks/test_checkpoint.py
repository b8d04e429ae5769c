"""When checkpoints are written, and which are kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from genlab.callbacks.checkpoint import FOLDER, Checkpoint, saved


class Model(nn.Linear):
    def __init__(self) -> None:
        super().__init__(2, 2)
        self.clock = SimpleNamespace(examples=0)


def trainer(run: Path, *, look: int | None = None) -> SimpleNamespace:
    """Of a run whose looks, if any, come every `look` batches."""
    (run / FOLDER).mkdir(exist_ok=True)
    io = SimpleNamespace(look=lambda: None, wait=lambda: None)
    return SimpleNamespace(
        run=SimpleNamespace(folder=run), is_global_zero=True, accumulate_grad_batches=1,
        strategy=SimpleNamespace(checkpoint_io=io, remove_checkpoint=Path.unlink),
        save_checkpoint=lambda path: path.write_text("x"), enable_validation=look is not None,
        val_check_batch=look, should_stop=False, global_step=0, max_steps=-1,
    )  # fmt: skip


def train(callback: Checkpoint, trainer, model: Model, batches: int, size: int) -> list[int]:
    """What was saved, in examples; nothing is measured when a look is due."""
    found = []
    trainer.save_checkpoint = lambda path: (found.append(model.clock.examples), path.touch())
    callback.on_train_start(trainer, model)
    for i in range(batches):
        model.clock.examples += size
        callback.on_train_batch_end(trainer, model, None, None, i)
    return found


def left(run: Path) -> list[int]:
    return [int(p.stem.partition("=")[2]) for p in saved(run / FOLDER)]


def test_saves_come_when_their_distance_has_been_passed(tmp_path: Path) -> None:
    callback, model, fake = Checkpoint(save_every=64, keep=3), Model(), trainer(tmp_path)
    assert train(callback, fake, model, 9, 48) == [96, 144, 192, 288, 336, 384]
    assert left(tmp_path)[-3:] == [288, 336, 384]
    found = []
    fake.save_checkpoint = lambda path: (found.append(path), path.touch())
    callback.on_train_end(fake, model)
    assert len(found) == 1 and left(tmp_path) == [336, 384, 432], "the newest three"
    callback.on_train_end(fake, model)
    assert len(found) == 1, "what is saved is not saved again"


def test_where_a_look_follows_the_save_waits_for_it(tmp_path: Path) -> None:
    callback, model, fake = Checkpoint(save_every=32), Model(), trainer(tmp_path, look=2)
    assert train(callback, fake, model, 2, 16) == []
    callback.on_validation_end(fake, model)
    callback.on_validation_end(fake, model)  # a look alone saves nothing
    assert left(tmp_path) == [32]


def test_what_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    callback, model = Checkpoint(save_every=16), Model()
    model.bias.data[1] = torch.inf
    with pytest.raises(FloatingPointError, match="bias is not finite"):
        train(callback, trainer(tmp_path), model, 1, 16)
    assert left(tmp_path) == []


def test_one_checkpoint_is_not_enough() -> None:
    with pytest.raises(ValueError, match=r"keep=1: at least 2"):
        Checkpoint(save_every=1, keep=1)
