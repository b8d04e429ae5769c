"""Archives: what is unpacked is what was put in, all of it and inside the folder; or nothing is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from fuzzing import fuzz, mutated, sizes

from genlab.data.archives import unpack

PARTS = (
    "a", "b", "A", "a.png", "é", "x" * 255, "x" * 256, "..", ".", "", " ", "c d", "a\0b", "a\\b",
    "C:", "a\nb", "\u202e", "🙂" * 40, "-", "~", "con", "a.", "\udcff", "%2e", "a*", "\x7f",
)  # fmt: skip
LIKELY = (*PARTS[:5], "d", "e", "f.txt")
KINDS = (
    tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
    tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE, tarfile.XGLTYPE,
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, b"V", b"\0", b"S", b"z",
)  # fmt: skip
PAX = (
    ("size", "99999999999"), ("size", "-1"), ("size", "x"), ("path", "../x"), ("path", ""),
    ("mtime", "x"), ("mtime", "nan"), ("GNU.sparse.map", "0,1,x"), ("GNU.sparse.size", "10"),
    ("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "../x"),
    ("hdrcharset", "BINARY"), ("uid", "x" * 50), ("linkpath", "/etc"), ("GNU.sparse.offset", "5"),
)  # fmt: skip
WORDS = [
    b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"\0" * 512, b"\xff" * 4, b"\xff" * 8,
    b"\0" * 4, b"../", b"/", b"ustar\0", b"ustar  \0", b"\x80" + b"\0" * 11, b"\xff" * 12, b"L",
    b"S", b"00000000000\0", b"77777777777\0", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0", b"9 size=-5\n",
    b"x", b"g", struct.pack("<HHQQ", 1, 16, 2**40, 2**40), struct.pack("<HH", 1, 60000),
    b"12 GNU.sparse.\n",
]  # fmt: skip


def name_of(rng: random.Random) -> str:
    likely = rng.random() < 0.85
    parts = [
        rng.choice(LIKELY if likely else PARTS) for _ in range(rng.choice((1, 1, 2, 2, 3, 40)))
    ]
    lead = rng.choice(("", "", "", "", "", "", "./", "/", "../")) if not likely else ""
    name = "/".join(parts if len(parts) < 40 or rng.random() < 0.3 else parts[:2])
    return lead + (name.rstrip("/") or "g")


def contents_of(rng: random.Random) -> bytes:
    if rng.random() < 0.005:
        return bytes(3 * 10**6)
    return rng.randbytes(rng.choice((0, 1, 10, 600)))


def zip_of(rng: random.Random, members: list[tuple[str, bytes]], odd: float) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as pack:
        for name, data in members:
            info = zipfile.ZipInfo("x")
            info.filename = name.replace("\udcff", "\x85")
            info.compress_type = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            if rng.random() < odd:
                info.external_attr = rng.choice((0o120777, 0o020666, 0o040755, 0o100644)) << 16
                info.compress_type = rng.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
            pack.writestr(info, data)
        if rng.random() < 0.1:
            pack.comment = rng.choice(WORDS)
    data = bytearray(out.getvalue())
    if rng.random() < odd:  # a record's own numbers, which lie
        mark = rng.choice((b"PK\3\4", b"PK\1\2", b"PK\5\6"))
        at = data.find(mark, rng.randrange(len(data)))
        if at >= 0:
            place = at + rng.randrange(4, 44, 2)
            data[place : place + 2] = rng.choice((b"\0\0", b"\1\0", b"\xff\xff", rng.randbytes(2)))
    return bytes(data)


def tar_of(rng: random.Random, members: list[tuple[str, bytes]], odd: float) -> bytes:
    out, form = io.BytesIO(), rng.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    for name, data in members:
        info = tarfile.TarInfo(name.replace("\0", "\1"))  # there a name ends with it
        info.size = len(data)
        if rng.random() < odd:
            info.type = rng.choice(KINDS)
            info.linkname = rng.choice(("", "..", "/etc/passwd", "a"))
        if form == tarfile.PAX_FORMAT and rng.random() < odd:
            info.pax_headers = dict(rng.sample(PAX, rng.randint(1, 3)))
        header = info.tobuf(form, "utf-8", "surrogateescape")
        if rng.random() < odd / 2:  # a size that lies
            info.size = rng.choice((0, 1, len(data) + 512, 8**11 - 1, 2**70))
            header = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
        out.write(header + data + bytes(-len(data) % 512))
    out.write(bytes(1024))
    pack = rng.choice((bytes, bytes, bytes, lambda b: gzip.compress(b, 1), bz2.compress, _lzma))
    return pack(out.getvalue())


def _lzma(data: bytes) -> bytes:
    return lzma.compress(data, preset=0)


def make(rng: random.Random) -> tuple[str, bytes, dict[str, bytes] | None]:
    """An archive's ending, its bytes, and what is in it, where nothing lies."""
    names = dict.fromkeys(name_of(rng) for _ in range(rng.choice((0, 1, 2, 3, 5, 8))))
    members = [(name, contents_of(rng)) for name in names]
    if rng.random() < 0.1 and members:
        members.append(rng.choice(members))
    odd = rng.choice((0, 0, 0.2, 0.5))
    ending = rng.choice((".zip", ".tar", ".tar.gz", ".tgz"))
    data = (zip_of if ending == ".zip" else tar_of)(rng, members, odd)
    honest = odd == 0
    if not honest and rng.random() < 0.6:
        data = mutated(rng, data, WORDS)
        if data[:2] == b"\x1f\x8b" or not data:
            data = gzip.compress(mutated(rng, bytes(1024), WORDS), 1)
    return ending, data, dict(members) if honest else None


@pytest.mark.filterwarnings("ignore:Duplicate name")
@sizes()
def test_an_archive(num: int, tmp_path: Path) -> None:
    place = tmp_path / "here"
    place.mkdir()

    def meet(value: tuple[str, bytes, Any]) -> str:
        ending, data, wanted = value
        archive, target = place / f"x{ending}", place / "out" / "target"
        archive.write_bytes(data)
        try:
            unpack(archive, target, files=100)
        except ValueError as error:
            assert str(archive) in str(error), "which archive, it does not say"
            assert not [*target.parent.iterdir()], "what is refused leaves nothing"
            raise
        finally:
            archive.unlink()
            found = [*target.rglob("*")]
            held = {p.relative_to(target).as_posix(): p.read_bytes() for p in found if p.is_file()}
            assert not any(p.is_symlink() or not (p.is_file() or p.is_dir()) for p in found)
            shutil.rmtree(target, ignore_errors=True)
        assert sum(map(len, held.values())) <= 200 * len(data) + 2**20
        if wanted is not None:
            told = {PurePosixPath(n).as_posix(): d for n, d in wanted.items() if n[-1:] != "/"}
            assert held == told, "not what was put in"
        return f"{'honest' if wanted is not None else 'odd'} {'zip' if ending == '.zip' else 'tar'}"

    fuzz("archives", num, place, make, meet)
