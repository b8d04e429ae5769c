"""The file of preferences: read back to the bit; a line that is not right is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from genlab.data.preferences import append, read_preferences
from genlab.rows import line_of

WHOSE = {"run": "r", "name": "n", "checkpoint": "c" * 64, "sampler": {"num_steps": 3}, "seed": 0}
TOLD = {"condition": "7", "asked": {"cond": "7"}, "who": "ada", "time": "2026-01-01T00:00:00"}


def decided(index: int = 0, **more: Any) -> dict[str, Any]:
    both = {"chosen": {**WHOSE, "index": index}, "rejected": {**WHOSE, "index": index}}
    return {"verdict": "chosen", "side": "left", **both, **TOLD, **more}


def pair(seed: int = 0, **more: Any) -> dict[str, Any]:
    draws = torch.Generator().manual_seed(seed)
    x, rejected = torch.randn(2, 3, 4, generator=draws)
    return {"x": x, "rejected": rejected, "cond": torch.tensor(seed), **more}


def test_what_is_written_comes_back_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "preferences.jsonl"
    append(path, decided(0), pair(0))
    ties = {side: {**WHOSE, "index": 9} for side in ("left", "right")}
    append(path, {"verdict": "tie", **ties, **TOLD})
    append(path, decided(1), pair(1))
    found = read_preferences(path)
    assert len(found) == 2 and len(found.rows) == 3 and found.rows[1]["verdict"] == "tie"
    batch = found.batch(torch.tensor([1, 0]))
    assert batch["cond"].tolist() == [1, 0] and "mask" not in batch
    for i, seed in enumerate((1, 0)):
        assert torch.equal(batch["x"][i], pair(seed)["x"])
        assert torch.equal(batch["rejected"][i], pair(seed)["rejected"])
    assert found.decided[1]["chosen"]["index"] == 1


def test_conditions_by_name_and_what_was_given(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    known = torch.zeros(3, 4, dtype=torch.bool)
    known[0] = True
    append(path, decided(), pair(cond={"a": torch.tensor(1), "b": torch.zeros(2)}, known=known))
    batch = read_preferences(path).batch(torch.tensor([0, 0]))
    assert batch["cond"]["a"].tolist() == [1, 1] and batch["cond"]["b"].shape == (2, 2)
    assert torch.equal(batch["mask"][0], ~known), "what both were given says nothing of either"


def test_no_file_is_no_judgement(tmp_path: Path) -> None:
    assert len(read_preferences(tmp_path / "none.jsonl")) == 0


HOSTILE = [
    (b"{}\n", "it is no preference"),
    (b"[" * 5000 + b"\n", "nested too deep"),
    (b'{"kind": "preference"', "torn"),
    (b"\xff\xfe\n", "it is no JSON"),
    (line_of({"kind": "preference", "verdict": "best"}), "verdict: allowed are"),
    (line_of({"kind": "preference", **decided(tensors="../../etc/passwd")}), "tensors: it must be"),
    (line_of({"kind": "preference", **decided(tensors="a" * 64, side="up")}), "side: "),
    (line_of({"kind": "preference", **decided(tensors="a" * 64)}), "not there"),
    (line_of({"kind": "preference", **decided(tensors="a" * 64, who=3)}), "who: "),
    (line_of({"kind": "preference", **decided(tensors="a" * 64, who="x" * 20_000)}), "who: "),
    (line_of({"kind": "preference", **decided(-1, tensors="a" * 64)}), "chosen.index: "),
    (line_of({"kind": "preference", **decided(True, tensors="a" * 64)}), "chosen.index: "),
    (line_of({"kind": "preference", **decided(tensors="a" * 64, chosen=[])}), "chosen: "),
    (b"x" * (2**20 + 5) + b"\n", "torn, or over"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "said"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_line_is_refused_by_its_number(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "p.jsonl"
    append(path, decided(), pair())
    with path.open("ab") as f:
        f.write(line)
    with pytest.raises(ValueError, match=said) as caught:
        read_preferences(path)
    assert "line 2" in str(caught.value) and "\n" not in str(caught.value)


def test_a_changed_line_and_changed_samples_are_found(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    append(path, decided(), pair())
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"left"', b'"riht"'))
    with pytest.raises(ValueError, match="line 1: it is damaged"):
        read_preferences(path)
    path.write_bytes(good)
    (file,) = (tmp_path / "p").iterdir()
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match="samples are damaged"):
        read_preferences(path)
    file.unlink()
    os.symlink("/etc/passwd", file)
    with pytest.raises(ValueError, match="not there"):
        read_preferences(path)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"rejected": torch.zeros(3, 5)}, "different shapes"),
        ({"rejected": torch.zeros(3, 4, dtype=torch.long)}, "different types"),
        ({"x": torch.full((3, 4), torch.nan)}, "not finite"),
        ({"known": torch.zeros(3, 4)}, "different shapes"),
        ({"evil/../name": torch.zeros(1)}, "which is none of them"),
    ],
)
def test_samples_that_are_no_pair_are_refused(tmp_path: Path, more: dict, said: str) -> None:
    append(tmp_path / "p.jsonl", decided(), {**pair(), **more})
    with pytest.raises(ValueError, match=said):
        read_preferences(tmp_path / "p.jsonl")


def test_pairs_of_another_kind_stand_in_no_batch(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    append(path, decided(), pair())
    append(path, decided(), {k: v[:2] for k, v in pair().items() if k != "cond"})
    with pytest.raises(ValueError, match="line 2: its samples are of another kind"):
        read_preferences(path)


def test_after_a_torn_line_nothing_is_added(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    append(path, decided(), pair())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="last line is torn"):
        append(path, decided(), pair())


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    os.symlink(tmp_path / "elsewhere", tmp_path / "p.jsonl")
    with pytest.raises(ValueError, match="no file of the run's own"):
        append(tmp_path / "p.jsonl", decided(), pair())
    with pytest.raises(ValueError, match="no regular file"):
        read_preferences(tmp_path / "p.jsonl")
    assert (tmp_path / "elsewhere").read_text() == ""


def test_a_row_that_would_not_be_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="who: "):
        append(tmp_path / "p.jsonl", decided(who=None), pair())
    assert not (tmp_path / "p.jsonl").exists()
