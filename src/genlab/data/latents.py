"""What a fixed codec makes of the training examples: made once, then read from a file.

Read: `kept` makes or finds the file, `WithLatents` serves its rows beside the examples. A file is
named by a hash of what its rows follow from; it comes into being whole or not at all, and one that
is damaged is made anew. Rows are made in the order and the portions of the examples, whatever the
batches of the run, so a run that is resumed finds the same ones to the last bit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch
from genlab.data.base import Examples
from genlab.data.edits.base import Picked
from genlab.data.files import cache
from genlab.data.token_files import BLOCK, HEAD, type_of

AT_ONCE = 250  # examples that are encoded together
VERSION = 1

Encode = Callable[[Tensor], Tensor]  # x [B, *shape] -> latents [B, *latent]
Tell = Callable[[str, float], None]  # what is being done, its share done


class WithLatents(Picked):
    """The same examples, each with its latents in `z`."""

    def __init__(self, whole: Examples, latents: Tensor) -> None:
        super().__init__(whole, torch.arange(len(whole)))
        self.latents = latents

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        batch = self.whole.batch(ids, draws)
        z = self.latents[ids]
        return batch | {"z": z if z.is_floating_point() else z.long()}


def refusal(train: Examples) -> str | None:
    """Why latents of these examples cannot be kept; None: they can."""
    if train.draws:
        return "training draws each example anew (data.flip and the like)"
    if train.ragged:
        return "the examples have several lengths"
    return None


def kept(
    train: Examples, encode: Encode, made_of: dict[str, Any], *, vocab: int | None, tell: Tell
) -> Tensor:
    """The latents [N, *latent] of all of `train`: float32, or codes in the smallest type.

    `made_of`: plain data, of the examples and of the codec, that the latents follow from.
    """
    from filelock import FileLock

    told = json.dumps(made_of | {"version": VERSION, "num": len(train)}, sort_keys=True)
    folder = cache().parent / "latents"
    path = folder / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.latents"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):  # of several processes one makes it
            if (found := _opened(path)) is None:
                _write(path, train, encode, vocab, tell)
                found = _opened(path)
    except OSError as error:
        raise ValueError(
            f"model.keep: the latents cannot be written to {folder} ({error.strerror or error}):"
            " make room there, set GENLAB_CACHE to another folder, or write model.keep=false"
        ) from None
    if found is None:
        raise ValueError(f"{path} does not hold what was written to it: is the disk damaged?")
    return found


def _write(path: Path, train: Examples, encode: Encode, vocab: int | None, tell: Tell) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    dtype, digest = np.dtype(np.float32 if vocab is None else type_of(vocab)), hashlib.sha256()
    shape: list[int] = []
    try:
        with os.fdopen(handle, "wb") as f:
            f.seek(HEAD)
            for first in range(0, len(train), AT_ONCE):
                ids = torch.arange(first, min(first + AT_ONCE, len(train)))
                z = encode(train.batch(ids)["x"]).cpu().numpy().astype(dtype)
                shape = [len(train), *z.shape[1:]]
                digest.update(rows := z.tobytes())
                f.write(rows)
                tell("the codec's latents", (first + len(ids)) / len(train))
            head = {"shape": shape, "type": dtype.name, "sha256": digest.hexdigest()}
            f.seek(0)
            f.write(json.dumps(head).encode().ljust(HEAD))
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _opened(path: Path) -> Tensor | None:
    """The rows of a file; None where there is none, or it is damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        with path.open("rb") as f:
            head = json.loads(f.read(HEAD))
            digest = hashlib.sha256()
            while block := f.read(BLOCK):
                digest.update(block)
        if digest.hexdigest() == head["sha256"]:
            # "c": what would be written to it stays in memory, and torch asks for such
            rows = np.memmap(path, head["type"], mode="c", offset=HEAD, shape=tuple(head["shape"]))
            return torch.from_numpy(rows)
    return None
