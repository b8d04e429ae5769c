"""Checkpoints: what is let in is what Python's own readers of zip and pickle find in the file."""

from __future__ import annotations

import copy
import io
import itertools
import pickle
import pickletools
import random
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzzing import ODD, change, fuzz, mutated, sizes
from strange_files import contents

from genlab.runs.folder.checkpoint import read
from genlab.runs.folder.load import load_model, read_run
from genlab.runs.settings.plan import Plan

WORDS = [
    b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08", b"\0" * 64, b"\xff" * 4,
    b"\xff" * 8, b"archive/data/0", b"archive/data.pkl", b"archive/data/1", b"big", b"little",
    b"3\n", b"\0\0\0\0", b"\1\0\0\0", b"FB", b"Z" * 30,
]  # fmt: skip
NAMES = (
    "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "torch FloatStorage",
    "torch LongStorage", "torch BoolStorage", "torch float32", "torch bfloat16", "torch bool",
    "torch BFloat16Storage", "collections OrderedDict", "os system", "builtins eval",
    "torch Tensor", "torch Size", "torch._utils _rebuild_sparse_tensor", "torch device",
    "torch QUInt8Storage", "torch ComplexFloatStorage", "torch uint16", "torch UntypedStorage",
)  # fmt: skip
SINGLE = [c.code.encode("latin1") for c in pickletools.opcodes if c.arg is None]
PUSHES = [
    *SINGLE, b"K\0", b"K\1", b"K\xff", b"M\xff\xff", b"J\xff\xff\xff\xff", b"J\xff\xff\xff\x7f",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"\x8a\x01\xff", b"\x8b\x04\0\0\0" + b"\xff" * 4,
    b"X\0\0\0\0", b"X\x01\0\0\0" + b"0", b"X\x01\0\0\0" + b"1", b"X\x07\0\0\0storage",
    b"G" + struct.pack(">d", 1e300), b"h\0", b"h\1", b"h\x05", b"q\0", b"q\1", b"q\xff",
    b"r" + struct.pack("<I", 2**31 - 1), b"\x80\2", b"\x80\xff", b"C\x01x", b"\x8c\x01x", b"\x94",
    *(b"c" + n.replace(" ", "\n").encode() + b"\n" for n in NAMES),
]  # fmt: skip


def tensor(rng: random.Random) -> torch.Tensor:
    kinds = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.uint8)
    shape = rng.choice(((), (3,), (2, 2), (0,), (4, 1, 3)))
    made = torch.tensor(rng.randrange(100)) + torch.zeros(shape)
    made = made.to(rng.choice(kinds))
    return (
        rng.choice((lambda t: t, lambda t: t.t() if t.dim() == 2 else t, torch.nn.Parameter))(made)
        if made.is_floating_point()
        else made
    )


def honest(rng: random.Random) -> dict[str, Any]:
    """A checkpoint as genlab writes it, small, and some of it shared."""
    one = tensor(rng)
    held = contents({"w": one, "v": tensor(rng), "u": one.detach().reshape(-1)[:2]})
    held["optimizer_states"] = [{"state": {0: {"exp_avg": one}}, "param_groups": [{"lr": 0.1}]}]
    held["current_model_state"] = OrderedDict(w=tensor(rng))
    return copy.deepcopy(held)


def file_of(data: Any) -> bytes:
    out = io.BytesIO()
    torch.save(data, out)
    return out.getvalue()


def with_pickle(data: bytes, made: bytes) -> bytes:
    """The file with another pickle; its records stay where the format wants them."""
    with zipfile.ZipFile(io.BytesIO(data)) as pack:
        entries = {n: pack.read(n) for n in pack.namelist()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as pack:
        for name, held in entries.items():
            pack.writestr(name, made if name.endswith("/data.pkl") else held)
    return out.getvalue()


def other_pickle(rng: random.Random, data: bytes) -> bytes:
    """Opcodes put in, left out, doubled or replaced, at their bounds."""
    with zipfile.ZipFile(io.BytesIO(data)) as pack:
        text = pack.read("archive/data.pkl")
    starts = [at for _, _, at in pickletools.genops(text)] + [len(text)]
    codes = [text[a:b] for a, b in itertools.pairwise(starts)]
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, kind = rng.randrange(1, len(codes)), rng.randrange(4)
        if kind == 0:
            codes.insert(at, rng.choice(PUSHES))
        elif kind == 1:
            codes[at] = rng.choice((*PUSHES, *codes))
        elif kind == 2:
            del codes[at]
        else:
            first, last = sorted((at, rng.randrange(1, len(codes) + 1)))
            codes[at:at] = codes[first:last] * rng.choice((1, 1, 3))
    # numbers of the tensors alone: sizes, strides, offsets, the storages' keys
    if rng.random() < 0.4:
        at = [i for i, c in enumerate(codes) if c[:1] in (b"K", b"M", b"J", b"\x8a")]
        for i in rng.sample(at, min(len(at), rng.randint(1, 3))):
            codes[i] = rng.choice([p for p in PUSHES if p[:1] in (b"K", b"M", b"J", b"\x8a")])
    return with_pickle(data, b"".join(codes))


def other_records(rng: random.Random, data: bytes) -> bytes:
    """A field of one of the zip's records, or an entry's own bytes."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        mark = rng.choice((b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7"))
        found = [i for i in range(len(out)) if out.startswith(mark, i)]
        if not found:
            continue
        place = rng.choice(found) + rng.randrange(4, 56, 2)
        size = rng.choice((2, 4, 8))
        old = int.from_bytes(out[place : place + size], "little")
        new = rng.choice((0, 1, old + 1, old - 1, old + 64, 2 ** (8 * size) - 1, len(out), old * 2))
        out[place : place + size] = (new % 2 ** (8 * size)).to_bytes(size, "little")
    if rng.random() < 0.2:
        name = rng.choice((b"data.pkl", b"version", b"byteorder", b"data/0", b"archive"))
        out = out.replace(name, rng.choice((name[::-1], b"x" * len(name), name.upper())))
    return bytes(out)


def make(rng: random.Random) -> bytes:
    held, kind = honest(rng), rng.randrange(8)
    if kind in (0, 1):
        tensors = (torch.zeros(3), torch.ones(2, 2), torch.zeros(0), (1, torch.zeros(2)))
        change(rng, held, (*ODD, *tensors, b"x", (1,), torch.float32, OrderedDict(a=1)))
    elif kind == 2:  # where genlab itself looks
        parts = held["genlab"]["settings"]
        change(rng, rng.choice((held["genlab"], parts["model"], parts["data"], held["clock"])))
    data = file_of(held)
    if kind in (3, 4):
        return other_pickle(rng, data)
    if kind == 5:
        return other_records(rng, data)
    if kind in (6, 7):
        return mutated(rng, data, WORDS, most=2)
    return data


class Reader(pickle._Unpickler):
    """What the pickle says, by Python's own machine; storages are the zip's bytes."""

    def __init__(self, pack: zipfile.ZipFile, name: str) -> None:
        self.pack, self.root = pack, name.removesuffix("data.pkl")
        super().__init__(io.BytesIO(self.bytes_of(name)))

    def bytes_of(self, name: str) -> bytes:
        with self.pack.open(name) as member:
            member._expected_crc = None
            return member.read()

    def find_class(self, module: str, name: str) -> Any:
        if name == "OrderedDict":
            return OrderedDict
        if name == "_rebuild_parameter":
            return lambda data, *_: data
        if name == "_rebuild_tensor_v2":
            return self.tensor
        return getattr(torch, name)

    def persistent_load(self, pid: Any) -> Any:
        _, kind, key, _, _ = pid
        return kind, self.bytes_of(f"{self.root}data/{key}")

    @staticmethod
    def tensor(storage: Any, offset: int, size: tuple, stride: tuple, *_: Any) -> bytes:
        """The elements' bytes in order, gathered one by one."""
        kind, data = storage
        wide = (kind._dtype if hasattr(kind, "_dtype") else torch.uint8).itemsize
        found = b""
        for at in np.ndindex(*size):
            first = (offset + sum(a * s for a, s in zip(at, stride))) * wide
            found += data[first : first + wide]
        return found


def plain(value: Any) -> Any:
    """Tensors as their bytes, containers as lists of pairs: to compare two readings."""
    if isinstance(value, torch.Tensor):
        value = value.detach().contiguous().view(-1)
        return bytes(value.view(torch.uint8).tolist()) if value.numel() else b""
    if isinstance(value, dict):
        return [[plain(k), plain(v)] for k, v in value.items()]
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return repr(value) if not isinstance(value, bytes) else value


def check_by_python(path: Path, loaded: dict) -> None:
    with zipfile.ZipFile(path) as pack:
        (name,) = (n for n in pack.namelist() if n.endswith("/data.pkl"))
        reader = Reader(pack, name)
        order = f"{reader.root}byteorder"
        if order not in pack.namelist() or reader.bytes_of(order) == b"little":
            assert plain(reader.load()) == plain(loaded), "two readings of one file"


@sizes()
def test_a_checkpoint(num: int, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "x.ckpt"
    read_run(_written(path, file_of(honest(random.Random(0)))))  # what it imports is imported

    def meet(data: bytes) -> str:
        _written(path, data)
        try:
            check_by_python(path, read(path))
            read_run(path)
            return "read"
        finally:
            assert sum(1 for _ in path.parent.iterdir()) == 1, "a file beside it"

    fuzz("checkpoints", num, path.parent, make, meet)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@sizes(share=0.1, few=40)
def test_settings_of_a_checkpoint(num: int, tmp_path: Path) -> None:
    """Of a file that is whole, settings of which some are odd: a model that fits, or a line."""
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "x.ckpt"
    base = contents()
    base["state_dict"] = Plan({"model": base["genlab"]["settings"]["model"]}).model().state_dict()
    load_model(_written(path, file_of(base)))

    def make(rng: random.Random) -> bytes:
        held = copy.deepcopy(base)
        if rng.random() < 0.95:
            parts = held["genlab"]["settings"]
            model, weights = parts["model"], held["state_dict"]
            places = (held, weights, held["genlab"], parts, model, model, model["net"])
            change(rng, rng.choice((*places, parts["data"])))
        return file_of(held)

    def meet(data: bytes) -> str:
        model = load_model(_written(path, data))
        assert all(t.isfinite().all() for t in model.parameters())
        return "a model"

    fuzz("settings of a checkpoint", num, path.parent, make, meet)
