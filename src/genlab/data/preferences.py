"""Preferences: pairs of samples of which somebody liked one better; what alignment trains on.

A file preferences.jsonl has a line for each judgement (docs/play.md states its fields); the samples
of a decided one lie beside it, in preferences/NAME.safetensors, so that nothing is drawn again.
Read: `append` writes one, `read_preferences` reads a file that may be anybody's: a line that is not
whole and right is refused by its number.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch
from genlab.data.base import Examples
from genlab.own import open_to_append, own_folder
from genlab.rows import LINE, LINES, body, line_of

VERDICTS = ("chosen", "tie", "bad")  # one is better; both are alike; neither is any good
SIDES = ("left", "right")
BYTES, ALL = 2**26, 2**32  # of a pair's tensors, and of a whole file's
TEXT, DEEP = 10_000, 100  # letters of a text in a line; brackets of a line
NAME = re.compile(r"[0-9a-f]{64}")
# of a sample: what it takes to draw it again
SAMPLE = {"run": str, "checkpoint": str, "seed": int, "index": int, "sampler": dict}


class Preferences(Examples):
    """Decided pairs: x is the chosen sample, `rejected` the other, under the same conditions.

    `rows` are all judgements as the file has them, ties among them; `decided` those with samples.
    """

    def __init__(self, rows: list[dict[str, Any]], pairs: list[dict[str, Tensor]]) -> None:
        self.rows, self.decided = rows, [r for r in rows if r["verdict"] == "chosen"]
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        """x and rejected [B, *shape]; cond; `mask` is False where both were given."""
        found = [self.pairs[i] for i in ids.tolist()]
        one = {key: torch.stack([p[key] for p in found]) for key in found[0]}
        batch = Batch(x=one["x"], rejected=one["rejected"])
        if "cond" in one:
            batch["cond"] = one["cond"]
        elif several := {k.partition(".")[2]: v for k, v in one.items() if k.startswith("cond.")}:
            batch["cond"] = several
        if "known" in one:
            batch["mask"] = ~one["known"]
        return batch

    def name_of(self, i: int) -> str:
        return f"judgement {i} of those that are decided"


# --- writing -------------------------------------------------------------------------------------


def append(path: Path, row: Mapping[str, Any], pair: Mapping[str, Any] | None = None) -> None:
    """Add a judgement, and the tensors of its pair: x, rejected, cond, known, one row each."""
    from safetensors.torch import save

    check_row(written := {"kind": "preference", **row, **({"tensors": "0" * 64} if pair else {})})
    _check_end(path)
    if pair is not None:
        kept = {}
        for key, value in pair.items():
            named = value if isinstance(value, Mapping) else {"": value}
            kept |= {f"{key}.{n}" if n else key: v for n, v in named.items()}
        data = save({k: v.detach().cpu().clone().contiguous() for k, v in kept.items()})
        written["tensors"] = hashlib.sha256(data).hexdigest()
        _write(own_folder(path.parent / path.stem) / f"{written['tensors']}.safetensors", data)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_to_append(path) as f:
        f.write(line_of(written))


def _write(path: Path, data: bytes) -> None:
    """A file under the name of its contents, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    with temporary.open("xb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    os.replace(temporary, path)


def _check_end(path: Path) -> None:
    """Refuse to go on after a torn line, which the next would become a part of."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb") as f:
        f.seek(-1, os.SEEK_END)
        if f.read(1) != b"\n":
            raise ValueError(f"{path}: its last line is torn: remove it")


# --- reading -------------------------------------------------------------------------------------


def read_preferences(path: str | Path) -> Preferences:
    """The judgements of a file, each checked, with the samples of those that are decided."""
    path = Path(path)
    rows, pairs, total = read_rows(path), [], 0
    for number, row in enumerate(rows, 1):
        if row["verdict"] != "chosen":
            continue
        try:
            pair, size = _read_pair(path, row["tensors"])
            total += size
            if total > ALL:
                raise ValueError(f"its samples are over {ALL:,} bytes together")
            if pairs and (odd := _unlike(pairs[0], pair)):
                raise ValueError(f"its samples are of another kind than the first ones: {odd}")
        except ValueError as error:
            raise ValueError(f"{path} line {number}: {error}") from None
        pairs.append(pair)
    return Preferences(rows, pairs)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The lines alone, each checked; none of a file that is not there."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ValueError(f"{path} is no regular file: remove it")
    rows: list[dict[str, Any]] = []
    if not path.is_file():
        return rows
    with path.open("rb") as f:
        while line := f.readline(LINE):
            where = f"{path} line {len(rows) + 1}"
            if not line.endswith(b"\n"):
                raise ValueError(f"{where}: it is torn, or over {LINE:,} bytes: remove it")
            if len(rows) >= LINES:
                raise ValueError(f"{path}: over {LINES:,} lines: put it aside")
            try:
                row = _parsed(line.removesuffix(b"\n"))
                check_row(row)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{where}: {error}: remove it") from None
            rows.append(row)
    return rows


def _parsed(line: bytes) -> Any:
    if line.count(b"[") + line.count(b"{") > DEEP:
        raise ValueError("it is nested too deep")
    if not (text := body(line)):
        raise ValueError("it is damaged: its checksum is wrong")
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("it is no JSON") from None


def check_row(row: Any) -> None:
    """Refuse a line that is no judgement, in words that name the field."""
    if not isinstance(row, dict) or row.get("kind") != "preference":
        raise ValueError("it is no preference")
    verdict = row.get("verdict")
    if verdict not in VERDICTS:
        raise ValueError(f"verdict: allowed are {', '.join(VERDICTS)}")
    for key in ("who", "time", "condition"):
        if not isinstance(row.get(key), str) or len(row[key]) > TEXT:
            raise ValueError(f"{key}: it must be a text of at most {TEXT:,} letters")
    if not isinstance(row.get("asked"), dict):
        raise ValueError("asked: it must be a mapping")
    both = ("chosen", "rejected") if verdict == "chosen" else SIDES
    for key in both:
        _check_sample(key, row.get(key))
    if verdict == "chosen" and row.get("side") not in SIDES:
        raise ValueError(f"side: where the chosen one stood; allowed are {', '.join(SIDES)}")
    name = row.get("tensors")
    if verdict == "chosen" and not (isinstance(name, str) and NAME.fullmatch(name)):
        raise ValueError("tensors: it must be the sha256 of the samples' file")


def _check_sample(key: str, sample: Any) -> None:
    if not isinstance(sample, dict):
        raise ValueError(f"{key}: it must say which sample it is")
    for name, kind in SAMPLE.items():
        if type(sample.get(name)) is not kind:
            raise ValueError(f"{key}.{name}: it must be of type {kind.__name__}")
        if kind is int and not 0 <= sample[name] < 2**63:
            raise ValueError(f"{key}.{name}: it must be at least 0")
        if kind is str and len(sample[name]) > TEXT:
            raise ValueError(f"{key}.{name}: over {TEXT:,} letters")


def _read_pair(path: Path, name: str) -> tuple[dict[str, Tensor], int]:
    """The tensors of a decided judgement, checked against the name that is their hash."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = path.parent / path.stem / f"{name}.safetensors"
    if file.parent.is_symlink() or file.is_symlink() or not file.is_file():
        raise ValueError(f"its samples are not there: {file.name}")
    with file.open("rb") as f:
        data = f.read(BYTES + 1)
    if len(data) > BYTES:
        raise ValueError(f"its samples are over {BYTES:,} bytes")
    if hashlib.sha256(data).hexdigest() != name:
        raise ValueError("its samples are damaged: their sha256 is another")
    try:
        pair = load_file(file)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"its samples cannot be read: {error!s:.100}") from None
    if not {"x", "rejected"} <= set(pair):
        raise ValueError("its samples lack x or rejected")
    if odd := [k for k in pair if not re.fullmatch(r"x|rejected|known|cond(\.\w+)?", k)]:
        raise ValueError(f"its samples hold {odd[0]!r:.60}, which is none of them")
    known = pair.get("known", pair["x"].bool())
    if not pair["x"].shape == pair["rejected"].shape == known.shape or known.dtype != torch.bool:
        raise ValueError("its two samples, and what was known of them, are of different shapes")
    if pair["x"].dtype != pair["rejected"].dtype:
        raise ValueError("its two samples are of different types")
    for key in ("x", "rejected"):  # of conditions, NaN is one that was not asked for
        if pair[key].is_floating_point() and not pair[key].isfinite().all():
            raise ValueError(f"{key}: it holds numbers that are not finite")
    return pair, len(data)


def _unlike(first: dict[str, Tensor], other: dict[str, Tensor]) -> str:
    """In what two pairs cannot stand in one batch; empty where they can."""
    if first.keys() != other.keys():
        return f"{', '.join(sorted(other))} and not {', '.join(sorted(first))}"
    for key, value in first.items():
        if (value.shape, value.dtype) != (other[key].shape, other[key].dtype):
            return f"{key} is {list(other[key].shape)} and not {list(value.shape)}"
    return ""
