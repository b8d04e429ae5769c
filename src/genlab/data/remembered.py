"""What was learnt from a text, kept in the cache: byte pairs are the same at every start.

An entry is named by a hash of the kind, its size and the whole text, and holds plain JSON: a
vocabulary, merges, and their own hash. One that is damaged or of another form is learnt again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genlab.data.files import cache

LARGEST = 200_000_000  # bytes of an entry that is read


def entry(kind: str, texts: Iterable[str], size: int) -> Path:
    """The file of what a tokenizer of this kind and size learns from the texts."""
    digest = hashlib.sha256(f"{kind} {size} tokenizers {version('tokenizers')}".encode())
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return cache().parent / "tokenizers" / f"{kind}_{size}_{digest.hexdigest()[:32]}.json"


def recall(path: Path) -> dict[str, Any] | None:
    """What an entry holds; None where there is none that is whole."""
    try:
        if path.stat().st_size > LARGEST:
            return None
        held = json.loads(path.read_text(encoding="utf-8"))
        learnt = held["learnt"]
        if held["sha256"] != _hash(learnt) or not _sound(learnt):
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return learnt


def keep(path: Path, learnt: dict[str, Any]) -> None:
    """Write an entry whole or not at all; a cache that cannot be written is done without."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as f:
                json.dump({"sha256": _hash(learnt), "learnt": learnt}, f, ensure_ascii=True)
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)


def _hash(learnt: Any) -> str:
    return hashlib.sha256(json.dumps(learnt, sort_keys=True).encode()).hexdigest()


def _sound(learnt: Any) -> bool:
    """Whether it is a vocabulary (text to 0 .. n-1, each once) and pairs of its texts."""
    vocab, merges = learnt["vocab"], learnt["merges"]
    if sorted(vocab.values()) != list(range(len(vocab))):
        return False
    return all(
        isinstance(pair, list) and len(pair) == 2 and all(p in vocab for p in pair)
        for pair in merges
    )
