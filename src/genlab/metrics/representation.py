"""Who and what is there, in the data and in the samples: does a model make the common commoner?

Read: `shares` and `Representation.compare`, then a class a kind of data, which says of each
example what it is counted as. A model that copies its data's shares amplifies nothing; one that
draws the most frequent value more often still than the data have it does (Zhao et al. 2017, arXiv
1707.09457). What `balance` (a rule of `genlab prepare`) would do stands beside: the weight of each
value, and how many of the examples so weighted count as whole ones (Kish 1965).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from genlab.batch import Cond
from genlab.metrics.base import Evaluation, Samples, check_count
from genlab.metrics.interval import Interval, jackknife, share_interval
from genlab.metrics.language import words
from genlab.metrics.reference import pictures, reference
from genlab.metrics.report import Data, Model, Report, gather, subset
from genlab.metrics.table import full_rows, numeric_names

SHOWN = 20  # values that are told one by one; the rest are one
REST = "all others"


class Representation(Evaluation):
    """Shares of values in training examples and samples; `counted` says what an example is."""

    def __init__(
        self, *, num_samples: int | None = 2000, chunk: int = 250, max_train: int = 20_000
    ) -> None:
        super().__init__(num_samples=num_samples, chunk=chunk)
        check_count("max_train", max_train, 30)
        self.max_train = max_train

    @abstractmethod
    def counted(self, data: Data, x: Tensor, cond: Cond | None, real: bool) -> list[str]:
        """What each example [N] is counted as; `real`: they are the data's own."""

    def likelihood(self, report: Report, model: Model, data: Data, seed: int) -> None:
        """Not measured here."""

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        ids = subset(len(data.train), self.max_train)
        real = gather(data.train, ids)
        theirs = self.counted(data, real["x"], real.get("cond"), True)
        mine = self.counted(data, samples.x, samples.cond, False)
        names = [n for n, _ in Counter(theirs).most_common(SHOWN)]
        theirs, mine = ([v if v in names else REST for v in all_] for all_ in (theirs, mine))
        names += [REST] * (REST in theirs or REST in mine)
        p, q = shares(theirs, names), shares(mine, names)
        for name in names:
            key, n = f"share/{name}", len(mine)
            report.metrics[key], report.floor[key] = q[name], p[name]
            report.interval[key] = share_interval(round(q[name] * n), n)
            report.floor_interval[key] = share_interval(round(p[name] * len(theirs)), len(theirs))
        most = max((n for n in names if n != REST), key=p.__getitem__)
        report.metrics["amplification"] = q[most] - p[most]
        report.interval["amplification"] = difference(q[most], len(mine), p[most], len(theirs))
        report.floor["amplification"] = 0.0
        report.remarks["amplification"] = f"of {most}: its share in samples less that in the data"

        def apart(at: Tensor) -> dict[str, float]:
            some = shares([mine[i] for i in at.tolist()], names)
            return {"total_variation": sum(abs(some[n] - p[n]) for n in names) / 2}

        everything = apart(torch.arange(len(mine)))
        report.metrics |= everything
        report.interval |= jackknife(apart, len(mine), everything)
        report.floor["total_variation"] = sampling_floor(p, len(mine))
        weights = {n: 1 / len(names) / p[n] for n in names if p[n]}
        report.notes |= {
            "num_train": len(theirs),
            "balanced_weights": ", ".join(f"{n} x{w:.2f}" for n, w in weights.items()),
            "balanced_counts_as": f"{1 / sum(p[n] * w**2 for n, w in weights.items()):.0%}",
        }


def shares(values: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    num = Counter(values)
    return {name: num[name] / max(1, len(values)) for name in names}


def difference(q: float, n: int, p: float, m: int) -> Interval:
    """Of the difference of two independent shares, from Wilson's of each (Newcombe 1998, 10)."""
    (low_q, high_q), (low_p, high_p) = (
        share_interval(round(v * k), k) for v, k in ((q, n), (p, m))
    )
    below = ((q - low_q) ** 2 + (high_p - p) ** 2) ** 0.5
    above = ((high_q - q) ** 2 + (p - low_p) ** 2) ** 0.5
    return q - p - below, q - p + above


def sampling_floor(p: Mapping[str, float], n: int) -> float:
    """The mean total variation of n draws of the shares p themselves: half the sum of mean errors.

    The mean absolute error of a share is sqrt(2 p (1 - p) / (pi n)), by the normal law.
    """
    return sum((2 * v * (1 - v) / (torch.pi * n)) ** 0.5 for v in p.values()) / 2


class Labels(Representation):
    """Pictures by class: the data's own, and of samples what a classifier of the data says."""

    kind = "image"

    def __init__(
        self,
        *,
        cache: str | None = None,
        num_samples: int | None = 2000,
        chunk: int = 250,
        max_train: int = 20_000,
    ) -> None:
        """`cache`: folder of the feature networks, as of metric=image."""
        super().__init__(num_samples=num_samples, chunk=chunk, max_train=max_train)
        self.cache = Path(cache) if cache else None

    def counted(self, data: Data, x: Tensor, cond: Cond | None, real: bool) -> list[str]:
        if data.num_classes is None:
            raise ValueError(
                "metric=representation: these pictures have no classes to be counted by"
            )
        if real:
            found = cond
        else:
            net = reference(data, most=60_000, cache=self.cache, tell=self.tell).features
            found = net(pictures(data, x))[1].argmax(1)
        names = data.class_names or range(data.num_classes)
        return [str(names[int(i)]) for i in found]


class Columns(Representation):
    """Rows by the values of one column or of several together; numbers by fifths of the data."""

    kind = "table"

    def __init__(
        self,
        *,
        columns: Sequence[str],
        parts: int = 5,
        num_samples: int | None = 2000,
        chunk: int = 250,
        max_train: int = 20_000,
    ) -> None:
        super().__init__(num_samples=num_samples, chunk=chunk, max_train=max_train)
        if not columns:
            raise ValueError("metric.columns: name the columns that rows are counted by")
        check_count("parts", parts, 2)
        self.columns, self.parts = list(columns), parts

    def counted(self, data: Data, x: Tensor, cond: Cond | None, real: bool) -> list[str]:
        rows = full_rows(data, x, cond if isinstance(cond, Tensor) else None)
        for name in self.columns:
            if name not in rows[0]:
                there = ", ".join(list(rows[0])[:12])
                raise ValueError(f"metric.columns: there is no column {name!r}, but {there}")
        numeric = {*numeric_names(data)} & {*self.columns}
        if real:
            self.ends = {n: _ends([r[n] for r in rows], self.parts) for n in numeric}
        told = [
            [_part(r[n], self.ends[n]) if n in numeric else str(r[n]) for n in self.columns]
            for r in rows
        ]
        if len(self.columns) == 1:
            return [values[0] for values in told]
        return [", ".join(f"{n}={v}" for n, v in zip(self.columns, values)) for values in told]


def _ends(values: Sequence[float | None], parts: int) -> list[float]:
    """The borders between equal parts of the numbers that are there."""
    there = torch.tensor([v for v in values if v is not None], dtype=torch.float64)
    if not len(there):
        return []
    at = torch.linspace(0, 1, parts + 1, dtype=torch.float64)[1:-1]
    return sorted({float(v) for v in there.quantile(at)})


def _part(value: float | None, ends: Sequence[float]) -> str:
    if value is None:
        return "missing"
    above = [e for e in ends if e <= value]
    below = [e for e in ends if e > value]
    low, high = (f"{above[-1]:g}" if above else ""), (f"{below[0]:g}" if below else "")
    return f"{low} to under {high}" if low and high else f"from {low}" if low else f"under {high}"


class Words(Representation):
    """Texts by which group's words they have: {women: [she, her], men: [he, his]}."""

    kind = "text"

    def __init__(
        self,
        *,
        groups: Mapping[str, Sequence[str]],
        num_samples: int | None = 2000,
        chunk: int = 250,
        max_train: int = 20_000,
    ) -> None:
        super().__init__(num_samples=num_samples, chunk=chunk, max_train=max_train)
        if not groups or any(not w or isinstance(w, str) for w in groups.values()):
            raise ValueError("metric.groups: name groups of words: {women: [she], men: [he]}")
        self.groups = {name: {w.lower() for w in of} for name, of in groups.items()}

    def counted(self, data: Data, x: Tensor, cond: Cond | None, real: bool) -> list[str]:
        found = []
        for text in data.decode(x):
            there = {w.lower() for w in words([text])[0]}
            found.append(" and ".join(n for n, of in self.groups.items() if of & there) or "none")
        return found


class Languages(Representation):
    """Texts by the language that they are in, by py3langid's model."""

    kind = "text"

    def counted(self, data: Data, x: Tensor, cond: Cond | None, real: bool) -> list[str]:
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError:
            raise ValueError(
                "metric=representation_languages: pip install 'genlab[prepare]'"
            ) from None
        identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
        return [identifier.classify(text)[0] for text in data.decode(x)]
