"""A number that is not finite never reaches the weights, whichever network it comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from running import fit, genlab_here, settled, valid_checkpoints
from test_runs import FAMILIES

from genlab.callbacks.guard import Guard, NotFinite, Sums, found_not_finite, params_of
from genlab.models.base import GenerativeModel
from genlab.rows import read_rows
from genlab.runs.folder.checkpoint import newest, read
from genlab.runs.settings.plan import Plan

AT = 9  # the batch that goes wrong


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch):
    """From batch AT on (once, or always) a gradient is NaN, or the loss is infinite."""

    def poison(where: str, once: bool = False) -> None:
        original = GenerativeModel.on_train_batch_start

        def hooked(model, batch, batch_idx: int) -> None:
            original(model, batch, batch_idx)
            if model.clock.batches == AT or (model.clock.batches > AT and not once):
                if where == "loss":
                    batch["x"].fill_(float("inf"))
                else:
                    parameter = dict(model.named_parameters())[where]
                    handle = parameter.register_hook(lambda g: g * float("nan"))
                    if once:
                        handles.append(handle)
            elif handles:
                handles.pop().remove()

        handles: list = []
        # the GAN's hook calls this one
        monkeypatch.setattr(GenerativeModel, "on_train_batch_start", hooked)

    return poison


def first_parameter(family: str, prefix: str) -> str:
    names = dict(Plan(settled(FAMILIES[family])).model().named_parameters())
    return next(k for k in names if k.startswith(prefix) and k.endswith(("weight", "original")))


@pytest.mark.parametrize(
    ("family", "prefix"),
    [
        ("diffusion", "net."),
        ("diffusion", "loss"),
        ("gan", "discriminator."),
        ("gan", "generator."),
    ],
)
def test_it_stops_before_the_update(family, prefix, tmp_path, poisoned) -> None:
    where = prefix if prefix == "loss" else first_parameter(family, prefix)
    poisoned(where)
    run = tmp_path / "run"
    with pytest.raises(NotFinite, match=f"not finite in batch {AT} .*not_finite=skip"):
        fit([*FAMILIES[family], "save_every=64"], run)
    row = json.loads((run / "not_finite.jsonl").read_text())
    assert row["batch"] == AT and len(row["ids"]) == 16
    assert row["what"] == ("loss" if where == "loss" else "the gradient")
    assert [p.name for p in valid_checkpoints(run)[0]] == [
        "examples=000000000128.ckpt", "examples=000000000064.ckpt",
    ]  # fmt: skip
    assert all(torch.isfinite(v).all() for v in read(newest(run))["state_dict"].values())
    rows = read_rows(run / "metrics.jsonl")
    assert max(r["batches"] for r in rows if r["kind"] != "finding") == AT


@pytest.mark.parametrize(("family", "prefix"), [("diffusion", "net."), ("gan", "discriminator.")])
def test_a_skipped_batch_leaves_the_weights_finite(family, prefix, tmp_path, poisoned) -> None:
    where = first_parameter(family, prefix)
    poisoned(where, once=True)
    run = fit([*FAMILIES[family], "callbacks.guard.not_finite=skip"], tmp_path / "run")
    rows = read_rows(run / "metrics.jsonl")
    assert (
        rows[-1]["batches"] == 16 and len((run / "not_finite.jsonl").read_text().splitlines()) == 1
    )
    assert all(torch.isfinite(v).all() for v in read(newest(run))["state_dict"].values())


def test_skipping_ends_somewhere(tmp_path, poisoned) -> None:
    poisoned(first_parameter("diffusion", "net."))
    with pytest.raises(NotFinite, match="of 4 batches"):
        fit(
            [*FAMILIES["diffusion"], "callbacks.guard.not_finite=skip", "callbacks.guard.most=3"],
            tmp_path / "run",
        )


def test_without_waiting_for_the_device_the_optimiser_leaves_out_the_update() -> None:
    """What runs on a GPU, on the CPU: the fused optimisers heed the flag."""
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    guard = Guard()
    guard.path = Path("not_finite.jsonl")
    before = [p.clone() for p in net.parameters()]
    for batch, factor in enumerate([float("nan"), float("inf"), 1.0]):
        net(torch.ones(1, 3)).sum().mul(factor).backward()
        guard.mark(optimizer, found_not_finite(params_of(optimizer)), batch)
        optimizer.step()
        same = all(torch.equal(a, b) for a, b in zip(before, net.parameters()))
        assert same == (factor != 1.0)
        optimizer.zero_grad()
    assert guard._marks.tolist() == [2, 0]
    marks = guard._marks
    for look in (
        lambda: guard.watch(FakeTrainer(), FakeModel(), {}),
        lambda: guard.on_save_checkpoint(FakeTrainer(), FakeModel(), {}),
        lambda: guard.on_train_end(FakeTrainer(), FakeModel()),
    ):
        guard._marks = marks
        with pytest.raises(NotFinite, match="in batch 0"):
            look()


def test_how_many_were_left_out_is_kept_over_a_resume() -> None:
    guard, again, held = Guard(not_finite="skip"), Guard(not_finite="skip"), {}
    guard.skip(FakeTrainer(), FakeModel(), 7, 0)
    guard.on_save_checkpoint(FakeTrainer(), FakeModel(), held)
    again.on_load_checkpoint(FakeTrainer(), FakeModel(), held)
    assert again.skipped == 7


class FakeTrainer:
    is_global_zero, datamodule = False, None


class FakeModel:
    batch_now, seed = 2, 0

    class clock:
        examples = 3


def test_a_wild_rate_ends_with_code_20(tmp_path: Path) -> None:
    done = genlab_here(
        "train", "data=ring", "net=mlp", "net.width=16", "trainer=cpu",
        "trainer.threads=1", "trainer.precision=32-true", "logger=none",
        "optim.optimizer.lr=1e30", "evaluate=false", "budget.examples=20_000",
        "callbacks.look.num=4", f"hydra.run.dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert done.returncode == 20, done.stderr
    assert "Traceback" not in done.stderr
    assert "is not finite" in done.stderr.splitlines()[-1]


def large_and_small() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    net = torch.nn.Linear(1, Sums.large)
    return net, torch.optim.Adam(net.parameters(), fused=True)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["weight", "bias"])
def test_one_number_of_a_large_gradient_is_found_as_it_is_written(where: str, value) -> None:
    net, optimizer = large_and_small()
    sums = Sums(optimizer)
    x = torch.ones(1, 1)
    net(x).sum().backward()
    assert not sums.doubtful()
    optimizer.zero_grad()
    getattr(net, where).register_hook(
        lambda g: g.index_put((torch.tensor(7),), torch.tensor(value))
    )
    net(x).sum().backward()
    assert sums.doubtful() and found_not_finite(params_of(optimizer)) == 1


def test_a_sum_that_overflows_is_looked_at_again() -> None:
    net, optimizer = large_and_small()
    sums = Sums(optimizer)
    net(torch.full((1, 1), 1e37)).sum().backward()
    assert sums.doubtful() and found_not_finite(params_of(optimizer)) == 0
