"""The doctor: tells a run's failures by evidence, each once, with what causes it and what to try.

It adds nothing to a step. When the ledger has read its terms, and after a look, each sign of
failure (callbacks/signs/) is asked; the guard asks where a value that is not finite comes from.
What signs measure at a look and what is found are rows of the ledger, "signs" and "finding", and by
the ledger alone they judge, so that a resumed run tells what one that never stopped would.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from pytorch_lightning import Callback, Trainer

from genlab.callbacks.checkpoint import is_last
from genlab.callbacks.signs.base import Broken, Finding, Past, Shown, Sign, held_out
from genlab.models.base import GenerativeModel
from genlab.rows import read_rows
from genlab.shown import one_line

T = TypeVar("T")


class Doctor(Callback):
    """Asks the signs of failure; stands after the look, and before the weight averaging."""

    def __init__(self, *, signs: dict[str, Sign | None]) -> None:
        """`signs` by the name that a finding has; null leaves one out."""
        for name, sign in signs.items():
            if not isinstance(sign, Sign | None):
                kind = type(sign).__name__
                raise ValueError(f"callbacks.doctor.signs.{name}: a {kind} is no Sign")
        self.signs = {name: sign for name, sign in signs.items() if sign is not None}
        self.past: Past | None = None
        self.told: set[str] = set()
        self._real: Any = None

    def setup(self, trainer: Trainer, pl_module: GenerativeModel, stage: str) -> None:
        trainer.run.doctor = self
        if self.past is None and trainer.is_global_zero:
            self.past = Past(trainer.run.settings)
            for row in read_rows(trainer.run.folder / "metrics.jsonl"):
                self.hear(row)

    def hear(self, row: dict[str, Any]) -> None:
        """One more row of the ledger."""
        self.past.add(row)
        if row.get("kind") == "finding":
            self.told.add(str(row.get("sign")))

    def read(self, trainer: Trainer, model: GenerativeModel, row: dict[str, Any]) -> None:
        """Called with each row that the ledger has written."""
        self.hear(row)
        if row["kind"] == "train":
            self._judge(trainer, model)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: GenerativeModel) -> None:
        drawn, trainer.run.drawn = trainer.run.drawn, None
        if not trainer.is_global_zero or not pl_module.clock.examples:
            return
        self.past.over = is_last(trainer)
        # ranks that share the weights would have to encode together
        if not getattr(trainer.strategy, "sharded", False):
            self._measure(trainer, pl_module, drawn)
        self._judge(trainer, pl_module)

    def broke(self, trainer: Trainer, model: GenerativeModel, what: str, batch: int) -> None:
        """Called by the guard where a number is not finite."""
        broken = Broken(trainer, model, what, batch, trainer.run.settings)
        self._ask(trainer, model, lambda sign: sign.broke(broken))

    # --- asking --------------------------------------------------------------------------------

    def _measure(self, trainer: Trainer, model: GenerativeModel, drawn: Any) -> None:
        if self._real is None:
            self._real = held_out(trainer.datamodule)
        shown = Shown(model, trainer.datamodule, self._real, *(drawn or ()))
        values: dict[str, float] = {}
        with undisturbed(model):
            for name in self._seen():
                values |= self._safely(name, lambda sign: sign.measure(shown)) or {}
        if values:
            if shown.samples is not None:
                values["samples"] = float(len(shown.samples))
            found = {f"signs/{name}": value for name, value in values.items()}
            trainer.run.ledger.write(trainer, model, "signs", found)

    def _judge(self, trainer: Trainer, model: GenerativeModel) -> None:
        self._ask(trainer, model, lambda sign: sign.judge(self.past))

    def _ask(
        self, trainer: Trainer, model: GenerativeModel, ask: Callable[[Sign], Finding | None]
    ) -> None:
        for name in self._seen():
            if name in self.told:
                continue
            if (found := self._safely(name, ask)) is not None:
                self._tell(trainer, model, name, found)

    def _seen(self) -> list[str]:
        """The signs that can be seen in this run, by what its model records."""
        return [n for n, sign in self.signs.items() if sign.applies(self.past.terms)]

    def _safely(self, name: str, ask: Callable[[Sign], T]) -> T | None:
        """A fault in a sign, a user's own perhaps, ends the sign and not the run."""
        try:
            return ask(self.signs[name])
        except Exception as error:
            kind = type(error).__name__
            say(f"callbacks.doctor.signs.{name} is asked no more: {kind}: {error}")
            del self.signs[name]
            return None

    def _tell(self, trainer: Trainer, model: GenerativeModel, name: str, found: Finding) -> None:
        remedies = list(found.remedies)
        said = {"sign": name, "cause": found.cause, "evidence": found.evidence, "try": remedies}
        trainer.run.ledger.write(trainer, model, "finding", {}, said=said)
        trying = f"; try {' or '.join(remedies)}" if remedies else ""
        say(f"doctor: {found.cause}: {found.evidence}{trying} (docs/doctor.md)")


def say(text: str) -> None:
    print(f"genlab: {one_line(text)}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def undisturbed(model: GenerativeModel) -> Iterator[None]:
    """Within: what is drawn takes no random number from the run."""
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        yield
