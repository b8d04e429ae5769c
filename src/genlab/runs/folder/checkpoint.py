"""Checkpoints: written whole or not at all, checked before they are read, and enough by themselves.

A checkpoint holds tensors and plain data: weights (averaged ones under `state_dict`), optimisers,
clock, the resolved settings and what the data module needs to decode. Beside each lies NAME.sha256:
the hash of the bytes that were meant, so that whatever happens to them afterwards is found.
`read` is the one call of `torch.load` in genlab; it takes local files only and runs no code.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import torch

from genlab.own import own_folder
from genlab.runs.folder.layout import file_hash, read_small, write_text
from genlab.runs.gate import torchfile
from genlab.runs.say.errors import UserError


def manifest(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder last; some file systems cannot, and keep it in time anyway."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


class _Hashing:
    """A file that hashes and counts what passes through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.hash, self.size, self.error = file, hashlib.sha256(), 0, None

    def write(self, data) -> int:
        view = memoryview(data).cast("B")
        self.size += len(view)
        self.hash.update(view)
        try:
            return self.file.write(view)
        except OSError as error:  # torch would hide it behind its own
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


@contextlib.contextmanager
def _without_crc32() -> Iterator[None]:
    """Within: torch leaves out the archive's CRC32, half as dear as the sha256 that replaces it."""
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        yield
    finally:
        torch.serialization.set_crc32_options(before)


def save(checkpoint: dict, path: Path) -> None:
    """Write a checkpoint and its hash durably; on any error the files of before are untouched."""
    new_folder = not path.parent.is_dir()
    own_folder(path.parent)
    if new_folder:
        _sync_folder(path.parent.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as f, _without_crc32():
            hashing = _Hashing(f)
            try:
                torch.save(checkpoint, hashing)
            except Exception as error:
                raise hashing.error or error from None
            f.flush()
            os.fsync(f.fileno())
            if (size := os.fstat(f.fileno()).st_size) != hashing.size:
                raise OSError(f"{size} of {hashing.size} bytes are in the file")
        line, before = f"{hashing.hash.hexdigest()}  {path.name}\n", ""
        if path.exists() and not damage(path):  # until it is replaced, both are as promised
            before = manifest(path).read_text()
        # first the hash: a file without one is not valid
        write_text(manifest(path), line + before)
        try:
            os.replace(temporary, path)
        except OSError:
            if before:
                write_text(manifest(path), before)
            elif not path.exists():
                manifest(path).unlink()
            raise
        if before:
            write_text(manifest(path), line)
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, f"not saved: {error.strerror or error}", str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    manifest(path).unlink(missing_ok=True)


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint file; None if it is as it was written."""
    if not path.is_file():
        return "is not there"
    try:
        promised = read_small(manifest(path), 4000)
    except OSError:
        promised = b""
    if not promised:
        return f"has no readable {manifest(path).name} beside it"
    # two lines only where a save of the same name was cut short: the file before and the one after
    line = rb"[0-9a-f]{64}  " + re.escape(path.name.encode()) + rb"\n"
    if not re.fullmatch(rb"(%b){1,2}" % line, promised):
        return f"has a damaged {manifest(path).name} beside it"
    try:
        found = file_hash(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if found.encode() in (part[:64] for part in promised.splitlines()):
        return None
    return "is damaged: its sha256 is not the one it was written with"


def checkpoint_files(run: Path) -> list[Path]:
    """All checkpoints of a run, good or not, newest first: by their number, never by a clock."""
    named = {
        int(found[1]): path
        for path in (run / "checkpoints").glob("examples=*.ckpt")
        if (found := re.fullmatch(r"examples=(\d+)\.ckpt", path.name))
    }
    return [named[number] for number in sorted(named, reverse=True)]


def newest(run: Path) -> Path:
    """The newest valid checkpoint of a run; damaged ones are named and skipped."""
    path, notices = newest_and_notices(run)
    for notice in notices:
        warnings.warn(f"skipped: {notice}", stacklevel=2)
    return path


def newest_and_notices(run: Path) -> tuple[Path, list[str]]:
    """The newest valid checkpoint, and what is wrong with newer ones."""
    notices = []
    for file in checkpoint_files(run):
        if not (problem := damage(file)):
            return file, notices
        notices.append(f"{file.name} {problem}")
    why = "; ".join(notices) or "none was written yet"
    wait = "" if notices else "wait for its first (save_every), or "
    raise UserError(
        f"{run} has no valid checkpoint ({why}); {wait}start it anew with `genlab train`"
    )


def read(path: Path, *, verify: bool = True) -> dict:
    """A checkpoint's contents on the CPU: plain data and tensors, never code."""
    if re.match(r"\w{2,}:/", str(path)):
        raise UserError(f"{path}: checkpoints are read from local files only; download it first")
    if not path.is_file():
        raise UserError(
            f"{path} is not there: give a run folder, a .ckpt file or an exported folder"
        )
    if verify and manifest(path).exists() and (problem := damage(path)):
        raise UserError(f"{path} {problem}")
    # an environment variable can switch off torch's safe loading: not here
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    try:
        torchfile.check(path)
        # mapped, a storage is a slice of the file: one that claims more cannot read or take it
        mapped = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        loaded = torchfile.owned(mapped, path.stat().st_size)
        if not isinstance(loaded, dict):
            raise ValueError(f"it holds a {type(loaded).__name__}")
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path} is not a checkpoint that genlab reads: {first[:200]}") from error
    return loaded


def check_clock(loaded: dict, path: Path | str) -> None:
    """Refuse a checkpoint that does not say how far its run was."""
    clock = loaded.get("clock")
    counts = [clock.get(k) for k in ("batches", "examples")] if isinstance(clock, dict) else [None]
    if not all(type(n) is int and 0 <= n < 2**63 for n in counts):
        raise UserError(f"{path} does not say how many batches and examples its run had seen")
