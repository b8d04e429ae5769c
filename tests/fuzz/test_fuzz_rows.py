"""The ledger and the files of a page: whatever stands in them, rows come out or lines are named."""

from __future__ import annotations

import json
import math
import random
import zlib
from pathlib import Path
from typing import Any

from fuzzing import ODD, Refused, change, fuzz, mutated, sizes

from genlab.rows import NAMED, body, damaged_rows, line_of, lines_of, mend, parse, read_rows
from genlab.runs.page.record import read_record

WORDS = [
    b"\n", b"\r\n", b"\0", b"{}", b"[]", b"{", b"}", b'"', b'\\ud800', b"\xff\xfe", b"\xef\xbb\xbf",
    b'"kind": ', b'"batches": "x"', b'"batches": null', b', "crc": "00000000"}', b'{"kind": 1}\n',
    b'{"kind": "end"}\n', b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[" * 2000, b'{"a":' * 1500,
    b'{"kind": ' + b"[" * 990 + b"]" * 990 + b"}\n", b'"kind": "look", ', b"\xc3\x28", b"\t",
]  # fmt: skip
KINDS = ("train", "look", "end", "notice", "start", None, 3, ["train"], {"a": 1}, "\0", "")


def honest(rng: random.Random) -> list[dict[str, Any]]:
    return [
        {"kind": rng.choice(("train", "look")), "examples": 16 * i, "batches": i, "seconds": i / 7,
         "train/loss": rng.random(), "note": "é\u2028"} for i in range(1, rng.randint(2, 8))
    ]  # fmt: skip


def ledger(rng: random.Random) -> bytes:
    rows: list[Any] = honest(rng)
    kind = rng.randrange(4)
    if kind == 1:  # odd values under a right checksum: a stranger can compute one
        change(rng, rows)
        for row in rows:
            if isinstance(row, dict) and rng.random() < 0.3:
                row[rng.choice(("kind", "batches", "crc"))] = rng.choice((*KINDS, *ODD))
    lines = [line_of(row) if isinstance(row, dict) else json.dumps(row).encode() for row in rows]
    if kind == 2:  # without one: of older runs
        lines = [json.dumps(row).encode() + b"\n" for row in rows]
    data = b"".join(lines)
    return mutated(rng, data, WORDS) if kind >= 2 or rng.random() < 0.1 else data


def expected(data: bytes) -> list[Any]:
    """The rows as the format says, read in another way: by the line's end alone."""
    found = []
    for line in data.split(b"\n"):
        text, mark, check = line.rpartition(b', "crc": "')
        if mark and check.endswith(b'"}') and len(check) == 10:
            line = text + b"}"
            if check[:8] != b"%08x" % zlib.crc32(line):
                continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and "kind" in row:
            found.append(row)
    return found


def same(a: Any, b: Any) -> bool:
    return json.dumps(a) == json.dumps(b)


@sizes()
def test_the_ledger(num: int, tmp_path: Path) -> None:
    path = tmp_path / "here" / "metrics.jsonl"
    path.parent.mkdir()

    def meet(data: bytes) -> str:
        for left in path.parent.iterdir():
            left.unlink()
        path.write_bytes(data)
        rows, damaged = read_rows(path), damaged_rows(path)
        lines = lines_of(path)
        assert len(rows) == sum(parse(line) is not None for line in lines)
        assert all(body(line) or parse(line) is None for line in lines)
        # a damaged checksum's line is left out by genlab, and taken for an older run's here
        assert all(any(same(r, e) for e in expected(data)) for r in rows), "a row nobody wrote"
        assert (len(damaged) >= min(NAMED, len(lines) - len(rows))) and (
            damaged or data.endswith(b"\n")
        )
        batches = random.Random(len(data)).choice((-1, 0, 3, 10**9))
        mend(path, batches, 3)
        kept = read_rows(path)
        assert not damaged_rows(path) or not kept, "mended, and damaged still"
        assert all(any(same(k, r) for r in rows) for k in kept), "mending changed a row"
        before = path.read_bytes()
        mend(path, batches, 3)
        assert path.read_bytes() == before, "mending twice is not mending once"
        bad = path.with_name("metrics.damaged.jsonl")
        left_out = [line for line in lines if parse(line) is None]
        assert (lines_of(bad) if left_out else []) == left_out, "a damaged line is lost"
        if damaged:
            raise Refused("damaged lines are left out")
        return f"whole, {'all' if len(kept) == len(rows) else 'some'} kept"

    fuzz("the ledger's rows", num, tmp_path / "here", lambda rng: ledger(rng), meet)


PAGE = {
    "config.yaml": b"name: x\nseed: 0\nbudget: {examples: 512}\nmodel: {_target_: a.B}\n",
    "overrides.yaml": b"- data=ring\n- seed=3\n",
    "provenance.json": b'{"started": 1700000000.0, "time": "now", "git": {"commit": "x"}}',
    "evaluation.json": b'{"metrics": {"fid": 3.0}, "checkpoint": "examples=512.ckpt"}',
}
YAML_WORDS = [
    b"!!int ''", b"!!bool x", b"!!timestamp x", b"&a ", b"*a", b"- ", b"\n- 0x" + b"f" * 900,
    b'- !!int "0x' + b"f" * 5000 + b'"\n', b": ", b"{", b"}", b"[", b"'", b"\xff", b"\t", b"? ",
    b"2001-01-01", b".inf", b"<<: ", b"!!binary x", b"!!set {a}", b"budget: {examples: .nan}\n",
    b"budget: {examples: 1e400}\n", b"name: [1]\n", b"\n", b"examples: ", b'"started": 1e300',
    b'"started": -9e18', b'"started": "x"', b'"time": {}',
]  # fmt: skip


@sizes()
def test_a_record(num: int, tmp_path: Path) -> None:
    run = tmp_path / "here"
    run.mkdir()

    def make(rng: random.Random) -> dict[str, bytes]:
        files = {**PAGE, "metrics.jsonl": ledger(rng)}
        for name in rng.sample([*PAGE], rng.randint(0, 3)):
            files[name] = mutated(rng, files[name], [*YAML_WORDS, *WORDS])
        for name in rng.sample([*files], rng.choice((0, 0, 0, 1))):
            del files[name]
        return files

    def meet(files: dict[str, bytes]) -> str:
        for left in run.iterdir():
            left.unlink()
        for name, data in files.items():
            (run / name).write_bytes(data)
        record = read_record(run)
        values = [v for points in record.series.values() for point in points for v in point]
        assert all(math.isfinite(v) for v in values) and all(map(str, record.overrides))
        assert isinstance(record.budget, int | None) and isinstance(record.date, str)
        assert all("\n" not in p for p in record.problems), record.problems
        for name in record.series:
            assert record.last(name) is not None and record.best(name)
        if record.problems:
            raise Refused(record.problems[0])
        return "whole"

    fuzz("a page's record", num, run, make, meet)
