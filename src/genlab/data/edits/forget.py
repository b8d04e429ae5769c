"""Examples that a run is trained without: of a model that saw them, the one that forgot them.

Trained anew without them, with the same seed, is the definition of forgotten; `metric=membership`
tells whether they look like any held-out example to the model now.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from genlab.data.base import Examples
from genlab.data.edits.base import Edit, Picked, refuse_unnumbered, slots

if TYPE_CHECKING:
    from genlab.data.base import DataModule


class Forget(Edit):
    """Train without the examples `ids`: their numbers, or names as of their files."""

    def __init__(self, *, ids: Sequence[int | str] | str) -> None:
        """`ids`: a list, or a text file with one a line."""
        if isinstance(ids, str):
            if not Path(ids).expanduser().is_file():
                raise ValueError(f"edits.forget.ids={ids}: a list, or a file with one a line")
            lines = Path(ids).expanduser().read_text().splitlines()
            ids = [int(w) if w.isdigit() else w for w in map(str.strip, lines) if w]
        if not ids:
            raise ValueError("edits.forget.ids: there is none, so nothing would be forgotten")
        self.ids = list(ids)

    def __call__(self, splits: dict[str, Examples], data: DataModule) -> dict[str, Examples]:
        refuse_unnumbered("forget", splits, data)
        train = splits["train"]
        if slots(splits, data) > 1:
            raise ValueError(
                "edits.forget: windows run over whole texts: leave documents out by `genlab"
                " prepare ... +rule@rules.forget=forget rules.forget.ids=[...]`"
            )
        out = sorted({n for i in self.ids for n in self._numbers(i, splits)})
        kept = torch.ones(len(train), dtype=torch.bool)
        kept[out] = False
        if not kept.any():
            raise ValueError("edits.forget.ids: nothing would be left to train on")
        return {
            **splits,
            "train": Picked(train, kept.nonzero()[:, 0]),
            "forgotten": Picked(train, torch.tensor(out)),
        }

    def _numbers(self, asked: int | str, splits: dict[str, Examples]) -> list[int]:
        """The numbers of the training examples that are called so."""
        train = splits["train"]
        if isinstance(asked, int):
            if not 0 <= asked < len(train):
                raise ValueError(f"edits.forget.ids: {asked} is none of 0 to {len(train) - 1}")
            return [asked]
        names = self.__dict__.setdefault("_names", {})
        if not names:
            for i in range(len(train)):
                names.setdefault(train.name_of(i), []).append(i)
        ends = (v for name, v in names.items() if _ends(name, asked))
        if not (found := [i for numbers in ends for i in numbers]):
            held = splits["val"]
            if any(_ends(held.name_of(i), asked) for i in range(len(held))):
                raise ValueError(f"edits.forget.ids: {asked!r} is held out: nothing learns from it")
            raise ValueError(
                f"edits.forget.ids: no training example is called {asked!r}; the first is"
                f" {train.name_of(0)!r}"
            )
        return found

    def said(self) -> str:
        return f"train without {', '.join(map(str, self.ids))}"


def _ends(name: str, asked: str) -> bool:
    """Whether a name is that of the file that is asked for."""
    return name == asked or name.endswith((f"/{asked}", f" {asked}"))
