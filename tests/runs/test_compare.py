"""`genlab compare`: pairs by seed, numbers of another kind refused, budgets matched."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from genlab.metrics.paired import Comparison
from genlab.rows import append
from genlab.runs.compare import compare_command, curve, value_at, verdict
from genlab.runs.folder.layout import write_json, write_yaml
from genlab.runs.page.record import read_record
from genlab.runs.say.errors import UserError


def made(
    folder: Path, seed: int, value: float, *, words: list[str] | None = None,
    model: str = "vae.VAE", notes: dict[str, Any] | None = None, data: str = "abc",
    name: str = "frechet_distance", rate: float = 1.0,
    energy: bool = False,
) -> Path:  # fmt: skip
    """A finished run as it lies on disk."""
    run = folder / f"{seed}_x"
    write_yaml(run / "config.yaml", {"seed": seed, "model": {"_target_": model}})
    write_yaml(run / "overrides.yaml", [*(words or []), f"seed={seed}"])
    write_json(run / "provenance.json", {"data_fingerprint": data})
    for k in range(1, 5):
        clock = {"examples": 100 * k, "batches": 10 * k, "seconds": k / rate}
        clock |= {"energy/joules": 50.0 * k} if energy else {}
        append(run / "metrics.jsonl", {"kind": "look", **clock, "val/loss": value + 1 / k})
    append(run / "metrics.jsonl", {"kind": "end", **clock})
    held = {"split": "val", "num_samples": 100, "feature_hash": "f"} | (notes or {})
    evaluation = {"metrics": {name: value, "loss": value}, "floor": {name: 0.1}, "notes": held}
    write_json(run / "evaluation.json", evaluation)
    return run


def both(tmp_path: Path, values_a: list[float], values_b: list[float], **b: Any) -> list[str]:
    for seed, value in enumerate(values_a):
        made(tmp_path / "a", seed, value)
    for seed, value in enumerate(values_b):
        made(tmp_path / "b", seed, value, **b)
    return [str(tmp_path / "a"), str(tmp_path / "b")]


def test_pairs_by_seed_are_told_apart(tmp_path, capsys: pytest.CaptureFixture) -> None:
    words = both(tmp_path, [2.0, 3.0, 4.0, 5.0], [1.5, 2.51, 3.49, 4.5])
    compare_command(words)
    said = capsys.readouterr().out
    assert "frechet_distance (lower is better)" in said
    assert "B is better by 0.5: B less A is -0.5 (-0.5" in said and "4 pairs by seed" in said
    assert "0: 2, 1: 3, 2: 4, 3: 5" in said, "every single value is kept"
    compare_command(words[::-1])
    assert "A is better by 0.5" in capsys.readouterr().out


def test_it_says_when_it_cannot_tell(tmp_path, capsys: pytest.CaptureFixture) -> None:
    compare_command(both(tmp_path, [2.0, 3.0, 4.0], [1.0, 3.5, 3.6]))
    said = capsys.readouterr().out
    assert "cannot tell" in said and "more seeds of each would" in said
    compare_command([str(tmp_path / "a" / "0_x"), str(tmp_path / "b" / "0_x")])
    assert "one seed says nothing of how far seeds differ" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("other", "metric", "field"),
    [
        ({"data": "xyz"}, "frechet_distance", "data: "),
        ({"notes": {"split": "test"}}, "frechet_distance", "split: .* has val, .* test"),
        ({"notes": {"num_samples": 50}}, "frechet_distance", "num_samples: .* has 100, .* 50"),
        ({"notes": {"feature_hash": "g"}}, "frechet_distance", "feature_hash: "),
        ({"model": "gan.GAN"}, "loss", "model .of whose loss it is.: "),
        ({"model": "gan.GAN"}, "val/loss", "model .of whose loss it is.: "),
        (
            {"name": "frechet_distance_bound"},
            "frechet_distance",
            r"likelihood: .*_bound .a bound.,",
        ),
        ({"name": "precision"}, "frechet_distance", "has no frechet_distance; it has precision"),
    ],
)
def test_numbers_of_another_kind_are_refused_by_the_field(
    other: dict, metric: str, field: str, tmp_path: Path
) -> None:
    words = both(tmp_path, [1.0, 2.0], [1.0, 2.0], **other)
    with pytest.raises(UserError, match=field):
        compare_command([*words, f"metric={metric}"])


def test_the_cells_of_a_sweep_by_a_setting(tmp_path, capsys: pytest.CaptureFixture) -> None:
    for i, width in enumerate((8, 16, 32)):
        for seed in range(4):
            value = 3.0 - i + seed + 0.01 * seed * i
            made(tmp_path / "s", 10 * i + seed, value, words=[f"net.width={width}"])
    for cell in (tmp_path / "s").iterdir():  # as of a grid: the same seeds in each group
        number = int(cell.name.partition("_")[0])
        write_yaml(cell / "config.yaml", {"seed": number % 10, "model": {"_target_": "vae.VAE"}})
        write_yaml(
            cell / "overrides.yaml", [f"net.width={8 * 2 ** (number // 10)}", f"seed={number % 10}"]
        )
    compare_command([str(tmp_path / "s"), "by=net.width"])
    said = capsys.readouterr().out
    assert "3 groups, each against the best; p times 2" in said
    assert said.count("A  net.width=32") == 2 and said.count("A is better by") == 2
    with pytest.raises(UserError, match=r"differ in net.width: write by=net.width"):
        compare_command([str(tmp_path / "s"), str(tmp_path / "s")])
    with pytest.raises(UserError, match=r"by=net.wdith: .* was not given it"):
        compare_command([str(tmp_path / "s"), "by=net.wdith"])


def test_at_equal_energy(tmp_path, capsys) -> None:
    for name, values in (("a", [2.0, 3.0]), ("b", [1.0, 2.1])):
        for seed, value in enumerate(values):
            made(tmp_path / name, seed, value, energy=True)
    words = [str(tmp_path / "a"), str(tmp_path / "b")]
    compare_command([*words, "metric=val/loss", "over=energy"])
    assert "at 200 energy: A 2.75, B 1.8" in capsys.readouterr().out


def test_of_many_groups_each_must_tell_more() -> None:
    found = Comparison(-0.5, (-0.9, -0.1), 0.03, True, (5, 5), 0)
    assert verdict(found, 1).startswith("B is better by 0.5") and "p <= 0.03" in verdict(found, 1)
    assert verdict(found, -1).startswith("A is better by 0.5")
    assert verdict(found, 1, tries=2).startswith("cannot tell") and "p = 0.06" in verdict(
        found, 1, tries=2
    )


def test_pruned_runs_are_told_from_unfinished_ones(tmp_path) -> None:
    for seed in range(4):
        run = made(tmp_path / "a", seed, 1.0, words=["net.width=8"])
        end = {0: {"kind": "end", "state": "pruned"}, 1: {"kind": "look"}}.get(seed)
        if end:
            append(run / "metrics.jsonl", {"examples": 500, "batches": 50, **end})
    with pytest.raises(UserError, match=r"\(1 not finished, 1 pruned of 4 runs\)"):
        compare_command([str(tmp_path / "a"), "by=net.width"])


def test_two_shares_differ_by_one_at_most(tmp_path, capsys) -> None:
    for name, values in (("a", [0.5, 0.9, 0.1]), ("b", [0.9, 0.1, 0.8])):
        for seed, value in enumerate(values):
            made(tmp_path / name, seed, value, name="precision")
    compare_command([str(tmp_path / "a"), str(tmp_path / "b"), "metric=precision"])
    assert "B less A is 0.1 (-1 to 1)" in capsys.readouterr().out


def test_along_the_curve_both_have_the_same_budget(tmp_path, capsys, monkeypatch) -> None:
    words = both(tmp_path, [2.0, 3.0, 4.0, 5.0], [1.5, 2.51, 3.49, 4.5], rate=2.0)
    compare_command([*words, "metric=val/loss", "over=seconds"])
    said = capsys.readouterr().out
    assert "at 2 seconds: A 4, B 3.25" in said  # the end of B's curve, half of A's
    monkeypatch.setattr("genlab.runs.compare.flops_of", lambda run: 10)
    compare_command([*words, "metric=val/loss", "over=flops"])
    assert "at 4,000 flops" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"over=energy: 0_x has no energy/joules: .*over=seconds"):
        compare_command([*words, "metric=val/loss", "over=energy"])
    with pytest.raises(UserError, match="over=watts: allowed are"):
        compare_command([*words, "over=watts"])
    with pytest.raises(UserError, match="is no curve of the ledger"):
        compare_command([*words, "over=seconds"])
    points = curve(read_record(tmp_path / "a" / "0_x"), "val/loss", "examples")
    assert points == [(100.0, 3.0), (200.0, 2.5), (300.0, 2 + 1 / 3), (400.0, 2.25)]
    assert value_at(points, 150) == 2.75 and value_at(points, 50) is None
    assert value_at(points, 401) is None and math.isclose(value_at(points, 400), 2.25)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs two folders"),
        (["one"], "needs two folders"),
        (["nowhere", "elsewhere"], "there is no such folder"),
        (["a", "b", "metrc=loss"], "nearest: metric"),
    ],
)
def test_slips(words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        compare_command(words)
