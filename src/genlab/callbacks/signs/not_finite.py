"""Where a value that is not finite comes from: the batch, a weight, a layer or the loss's formula.

The guard says in which batch. It is made again from its number, with the noise that it had, and the
first layer is found that makes a value which is not finite of values which are: on the way to the
loss, else on the way back. The run is left as it was: no gradient, buffer or random number changes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from genlab.batch import Batch, each
from genlab.callbacks.signs.base import Broken, Finding, Sign, setting
from genlab.models.base import GenerativeModel

NAMED = 3  # names that an evidence lists


class NotFiniteOrigin(Sign):
    """Asked by the guard; costs nothing until a number is not finite."""

    def broke(self, broken: Broken) -> Finding | None:
        model, where = broken.model, f"batch {broken.batch} ({broken.what})"
        lower, clip = remedies(broken)
        if names := bad_names(model.named_parameters()) + bad_names(model.named_buffers()):
            return Finding(
                "a weight is not finite", f"before {where}: {listed(names)}", (*lower, *clip)
            )
        if broken.trainer.world_size == 1 and broken.trainer.datamodule is not None:
            for part in range(broken.trainer.accumulate_grad_batches):
                if found := repeated(broken, part):
                    cause, evidence = found
                    mends = ("callbacks.guard.not_finite=skip",) if cause == DATA else clip + lower
                    return Finding(cause, f"{where}: {evidence}", mends)
        named = [(n, p.grad) for n, p in model.named_parameters() if p.grad is not None]
        evidence = f"{where}: gradients of {listed(bad_names(named)) or 'no parameter'}"
        return Finding("a gradient is not finite", evidence, clip + lower)


DATA = "the batch itself is not finite"


def remedies(broken: Broken) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words for a lower rate or a wider precision, and for clipping."""
    settings = broken.settings
    lower: list[str] = []
    if str(setting(settings, "trainer.precision")).startswith("16"):
        lower.append("trainer.precision=32-true")
    if isinstance(lr := setting(settings, "optim.optimizer.lr"), int | float):
        lower.append(f"optim.optimizer.lr={lr / 10:g}")
    clips = setting(settings, "trainer.clip") is None
    return tuple(lower), ("trainer.clip=1",) if clips else ()


def repeated(broken: Broken, part: int) -> tuple[str, str] | None:
    """What the batch's part shows when its loss is computed again: a cause and its evidence."""
    trainer, model = broken.trainer, broken.model
    parts = trainer.accumulate_grad_batches
    batch: Batch = trainer.datamodule.train_batch(broken.batch, micro=part, accumulate=parts)
    for name, value in batch.items():
        if bad := [k for k, v in flat(name, value) if not finite(v)]:
            rows = (~batch["x"].isfinite()).flatten(1).any(1) if "x" in bad else torch.zeros(0)
            ids = trainer.datamodule.train_ids(broken.batch)[part * len(batch["x"]) :]
            numbers = ids[: len(rows)][rows.cpu()].tolist() if rows.any() else []
            of = f" of training examples {listed(map(str, numbers))}" if numbers else ""
            return DATA, f"{listed(bad)}{of}"
    batch = each(lambda value: value.to(model.device), batch)
    with kept_buffers(model), model.as_in_step(broken.batch, part), model.eagerly():
        with Watch(model) as watch, trainer.precision_plugin.forward_context(), torch.enable_grad():
            terms = model.loss(batch)
            if watch.forward:
                return "a layer gives a value that is not finite", watch.forward
            if bad := [name for name, term in terms.items() if not finite(term)]:
                return "the loss's formula gives a value that is not finite", (
                    f"{listed(bad)}, though the outputs of all layers are finite"
                )
            named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
            grads = torch.autograd.grad(
                terms["loss"].mean(), [p for _, p in named], allow_unused=True
            )
        grads_by_name = {n: g for (n, _), g in zip(named, grads) if g is not None}
        if found := watch.backward(grads_by_name):
            return "a layer's gradient is not finite", found
    return None


class Watch:
    """Within: notes the first layer whose output is not finite, and gradients between layers."""

    def __init__(self, model: GenerativeModel) -> None:
        self.names = {m: n for n, m in model.named_modules() if n}
        self.forward = ""
        self.events: list[tuple[str, str, bool]] = []  # (layer, out or in, finite), going back

    def __enter__(self) -> Watch:
        self.handles = [m.register_forward_hook(self._after) for m in self.names]
        return self

    def __exit__(self, *exc: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _after(self, module: nn.Module, inputs: tuple, output: Any) -> None:
        name = self.names[module]
        ins, outs = list(tensors(inputs)), list(tensors(output))
        if not self.forward and (bad := [v for v in outs if not finite(v)]):
            self.forward = said(name, module, ins, bad[0])
        for side, found in (("in", ins), ("out", outs)):
            for value in found:
                if value.requires_grad:
                    value.register_hook(self._back(name, side))

    def _back(self, name: str, side: str) -> Any:
        return lambda grad: self.events.append((name, side, finite(grad)))

    def backward(self, grads: dict[str, Tensor]) -> str:
        """The first layer, going back, that makes a bad gradient of a good one; "" if none."""
        bad = bad_names(grads.items())
        arrives = {}  # whether what comes back to a layer is finite
        for name, side, good in self.events:
            if side == "out":
                arrives[name] = arrives.get(name, True) and good
            elif not good and arrives.get(name, True) and name in arrives:
                return f"{name}: what comes back to it is finite, what it passes on is not"
        for parameter in reversed(bad):  # of a layer that passes nothing on: the first
            if arrives.get(parameter.rpartition(".")[0]):
                return f"{parameter}: what comes back to its layer is finite"
        if bad:
            return f"{listed(bad)}; what comes back to every layer is not: the loss's formula"
        return ""


def said(name: str, module: nn.Module, ins: list[Tensor], out: Tensor) -> str:
    """A layer's output that is not finite, in numbers."""
    count = int((~out.isfinite()).sum())
    kind = type(module).__name__
    text = f"{name} ({kind}) gives {count:,} of {out.numel():,} values that are not finite"
    if not all(finite(v) for v in ins):
        return f"{text}, of an input that is not: what stands before it"
    if ins:
        text += f", of an input within {max(float(v.abs().max()) for v in ins):.3g}"
    if weights := [p for p in module.parameters() if p.numel()]:
        text += f" and weights within {max(float(p.detach().abs().max()) for p in weights):.3g}"
    return text


@contextlib.contextmanager
def kept_buffers(model: nn.Module) -> Iterator[None]:
    """Within: buffers may change (a codebook that follows the batch); afterwards they are back."""
    before = [(b, b.clone()) for b in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)


def finite(value: Tensor) -> bool:
    return bool(value.detach().isfinite().all())


def bad_names(named: Any) -> list[str]:
    """The names of those among (name, tensor) that are not finite."""
    return [name for name, value in named if not finite(value)]


def listed(names: Any) -> str:
    """The first few names in one line."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def tensors(value: Any) -> Iterator[Tensor]:
    """The floating tensors in what a layer takes or gives."""
    if isinstance(value, Tensor):
        if value.is_floating_point() and value.numel():
            yield value
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors(part)


def flat(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a batch's entry by name."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from flat(f"{name}.{key}", part)
    else:
        yield name, value
