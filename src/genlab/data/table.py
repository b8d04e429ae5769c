"""Tables: rows of numbers and categories, from a csv file of one's own or a known set.

Read: a source (sources/tables.py) gives cells; `Columns` (columns.py has one each) turns rows into
x [width] and back; `Table` serves them. The column `target` is what a model of rows is asked to
predict when it is measured; with `num_classes` it leaves x and is served as the class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch, Given
from genlab.data import naming
from genlab.data.asks import Ask, Row
from genlab.data.base import DataModule, Examples
from genlab.data.columns import Column, Kind
from genlab.data.kinds import KINDS, fit_columns, restored
from genlab.data.origins import COLUMNS, Origins, of_table
from genlab.data.sources.tables import Cells, Rows, TableSource
from genlab.data.stated import check, sha256, written
from genlab.rng import generator as seeded
from genlab.views.table import Sheet

Cut = dict[str, list[str | None]]  # a split: the cells of each column
MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null")


class Columns:
    """The columns of x, in order."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = list(columns)
        self.widths = [w for c in columns for w in c.widths]
        ends = np.cumsum([sum(c.widths) for c in columns]).tolist()
        self.spans = [slice(e - sum(c.widths), e) for c, e in zip(columns, ends)]
        self.width = ends[-1] if ends else 0

    def decode(self, x: np.ndarray) -> list[dict[str, Any]]:
        """x [N, width] -> N rows, each a value by its column's name."""
        values = [c.decode(x[:, s]) for c, s in zip(self.columns, self.spans)]
        names = [c.name for c in self.columns]
        return [dict(zip(names, row)) for row in zip(*values)]


class TableExamples(Examples):
    """Rows, read; x is put together when it is asked for."""

    def __init__(
        self, columns: Columns, read: Sequence[np.ndarray], labels: Tensor | None, *, split: str
    ) -> None:
        """`read` [N] a column: numbers or codes; `labels` [N] int64."""
        self.columns, self.labels = columns, labels
        self.read = list(read)
        hot, places, self._at = [], [], []
        for column, values, span in zip(columns.columns, read, columns.spans):
            numbers, ones = column.lay(values)
            self._at += [span.start] * len(numbers)
            places += numbers
            hot += [span.start + one for one in ones]
        self._num = len(read[0])
        middle, half = (
            np.stack([p[i] for p in places], 1) if places else np.zeros((self._num, 0))
            for i in (0, 1)
        )
        self._middle, self._half = (torch.from_numpy(a).float() for a in (middle, half))
        self._hot = torch.from_numpy(np.stack(hot, 1) if hot else np.zeros((self._num, 0), int))
        # where a row stands if nothing is drawn: the same in every run
        self.draws = self._middle.shape[1]
        self._u = torch.rand(self._middle.shape, generator=seeded("table", split))

    def __len__(self) -> int:
        return self._num

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        u = self._u[ids] if draws is None else draws
        middle = self._middle[ids]
        # a missing number is any number, so that x is one everywhere
        z = torch.where(
            middle.isnan(),
            torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6)),
            middle + (2 * u - 1) * self._half[ids],
        )
        x = torch.full((len(ids), self.columns.width), -1.0)
        x.scatter_(1, self._hot[ids], 1.0)
        x[:, self._at] = z
        batch = Batch(x=x)
        if self.labels is not None:
            batch["cond"] = self.labels[ids]
        return batch


class Table(DataModule):
    """Rows of a table; val is cut from train, test is the set's own where it has one."""

    kind = "table"
    noun = "rows"
    finds = ("widths",)

    def __init__(
        self,
        *,
        source: TableSource,
        shape: Sequence[int] | None,
        widths: Sequence[int] | None,
        batch_size: int,
        seed: int,
        target: str | None = None,
        num_classes: int | None = None,
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
        """`widths` of x's blocks, in all `shape` (None: as found); `columns`: kinds that are given,
        as {NAME: KIND} or, where a name is odd, as texts NAME=KIND.

        `target` with `num_classes` is the class; `drop` leaves columns out; `limit` keeps train's
        first N rows. `val_fraction` of train is held out, None where the set has rows for that.
        """
        for key, value in (("vocab", vocab), ("levels", levels)):
            if value is not None:
                raise ValueError(f"data.{key}={value}: a table has none; write data.{key}=null")
        self.kinds: dict[str, Kind] = {} if columns is None else naming.kinds(columns)
        for name, kind in self.kinds.items():
            if str(kind) not in KINDS:
                raise ValueError(f"data.columns.{name}={kind}: allowed are {', '.join(KINDS)}")
        if num_classes is not None and target is None:
            raise ValueError("data.target=null: which column is the class? write data.target=NAME")
        if val_fraction is not None and not 0 < val_fraction < 1:
            raise ValueError(f"data.val_fraction={val_fraction}: write a number between 0 and 1")
        if limit is not None and limit < 1:
            raise ValueError(f"data.limit={limit}: write a whole number from 1 on, or null for all")
        super().__init__(
            shape=shape or (),
            batch_size=batch_size,
            seed=seed,
            num_classes=num_classes,
            std=std,
            val_examples=val_examples,
        )
        self.source, self.target = source, target
        self.widths = None if widths is None else list(widths)
        self.drop, self.missing = list(drop), frozenset(missing)
        self.val_fraction, self.limit = val_fraction, limit
        self.columns: Columns | None = None  # of x
        self._label: Column | None = None
        self._name = "the table"
        self.view = Sheet()
        self.read_early = not source.known

    def prepare(self) -> None:
        self.source.prepare()

    # --- reading --------------------------------------------------------------------------------

    def read(self) -> dict[str, Examples]:
        parts = self._fit()
        self._check_widths()
        return {split: self._examples(cells, split) for split, cells in parts.items()}

    def found(self) -> dict[str, list[int]]:
        """The blocks of x that the table takes, from its cells, and so its shape."""
        self.prepare()
        self._fit()
        return {"widths": self.columns.widths, "shape": [self.columns.width]}

    def _fit(self) -> dict[str, Cut]:
        """The cells of each split; fits the columns to them."""
        found = self.source.cells()
        self._name = found.name
        self._check_names(found.names)
        train, val = self._split(found)
        splits = {"train": train, "val": val} | ({"test": found.test} if found.test else {})
        parts = {split: self._cells(found.names, rows) for split, rows in splits.items()}
        at = {k: found.names.index(k) for k in COLUMNS if k in found.names}
        self._stated = {k: [row[i] for row in train[: self.limit]] for k, i in at.items()}
        kinds = found.kinds | self.kinds
        fitted = fit_columns(parts["train"], parts["val"], kinds)
        if self.num_classes is not None:
            self._label = self._class_column(fitted.pop(self.target))
        self._take(Columns(list(fitted.values())))
        return parts

    def _check_names(self, names: list[str]) -> None:
        named = {"target": [self.target] if self.target else [], "drop": self.drop,
                 "columns": list(self.kinds)}  # fmt: skip
        for key, name in ((key, name) for key, some in named.items() for name in some):
            if name not in names:
                raise ValueError(
                    f"data.{key}={name}: {self._name} has no such column, but"
                    f" {naming.listed(names)}{naming.nearest(name, names)}{naming.how(key, names)}"
                )
            if name in self.drop and key == "target":
                raise ValueError(f"data.drop={name}: it is data.target")

    def _split(self, found: Cells) -> tuple[Rows, Rows]:
        """Train and val: the same rows are held out in every run, whatever its seed."""
        rows = found.train
        if (found.val is None) != (self.val_fraction is not None):
            there = "has no held-out rows of its own" if found.val is None else "has its own val"
            remedy = 0.1 if found.val is None else "null"
            raise ValueError(
                f"data.val_fraction={written(self.val_fraction)}: {self._name} {there}; write"
                f" data.val_fraction={remedy}"
            )
        if found.val is not None:
            return rows, found.val
        num = round(len(rows) * self.val_fraction)
        if not 0 < num < len(rows):
            raise ValueError(f"{self._name} has {len(rows)} rows: too few for train and val")
        order = torch.randperm(len(rows), generator=seeded("rows", len(rows))).tolist()
        return [rows[i] for i in sorted(order[num:])], [rows[i] for i in sorted(order[:num])]

    def _cells(self, names: list[str], rows: Rows) -> Cut:
        """The columns that are kept, cell by cell; None where missing."""
        gone = self.missing
        return {
            name: [None if row[i] in gone else row[i] for row in rows]
            for i, name in enumerate(names)
            if name not in self.drop
        }

    def _class_column(self, column: Column) -> Column:
        if what := column.no_class():
            kind = naming.kind(self.target, "category")
            more = f", or {kind}" if what == "numbers" else ""
            raise ValueError(
                f"data.target={self.target}: a class is a text in every row, this column has"
                f" {what}; write data.num_classes=null{more}"
            )
        check("num_classes", self.num_classes, len(column.values), f"the column {self.target}")
        return column

    def _check_widths(self) -> None:
        shape, widths = [self.columns.width], self.columns.widths
        if self.widths is None:
            self.shape, self.widths = tuple(shape), widths
        if list(self.shape) != shape or self.widths != widths:
            key = "shape" if list(self.shape) != shape else "widths"
            raise ValueError(
                f"data.{key}={written(getattr(self, key))} but {self._name} has"
                f" {written({'shape': shape, 'widths': widths}[key])}: write"
                f" data.shape={written(shape)} data.widths={written(widths)}"
            )

    def _examples(self, cells: Cut, split: str) -> TableExamples:
        stop = self.limit if split == "train" else None
        read = [c.read(cells[c.name][:stop]) for c in self.columns.columns]
        labels = None
        if self._label is not None:
            labels = torch.from_numpy(self._label.read(cells[self.target][:stop]))
        return TableExamples(self.columns, read, labels, split=split)

    def _take(self, columns: Columns) -> None:
        self.columns = columns
        self.class_names = self._label.values if self._label is not None else None
        named = {"asked": self.target} if self._label is not None else {}
        self.view = Sheet(columns=columns.columns, **named)

    # --- what the house asks --------------------------------------------------------------------

    def origins(self) -> Origins:
        self.load()
        return of_table(self._stated, self.trained_on(), self.source.origin)

    @property
    def source_name(self) -> str:
        return self._name

    def said_of_classes(self) -> list[str]:
        """The columns, by what they hold, and the classes."""
        kinds = [c.kind for c in self.columns.columns]
        counted = ", ".join(f"{kinds.count(k)} {k}" for k in KINDS if k in kinds)
        return [f"{len(kinds)} columns ({counted})", *super().said_of_classes()]

    def told(self) -> list[str]:
        """What each column was taken for too, and how another kind is stated."""
        found, columns = super().told(), self.columns.columns
        odd = [c.name for c in columns if not naming.PLAIN.fullmatch(c.name)]
        shown = "; ".join(map(str, columns[: naming.MOST]))
        more = f"; and {len(columns) - naming.MOST:,} more" if len(columns) > naming.MOST else ""
        return [
            *found,
            f"columns: {shown}{more}",
            f"another kind ({', '.join(KINDS)}): {naming.kind([*odd, 'NAME'][0], 'category')}, or"
            " in YAML data: {columns: {NAME: category}}",
        ]

    def notes(self) -> list[str]:
        """Columns that teach nothing: empty ones, and those of another value in nearly each row."""
        said = super().notes()
        for column, values in zip(self.columns.columns, self.train.read):
            if what := column.idle(values):
                said.append(
                    f"column {column.name!r} {what}: leave it out, {naming.drop(column.name)}"
                )
        return said

    def digest(self) -> str:
        parts: list[Any] = [repr(self.state())]
        for split in self._splits.values():
            parts += [torch.from_numpy(values) for values in split.read]
            parts += [split.labels] if split.labels is not None else []
        return sha256(*parts)

    def state(self) -> dict[str, Any]:
        return {
            "columns": [c.state() for c in self.columns.columns],
            "label": self._label.state() if self._label is not None else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self._label = restored(state["label"]) if state["label"] is not None else None
        if self._label is not None and self._label.no_class():
            raise ValueError(f"{self._label} is no class to predict")
        self._take(Columns([restored(s) for s in state["columns"]]))
        if self.shape is not None and [self.columns.width] != list(self.shape):
            raise ValueError(f"its columns are {self.columns.width} numbers wide, not {self.shape}")

    def decode(self, x: Tensor) -> list[dict[str, Any]]:
        """Rows: whole numbers are int, others float, categories str, missing cells None."""
        return self.columns.decode(x.detach().cpu().float().numpy())

    def rows(self, split: TableExamples) -> list[dict[str, Any]]:
        """The rows of a split as they stand in the file, the class with them."""
        ids = torch.arange(len(split))
        rows = self.decode(split.batch(ids)["x"])
        if split.labels is None:
            return rows
        names = self._label.values
        return [{**row, self.target: names[i]} for row, i in zip(rows, split.labels.tolist())]

    def known(self, rows: Sequence[Mapping[str, Any]]) -> Given:
        """What is known of rows to draw: values by column, the columns not named are to be drawn.

        A cell of None says that the value is missing, not that it is unknown.
        """
        columns = self.columns
        x = torch.zeros(len(rows), columns.width)
        mask = torch.zeros(len(rows), columns.width, dtype=torch.bool)
        for row, values in enumerate(rows):
            for name in values:
                at = next((i for i, c in enumerate(columns.columns) if c.name == name), None)
                if at is None:
                    names = [c.name for c in columns.columns]
                    raise ValueError(
                        f"given: there is no column {name!r}; there are {naming.listed(names)}"
                        f"{naming.nearest(name, names)}"
                    )
                column, span = columns.columns[at], columns.spans[at]
                cell = None if values[name] is None else str(values[name])
                column.check(cell)
                one = TableExamples(Columns([column]), [column.read([cell])], None, split="given")
                x[row, span], mask[row, span] = one.batch(torch.zeros(1).long())["x"][0], True
        return Given(x=x, mask=mask)

    def asks(self) -> tuple[Ask, ...]:
        names = tuple(c.name for c in self.columns.columns)
        return (*super().asks(), Row(key="given", label="known cells", names=names))

    def asked_given(
        self, num: int, prompt: str | None, given: str | None, mask: str | None
    ) -> Given | None:
        """Known columns: given='{"age": 30}' draws the others."""
        super().asked_given(num, prompt, None, mask)
        if given is None:
            return None
        try:
            values = json.loads(given)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            named = json.dumps(self.columns.columns[0].name, ensure_ascii=False)
            raise ValueError(
                f"given={given}: write columns and their values,"
                f" {naming.typed(f'given={{{named}: ...}}')}"
            )
        one = self.known([values])
        return Given(x=one["x"].repeat(num, 1), mask=one["mask"].repeat(num, 1))
