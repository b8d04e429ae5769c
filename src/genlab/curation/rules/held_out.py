"""Decontamination: examples that hold what is to be measured on."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar

from genlab.curation.base import Example, Leave
from genlab.curation.kinds.texts import Texts
from genlab.curation.rules.texts import TextRule


class HeldOut(TextRule):
    """A text that shares a run of words with a held-out text is left out (13 in GPT-3, app. C)."""

    MOST: ClassVar = 20_000_000  # runs that are held: 8 bytes each, and what a set takes

    def __init__(
        self, *, against: str, column: str = "text", n: int = 13, share: float = 0.0
    ) -> None:
        """`against`: a file or folder of held-out texts; `n`: words of a run; `share` of a text's
        runs that may be held out, 0: none."""
        path = Path(against).expanduser()
        if not path.exists():
            raise ValueError(f"against={against}: there is no such file or folder")
        self.n, self.share = n, share
        self.runs: set[bytes] = set()
        kind = Texts(column=column)
        for raw in kind.raws(path):
            text = kind.parse(raw.source) if isinstance(raw.source, bytes) else kind.open(raw)
            self.runs.update(self._runs(text))
            if len(self.runs) > self.MOST:
                raise ValueError(f"against={against}: over {self.MOST:,} runs of words")

    def _runs(self, text: str) -> list[bytes]:
        words = re.findall(r"\w+", text.lower())
        texts = (" ".join(words[i : i + self.n]) for i in range(len(words) - self.n + 1))
        return [blake2b(t.encode(), digest_size=8).digest() for t in texts]

    def __call__(self, example: Example) -> Leave | None:
        own = self._runs(example.data)
        shared = sum(run in self.runs for run in own)
        if shared and shared > self.share * len(own):
            return Leave(f"shares runs of {self.n} words with held-out texts", shared)
        return None
