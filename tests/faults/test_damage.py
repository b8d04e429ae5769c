"""Flipped bits and cut files: all found and named; the checkpoint before is used, or a refusal."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from record import record, share
from running import fit, genlab
from test_runs import FAMILIES, parts

from genlab.rows import damaged_rows, line_of, mend, read_rows
from genlab.runs.folder.checkpoint import damage, manifest, newest, read
from genlab.runs.folder.layout import read_settings, write_settings
from genlab.runs.say.errors import UserError


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A finished tiny run, with the files that are to be damaged; nobody changes it."""
    run = fit(FAMILIES["vae"], tmp_path_factory.mktemp("whole") / "run")
    write_settings(run, read_settings(run))
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def refused(run: Path) -> str:
    """How the settings are refused; empty if they are not."""
    try:
        read_settings(run)
    except UserError as error:
        return str(error)
    return ""


def lost(run: Path) -> str:
    """What a resume would tell of the ledger."""
    held = read(newest(run), verify=False)
    aside = shutil.copytree(run, run.parent / "aside")
    try:
        return "; ".join(mend(aside / "metrics.jsonl", held["clock"]["batches"],
                              held["ledger"]["rows"]))  # fmt: skip
    finally:
        shutil.rmtree(aside)


def damaged_rows_of(run: Path) -> str:
    return "; ".join(damaged_rows(run / "metrics.jsonl"))


# what may be damaged, and how it is found
TARGETS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], str | None]]] = {
    "weights": (newest, lambda run: damage(sorted(run.glob("checkpoints/*.ckpt"))[-1])),
    "manifest": (lambda run: manifest(newest(run)),
                 lambda run: damage(sorted(run.glob("checkpoints/*.ckpt"))[-1])),
    "config": (lambda run: run / "config.yaml", refused),
    "config's hash": (lambda run: run / "config.yaml.sha256", refused),
    "ledger": (lambda run: run / "metrics.jsonl", damaged_rows_of),
}  # fmt: skip


def flips(run: Path, target: str, count: int) -> int:
    """How many of `count` flipped bits, one at a time, are found; the file is whole afterwards."""
    place, problem = TARGETS[target]
    path = place(run)
    before, dice, found = path.read_bytes(), random.Random(target), 0
    assert not problem(run)
    with path.open("r+b", buffering=0) as f:
        for _ in range(count):
            at, bit = dice.randrange(len(before)), 1 << dice.randrange(8)
            os.pwrite(f.fileno(), bytes([before[at] ^ bit]), at)
            found += bool(problem(run))
            os.pwrite(f.fileno(), before[at : at + 1], at)
    assert path.read_bytes() == before
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_flipped_bits_are_found(target: str, run: Path) -> None:
    assert flips(run, target, 20) == 20


@pytest.mark.faults
def test_a_thousand_flipped_bits_are_found(run: Path) -> None:
    counts = {"weights": 400, "manifest": 150, "config": 150, "config's hash": 50, "ledger": 250}
    found = {target: flips(run, target, share(count)) for target, count in counts.items()}
    cases = sum(share(c) for c in counts.values())
    record(
        "single flipped bits", cases, sum(found.values()),
        ", ".join(f"{n} in the {t}" for t, n in found.items()),
    )  # fmt: skip
    assert sum(found.values()) == cases, found


CUTS = {"0 %": 0.0, "1 %": 0.01, "50 %": 0.5, "99 %": 0.99, "last byte": -1}


def test_cut_files_are_found(run: Path) -> None:
    cases = passed = 0
    for target, (place, problem) in TARGETS.items():
        path = place(run)
        before = path.read_bytes()
        for cut, part in CUTS.items():
            path.write_bytes(before[: int(len(before) * part)] if part >= 0 else before[:-1])
            told = problem(run) or (lost(run) if target == "ledger" else None)
            cases, passed = cases + 1, passed + bool(told)
            assert told, (target, cut)
        path.write_bytes(before)
    record("cut files", cases, passed, "weights, manifest, config, its hash, ledger at 5 places")


def test_rows_of_older_runs_are_read_and_a_torn_last_one_is_cut(tmp_path: Path) -> None:
    old, new = {"kind": "train", "batches": 1, "x": 0.5}, {"kind": "train", "batches": 2, "x": 1e-9}
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"kind": "train", "batches": 1, "x": 0.5}\n' + line_of(new) + b'{"kin')
    assert read_rows(path) == [old, new]
    assert mend(path, 2, rows=2) == []  # a kill in the middle of a line is nothing to tell
    assert read_rows(path) == [old, new] and not damaged_rows(path)
    assert mend(path, 2, rows=3) == ["metrics.jsonl holds 2 of the 3 rows up to the checkpoint"]


def half(run: Path) -> None:
    """Take the run back to the middle: its newest checkpoint goes."""
    last = newest(run)
    last.unlink()
    manifest(last).unlink()


@pytest.mark.faults
def test_a_damaged_row_is_named_kept_aside_and_the_run_goes_on(run: Path, capsys) -> None:
    whole = parts(run)
    half(run)
    path = run / "metrics.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b"train", b"trbin", 1)
    path.write_bytes(b"\n".join(lines))
    fit(FAMILIES["vae"], run, resume=True)
    told = capsys.readouterr().err
    assert "metrics.jsonl line 4 is torn or damaged" in told
    assert "holds 9 of the 10 rows" in told, told
    assert (run / "metrics.damaged.jsonl").read_bytes() == lines[3] + b"\n"
    assert [r["notice"] for r in read_rows(path) if r["kind"] == "notice"]
    assert parts(run)["state_dict"] == whole["state_dict"]
    record("damaged row of the ledger: named, kept aside, the run goes on", 1, 1)


@pytest.mark.faults
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("target", ["weights", "manifest"])
def test_the_checkpoint_before_is_used_and_both_places_say_so(
    target: str, cut: str, run: Path, capsys
) -> None:
    whole, path = parts(run), TARGETS[target][0](run)
    before, part = path.read_bytes(), CUTS[cut]
    path.write_bytes(before[: int(len(before) * part)] if part >= 0 else before[:-1])
    fit(FAMILIES["vae"], run, resume=True)
    told = "skipped: examples=000000000256.ckpt"
    assert told in capsys.readouterr().err
    notices = [r["notice"] for r in read_rows(run / "metrics.jsonl") if r["kind"] == "notice"]
    assert len(notices) == 1 and notices[0].startswith(told)
    assert parts(run) == whole
    record(f"newest checkpoint's {target} cut ({cut}): the one before is used", 1, 1)


@pytest.mark.faults
def test_all_damaged_is_refused_by_name(run: Path) -> None:
    for path in run.glob("checkpoints/*.ckpt"):
        path.write_bytes(path.read_bytes()[:-1])
    before = (run / "metrics.jsonl").read_bytes()
    done = genlab("train", f"resume={run}")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    for number in ("128", "256"):
        assert f"examples=000000000{number}.ckpt is damaged" in done.stderr
    assert (run / "metrics.jsonl").read_bytes() == before
    record("all checkpoints damaged: refused, each named, exit code 2", 1, 1)


@pytest.mark.faults
def test_changed_settings_are_refused_by_name(run: Path) -> None:
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("width: 8", "width: 9"))
    done = genlab("train", f"resume={run}")
    assert done.returncode == 2 and "config.yaml was changed or damaged" in done.stderr
    record("changed config.yaml: resume refuses by name, exit code 2", 1, 1)


def test_the_newest_is_chosen_by_number_never_by_a_clock(tmp_path: Path) -> None:
    from genlab.runs.folder.checkpoint import save

    numbers = [5, 10**12, 9 * 10**11, 99]  # some with more digits than the name has zeros
    for i, number in enumerate(numbers):
        path = tmp_path / "checkpoints" / f"examples={number:012d}.ckpt"
        save({"w": torch.zeros(2)}, path)
        for year in (0, 4e9):
            os.utime(path, (year * (i % 2), year * (i % 2)))
    assert newest(tmp_path).name == f"examples={10**12}.ckpt"
    record("file times in 1970 and 2096: the newest is chosen by its number", 4, 4)


def test_a_save_over_the_same_name_is_valid_at_every_instant(tmp_path: Path, monkeypatch) -> None:
    """A stop between two renames leaves the file before valid, though its hash is renamed first."""
    from genlab.runs.folder.checkpoint import save

    path = tmp_path / "examples=000000000001.ckpt"
    save({"w": torch.zeros(2)}, path)
    renames, replace = [], os.replace

    def watched(a, b) -> None:
        assert damage(path) is None, renames
        replace(a, b)
        renames.append(Path(b).name)
        assert damage(path) is None, renames

    monkeypatch.setattr(os, "replace", watched)
    save({"w": torch.ones(2)}, path)
    assert renames == [manifest(path).name, path.name, manifest(path).name]
    assert torch.equal(read(path)["w"], torch.ones(2))
