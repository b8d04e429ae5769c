"""A table's rows as tokens, one for each block of x: for models that learn a column after another.

A category's token is its code. A number's is its value, where the column has `bins` of them at
most, else the part of its rank, in `bins` equal parts, whose middle it says back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch, Given
from genlab.data import naming
from genlab.data.base import Examples
from genlab.data.columns import Column
from genlab.data.modes import Modes
from genlab.data.sources.tables import TableSource
from genlab.data.stated import written
from genlab.data.table import MISSING, Columns, Table, TableExamples


class TokenExamples(TableExamples):
    """Rows whose x are tokens [B, blocks]."""

    def __init__(self, rows: TableExamples, slots: Slots) -> None:
        self.__dict__.update(rows.__dict__)
        self.slots = slots

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        batch = super().batch(ids, draws)
        batch["x"] = self.slots.tokens(batch["x"])
        return batch


class Slots:
    """The tokens of each block of x: a number's parts of the normal scores, a category's codes."""

    def __init__(self, columns: Columns, bins: int) -> None:
        self.widths, self.parts = columns.widths, []
        for column in columns.columns:
            for width in column.widths:
                self.parts.append(parts_of(column, bins) if width == 1 else None)
        self.num = [w if p is None else len(p[1]) for w, p in zip(self.widths, self.parts)]

    def tokens(self, x: Tensor) -> LongTensor:
        """x [N, width] as a table has it -> [N, blocks]."""
        blocks = zip(x.split(self.widths, 1), self.parts)
        return torch.stack([
            b.argmax(1) if p is None else torch.searchsorted(p[0], b[:, 0].double().contiguous())
            for b, p in blocks
        ], 1)  # fmt: skip

    def values(self, tokens: Tensor) -> Tensor:
        """Tokens [N, blocks] -> x [N, width], numbers in the middle of their parts."""
        blocks = []
        for token, width, part, num in zip(tokens.long().T, self.widths, self.parts, self.num):
            token = token.clamp(0, num - 1)
            hot = (
                2 * torch.nn.functional.one_hot(token, width).float() - 1 if part is None else None
            )
            blocks.append(part[1][token][:, None].float() if hot is None else hot)
        return torch.cat(blocks, 1)


def parts_of(column: Column, bins: int) -> tuple[Tensor, Tensor]:
    """Where the parts of a column's normal scores end [n - 1], and their middles [n]."""
    if isinstance(column, Modes):
        raise ValueError(
            f"data.columns.{column.name}=modes: a number's tokens are parts of its ranks; write"
            f" {naming.kind(column.name, 'continuous')}"
        )
    if len(column.values) <= bins:
        low, high = torch.from_numpy(np.asarray(column.low)), torch.from_numpy(column.high)
        ranks = (torch.special.ndtr(v.double()) for v in (low, high))
        return (high[:-1] + low[1:]) / 2, torch.special.ndtri(sum(ranks) / 2)
    rank = torch.arange(bins, dtype=torch.float64) / bins
    return torch.special.ndtri(rank[1:]), torch.special.ndtri(rank + 0.5 / bins)


class TableTokens(Table):
    """A table for autoregressive models: rows are [len(widths)] tokens, block by block."""

    finds = ("vocab", "slots")

    def __init__(
        self,
        *,
        source: TableSource,
        batch_size: int,
        seed: int,
        bins: int = 128,
        shape: Sequence[int] | None = None,
        widths: Sequence[int] | None = None,
        slots: Sequence[int] | None = None,
        vocab: int | None = None,
        target: str | None = None,
        num_classes: int | None = None,
        columns: Mapping[str, str] | Sequence[str] | None = None,
        drop: Sequence[str] = (),
        missing: Sequence[str] = MISSING,
        val_fraction: float | None = 0.1,
        limit: int | None = None,
        levels: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """As `Table`; `bins`: tokens of a number; `slots`: tokens of each block, None as found,
        and so `vocab`, the most of them, and the `shape` [blocks]."""
        if not isinstance(bins, int) or not 2 <= bins <= 4096:
            raise ValueError(f"data.bins={bins}: write a whole number from 2 to 4096")
        super().__init__(
            source=source, shape=None, widths=widths, batch_size=batch_size, seed=seed,
            target=target, num_classes=num_classes, columns=columns, drop=drop, missing=missing,
            val_fraction=val_fraction, limit=limit, levels=levels, std=std,
            val_examples=val_examples,
        )  # fmt: skip
        self.bins, self.slots, self.vocab = bins, None if slots is None else list(slots), vocab
        self.shape = tuple(shape or ())

    def found(self) -> dict[str, Any]:
        widths = super().found()["widths"]
        return {"widths": widths, **self._laid()}

    def _laid(self) -> dict[str, Any]:
        num = Slots(self.columns, self.bins).num
        return {"slots": num, "shape": [len(num)], "vocab": max(num)}

    def _check_widths(self) -> None:
        widths, laid = self.columns.widths, self._laid()
        if self.slots is None:
            self.widths, self.slots, self.vocab = widths, laid["slots"], laid["vocab"]
            self.shape = tuple(laid["shape"])
        stated = {"slots": self.slots, "shape": list(self.shape), "vocab": self.vocab}
        for key, value in laid.items():
            if stated[key] != value:
                raise ValueError(
                    f"data.{key}={written(stated[key])} but {self._name} has {written(value)}:"
                    f" write data.{key}={written(value)}, or data.slots=null to find all"
                )

    def _examples(self, cells: Any, split: str) -> Examples:
        return TokenExamples(super()._examples(cells, split), Slots(self.columns, self.bins))

    def coordinates(self, x: Tensor) -> Tensor:
        return Slots(self.columns, self.bins).values(x.cpu())

    def decode(self, x: Tensor) -> list[dict[str, Any]]:
        return super().decode(self.coordinates(x))

    def load_state(self, state: dict[str, Any]) -> None:
        shape, self.shape = self.shape, None
        super().load_state(state)
        self.shape = shape
        slots = self._laid()["slots"]
        if self.slots is not None and slots != self.slots:
            raise ValueError(f"its columns take {slots} tokens, not {self.slots}")
        self.slots = slots

    def known(self, rows: Sequence[Mapping[str, Any]]) -> Given:
        """The known columns as tokens: a model that goes on from a beginning needs the first."""
        one, widths = super().known(rows), self.columns.widths
        first = [sum(widths[:i]) for i in range(len(widths))]
        tokens = Slots(self.columns, self.bins).tokens(one["x"])
        return Given(x=tokens, mask=one["mask"][:, first])
