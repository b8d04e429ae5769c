"""What YAML states of the data, held against the data: one line that says what to write."""

from __future__ import annotations

import hashlib
from typing import Any

from torch import Tensor


def written(value: Any) -> str:
    """A value as it is written on the command line: [1,28,28], null, 10."""
    if value is None:
        return "null"
    return f"[{','.join(map(str, value))}]" if isinstance(value, tuple | list) else str(value)


def check(key: str, stated: Any, found: Any, source: str) -> None:
    """Refuse what is stated in YAML where it is not what the data has, and say what to write."""
    if stated != found:
        raise ValueError(
            f"data.{key}={written(stated)} but {source} has {written(found)}:"
            f" write data.{key}={written(found)}"
        )


def refuse_large_batch(batch_size: int, num: int) -> None:
    """Refuse a batch that is larger than all training data."""
    if batch_size > num:
        raise ValueError(
            f"data.batch_size={batch_size} but train has {num:,} examples:"
            f" write data.batch_size={num} or less"
        )


def sha256(*parts: Tensor | bytes | str) -> str:
    """One hash over tensors (type, shape and values), bytes and names."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype}{tuple(part.shape)}".encode())
            part = part.detach().cpu().contiguous().numpy().data.cast("B") if part.numel() else b""
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\x1f")
    return digest.hexdigest()
