"""What every kind's evaluation shares: held-out likelihood, asking, drawing, notes.

Read: `Evaluation.__call__` is the order of things; a kind's file (image.py, text.py, points.py)
has `compare` and its features. An own metric is a class with `compare`:

    class Brightness(Evaluation):
        kind = "image"

        def compare(self, report, model, data, samples):
            report.metrics["brightness"] = float(samples.x.mean())

Everything but the model runs on the CPU. A sample that is not finite is left out, and finite_share
falls below 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from genlab.batch import Cond, Given, each
from genlab.metrics import codes, likelihood, noise_levels
from genlab.metrics.interval import share_interval
from genlab.metrics.near import Equal, Near
from genlab.metrics.report import Data, Model, Report, gather, proportional_labels, subset

FEW, MANY = 1000, 5000  # samples, where num_samples is null
CHEAP = 4  # a model that runs each of its networks at most so often for a sample draws MANY


@dataclass
class Samples:
    """What was asked for and drawn; samples that are not finite are left out."""

    x: Tensor  # [N, *shape] on the CPU
    cond: Cond | None  # [N, ...] the conditions of held-out examples; None: none were asked for
    given: Given | None  # what each was to continue [N, ...]
    num: int  # drawn, finite or not
    seed: int


class Evaluation(ABC):
    """One metric of one kind of data: `metric(model, data, num=1000, seed=0) -> Report`."""

    kind: ClassVar[str | None] = None  # the data that it measures (DataModule.kind); None: any
    least: ClassVar[int] = 1  # samples
    near: ClassVar[Near] = Equal()  # what of a held-out example counts as a copy (leakage.py)

    def __init__(
        self,
        *,
        num_samples: int | None = None,
        chunk: int = 250,
        likelihood_examples: int | None = None,
    ) -> None:
        """`num_samples` null: 5000 of a model that draws in a few passes, 1000 of others.

        chunk: samples drawn at once; likelihood_examples: held-out examples for loss and likelihood
        (null: all).
        """
        check_count("num_samples", num_samples, self.least)
        check_count("chunk", chunk, 1)
        check_count("likelihood_examples", likelihood_examples, 1)
        self.num_samples, self.chunk = num_samples, chunk
        self.likelihood_examples = likelihood_examples
        # told (stage, share done) while measuring
        self.progress: Callable[[str, float], None] | None = None

    @abstractmethod
    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        """Write into the report what is measured on the samples, and its floor and interval."""

    def __call__(
        self, model: Model, data: Data, *, num: int | None = None, seed: int = 0
    ) -> Report:
        """`num` instead of num_samples; `seed` of the samples and of noise in the likelihood."""
        report = Report()
        self.likelihood(report, model, data, seed)
        num = num or self.num_samples or self.count(model, data)
        samples = self.draw(model, data, num, seed)
        report.metrics["finite_share"] = len(samples.x) / num
        report.interval["finite_share"] = share_interval(len(samples.x), num)
        report.notes |= {"num_samples": num, "num_held_out": len(data.val)}
        self.tell("comparing", 0)
        self.compare(report, model, data, samples)
        if report.pictures.get("samples") is samples.x and samples.cond is not None:
            report.pictures["samples_cond"] = samples.cond  # what each was asked for, beside it
        self.tell("comparing", 1)
        return report

    def tell(self, stage: str, share: float) -> None:
        if self.progress is not None:
            self.progress(stage, share)

    # --- likelihood -----------------------------------------------------------------------------

    def likelihood(self, report: Report, model: Model, data: Data, seed: int) -> None:
        """The held-out loss and likelihood; said to be given the condition where it is.

        And how many values of the code are in use, of a model that has such a code; the loss at
        each noise level, of one that denoises.
        """
        num = min(len(data.val), self.likelihood_examples or len(data.val))
        batches = likelihood.split_batches(data.val, size=self.chunk, limit=num)
        told = self._counted(batches, "held-out likelihood", -(-num // self.chunk))
        found, interval = likelihood.held_out(model, data, told, seed=seed)
        report.metrics |= found
        report.interval |= interval
        if (cond := first_condition(model, data)) is not None:
            given = "class" if is_labels(cond, data) else "condition"
            report.notes["conditional"] = True
            report.remarks |= {name: f"given {given}" for name in found}
        codes.measure(report, model, data, chunk=self.chunk)
        noise_levels.measure(report, model, data, chunk=self.chunk, seed=seed)

    def _counted(self, batches, stage: str, num: int):
        for i, batch in enumerate(batches):
            self.tell(stage, i / num)
            yield batch
        self.tell(stage, 1)

    # --- samples --------------------------------------------------------------------------------

    def labels(self, data: Data) -> Tensor:
        """The classes of the held-out examples [N]."""
        return gather(data.val, torch.arange(len(data.val)))["cond"]

    def conditions(self, model: Model, data: Data, num: int) -> Cond | None:
        """The conditions of held-out examples [num, ...]; None where data or model has none.

        Classes come in the held-out proportions, evenly interleaved; others example by example.
        """
        if (first := first_condition(model, data)) is None:
            return None
        if is_labels(first, data):
            return proportional_labels(self.labels(data), num)
        return gather(data.val, held_out_ids(data, num))["cond"]

    def given(self, data: Data, num: int) -> Given | None:
        """What the samples are to continue; nothing here."""
        return None

    def draw(self, model: Model, data: Data, num: int, seed: int) -> Samples:
        """Samples 0 .. num-1 of `seed`, drawn in chunks.

        That changes no sample: example i depends on (seed, i) and its conditions.
        """
        cond, given, rows = self.conditions(model, data, num), self.given(data, num), []
        for first in range(0, num, self.chunk):
            self.tell("drawing samples", first / num)
            part = slice(first, min(first + self.chunk, num))
            rows.append(sample(model, part, cond, given, seed).cpu())
        self.tell("drawing samples", 1)
        x = torch.cat(rows)
        ok = torch.isfinite(x.flatten(1)).all(1)
        finite = [each(lambda rows: rows[ok], whole) for whole in (cond, given)]
        return Samples(x[ok], *finite, num=num, seed=seed)

    def count(self, model: Model, data: Data) -> int:
        """MANY samples where one takes few passes through each network of the model, else FEW."""
        calls: dict[int, int] = {}

        def note(module: torch.nn.Module, *_) -> None:
            calls[id(module)] = calls.get(id(module), 0) + 1

        modules = model.modules() if isinstance(model, torch.nn.Module) else ()
        handles = [m.register_forward_hook(note) for m in modules]
        try:
            sample(model, slice(0, 1), first_condition(model, data), self.given(data, 1), 0)
        finally:
            for handle in handles:
                handle.remove()
        return MANY if calls and max(calls.values()) <= CHEAP else FEW


def sample(model: Model, part: slice, cond: Cond | None, given: Given | None, seed: int) -> Tensor:
    """The samples `part` of what was asked for."""
    mine = [each(lambda rows: rows[part].to(model.device), whole) for whole in (cond, given)]
    return model.sample(part.stop - part.start, *mine, seed=seed, first=part.start)


def first_condition(model: Model, data: Data) -> Cond | None:
    """The condition of the first held-out example [1, ...]; None where data or model has none."""
    return model.conditions.of(data.val.batch(torch.zeros(1, dtype=torch.long), None))


def is_labels(cond: Cond, data: Data) -> bool:
    """Whether the conditions are the data's classes [N]."""
    return data.num_classes is not None and isinstance(cond, Tensor) and cond.ndim == 1


def held_out_ids(data: Data, num: int) -> Tensor:
    """`num` held-out examples [num]; some more than once where there are fewer."""
    ids = subset(len(data.val), num)
    return ids.repeat(-(-num // len(ids)))[:num]


def check_count(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise ValueError(f"metric.{name}={value}: allowed is {least} or more")
