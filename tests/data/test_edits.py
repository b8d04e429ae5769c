"""Edits: examples are forgotten, planted and replayed by number, and the batches know it."""

from __future__ import annotations

import json

import pytest
import torch
from data_of import digits, image_folder, text_file
from PIL import Image
from running import fit, genlab_here, losses, settled

from genlab.data.edits.base import Joined, Picked
from genlab.data.edits.canaries import Canaries
from genlab.data.edits.forget import Forget
from genlab.data.edits.replay import Replay
from genlab.runs.folder.trained_on import trained_on
from genlab.runs.settings.plan import Plan


def rows(x: torch.Tensor) -> list[bytes]:
    return [row.numpy().tobytes() for row in x]


def seen(data, batches: int) -> list[bytes]:
    return [r for k in range(batches) for r in rows(data.train_batch(k)["x"])]


def test_joined_examples_come_in_the_order_that_is_asked_for() -> None:
    data = digits()
    both = Joined([Picked(data.train, torch.arange(5)), Picked(data.val, torch.arange(3))])
    ids = torch.tensor([7, 0, 5, 4, 0])
    batch = both.batch(ids)
    wanted = [data.val.batch(torch.tensor([2, 0])), data.train.batch(torch.tensor([0, 4]))]
    order = (0, 2), (1, 3)
    for i, (part, places) in enumerate(zip(wanted, order)):
        for row, place in enumerate(places):
            assert torch.equal(batch["x"][place], part["x"][row]), i
            assert batch["cond"][place] == part["cond"][row]
    assert len(both) == 8 and both.name_of(6) == data.val.name_of(1)


def test_canaries_are_seen_so_often_and_held_out_no_more() -> None:
    data, plain = digits(), digits()
    data.edits = [Canaries(repeats=[1, 5], num=3)]
    held, num = rows(plain.val.batch(torch.arange(len(plain.val)))["x"]), len(plain.train)
    data.load()
    split = data.split("canaries")
    assert split.repeats.tolist() == [1, 1, 1, 5, 5, 5] and len(data.val) == len(plain.val) - 6
    chosen = rows(split.batch(torch.arange(6))["x"])
    left = rows(data.val.batch(torch.arange(len(data.val)))["x"])
    assert sorted(chosen + left) == sorted(held)
    assert len(data.train) == num + 18
    drawn = rows(data.train.batch(torch.arange(num, num + 18))["x"])
    assert [drawn.count(c) for c in chosen] == [1, 1, 1, 5, 5, 5]
    assert data.fingerprint() != plain.fingerprint()
    whole = data.train_batch(3)["x"]
    parts = [data.train_batch(3, rank=r, world=2)["x"] for r in range(2)]
    assert torch.equal(whole, torch.cat(parts))


def test_of_a_text_canaries_are_windows_seen_so_often_an_epoch(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"line {i} is {i * i}\n" for i in range(400)))
    data = text_file(path, batch_size=64)
    data.edits = [Canaries(repeats=[20], num=4)]
    epoch = -(-data.epoch_examples // 64)
    chosen = {*rows(data.split("canaries").batch(torch.arange(4))["x"])}
    found = sum(r in chosen for r in seen(data, 5 * epoch))
    assert 5 * 80 * 0.75 < found < 5 * 80 * 1.25  # 4 canaries, 20 times, in 5 epochs


def test_licences_are_counted_of_what_is_trained_on(tmp_path) -> None:
    """What is forgotten has no licence any more, whichever it was; what is planted adds none."""
    lines = []
    for i in range(24):
        Image.new("RGB", (4, 4), (i, i, i)).save(tmp_path / f"{i}.png")
        licence = "CC0-1.0" if i % 3 else "CC-BY-NC-4.0"
        split = "val" if i >= 18 else "train"
        lines.append({"file_name": f"{i}.png", "split": split, "licence": licence})
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))

    def counted(*edits) -> dict[str, int]:
        data = image_folder(tmp_path, shape=[3, 4, 4], num_classes=None, batch_size=2)
        data.edits = list(edits)
        (groups,) = [own["groups"] for own in trained_on(data, [])]
        return {g["licence"]: g["examples"] for g in groups}

    assert counted() == {"CC-BY-NC-4.0": 6, "CC0-1.0": 12}
    forbidden = [f"{i}.png" for i in range(0, 18, 3)]
    assert counted(Forget(ids=forbidden[:4])) == {"CC-BY-NC-4.0": 2, "CC0-1.0": 12}
    assert counted(Forget(ids=forbidden)) == {"CC0-1.0": 12}
    planted = Canaries(repeats=[5], num=2)
    assert counted(planted, Forget(ids=forbidden)) == {"CC0-1.0": 12}
    assert counted(Forget(ids=["1.png"]), planted) == {"CC-BY-NC-4.0": 6, "CC0-1.0": 11}


def test_the_forgotten_are_never_seen() -> None:
    data, plain = digits(), digits()
    data.edits = [Forget(ids=[3, 17, 100])]
    gone = rows(plain.train.batch(torch.tensor([3, 17, 100]))["x"])
    assert rows(data.split("forgotten").batch(torch.arange(3))["x"]) == gone
    steps = len(data.train) // 32
    assert not {*gone} & {*seen(data, steps)} and {*gone} & {*seen(plain, steps + 1)}
    assert len(data.train) == len(plain.train) - 3
    assert "train without 3, 17, 100" in data.describe()


def test_what_is_forgotten_may_be_named_as_its_file(tmp_path) -> None:
    for i in range(20):
        (tmp_path / f"c{i % 2}").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (i * 10, 0, 0)).save(tmp_path / f"c{i % 2}" / f"{i}.png")
    plain = image_folder(tmp_path, num_classes=2)
    name = plain.train.name_of(4)
    (tmp_path / "ids.txt").write_text(f"{name}\n\n2\n")
    data = image_folder(tmp_path, num_classes=2)
    data.edits = [Forget(ids=str(tmp_path / "ids.txt"))]
    assert len(data.train) == len(plain.train) - 2
    names = [data.train.name_of(i) for i in range(len(data.train))]
    assert name not in names and plain.train.name_of(2) not in names


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (Forget(ids=[9999]), r"ids: 9999 is none of 0 to 1436"),
        (Forget(ids=["owl.png"]), r"no training example is called 'owl.png'"),
        (Canaries(num=200), r"600 canaries are more than half of the 360 held-out"),
    ],
)
def test_what_cannot_be_edited_is_one_line(edit, says) -> None:
    data = digits()
    data.edits = [edit]
    with pytest.raises(ValueError, match=says):
        data.load()


def test_words_that_mean_nothing_are_refused(tmp_path) -> None:
    for make, says in (
        (lambda: Forget(ids=[]), "there is none"),
        (lambda: Forget(ids="gone.txt"), "a list, or a file"),
        (lambda: Canaries(repeats=[]), "whole numbers from 1 on"),
        (lambda: Replay(run="a", data=digits(), share=1.0), "between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=says):
            make()
    data = text_file(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("one two three four five six " * 60)
    data.edits = [Forget(ids=[1])]
    with pytest.raises(ValueError, match=r"leave documents out by `genlab prepare"):
        data.load()
    data = digits()
    data.edits = [Replay(run="a", data=digits(num_classes=None))]
    with pytest.raises(ValueError, match=r"num_classes of its examples is None, here 10"):
        data.load()


def test_an_earlier_runs_examples_are_a_share_of_all(tmp_path) -> None:
    words = ["data=digits", "data.limit=64", "model=vae", "net=mlp_vae"]
    first = fit(words, tmp_path / "first")
    more = ["data=digits", "model=vae", "net=mlp_vae", "+edit@edits.replay=replay"]
    more += [f"edits.replay.run={first}", "edits.replay.share=0.25", f"init_from={first}"]
    run = fit(more, tmp_path / "second")
    more += ["optim.horizon=256"]  # however far it goes
    half = fit([*more, "budget.examples=128"], tmp_path / "parts")
    resumed = fit(more, half, resume=True)
    assert losses(run) == losses(resumed)  # bitwise, with what is replayed
    settings = settled(["trainer=cpu", *more])
    assert settings["edits"]["replay"]["data"]["limit"] == 64
    sets = (
        json.loads((run / "provenance.json").read_text())["trained_on"]
        if (run / "provenance.json").is_file()
        else trained_on(Plan(settings).data(), [])
    )
    assert [s["groups"][0]["examples"] for s in sets][:2] == [1437, 64]  # each its own
    old = digits(limit=64)
    data = digits()
    data.edits = [Replay(run="first", data=old, share=0.25)]
    new = len(digits().train)
    assert len(data.train) == new + round(new / 3)
    theirs = {*rows(old.train.batch(torch.arange(64))["x"])}
    replayed = rows(data.train.batch(torch.arange(new, len(data.train)))["x"])
    assert {*replayed} == theirs
    assert max(replayed.count(r) for r in theirs) - min(replayed.count(r) for r in theirs) <= 1
    done = genlab_here("check", *more[:4], "edits.replay.run=nowhere")
    assert done.returncode == 2 and "edits.replay.run=nowhere" in done.stderr, done.stderr
