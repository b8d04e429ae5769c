"""A zip or tar archive, unpacked so that nothing lands outside the folder or fills the disk.

Only regular files are written, under their own names inside the target; an archive with any other
member (link, device, absolute or climbing path, a name twice) is refused whole.
"""

from __future__ import annotations

import errno
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
FILES, BYTES, RATIO = 1_000_000, 200 * 10**9, 200  # RATIO: unpacked to packed bytes
BLOCK = 1 << 20
HEADER = 1 << 16  # bytes of a tar's header for all its members, as of git's archives
DEPTH, PATH, ENTRY = 32, 1000, 4096  # of a path: parts, bytes; bytes counted for an entry

# what the readers of zip, tar, gzip, bzip2 and xz raise of a damaged file
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError,
    OSError, ValueError, LookupError, OverflowError, TypeError, AttributeError,
)  # fmt: skip


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith(ENDINGS) and path.is_file()


def unpack(archive: Path, target: Path, *, files: int = FILES, limit: int = BYTES) -> None:
    """Unpack into the folder `target`, which comes into being whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    limit = min(limit, archive.stat().st_size * RATIO + BLOCK)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        _write_all(archive, temporary, files, limit)
        os.replace(temporary, target)
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in another way
        raise ValueError(f"{archive} cannot be unpacked: {error}") from None
    except DAMAGED as error:
        if str(error).startswith(str(archive)):  # refused here
            raise
        # of the file system, all but a seek to before the file's first byte
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ValueError(f"{archive} is damaged: {' '.join(str(error).split())}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_all(archive: Path, folder: Path, files: int, limit: int) -> None:
    seen: set[str] = set()
    folders: set[PurePosixPath] = set()
    for name, member in _members(archive, files):
        parts = PurePosixPath(name).parts
        if (
            not parts
            or name.startswith("/")
            or ".." in parts
            or not name.isprintable()
            or any(c in name for c in '\\:*?"<>|')
            or max(len(p.encode()) for p in parts) > 255
            or len(parts) > DEPTH
            or len(name.encode()) > PATH
        ):
            raise ValueError(f"{archive}: a member is called {name[:80]!r}: it may not")
        path = str(PurePosixPath(*parts))
        if path.casefold() in seen:
            raise ValueError(f"{archive}: {name[:80]!r} is in it twice")
        seen.add(path.casefold())
        if len(seen) > files:
            raise ValueError(f"{archive} holds more than {files:,} files")
        # a name is a few bytes in an archive, and an entry on the disk
        before = len(folders)
        folders.update(PurePosixPath(path).parents)
        limit -= ENTRY * (1 + len(folders) - before)
        if limit < 0:
            raise ValueError(f"{archive} unpacks to far more names than its size: a bomb")
        out = folder / path
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with out.open("xb") as f:
                while block := member.read(BLOCK):
                    limit -= len(block)
                    if limit < 0:
                        raise ValueError(f"{archive} unpacks to far more than its size: a bomb")
                    f.write(block)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"{archive}: {name[:80]!r} is a file and a folder") from None


def _members(archive: Path, files: int) -> Iterator[tuple[str, IO[bytes] | Any]]:
    """Name and contents of each regular file; folders are passed over, all else is refused."""
    if archive.name.lower().endswith(".zip"):
        if num_members(archive) > files:
            raise ValueError(f"{archive} holds more than {files:,} files")
        with zipfile.ZipFile(archive) as pack:
            for info in pack.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if info.orig_filename != info.filename or kind not in (
                    0,
                    stat.S_IFREG,
                    stat.S_IFDIR,
                ):
                    raise ValueError(f"{archive}: {info.filename[:80]!r} is no regular file")
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{archive}: {info.filename[:80]!r} is not packed by deflate")
                if not info.is_dir():
                    with pack.open(info) as member:
                        yield info.filename, member
        return
    # bzip2 and xz unpack a million to one at a time, whatever is asked of them
    mode = "r|" if archive.name.lower().endswith(".tar") else "r|gz"
    with tarfile.open(archive, mode=mode, tarinfo=_Header) as pack:
        num = 0
        for info in pack:
            num += 1
            pack.members = []  # a stream need not remember what it has passed
            if sum(map(len, (*pack.pax_headers, *pack.pax_headers.values()))) > HEADER:
                raise ValueError(
                    f"{archive}: its headers for all members are over {HEADER:,} bytes"
                )
            if num > 2 * files:
                raise ValueError(f"{archive} holds more than {files:,} files")
            if info.isdir():
                continue
            if not info.isreg() or info.issparse():
                raise ValueError(f"{archive}: {info.name[:80]!r} is no regular file")
            yield info.name, pack.extractfile(info)


def num_members(archive: Path) -> int:
    """How many members a zip's directory claims, from its end, before it is read into memory."""
    with archive.open("rb") as f:
        f.seek(max(0, archive.stat().st_size - 66_000))
        tail = f.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        raise zipfile.BadZipFile("it is no zip")
    num, length = struct.unpack_from("<HI", tail, at + 10)
    wide = tail.rfind(b"PK\6\6", 0, at)
    if wide >= 0 and tail[at - 20 : at - 16] == b"PK\6\7":
        num, length = struct.unpack_from("<QQ", tail, wide + 32)
    return max(num, length // 46)  # an entry of the directory has at least 46 bytes


class _Header(tarfile.TarInfo):
    """A member's header; those that tarfile reads whole into memory are held short."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        header = super().frombuf(buf, encoding, errors)
        kinds = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        kinds += (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        most = HEADER if header.type == tarfile.XGLTYPE else BLOCK
        if header.type in kinds and header.size > most:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header

    def _sparse(self, *_: Any) -> None:
        """A sparse file is refused before its map is read, which has no end of its own."""
        raise tarfile.ReadError(f"{self.name[:80]!r} is a sparse file")

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _sparse
