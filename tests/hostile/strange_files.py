"""Hostile files, made by code: pickles, bombs, archives that climb, pictures, exports that lie.

`FILES` says of each how genlab meets it: `checkpoint` (genlab.load), `export` (a folder),
`archive` (data.root), `image` (a folder of pictures).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from corpus import Touch


@dataclass(frozen=True)
class File:
    """`make(folder, marker)` writes it and gives its path."""

    name: str
    kind: str
    make: Callable[[Path, str], Path]
    pickled: bool = False  # whether a trusting loader would run it
    says: str = ""  # why it is refused: another reason would hide that this one is not held


OWN: dict[str, Any] = {
    "name": "x",
    "seed": 0,
    "model": {
        "_target_": "genlab.models.diffusion.Diffusion",
        "net": {"_target_": "genlab.nn.mlp.MLP", "shape": [2], "width": 8, "depth": 1},
        "objective": {"_target_": "genlab.objectives.diffusion.EDM"},
        "sampler": {"_target_": "genlab.samplers.diffusion.Heun"},
        "optim": None,
        "shape": [2],
    },
    "data": {"_target_": "genlab.data.toy.Ring"},
}


def contents(state: Any = None, **settings: Any) -> dict[str, Any]:
    """A checkpoint as genlab writes it, but for what is hostile in it."""
    return {
        "state_dict": state if state is not None else {"w": torch.zeros(3)},
        "genlab": {"settings": {**OWN, **settings}, "data_state": {}},
        "clock": {"examples": 1, "tokens": 1, "batches": 1},
    }


def saved(make: Callable[[str], Any], ending: str = ".ckpt", **how: Any):
    def write(folder: Path, marker: str) -> Path:
        torch.save(make(marker), folder / f"x{ending}", **how)
        return folder / f"x{ending}"

    return write


def raw(make: Callable[[str], bytes], ending: str = ".ckpt"):
    def write(folder: Path, marker: str) -> Path:
        (folder / f"x{ending}").write_bytes(make(marker))
        return folder / f"x{ending}"

    return write


class Call:
    """A pickle that calls what it likes."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


class Build(Touch):
    """The same, by the state that is put into an object."""

    def __reduce__(self):
        return list, (), None, iter([Touch(self.marker)])


def _zip_of(entries: dict[str, bytes], *, deflated: bool = False) -> bytes:
    out = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", how) as pack:
        for name, data in entries.items():
            pack.writestr(name, data)
    return out.getvalue()


def _again(data: Any, change: Callable[[dict[str, bytes]], None], **how: Any) -> bytes:
    """A file of torch.save with changed entries."""
    out = io.BytesIO()
    torch.save(data, out)
    with zipfile.ZipFile(out) as pack:
        entries = {n: pack.read(n) for n in pack.namelist()}
    change(entries)
    return _zip_of(entries, **how)


def _replace_pickle(data: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(entries: dict[str, bytes]) -> None:
        entries["archive/data.pkl"] = data

    return change


def _old_tar(marker: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as pack:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            data = pickle.dumps(Touch(marker), 2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            pack.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _script(folder: Path, marker: str) -> Path:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(folder / "x.pt"))
    return folder / "x.pt"


# a pickle of persistent ids by hand: what a tensor claims is not what the file holds
def _claiming(num: int, shape: int, stride: int) -> bytes:
    def change(entries: dict[str, bytes]) -> None:
        p = b"\x80\x02}X\x0a\x00\x00\x00state_dict}X\x01\x00\x00\x00wctorch._utils\n"
        p += b"_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        p += b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + _long(num) + b"tQK\x00"
        p += _long(shape) + b"\x85" + _long(stride) + b"\x85\x89ccollections\nOrderedDict\n)R"
        p += b"tRss."
        entries["archive/data.pkl"] = p

    return _again({"w": torch.zeros(3)}, change)


def _long(n: int) -> bytes:
    data = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def _call(module: str, name: str, args: bytes) -> Callable[[str], bytes]:
    body = b"\x80\x02c" + f"{module}\n{name}\n".encode() + args + b"\x85R."
    return lambda m: _again({"w": torch.zeros(3)}, _replace_pickle(body))


def _many_entries(marker: str) -> bytes:
    """A directory that claims a million entries."""
    data = bytearray(_again(contents(), lambda e: None))
    at = data.rfind(b"PK\5\6")
    data[at + 8 : at + 12] = struct.pack("<HH", 65534, 65534)
    data[at + 12 : at + 16] = struct.pack("<I", 46 * 10**6)
    return bytes(data)


def two_readers(first: Any, second: Any) -> bytes:
    """One file behind another: torch finds the first's directory, Python's reader the second's.

    The end record of the second names a place counted from the file's start; Python adds what
    stands before it.
    """
    parts = []
    for data in (first, second):
        out = io.BytesIO()
        torch.save(data, out)
        parts.append(out.getvalue())
    assert len(parts[0]) == len(parts[1]), "the directories must lie at the same place"
    return b"".join(parts)


def _between(marker: str) -> bytes:
    """Bytes between two entries: no reader's, and a place for a second pickle."""
    data = _again(contents(), lambda e: None)
    at = data.rfind(b"PK\1\2archive/version"[:4], 0, data.rfind(b"PK\5\6"))
    return data[:at] + bytes(64) + data[at:]


def _wide_end(marker: str) -> bytes:
    """A wide end record (zip64) that says another directory than the narrow one."""
    out = io.BytesIO()
    torch.save(contents(), out)
    data = bytearray(out.getvalue())
    at = data.rfind(b"PK\6\6")
    data[at + 48 : at + 56] = struct.pack("<Q", 0)
    return bytes(data)


def _renamed(marker: str) -> bytes:
    """An entry whose own header calls it otherwise than the directory does."""
    out = io.BytesIO()
    torch.save(contents(), out)
    return out.getvalue().replace(b"data.pkl", b"data.pkX", 1)


def _numpy(folder: Path, marker: str, name: str) -> Path:
    value = np.array([Touch(marker)], dtype=object)
    (np.savez if name.endswith("z") else np.save)(folder / name, value)
    return folder / name


def _dcp(folder: Path, marker: str) -> Path:
    """A folder of torch's distributed checkpoint, whose .metadata is a pickle."""
    (folder / "dcp").mkdir()
    (folder / "dcp" / ".metadata").write_bytes(pickle.dumps(Touch(marker)))
    return folder / "dcp"


def export(weights: bytes, config: str | None = None):
    """An exported folder with a right manifest: a forger can write one."""

    def write(folder: Path, marker: str) -> Path:
        to = folder / "export"
        to.mkdir()
        kept = {k: v for k, v in contents().items() if k != "state_dict"}
        text = yaml.safe_dump(kept) if config is None else config.replace("MARK", marker)
        (to / "model.safetensors").write_bytes(weights)
        (to / "config.yaml").write_text(text)
        (to / "card.md").write_text("x")
        names = ("model.safetensors", "config.yaml", "card.md")
        lines = [f"{hashlib.sha256((to / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
        (to / "manifest.sha256").write_text("".join(lines))
        return to

    return write


def tensors(header: Any, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def _entry(first: int, last: int, shape: list[int], kind: str = "F32") -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [first, last]}


def _tar(*members: tuple[str, Any], mode: str = "w", ending: str = ".tar"):
    """Members are (name, bytes) or (name, type, link)."""

    def write(folder: Path, marker: str) -> Path:
        path = folder / f"x{ending}"
        with tarfile.open(path, mode, format=tarfile.GNU_FORMAT) as pack:
            for name, *rest in members:
                info = tarfile.TarInfo(name.replace("MARK", marker))
                if len(rest) == 1:
                    info.size = len(rest[0])
                    pack.addfile(info, io.BytesIO(rest[0]))
                else:
                    info.type, info.linkname = rest[0], rest[1].replace("MARK", marker)
                    pack.addfile(info)
        return path

    return write


def _zip(*members: tuple[str, bytes], deflated: bool = False, mode: int = 0):
    def write(folder: Path, marker: str) -> Path:
        path = folder / "x.zip"
        how = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", how) as pack:
            for name, data in members:
                info = zipfile.ZipInfo("x")
                info.filename = name.replace("MARK", marker)  # as it is: "x" would be tidied
                info.compress_type, info.external_attr = how, mode << 16
                pack.writestr(info, data.replace(b"MARK", marker.encode()))
        return path

    return write


def _bzipped() -> bytes:
    """A zip that unpacks a million to one, however little is asked of it at a time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as pack:
        pack.writestr("a.png", bytes(10**6))
    return out.getvalue()


def _zip_claims(folder: Path, marker: str) -> Path:
    (folder / "x.zip").write_bytes(_many_entries(marker))
    return folder / "x.zip"


def _zip_before(folder: Path, marker: str) -> Path:
    """An entry that the directory places before the file's first byte."""
    path = _zip(("a.png", b"x"))(folder, marker)
    data = path.read_bytes()
    at = data.rfind(b"PK\5\6")
    later = struct.pack("<I", struct.unpack_from("<I", data, at + 16)[0] + 1)
    path.write_bytes(data[: at + 16] + later + data[at + 20 :])
    return path


def _tar_pax(headers: dict[str, str]):
    def write(folder: Path, marker: str) -> Path:
        with tarfile.open(folder / "x.tar", "w", format=tarfile.PAX_FORMAT) as pack:
            info = tarfile.TarInfo("a.png")
            info.pax_headers = headers
            pack.addfile(info)
        return folder / "x.tar"

    return write


def _tar_sparse(folder: Path, marker: str) -> Path:
    """GNU's sparse map in the file's data: as many numbers as it says, read one by one."""
    with tarfile.open(folder / "x.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as pack:
        info = tarfile.TarInfo("a.png")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        data = b"100000000\n" + b"0\n" * 20_000_000
        info.size = len(data)
        pack.addfile(info, io.BytesIO(data))
    return folder / "x.tar.gz"


def _tar_global(folder: Path, marker: str) -> Path:
    """Headers for all members that follow, each a million letters of four bytes in memory."""
    with tarfile.open(folder / "x.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as pack:
        for i in range(50):
            more = {f"k{i}": "x" * 900_000 + "\U0001f600"}
            block = tarfile.TarInfo._create_pax_generic_header(more, tarfile.XGLTYPE, "utf-8")
            pack.fileobj.write(block)
    return folder / "x.tar.gz"


def _tar_header_bomb(folder: Path, marker: str) -> Path:
    """A pax header of 2 GB, packed: tarfile reads it whole into memory."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2 * 10**9
    with gzip.open(folder / "x.tar.gz", "wb", 1) as f:
        f.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(64):
            f.write(bytes(1 << 20))
    return folder / "x.tar.gz"


def _png(width: int, height: int, *, rows: int = 1, extra: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(rows * (width + 1) if width < 10**5 else 100))
    parts = _chunk(b"IHDR", head), extra, _chunk(b"IDAT", body), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def _text_chunk() -> bytes:
    return _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100 * 2**20), 9))


def picture(make: Callable[[str], bytes], name: str = "x.png"):
    def write(folder: Path, marker: str) -> Path:
        place = folder / "pictures"
        place.mkdir()
        for i in range(4):
            (place / f"ok{i}.png").write_bytes(_png(8, 8, rows=8))
        (place / name).write_bytes(make(marker))
        return place

    return write


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(MARK) (w) file closefile\n"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
GOOD = tensors({"w": _entry(0, 12, [3])}, bytes(12))
HUGE = {**OWN["model"], "net": {**OWN["model"]["net"], "width": 10**6}}
DEEP = {**OWN["model"], "net": {**OWN["model"]["net"], "depth": 10**7}}


def _pickled(key: bytes):
    """A dict whose one key is what these operations make."""
    data = b"\x80\x02}" + key + b"K\x01s."
    return raw(lambda m: _again({"w": 1}, _replace_pickle(data)))


def _doubled(times: int) -> bytes:
    """A tuple of a tuple twice, again and again: 2^times in all."""
    steps = b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(times))
    return b")q\x00" + steps


def _weights() -> dict[str, Any]:
    from genlab.runs.settings.plan import Plan

    return Plan({"model": OWN["model"]}).model().state_dict()


def _asking(**changes: Any):
    """A checkpoint whose settings ask for much: part="objective", num_levels=..."""
    part, model = changes.pop("part", None), dict(OWN["model"])
    if part:
        model[part] = {**model[part], **changes}
    return saved(lambda m: contents(model={**model, **({} if part else changes)}))


def _data(cls: str, **numbers: int):
    """A checkpoint whose data asks for much."""
    return saved(lambda m: contents(data={"_target_": f"genlab.data.{cls}", **numbers}))


PATCHES = {"_target_": "genlab.nn.dit.DiT", "shape": [1, "x", "x"], "patch": 2}
LEVELS = {"_target_": "genlab.objectives.diffusion.DDPM", "num_levels": 600_000_000}
TOKENS = {"_target_": "genlab.samplers.tokens.Greedy", "length": 200_000_000}
CHECKPOINTS: dict[str, tuple[Any, bool]] = {
    "600 million levels": (_asking(objective=LEVELS), False),
    "400 million steps": (_asking(part="sampler", num_steps=400_000_000), False),
    "resampled without end": (_asking(part="sampler", resample=10**9), False),
    "200 million tokens": (_asking(sampler=TOKENS), False),
    "a picture of 4096 x 4096": (_asking(shape=[1, 4096, 4096]), False),
    "a negative shape": (_asking(part="net", shape=[-4]), False),
    "a ring of 10^9": (_data("toy.Ring", modes=10**9), False),
    "a grid of 10^10": (_data("toy.Grid", side=10**5), False),
    "a million workers": (_data("images.Digits", num_workers=10**6), False),
    "10^9 frequencies": (_asking(part="net", frequencies=10**9), False),
    "pickle .ckpt": (raw(lambda m: pickle.dumps(Touch(m))), True),
    "pickle .pt": (raw(lambda m: pickle.dumps(Touch(m)), ".pt"), True),
    "pickle, protocol 0": (raw(lambda m: pickle.dumps(Touch(m), 0)), True),
    "pickle, protocol 5": (raw(lambda m: pickle.dumps(Touch(m), 5)), True),
    "zip of torch": (saved(Touch), True),
    "zip of torch .pt": (saved(Touch, ".pt"), True),
    "zip, protocol 4": (saved(Touch, pickle_protocol=4), True),
    "old form": (saved(Touch, _use_new_zipfile_serialization=False), True),
    "old tar": (raw(_old_tar), True),
    "in the weights": (saved(lambda m: contents({"w": Touch(m)})), True),
    "in the optimiser": (saved(lambda m: {**contents(), "optimizer_states": [Touch(m)]}), True),
    "in the callbacks": (saved(lambda m: {**contents(), "callbacks": {"x": Touch(m)}}), True),
    "in the loops": (saved(lambda m: {**contents(), "loops": Touch(m)}), True),
    "in hyper_parameters": (saved(lambda m: {**contents(), "hyper_parameters": Touch(m)}), True),
    "in the settings": (saved(lambda m: contents(name=Touch(m))), True),
    "in the clock": (saved(lambda m: {**contents(), "clock": Touch(m)}), True),
    "as a key": (saved(lambda m: {**contents(), Call(os.mkdir, m): 1}), True),
    "in a list's items": (saved(Build), True),
    "by eval": (saved(lambda m: Call(eval, f"__import__('os').mkdir({m!r})")), True),
    "by exec": (saved(lambda m: Call(exec, f"import os; os.mkdir({m!r})")), True),
    "by system": (saved(lambda m: Call(os.system, f"touch {m}")), True),
    "by Path.touch": (saved(lambda m: Call(Path.touch, Path(m))), True),
    "by torch.save": (saved(lambda m: Call(torch.save, [1], m)), True),
    "by numpy.save": (saved(lambda m: Call(np.save, m, [1])), True),
    "by genlab": (saved(lambda m: Call(_write_text(), Path(m), "x")), True),
    "_instantiator": (
        saved(lambda m: {**contents(), "hyper_parameters": {"_instantiator": "os.mkdir", "p": m}}),
        False),
    "_class_path": (
        saved(lambda m: contents(model={"_class_path": "os.mkdir", "p": m})), False),
    "a target of os": (saved(lambda m: contents(model={"_target_": "os.mkdir", "name": m})), False),
    "its own trust": (
        saved(lambda m: contents(trust=["os"], model={"_target_": "os.mkdir", "path": m})), False),
    "numpy .npy": (lambda f, m: _numpy(f, m, "x.npy"), True),
    "numpy .npz": (lambda f, m: _numpy(f, m, "x.npz"), True),
    "TorchScript": (_script, False),
    "distributed .metadata": (_dcp, True),
    "zip in a zip": (
        raw(lambda m: _zip_of({"x/data.pkl": b"\x80\x02}.", "x/y.pt": pickle.dumps(Touch(m))})),
        False),
    "two pickles": (
        raw(lambda m: _again(
            contents(), lambda e: e.update({"b/data.pkl": pickle.dumps(Touch(m))}))),
        False),
    "an entry that climbs": (
        raw(lambda m: _again(contents(), lambda e: e.update({"../x": b"x"}))), False),
    "deflated bomb": (
        raw(lambda m: _again({"w": torch.zeros(3)},
            lambda e: e.update({"archive/data/0": bytes(100 * 2**20)}), deflated=True)), False),
    "pickle bomb": (
        raw(lambda m: _again({"w": 1}, _replace_pickle(b"\x80\x02" + b"]0" * 8 * 2**20 + b"N."))),
        False),
    "10^10 elements": (raw(lambda m: _claiming(10**10, 10**10, 1)), False),
    "10^10 elements by stride 0": (raw(lambda m: _claiming(3, 10**10, 0)), False),
    "10^10 elements of 3": (raw(lambda m: _claiming(3, 10**10, 1)), False),
    "storage larger than its record": (raw(lambda m: _claiming(10**6, 10**6, 1)), False),
    "storage into the next entry": (raw(lambda m: _claiming(16, 16, 1)), False),
    "a storage's name by parts": (
        raw(lambda m: _again({"w": 1}, _replace_pickle(b"\x80\x02K\x01\x85Q."))), False),
    "negative storage": (raw(lambda m: _claiming(-5, 3, 1)), False),
    "bytearray of 10 GB": (raw(_call("builtins", "bytearray", _long(10**10))), False),
    "torch.Tensor of 10 GB": (raw(_call("torch", "Tensor", _long(10**10))), False),
    "million entries": (raw(_many_entries), False),
    "two readers, two pickles": (
        raw(lambda m: two_readers({"w": torch.zeros(3)}, {"w": torch.ones(3)})), False),
    "bytes before the first entry": (
        raw(lambda m: b"x" * 100 + _again(contents(), lambda e: None)), False),
    "bytes behind the end": (raw(lambda m: _again(contents(), lambda e: None) + b"x"), False),
    "bytes before the directory": (raw(_between), False),
    "two ends that differ": (raw(_wide_end), False),
    "two names of an entry": (raw(_renamed), False),
    "a model of 10^12 weights": (saved(lambda m: contents(model=HUGE)), False),
    "a model of 10^7 layers": (saved(lambda m: contents(model=DEEP)), False),
    "deep nesting": (saved(lambda m: contents(name=_nested(150))), False),
    "shared without end": (saved(lambda m: contents(name=_shared(40))), False),
    "no zip": (raw(lambda m: b"PK\3\4" + os.urandom(1000)), False),
    "empty": (raw(lambda m: b""), False),
    "protocol 255": (raw(lambda m: _again({"w": 1}, _replace_pickle(b"\x80\xff}."))), False),
    "last weights are a tensor": (
        saved(lambda m: {**contents(), "current_model_state": torch.ones(2)}), False),
    "a clock of texts": (saved(lambda m: {**contents(), "clock": {"examples": "x"}}), False),
    "a shape of texts": (_asking(net=PATCHES), False),
    "a list": (saved(lambda m: [1, 2]), False),
    "tuples in tuples as a key": (_pickled(b")" + b"\x85" * 4 * 10**6), False),
    "shared tuples as a key": (_pickled(_doubled(60)), False),
    "shared tuples in an OrderedDict": (
        raw(lambda m: _again({"w": 1}, _replace_pickle(
            b"\x80\x02" + _doubled(60) + b"ccollections\nOrderedDict\n]h\x3cK\x01\x86a\x85R."))),
        False),
    "8 million dicts": (
        raw(lambda m: _again({"w": 1}, _replace_pickle(b"\x80\x02" + b"}" * 8_000_000 + b"."))),
        False),
    "takes more than lies there": (
        raw(lambda m: _again({"w": 1}, _replace_pickle(b"\x80\x02}\x87."))), False),
    "3000 blocks": (_asking(net={"_target_": "genlab.nn.unet.UNet", "blocks": 3000}), False),
    "a width of 150 million": (_asking(part="net", width=150_000_001), False),
    "weights of whole numbers": (saved(lambda m: contents(
        {k: v.to(torch.int8) for k, v in _weights().items()})), False),
    "weights are numbers": (saved(lambda m: contents({"w": 3})), False),
    "settings are a text": (saved(lambda m: {**contents(), "genlab": "x"}), False),
}  # fmt: skip
EXPORTS: dict[str, Any] = {
    "header of 100 MB": export(tensors({}, length=100 * 2**20)),
    "header of 2^63": export(tensors({}, length=2**63)),
    "header longer than the file": export(tensors({"w": _entry(0, 12, [3])}, length=10**6)),
    "no header": export(b"\0"),
    "overlapping tensors": export(
        tensors({"w": _entry(0, 12, [3]), "v": _entry(4, 16, [3])}, bytes(16))),
    "offsets beyond the file": export(tensors({"w": _entry(0, 10**9, [250_000_000])}, bytes(8))),
    "shape larger than its bytes": export(tensors({"w": _entry(0, 12, [10**10])}, bytes(12))),
    "shape that overflows": export(tensors({"w": _entry(0, 12, [2**62, 2**62])}, bytes(12))),
    "header is no JSON": export(tensors(b"{" * 1000)),
    "header nested": export(tensors(b'{"a":' * 5000 + b"1" + b"}" * 5000)),
    "unknown dtype": export(tensors({"w": _entry(0, 12, [3], "PKL")}, bytes(12))),
    "pickle as weights": export(pickle.dumps({})),
    "config: target": export(GOOD, "genlab: {settings: {model: {_target_: os.mkdir, path: MARK},"
                             " data: {}}}\nclock: {}\n"),
    "config: python tag": export(GOOD, "!!python/object/apply:os.mkdir [MARK]\n"),
    "config: a list": export(GOOD, "[1, 2]\n"),
    "config: 17 MB": export(GOOD, "a: " + "x" * 17 * 2**20),
}  # fmt: skip
SYM, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
ARCHIVES: dict[str, Any] = {
    "tar climbs": _tar(("../marker", b"x")),
    "tar climbs within": _tar(("a/../../marker", b"x")),
    "tar absolute": _tar(("MARK", b"x")),
    "tar symlink then file": _tar(("a", SYM, ".."), ("a/marker", b"x")),
    "tar symlink": _tar(("a.png", SYM, "/etc/passwd")),
    "tar hard link": _tar(("a.png", HARD, "/etc/passwd")),
    "tar device": _tar(("a.png", tarfile.CHRTYPE, "")),
    "tar fifo": _tar(("a.png", tarfile.FIFOTYPE, "")),
    "tar twice": _tar(("a.png", b"x"), ("a.png", b"y")),
    "tar case": _tar(("a.png", b"x"), ("A.png", b"y")),
    "tar file and folder": _tar(("a", b"x"), ("a/b", b"y")),
    "tar bomb": _tar(("a.png", bytes(100 * 2**20)), mode="w:gz", ending=".tar.gz"),
    "tar sparse without end": _tar_sparse,
    "tar of headers for all": _tar_global,
    "tar header bomb": _tar_header_bomb,
    "tar deep": _tar(("a/" * 2000 + "a.png", b"x"), mode="w:gz", ending=".tar.gz"),
    "tar of folders": _tar(
        *(
            ("/".join(f"{i}{c}" for c in "abcdefghijklmnopqrst") + "/a.png", b"")
            for i in range(400)
        ),
        mode="w:gz",
        ending=".tar.gz",
    ),
    "tar beyond PATH_MAX": _tar(("/".join(["a" * 250] * 20) + "/a.png", b"x")),
    "zip deep": _zip(("a/" * 3000 + "a.png", b"x"), deflated=True),
    "tar of bzip2": _tar(("a.png", bytes(10**6)), mode="w:bz2"),
    "tar of xz": _tar(("a.png", bytes(10**6)), mode="w:xz", ending=".tar.gz"),
    "zip of bzip2": lambda f, m: raw(lambda _: _bzipped(), ".zip")(f, m),
    "tar escape": _tar(("\x1b[2Ja.png", b"x")),
    "tar sparse of letters": _tar_pax({"GNU.sparse.map": "0,x", "GNU.sparse.size": "1"}),
    "zip before its first byte": _zip_before,
    "tar torn": lambda f, m: raw(lambda _: b"x" * 2000, ".tar")(f, m),
    "zip climbs": _zip(("../marker", b"x")),
    "zip climbs within": _zip(("a/../../marker", b"x")),
    "zip absolute": _zip(("MARK", b"x")),
    "zip backslash": _zip(("..\\marker", b"x")),
    "zip drive": _zip(("C:\\marker", b"x")),
    "zip NUL": _zip(("a.png\0.txt", b"x")),
    "zip symlink": _zip(("a", b"MARK"), mode=0o120777),
    "zip device": _zip(("a", b""), mode=0o020666),
    "zip case": _zip(("a.png", b"x"), ("A.PNG", b"y")),
    "zip bomb": _zip(("a.png", bytes(100 * 2**20)), deflated=True),
    "zip million entries": _zip_claims,
    "zip torn": lambda f, m: raw(lambda _: b"PK\3\4x", ".zip")(f, m),
    "zip long name": _zip(("a" * 300 + ".png", b"x")),
}
IMAGES: dict[str, Any] = {
    "2^31 wide": picture(lambda m: _png(2**31 - 1, 1)),
    "60000 x 60000": picture(lambda m: _png(60_000, 60_000)),
    "8000 x 8000": picture(lambda m: _png(8000, 8000, rows=8000)),
    "text bomb": picture(lambda m: _png(8, 8, rows=8, extra=_text_chunk())),
    "EPS named png": picture(lambda m: EPS.replace(b"MARK", m.encode())),
    "SVG named png": picture(lambda m: SVG),
    "html named jpg": picture(lambda m: b"<script>x</script>", "x.jpg"),
    "pickle named png": picture(lambda m: pickle.dumps(Touch(m))),
    "zip named png": picture(lambda m: _zip_of({"x": b"x"})),
    "empty": picture(lambda m: b""),
    "torn": picture(lambda m: _png(8, 8, rows=8)[:40]),
}


def _write_text() -> Any:
    from genlab.runs.folder.layout import write_text

    return write_text


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _shared(depth: int) -> Any:
    value: Any = [1]
    for _ in range(depth):
        value = [value, value]
    return value


# why each is refused, by name or by the end of a group's names
NO_ZIP, MAY_NOT, NO_FILE = "no end of a zip", "it may not", "is no regular file"
SAYS = {
    **dict.fromkeys(
        ("pickle .ckpt", "pickle .pt", "pickle, protocol 0", "pickle, protocol 5", "old form",
         "old tar", "numpy .npy", "no zip", "bytes behind the end"), NO_ZIP),
    **dict.fromkeys(
        ("zip of torch", "zip of torch .pt", "in the weights", "in the optimiser",
         "in the callbacks", "in the loops", "in hyper_parameters", "in the settings",
         "in the clock", "as a key"), "its pickle names posix.mkdir"),
    "zip, protocol 4": "its pickle uses STACK_GLOBAL",
    "in a list's items": "its pickle names __builtin__.list",
    "by eval": "its pickle names __builtin__.eval",
    "by exec": "its pickle names __builtin__.exec",
    "by system": "its pickle names posix.system",
    "by Path.touch": "its pickle names __builtin__.getattr",
    "by torch.save": "its pickle names torch.serialization.save",
    "by numpy.save": "its pickle names numpy.save",
    "by genlab": "its pickle names genlab.runs.folder.layout.write_text",
    "_instantiator": "does not fit the model",  # such a key is read by nobody here
    "_class_path": "holds no settings of a model",
    "a target of os": "'os.mkdir' is not on genlab's list",
    "its own trust": "'os.mkdir' is not on genlab's list",
    "numpy .npz": "it holds 'arr_0.npy'", "TorchScript": "it holds 'x/",
    "distributed .metadata": "is no run folder", "zip in a zip": "it holds 'x/y.pt'",
    "two pickles": "an entry twice", "an entry that climbs": "it holds '../x'",
    "deflated bomb": "is compressed", "pickle bomb": "its data.pkl is over",
    "10^10 elements": "its entry differs", "10^10 elements by stride 0": "has too few bytes",
    "10^10 elements of 3": "resize storage", "negative storage": "its entry differs",
    **dict.fromkeys(
        ("storage larger than its record", "storage into the next entry"), "its entry differs"),
    "a storage's name by parts": "in another way",
    "bytearray of 10 GB": "its pickle names builtins.bytearray",
    "torch.Tensor of 10 GB": "its pickle names torch.Tensor",
    "600 million levels": "num_levels=600000000: it must be at most",
    "400 million steps": "num_steps=400000000: it must be at most",
    "resampled without end": "resample=1000000000: it must be at most",
    "200 million tokens": "length=200000000: it must be at most",
    "a picture of 4096 x 4096": "10,000,000 numbers at most", "a negative shape": "above 0",
    "a ring of 10^9": "modes=1000000000: it must be at most",
    "a grid of 10^10": "side=100000: it must be at most",
    "a million workers": "num_workers=1000000: it must be at most",
    "10^9 frequencies": "frequencies=1000000000: it must be at most",
    "million entries": "directory is not where", "two readers, two pickles": "end of a wide zip",
    "bytes before the first entry": "directory is not where",
    "bytes before the directory": "directory is not where",
    "two ends that differ": "two ends say different", "two names of an entry": "another name",
    "a model of 10^12 weights": "it must be at most 131,072",
    "a model of 10^7 layers": "it must be at most 512",
    **dict.fromkeys(
        ("tuples in tuples as a key", "shared tuples as a key", "shared tuples in an OrderedDict"),
        "tuples in tuples"),
    "8 million dicts": "over 2,000,000 operations",
    "takes more than lies there": "takes more from its stack",
    "3000 blocks": "it must be at most 64", "a width of 150 million": "it must be at most 131,072",
    "weights of whole numbers": "is torch.int8 in the file",
    "deep nesting": "nested too deep", "shared without end": "nested too deep",
    "protocol 255": "of protocol 255", "last weights are a tensor": "not tensors by name",
    "a clock of texts": "does not say how many", "a shape of texts": "each a whole number",
    "a list": "it holds a list", "weights are numbers": "not tensors by name",
    "settings are a text": "holds no settings",
    "header of 100 MB": "header claims", "header of 2^63": "header claims",
    "header longer than the file": "header claims", "pickle as weights": "header claims",
    "no header": "header too small", "overlapping tensors": "invalid offset",
    "offsets beyond the file": "incomplete metadata",
    "shape larger than its bytes": "invalid shape", "shape that overflows": "overflow",
    "header is no JSON": "invalid JSON", "header nested": "recursion limit",
    "unknown dtype": "unknown variant",
    "config: target": "holds no settings of a model", "config: python tag": "the tag",
    "config: a list": "holds no settings", "config: 17 MB": "larger than a config",
    **dict.fromkeys(
        ("tar climbs", "tar climbs within", "tar absolute", "tar escape", "zip climbs",
         "zip climbs within", "zip absolute", "zip backslash", "zip drive", "zip long name",
         "tar deep", "tar beyond PATH_MAX", "zip deep"),
        MAY_NOT),
    "tar of folders": "far more names", "tar of bzip2": "is damaged", "tar of xz": "is damaged",
    "zip of bzip2": "is not packed by deflate",
    **dict.fromkeys(
        ("tar symlink then file", "tar symlink", "tar hard link", "tar device", "tar fifo",
         "zip NUL", "zip symlink", "zip device"), NO_FILE),
    **dict.fromkeys(("tar twice", "tar case", "zip case"), "is in it twice"),
    **dict.fromkeys(("tar bomb", "zip bomb"), "a bomb"),
    "tar file and folder": "a file and a folder", "tar header bomb": "a header of 2,000,000,000",
    **dict.fromkeys(
        ("tar sparse of letters", "zip before its first byte"), "is damaged"),
    "tar sparse without end": "is a sparse file", "tar of headers for all": "a header of",
    "tar torn": "invalid header", "zip million entries": "is damaged", "zip torn": "it is no zip",
    "2^31 wide": "pixels", "60000 x 60000": "pixels", "8000 x 8000": "over 45,000,000",
    "text bomb": "too large",
    **dict.fromkeys(
        ("EPS named png", "SVG named png", "html named jpg", "pickle named png", "zip named png",
         "empty", "torn"), "no "),
}  # fmt: skip


def _files() -> list[File]:
    groups = {"export": EXPORTS, "archive": ARCHIVES, "image": IMAGES}
    kinds = {"export": "checkpoint", "archive": "archive", "image": "image"}
    made = [File(f"checkpoint: {n}", "checkpoint", make, run, SAYS[n])
            for n, (make, run) in CHECKPOINTS.items()]  # fmt: skip
    for group, files in groups.items():
        made += [File(f"{group}: {n}", kinds[group], m, says=SAYS[n]) for n, m in files.items()]
    return made


FILES = _files()
