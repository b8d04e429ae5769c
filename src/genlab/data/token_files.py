"""Tokens of a text larger than memory: written once to a file in the cache, then read from there.

Read: `encoded` (a text as ids, a little at a time), `mapped` (the file), then `put` and `beside`,
which are for files that lie with the text (`genlab prepare tokenizer=...`). A file is named by a
hash of the text and of the tokenizer; its head says what it was made from, and holds the hash of
its tokens. One that is damaged, or of another text, is written anew; it comes into being whole or
not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from genlab.data.files import cache
from genlab.data.sources.documents import Rest, in_parts
from genlab.data.tokenizers import END, Tokenizer

VERSION = 1
HEAD = 4096  # bytes before the tokens
SPARE = 2**16  # <|end|>s behind them, which a last window is filled up with
AT_ONCE = 2**18  # characters that are encoded together
BLOCK = 2**24  # bytes that are hashed together


@dataclass
class Tokens:
    """A stream: <|end|>, a document, <|end|>, ...; <|end|>s may stand behind its `targets`."""

    stream: Tensor  # [1 + targets + ...]
    targets: int
    num_bytes: int  # of the documents in UTF-8


def type_of(vocab: int) -> Any:
    """The smallest type that holds the ids."""
    return np.uint8 if vocab <= 256 else np.int16 if vocab <= 1 << 15 else np.int32


def encoded(documents: Iterable[str], tokenizer: Tokenizer) -> Iterator[np.ndarray]:
    """The ids of <|end|>, a document, <|end|>, ..., in arrays of the smallest type."""
    dtype = type_of(tokenizer.vocab)
    group: list[str] = []
    size = 0
    for text in portions(documents, tokenizer):
        if group and size + len(text) > AT_ONCE:
            yield from _encoded(group, tokenizer, dtype)
            group, size = [], 0
        group.append(text)
        size += len(text)
    yield from _encoded(group, tokenizer, dtype)


def portions(documents: Iterable[str], tokenizer: Tokenizer) -> Iterator[str]:
    """Texts of a length that can be encoded at once; whole documents where they do not join."""
    if tokenizer.joins:
        for text in documents:
            yield from in_parts(text, AT_ONCE)
        return
    parts: list[str] = []
    for text in documents:
        if parts and not isinstance(text, Rest):
            yield "".join(parts)
            parts = []
        parts.append(text)
    if parts:
        yield "".join(parts)


def _encoded(texts: list[str], tokenizer: Tokenizer, dtype: Any) -> Iterator[np.ndarray]:
    for text, ids in zip(texts, tokenizer.encode_many(texts)):
        if not isinstance(text, Rest):
            yield np.full(1, END, dtype)
        yield ids.astype(dtype)


def held_tokens(documents: list[str], tokenizer: Tokenizer) -> Tokens:
    """The stream of documents that are held."""
    parts = list(encoded(documents, tokenizer))
    none = np.full(1, END, type_of(tokenizer.vocab))
    stream = torch.from_numpy(np.concatenate(parts or [none]))
    return Tokens(stream, len(stream) - 1, sum(len(d.encode()) for d in documents))


def mapped(documents: Iterable[str], tokenizer: Tokenizer) -> Tokens:
    """The stream of documents, from its file, which is written where there is none that fits."""
    from filelock import FileLock

    made_of = _made_of(documents, tokenizer)
    path = _file_of(made_of, cache().parent / "tokens")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):  # of several processes one writes
            found = opened(path, made_of)
            if found is None:
                _write(path, documents, tokenizer, made_of)
                found = opened(path, made_of)
    except OSError as error:
        raise ValueError(
            f"data.in_memory: the text is larger, and its tokens cannot be written to {path.parent}"
            f" ({error.strerror or error}): make room there, or set GENLAB_CACHE to another folder"
        ) from None
    if found is None:
        raise ValueError(f"{path} does not hold what was written to it: is the disk damaged?")
    return found


def put(folder: Path, documents: Iterable[str], tokenizer: Tokenizer) -> Path:
    """Write the stream of documents to its file in a folder."""
    made_of = _made_of(documents, tokenizer)
    path = _file_of(made_of, folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write(path, documents, tokenizer, made_of)
    return path


def beside(folder: Path, documents: Iterable[str], tokenizer: Tokenizer) -> Tokens | None:
    """The stream of documents from a folder that may be a stranger's; None where none there fits.

    What says that it is of this text and tokenizer is taken at its word, if all ids are known.
    """
    made_of = _made_of(documents, tokenizer)
    found = opened(_file_of(made_of, folder), made_of)
    if found is None:
        return None
    low, high = (int(n) for n in found.stream.aminmax())
    return found if low >= 0 and high < tokenizer.vocab else None


def _file_of(made_of: dict[str, Any], folder: Path) -> Path:
    name = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]
    return folder / f"{name}.tokens"


def _made_of(documents: Iterable[str], tokenizer: Tokenizer) -> dict[str, Any]:
    """What tokens follow from: the text's size and hash, the tokenizer's."""
    digest, size = hashlib.sha256(), 0
    for text in documents:
        data = text.encode()
        size += len(data)
        if not isinstance(text, Rest):
            digest.update(b"\xff")  # stands in no UTF-8
        digest.update(data)
    kind = f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}"
    told = f"{kind} {tokenizer.state()!r}"
    return {
        "version": VERSION,
        "bytes": size,
        "sha256": digest.hexdigest(),
        "tokenizer": hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest(),
        "type": np.dtype(type_of(tokenizer.vocab)).name,
    }


def _write(
    path: Path, documents: Iterable[str], tokenizer: Tokenizer, made_of: dict[str, Any]
) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as f:
            f.seek(HEAD)
            digest, num = hashlib.sha256(), 0
            spare = np.full(SPARE, END, type_of(tokenizer.vocab))
            for ids in encoded(documents, tokenizer):
                num += len(ids)
                _put(f, ids, digest)
            _put(f, spare, digest)
            head = {"made_of": made_of, "num": num, "sha256": digest.hexdigest()}
            f.seek(0)
            f.write(json.dumps(head).encode().ljust(HEAD))
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _put(f: IO[bytes], ids: np.ndarray, digest: Any) -> None:
    data = ids.tobytes()
    digest.update(data)
    f.write(data)


def opened(path: Path, made_of: dict[str, Any]) -> Tokens | None:
    """The tokens of a file; None where it is not whole, or not made of this."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        with path.open("rb") as f:
            head = json.loads(f.read(HEAD))
            num, dtype = head["num"], np.dtype(made_of["type"])
            whole = HEAD + (num + SPARE) * dtype.itemsize
            if head["made_of"] != made_of or path.stat().st_size != whole or num < 1:
                return None
            digest = hashlib.sha256()
            while block := f.read(BLOCK):
                digest.update(block)
        if digest.hexdigest() == head["sha256"]:
            # "c": what would be written to it stays in memory, and torch asks for such
            stream = np.memmap(path, dtype, mode="c", offset=HEAD, shape=(num + SPARE,))
            return Tokens(torch.from_numpy(stream), num - 1, made_of["bytes"])
    return None
