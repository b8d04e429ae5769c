"""The GPU day on the CPU: every stage to its last line in small; what fails stops no other."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from running import settled

sys.path.insert(0, str(ROOT / "scripts"))
import gpu_day
from bench import throughput

from genlab.runs.papers.row import read_row


@pytest.fixture
def day(tmp_path: Path) -> gpu_day.Day:
    return gpu_day.Day(tmp_path, device="cpu", small=True)


@pytest.mark.slow
def test_every_stage_runs_to_its_last_line(day: gpu_day.Day, data_root: Path) -> None:
    assert gpu_day.go(day, gpu_day.STAGES), (day.out / "results.md").read_text()
    found = json.loads((day.out / "results.json").read_text())["stages"]
    assert list(found) == [name for name, *_ in gpu_day.STAGES]
    assert found["resume"]["bitwise"] and 0 < found["resume"]["stopped_at"] < 3000
    assert [len(found[f"speed: {m}"]["rows"]) for m in throughput.MODELS] == [3, 3, 6, 3]
    page = (day.out / "results.md").read_text()
    assert "gloo" in page and "1.4697" in page and "| gpt |" in page and "FAILED" not in page


def test_what_fails_or_is_too_slow_stops_no_other(day: gpu_day.Day) -> None:
    def broken(day: gpu_day.Day) -> dict:
        day.run("broken", [sys.executable, "-c", "raise SystemExit('it broke')"])
        return {}

    def slow(day: gpu_day.Day) -> dict:
        day.run("slow", ["sleep", "60"])
        return {}

    began = time.monotonic()
    stages = [("broken", 9, broken), ("bug", 9, lambda day: {}["x"]), ("slow", 1, slow)]
    assert not gpu_day.go(day, [*stages, ("well", 9, lambda day: {"said": "1 passed"})])
    assert time.monotonic() - began < 30
    found = json.loads((day.out / "results.json").read_text())["stages"]
    assert [t["ok"] for t in found.values()] == [False, False, False, True]
    assert "exit code 1" in found["broken"]["error"] and "it broke" in found["broken"]["error"]
    assert "KeyError" in found["bug"]["error"] and "time was over" in found["slow"]["error"]


def test_the_stages_take_25_minutes() -> None:
    assert sum(seconds for _, seconds, _ in gpu_day.STAGES) <= 25 * 60


def test_one_bit_is_a_difference() -> None:
    held = {"a": [torch.zeros(2)], "n": 3}
    assert gpu_day.differences(held, {"a": [torch.zeros(2)], "n": 3}) == []
    assert gpu_day.differences(held, {"a": [torch.tensor([0, 1e-45])], "n": 3}) == ["a.0"]
    assert gpu_day.differences(held, {"a": [], "n": 4}) == ["a: its length", "n"]


@pytest.mark.parametrize("name", gpu_day.SMALL_ROWS)
def test_a_published_row_of_the_day_composes_small_too(name: str) -> None:
    words = [*read_row(name).train, "evaluate=false"]
    assert settled(words)["budget"]["examples"] >= 320_000
    small = settled([*words, *gpu_day.SMALL_ROWS[name]])
    assert small["budget"]["examples"] < 100 and small["net"]["depth"] == 1


def test_flops_are_those_of_the_matrix_products() -> None:
    """Exactly: 6 a weight and token for the matrices, forth and back; attention beside them."""
    words = [*throughput.MODELS["gpt"], *throughput.SMALL["gpt"], "net.tied=false"]
    model, batch = throughput.built(words, "cpu")
    matrices = sum(
        p.numel() for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n
    )
    num, length = batch["x"].shape
    attention = 2 * 12 * num * length**2 * 32  # 2 layers; two products, each thrice; width 32
    assert throughput.flops(model, batch) == 6 * matrices * num * length + attention
