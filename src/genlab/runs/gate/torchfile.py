"""A file of torch.save, looked at before anything is loaded or allocated from what it claims.

What genlab writes is a zip of stored entries: a pickle of few known names, and raw tensors. `check`
refuses all else (TorchScript, old tar and pickle forms, deflated bombs); `owned` bounds and copies
what torch has mapped from the file. Python's reader of zips looks here, torch's loads: a file that
the two could take for different ones (bytes before the first entry, a second directory) is refused.
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
DEPTH, PROTOCOL = 100, 5
OPERATIONS = 2_000_000  # of the pickle: some twenty a tensor
UNFOLDED = 10_000  # items of a tuple, those of the tuples in it too
NAME = re.compile(
    r"[^/]+/(data\.pkl|version|byteorder|\.format_version|\.storage_alignment"
    r"|\.data/serialization_id|data/\d+)"
)
# what the pickle may name; of torch's own safe list the rest can allocate what it likes
GLOBALS = re.compile(
    r"torch\._utils _rebuild_tensor_v2|torch\._utils _rebuild_parameter"
    r"|collections OrderedDict|torch \w+Storage|torch (float|bfloat|int|uint)\d+|torch bool"
)
END, END64 = struct.Struct("<4sHHHHIIH"), struct.Struct("<4sQHHIIQQQQ")
LOCATOR, HEADER = struct.Struct("<4sIQI"), struct.Struct("<4sHHHHHIIIHH")
WIDE = 0xFFFFFFFF  # stands in a narrow field for what the wide one says
PUTS, GETS = ("BINPUT", "LONG_BINPUT"), ("BINGET", "LONG_BINGET")
TUPLES = ("EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE")
LITERALS = ("BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "GLOBAL")
NO_MEMO_NAMES = ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4")


def check(path: Path) -> None:
    """Raise ValueError unless the file is of the form that genlab writes, and no larger inside."""
    size = path.stat().st_size
    try:
        first = _first_of_directory(path, size)
        num = num_members(path)
        if num > ENTRIES:
            raise ValueError(f"it holds {num:,} entries")
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            pickles = [e for e in entries if e.filename.endswith("/data.pkl")]
            for entry in entries:
                if not NAME.fullmatch(entry.filename):
                    raise ValueError(f"it holds {entry.filename[:60]!r}")
                stored = entry.compress_type == zipfile.ZIP_STORED
                if not stored or entry.flag_bits & 1 or entry.compress_size != entry.file_size:
                    raise ValueError(f"{entry.filename} is compressed or encrypted")
            if len({e.filename for e in entries}) < len(entries) or len(pickles) != 1:
                raise ValueError("it holds an entry twice, or no data.pkl")
            _check_places(path, entries, first)
            if sum(e.file_size for e in entries) > size:
                raise ValueError("its entries claim more bytes than the file has")
            if pickles[0].file_size > PICKLE:
                raise ValueError(f"its data.pkl is over {PICKLE:,} bytes")
            with archive.open(pickles[0]) as member:
                member._expected_crc = None  # genlab's files have a sha256 in its place
                contents = member.read()
    except (zipfile.BadZipFile, struct.error, NotImplementedError, EOFError, OSError) as error:
        raise ValueError(f"it is no zip of torch.save: {error}") from None
    root = pickles[0].filename.removesuffix("data.pkl")
    if not all(e.filename.startswith(root) for e in entries):
        raise ValueError("its entries lie in several folders")
    _check_pickle(contents, {e.filename.removeprefix(f"{root}data/"): e.file_size for e in entries})


def _first_of_directory(path: Path, size: int) -> int:
    """Where the directory begins, if the file's end says it in one way only.

    The end record is the last 22 bytes. What it says, and what the wide one (zip64) before it says,
    must be the same and reach from the directory's first byte to these records without a gap.
    """
    with path.open("rb") as f:
        f.seek(max(0, size - 98))
        tail = f.read().rjust(98, b"\0")
    mark, disk, disk_of, here, num, length, first, comment = END.unpack(tail[76:])
    if mark != b"PK\5\6" or disk or disk_of or here != num or comment:
        raise ValueError("its last bytes are no end of a zip")
    end = size - 22
    if tail[56:60] == b"PK\6\7":
        end -= 76
        _, at_disk, at, disks = LOCATOR.unpack(tail[56:76])
        mark, rest, *_, disk, disk_of, here64, num64, length64, first64 = END64.unpack(tail[:56])
        if mark != b"PK\6\6" or rest != 44 or at != end or (at_disk, disks) != (0, 1):
            raise ValueError("its last bytes are no end of a wide zip")
        narrow = ((num, num64, 0xFFFF), (length, length64, WIDE), (first, first64, WIDE))
        if disk or disk_of or here64 != num64 or any(a not in (b, most) for a, b, most in narrow):
            raise ValueError("its two ends say different things")
        length, first = length64, first64
    if first + length != end:
        raise ValueError("its directory is not where its end says")
    return first


def _check_places(path: Path, entries: list[zipfile.ZipInfo], first: int) -> None:
    """The entries follow one another from the file's first byte to the directory, as both say."""
    reached = 0
    with path.open("rb") as f:
        for entry in sorted(entries, key=lambda e: e.header_offset):
            f.seek(entry.header_offset)
            mark, *_, name, extra = HEADER.unpack(f.read(HEADER.size))
            # a descriptor of at most 24 bytes may follow an entry
            if mark != b"PK\3\4" or not 0 <= entry.header_offset - reached <= 24 * (reached > 0):
                raise ValueError(f"{entry.filename} does not lie where its entries end")
            if f.read(name) != entry.filename.encode():
                raise ValueError(f"{entry.filename} has another name in the directory")
            reached = entry.header_offset + HEADER.size + name + extra + entry.file_size
    if not 0 <= first - reached <= 24:
        raise ValueError("there are bytes between its entries and its directory")


def _check_pickle(contents: bytes, sizes: dict[str, int]) -> None:
    """Known names alone, and every storage as large as its entry, whose `sizes` are by its key.

    Mapped, a storage that claims more would go on into the entries behind it. A pickle is read
    from its first byte to its last, so that its stack can be followed without building anything.
    """
    stack: list[Any] = []
    marks: list[int] = []
    known: dict[Any, Any] = {}
    try:
        for number, (code, argument, _) in enumerate(pickletools.genops(contents)):
            if number > OPERATIONS:
                raise ValueError(f"its pickle has over {OPERATIONS:,} operations")
            if code.name in NO_MEMO_NAMES:
                raise ValueError(f"its pickle uses {code.name}")
            if code.name == "PROTO" and argument > PROTOCOL:  # torch reads on, Python's does not
                raise ValueError(f"its pickle is of protocol {argument}")
            if code.name == "GLOBAL" and not GLOBALS.fullmatch(argument):
                raise ValueError(f"its pickle names {argument.replace(' ', '.')[:80]}")
            if code.name in PUTS:
                known[argument] = stack[-1]
            elif code.name in GETS:
                stack.append(known.get(argument))
            elif code.name in LITERALS:
                stack.append(argument)
            elif code.name == "MARK":
                marks.append(len(stack))
            else:
                taken = _take(code, stack, marks)
                if code.name == "BINPERSID":
                    _check_storage(taken[-1], sizes)
                stack += [Tuple(taken) if code.name in TUPLES else None] * len(code.stack_after)
    except IndexError:
        raise ValueError("its pickle takes more from its stack than lies there") from None


class Tuple(tuple):
    """A tuple of the pickle, of bounded size: a key is hashed through all that it holds.

    What is shared counts each time, for so a hash goes through it.
    """

    size: int

    def __new__(cls, items: list[Any]) -> Tuple:
        own = super().__new__(cls, items)
        own.size = 1 + sum(getattr(item, "size", 1) for item in items)
        if own.size > UNFOLDED:
            raise ValueError(f"it holds tuples in tuples, over {UNFOLDED:,} together")
        return own


def _take(code: pickletools.OpcodeInfo, stack: list[Any], marks: list[int]) -> list[Any]:
    """What an operation takes from the stack; after a mark, all that lies on it."""
    before = [kind for kind in code.stack_before if kind is not pickletools.markobject]
    first = marks.pop() if len(before) < len(code.stack_before) else len(stack)
    first -= sum(kind is not pickletools.stackslice for kind in before)
    if first < 0:
        raise IndexError(code.name)
    taken, stack[first:] = stack[first:], []
    return taken


def _check_storage(asked: Any, sizes: dict[str, int]) -> None:
    if not isinstance(asked, tuple) or len(asked) != 5 or asked[0] != "storage":
        raise ValueError("its pickle asks for a storage in another way than torch writes it")
    _, kind, key, _, num = asked
    cls = getattr(torch, str(kind).removeprefix("torch "), None)
    width = cls._dtype.itemsize if hasattr(cls, "_dtype") else 1
    held = sizes.get(key) if isinstance(key, str) else None
    if type(num) is not int or num * width != held:
        raise ValueError(f"storage {key!s:.40} claims {num!s:.40} elements: its entry differs")


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
            if odd := [k for k in value if type(k) not in (str, int, float, bool, tuple)]:
                raise ValueError(f"it holds a key that is a {type(odd[0]).__name__}")
            for key in value:
                own(key, depth + 1)
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
