"""A recipe carried out: the same bytes by any number of processes and after any kill."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made import documents, write_jsonl

from genlab.runs.prepare import prepare_command

parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("rensa")
pytest.importorskip("py3langid")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    texts = documents(1300)
    texts[700] = texts[10]  # of another shard
    texts[1200] = texts[20].replace("time", "hour", 1)
    texts[5] = "short"
    texts[6] = texts[6] + "\nwrite to jane.doe@example.org"
    texts[7] = "\n".join([texts[7].splitlines()[0]] * 20)
    return write_jsonl(tmp_path / "raw.jsonl", texts, licence=lambda i: "MIT")


def words(raw: Path, to: Path, processes: int = 1) -> list[str]:
    return ["kind=text", f"from={raw}", f"to={to}", f"processes={processes}", "~rules.markup"]


def contents(folder: Path) -> dict[str, bytes]:
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def test_the_same_bytes_by_any_number_of_processes(raw, tmp_path) -> None:
    prepare_command(words(raw, tmp_path / "one"))
    prepare_command(words(raw, tmp_path / "three", 3))
    assert contents(tmp_path / "one") == contents(tmp_path / "three")
    dataset = json.loads((tmp_path / "one" / "dataset.json").read_text())
    assert dataset["raws"] == 1300 == dataset["kept"] + sum(dataset["left_out"].values())
    assert dataset["left_out"] | {"split": 0} == dataset["left_out"]
    assert (dataset["left_out"]["length"], dataset["left_out"]["exact"]) == (1, 1)
    assert (dataset["left_out"]["repetition"], dataset["left_out"]["near"]) == (1, 1)
    assert dataset["changed"]["personal"] == 1 and dataset["by_licence"] == {"MIT": dataset["kept"]}


def test_every_change_stands_in_the_ledger(raw, tmp_path) -> None:
    prepare_command(words(raw, tmp_path / "set"))
    rows = parquet.read_table(tmp_path / "set" / "ledger.parquet").to_pylist()
    told = {(r["id"], r["rule"]): r for r in rows}
    assert set(told) == {
        ("raw.jsonl:6", "length"), ("raw.jsonl:7", "personal"), ("raw.jsonl:8", "repetition"),
        ("raw.jsonl:701", "exact"), ("raw.jsonl:1201", "near"),
    }  # fmt: skip
    assert told["raw.jsonl:701", "exact"]["value"] == "raw.jsonl:11"
    assert told["raw.jsonl:1201", "near"]["value"] == "raw.jsonl:21"
    masked = told["raw.jsonl:7", "personal"]
    assert (masked["action"], masked["value"]) == ("changed", "1 email")
    assert masked["before"] != masked["after"]
    assert told["raw.jsonl:6", "length"]["value"] == "5"
    lines = (tmp_path / "set" / "documents.jsonl").read_text().splitlines()
    kept = {json.loads(line)["id"]: json.loads(line) for line in lines}
    assert "<EMAIL>" in kept["raw.jsonl:7"]["text"] and kept["raw.jsonl:7"]["licence"] == "MIT"
    assert len(kept) == 1296 and not {"raw.jsonl:6", "raw.jsonl:701"} & kept.keys()


@pytest.mark.slow
def test_killed_at_random_it_ends_with_the_same_bytes(raw, tmp_path) -> None:
    prepare_command(words(raw, tmp_path / "whole"))
    draw, to = random.Random(1), tmp_path / "killed"
    line = [sys.executable, "-m", "genlab.cli", "prepare", *words(raw, to, 2)]
    kills = 0
    for _ in range(60):
        process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.5, 6.0))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
        if (to / "dataset.json").is_file():
            break
    else:
        prepare_command(words(raw, to))
    assert kills and contents(to) == contents(tmp_path / "whole")


@pytest.mark.slow
def test_two_machines_one_of_which_fails(raw, tmp_path, monkeypatch) -> None:
    """A Ray cluster of two workers of one CPU each; one is killed while it works."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    from genlab.curation import ray_pool

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.chdir(raw.parent)
    prepare_command(words(raw, tmp_path / "whole"))
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    told, lost = ray_pool.RayPool._done, []

    def then_one_fails(pool, reference):
        told(pool, reference)
        if not lost:
            cluster.remove_node(lost.append(nodes[0]) or nodes[0], allow_graceful=False)

    monkeypatch.setattr(ray_pool.RayPool, "_done", then_one_fails)
    try:
        ray = ["pool=ray", f"pool.address={cluster.address}"]
        prepare_command([*words(Path(raw.name), Path("ray"), 2), *ray])
    finally:
        cluster.shutdown()
    assert lost and contents(tmp_path / "ray") == contents(tmp_path / "whole")


def test_work_that_was_stopped_goes_on_and_other_work_is_refused(
    raw, tmp_path, monkeypatch
) -> None:
    from genlab.curation import shards

    original, calls = shards.later_pass, []

    def stops(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(*args)

    monkeypatch.setattr(shards, "later_pass", stops)
    with pytest.raises(KeyboardInterrupt):
        prepare_command(words(raw, tmp_path / "set"))
    monkeypatch.setattr(shards, "later_pass", original)
    from genlab.runs.say.errors import UserError

    with pytest.raises(UserError, match=r"an unfinished set with other rules lies there"):
        prepare_command([*words(raw, tmp_path / "set"), "rules.length.least=10"])
    first = shards.first_pass
    monkeypatch.setattr(shards, "first_pass", lambda *a: pytest.fail("it was done before"))
    prepare_command(words(raw, tmp_path / "set"))
    monkeypatch.setattr(shards, "first_pass", first)
    prepare_command(words(raw, tmp_path / "anew"))
    assert contents(tmp_path / "set") == contents(tmp_path / "anew")
