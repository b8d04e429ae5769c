"""A file of torch.save, looked at before anything is loaded or allocated from what it claims.

What genlab writes is a zip of stored entries: a pickle of few known names, and raw tensors. `check`
refuses all else (TorchScript, old tar and pickle forms, deflated bombs); `owned` bounds and copies
what torch has mapped from the file.
"""

from __future__ import annotations

import pickletools
import re
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from genlab.data.archives import num_members

ENTRIES = 100_000
PICKLE = 8 * 2**20  # bytes of data.pkl: names, numbers and settings, no tensor
DEPTH = 100
NAME = re.compile(
    r"[^/]+/(data\.pkl|version|byteorder|\.format_version|\.storage_alignment"
    r"|\.data/serialization_id|data/\d+)"
)
# what the pickle may name; of torch's own safe list the rest can allocate what it likes
GLOBALS = re.compile(
    r"torch\._utils _rebuild_tensor_v2|torch\._utils _rebuild_parameter"
    r"|collections OrderedDict|torch \w+Storage|torch (float|bfloat|int|uint)\d+|torch bool"
)
NO_MEMO_NAMES = ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4")


def check(path: Path) -> None:
    """Raise ValueError unless the file is of the form that genlab writes, and no larger inside."""
    size = path.stat().st_size
    try:
        num = num_members(path)
        if num > ENTRIES:
            raise ValueError(f"it holds {num:,} entries")
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            pickles = [e for e in entries if e.filename.endswith("/data.pkl")]
            for entry in entries:
                if not NAME.fullmatch(entry.filename):
                    raise ValueError(f"it holds {entry.filename[:60]!r}")
                if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                    raise ValueError(f"{entry.filename} is compressed or encrypted")
            if len({e.filename for e in entries}) < len(entries) or len(pickles) != 1:
                raise ValueError("it holds an entry twice, or no data.pkl")
            if sum(e.file_size for e in entries) > size:
                raise ValueError("its entries claim more bytes than the file has")
            if pickles[0].file_size > PICKLE:
                raise ValueError(f"its data.pkl is over {PICKLE:,} bytes")
            with archive.open(pickles[0]) as member:
                member._expected_crc = None  # genlab's files have a sha256 in its place
                contents = member.read()
    except (zipfile.BadZipFile, struct.error, NotImplementedError, EOFError, OSError) as error:
        raise ValueError(f"it is no zip of torch.save: {error}") from None
    _check_pickle(contents)


def _check_pickle(contents: bytes) -> None:
    for code, argument, _ in pickletools.genops(contents):
        if code.name in NO_MEMO_NAMES:
            raise ValueError(f"its pickle uses {code.name}")
        if code.name == "GLOBAL" and not GLOBALS.fullmatch(argument):
            raise ValueError(f"its pickle names {argument.replace(' ', '.')[:80]}")


def owned(loaded: Any, size: int) -> Any:
    """The same data with tensors in memory of their own; none larger than what the file holds."""
    copies: dict[tuple, torch.Tensor] = {}
    left = {"bytes": size, "nodes": 300_000}

    def own(value: Any, depth: int) -> Any:
        left["nodes"] -= 1
        if depth > DEPTH or left["nodes"] < 0:
            raise ValueError("it is nested too deep, or holds too many entries")
        if isinstance(value, torch.Tensor):
            return own_tensor(value)
        if type(value) in (dict, OrderedDict):
            # an OrderedDict may carry attributes (a state_dict's _metadata), which nobody needs
            return type(value)((k, own(v, depth + 1)) for k, v in value.items())
        if type(value) in (list, tuple):
            return type(value)(own(v, depth + 1) for v in value)
        if value is None or type(value) in (bool, int, float, str, bytes, torch.dtype):
            return value
        raise ValueError(f"it holds a {type(value).__name__}")

    def own_tensor(value: torch.Tensor) -> torch.Tensor:
        needed, storage = value.numel() * value.element_size(), value.untyped_storage()
        if value.layout != torch.strided or needed > storage.nbytes():
            raise ValueError(f"a tensor of shape {list(value.shape)} has too few bytes in the file")
        key = (storage.data_ptr(), value.storage_offset(), value.shape, value.stride(), value.dtype)
        if key not in copies:
            left["bytes"] -= needed
            if left["bytes"] < 0:
                raise ValueError("its tensors claim more bytes than the file has")
            copies[key] = value.detach().clone()
        return copies[key]

    return own(loaded, 0)
