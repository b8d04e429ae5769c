"""MinHash by rensa, whose digests are the same on every machine: so many least hashes of a set.

Of each hash 16 bits are kept, which two others share once in 65,536 (Li & Koenig 2010, b-bit
minwise hashing).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SEED = 1


def minhash(items: Sequence[str], num: int) -> np.ndarray:
    """The least hashes of a set of texts under `num` permutations [num] uint16."""
    sketch = _rensa().RMinHash(num_perm=num, seed=SEED)
    sketch.update(items)
    return np.array(sketch.digest(), np.uint32).astype(np.uint16)


def _rensa() -> Any:
    try:
        import rensa
    except ImportError:
        raise ValueError(
            "near duplicates of texts need rensa: pip install 'genlab[prepare]'"
        ) from None
    return rensa
