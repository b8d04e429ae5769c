"""Tables whose rows come with a value that they have, each value about as often as others.

Read: `TableByValue.drawn` is training-by-sampling (Xu et al. 2019, CTGAN, arXiv 1907.00503, section
4.3): one of the categorical columns is drawn evenly, one of its values by the logarithm of how many
training rows have it, then one of these rows. The conditional vector, which is one at that value
and zero at all other values of all columns, is a class here: number k of the `counts` of all
columns one after another. So every net and family that takes classes takes it. Held-out rows come
as they are, row i with its value of the categorical column i mod C: in the data's own shares.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch, Cond, Given
from genlab.data import naming
from genlab.data.asking import classes_asked
from genlab.data.columns import Categories
from genlab.data.sources.tables import TableSource
from genlab.data.stated import check
from genlab.data.table import MISSING, Columns, Cut, Table, TableExamples
from genlab.rng import generator

GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples, without their whole parts, lie evenly
PIECE = 65_536  # rows whose values are read at once

Counts = list[list[int]]  # of each block of x: how many training rows have each value, or []


def law_of(counts: Sequence[Sequence[int]]) -> Tensor:
    """How likely each value is to be drawn in training: 1 / C times log(1 + count) of its column's
    sum, float64 [K]. With the 1, as the authors' code has it, a value of one row is drawn too."""
    logs = [torch.tensor(c, dtype=torch.float64).log1p() for c in counts if c]
    return torch.cat([part / part.sum() / len(logs) for part in logs])


class ByValueExamples(TableExamples):
    """Rows, each with the number of one of its values."""

    def __init__(self, rows: TableExamples) -> None:
        self.__dict__.update(rows.__dict__)
        at = [i for i, c in enumerate(self.columns.columns) if isinstance(c, Categories)]
        first = np.cumsum([0, *(self.columns.columns[i].width for i in at)])
        column = np.arange(len(self)) % len(at)
        codes = np.stack([self.read[i] for i in at])  # [C, N]
        self.values = torch.from_numpy(codes[column, np.arange(len(self))] + first[column])

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        return Batch(**super().batch(ids, draws), cond=self.values[ids])


class TableByValue(Table):
    """A table whose `cond` is one value of one categorical column."""

    finds = ("counts",)

    def __init__(
        self,
        *,
        source: TableSource,
        shape: Sequence[int] | None,
        widths: Sequence[int] | None,
        batch_size: int,
        seed: int,
        counts: Sequence[Sequence[int]] | None = None,
        num_classes: int | None = None,
        target: str | None = None,
        columns: Mapping[str, str] | Sequence[str] | None = None,
        drop: Sequence[str] = (),
        missing: Sequence[str] = MISSING,
        val_fraction: float | None = 0.1,
        limit: int | None = None,
        vocab: int | None = None,
        levels: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """As `Table`; `counts`: of each block of x how many training rows have each value, [] of
        blocks that are no category's, and `num_classes`: how many values in all; None: as found."""
        super().__init__(
            source=source, shape=shape, widths=widths, batch_size=batch_size, seed=seed,
            target=target, columns=columns, drop=drop, missing=missing, val_fraction=val_fraction,
            limit=limit, vocab=vocab, levels=levels, std=std, val_examples=val_examples,
        )  # fmt: skip
        self.counts = None if counts is None else [list(c) for c in counts]
        self.stated_values = num_classes
        self._rows: tuple[Tensor, Tensor, LongTensor] | None = None

    # --- reading --------------------------------------------------------------------------------

    def found(self) -> dict[str, Any]:
        self.prepare()
        self._fit()
        there = {"widths": self.columns.widths, "shape": [self.columns.width]}
        return {**there, "counts": self._own, "num_classes": self.num_classes}

    def _counted(self, cells: Cut) -> Counts:
        counts: Counts = []
        for column in self.columns.columns:
            if isinstance(column, Categories):
                codes = column.read(cells[column.name][: self.limit])
                counts.append(np.bincount(codes, minlength=column.width).tolist())
            else:
                counts += [[] for _ in column.widths]
        return counts

    def _fit(self) -> dict[str, Cut]:
        parts = super()._fit()
        counts = self._counted(parts["train"])
        if not any(counts):
            raise ValueError(
                f"{self._name} has no column of categories, so no value to ask for: write"
                " data=table, or say which column is one"
            )
        self._own = counts
        return parts

    def _check_widths(self) -> None:
        super()._check_widths()
        if self.counts is None:
            self.counts = self._own
        if self.counts != self._own:
            raise ValueError(
                f"data.counts: not those of the training rows of {self._name}, as these settings"
                " leave them: write data.counts=null, so that they are found"
            )
        if self.stated_values is not None:
            check("num_classes", self.stated_values, self.num_classes, self._name)

    def _examples(self, cells: Cut, split: str) -> TableExamples:
        return ByValueExamples(super()._examples(cells, split))

    def _take(self, columns: Columns) -> None:
        super()._take(columns)
        named = [c for c in columns.columns if isinstance(c, Categories)]
        self.class_names = [
            f"{c.name}={c.values[i] if i < len(c.values) else ''}"
            for c in named
            for i in range(c.width)
        ]
        self.num_classes = len(self.class_names)

    # --- batches by number ----------------------------------------------------------------------

    def drawn(self, k: int) -> tuple[LongTensor, LongTensor]:
        """The rows of the k-th global batch, and which value each was drawn by, both [batch_size].

        A pure function of (seed, k).
        """
        ends, first, rows = self._by_value()
        u = torch.rand(2, self.batch_size, dtype=torch.float64,
                       generator=generator("by value", self.seed, k))  # fmt: skip
        values = torch.searchsorted(ends, u[0] * ends[-1], right=True).clamp(max=len(ends) - 1)
        num = first[values + 1] - first[values]
        return rows[first[values] + (u[1] * num).long().clamp(max=num - 1)].long(), values

    def _by_value(self) -> tuple[Tensor, Tensor, LongTensor]:
        """Where the values' law ends [K], and the rows that have each value, one value after
        another: where they begin [K + 1], and they. Of train as edits have left it."""
        self.load()
        if self._rows is None:
            at, start = [], 0
            for width, counted in zip(self.widths, self.counts):
                at += [slice(start, start + width)] if counted else []
                start += width
            ids = torch.arange(len(self.train)).split(PIECE)
            x = (self.train.batch(part)["x"] for part in ids)
            codes = torch.cat([torch.stack([v[:, s].argmax(1) for s in at]) for v in x], 1)
            sizes = [s.stop - s.start for s in at]
            counts = [c.bincount(minlength=n) for c, n in zip(codes, sizes)]
            first = torch.cat([torch.zeros(1, dtype=torch.long), *counts]).cumsum(0)
            rows = torch.cat([c.argsort(stable=True).int() for c in codes])
            self._rows = law_of([c.tolist() for c in counts]).cumsum(0), first, rows
        return self._rows

    def train_ids(self, k: int) -> LongTensor:
        return self.drawn(k)[0]

    def train_batch(self, k: int, **place: int) -> Batch:
        batch = super().train_batch(k, **place)
        whole = {"rank": 0, "world": 1, "micro": 0, "accumulate": 1}
        batch["cond"] = self.drawn(k)[1][self.share(**{**whole, **place})]
        return batch

    # --- what the house asks --------------------------------------------------------------------

    def said_of_classes(self) -> list[str]:
        num = sum(1 for c in self.counts if c)
        kinds = [c for c in super().said_of_classes() if " columns (" in c]
        return [*kinds, f"{self.num_classes} values of {num} columns to ask for"]

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        own = [
            column.width if isinstance(column, Categories) else 0
            for column in self.columns.columns
            for _ in column.widths
        ]
        if self.counts is not None and own != [len(c) for c in self.counts]:
            raise ValueError(f"its columns have {own} values, not those of data.counts")

    def looks(self, num: int) -> tuple[Cond | None, Given | None]:
        """Values in the shares that the training rows have them, evenly, the same at every look."""
        shares = [torch.tensor(c, dtype=torch.float64) / sum(c) for c in self.counts if c]
        ends = torch.cat(shares).cumsum(0) / len(shares)
        places = (torch.arange(num, dtype=torch.float64) + 0.5) * GOLDEN % 1
        return torch.searchsorted(ends, places, right=True).clamp(max=len(ends) - 1), None

    def asked_cond(self, num: int, cond: Any) -> Cond | None:
        """Values by name: {"sex": "Female"}, or a list of them gone through in turn; as JSON too.

        None: each sample draws its own, in the data's shares (models/conditions.py).
        """
        if cond is None:
            return None
        if isinstance(cond, str) and cond.lstrip().startswith(("{", "[")):
            with contextlib.suppress(ValueError):
                cond = json.loads(cond)
        some = list(cond) if isinstance(cond, list | tuple) else [cond]
        some = [self._number(c) for c in some]
        values = classes_asked(num, some, self.class_names, self.num_classes)
        counts = [n for c in self.counts or [] for n in c]
        for value in values.unique().tolist():
            if counts and not counts[value]:
                raise ValueError(
                    f"cond: no training row has {self.class_names[value]}: the model has not"
                    " learned it; ask for another value"
                )
        return values

    def _number(self, cond: Any) -> Any:
        """The number of a value that is asked for as a mapping."""
        if not isinstance(cond, Mapping):
            return cond
        if len(cond) != 1:
            raise ValueError(
                f"cond={json.dumps(cond, ensure_ascii=False, default=str)}: ask for one value of"
                ' one column, cond=\'{"NAME": "VALUE"}\'; a model that is given several cells'
                " is of data=table, given='{...}'"
            )
        ((name, value),) = cond.items()
        named = [c for c in self.columns.columns if isinstance(c, Categories)]
        names = [c.name for c in named]
        if name not in names:
            raise ValueError(
                f"cond: there is no column of categories {name!r}; there are {naming.listed(names)}"
                f"{naming.nearest(str(name), names)}"
            )
        column = named[names.index(name)]
        cell = None if value is None else str(value)
        if cell not in column.codes:
            known = ", ".join(map(str, column.values[:12]))
            raise ValueError(f"cond: {name} has no value {cell!r}; allowed are {known}")
        return sum(c.width for c in named[: names.index(name)]) + column.codes[cell]
