"""The loop: what every model does in training, whatever its family.

Read: `Loop.training_step` is one batch; `on_train_batch_start` seeds its noise and sets the rate;
`share`, `seeded`, `eagerly` and `drawing` are for the families.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from genlab.batch import Batch
from genlab.clock import Clock
from genlab.optim import Optim
from genlab.rng import seed_generators, seed_of, share_of


class Loop(LightningModule):
    """The step, the clock, the learning rate, the terms."""

    def __init__(self, *, optim: Optim | None = None) -> None:
        super().__init__()
        self.optim = optim
        self.clock = Clock()
        self.spent = 0.0  # the share of the run's minutes that is over (callbacks.budget)
        self.batch_now = 0  # the number of the batch that is being trained on
        self.learnt_before: list[dict] = []  # of the weights that it began from: trained_on.py
        self.seed = 0  # set by the run; seeds every training step and validation batch
        # which share of the batch's noise this step takes, out of how many, from which generator
        self._shares, self._noise = (0, 1), None
        # set by the guard, called with each optimiser when its gradients are complete
        self.before_update: Callable[[torch.optim.Optimizer], None] = lambda optimizer: None
        self.compiled = False  # whether the run has compiled the networks
        # by the names of a batch's terms: sums of per-batch means since the last flush, and batches
        self.terms: dict[tuple[str, ...], tuple[Tensor, int]] = {}

    def __setattr__(self, name: str, value: object) -> None:
        # Lightning notes each hook's name here, 40 times a step; torch's way takes 2 us for each
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        with self.share():
            terms = self.loss(batch)
        self.record(terms)
        self.tick(batch, batch_idx)
        return terms["loss"].mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        with self.eagerly(), self.seeded("validation", batch_idx), self.share():
            return self.loss(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        assert self.optim is not None, "a model without optim can be drawn from, not trained"
        return self.optim.build(self)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """trainer.clip: the norm of all gradients together.

        Lightning's own refuses fused optimisers in mixed precision.
        """
        if not gradient_clip_val:
            return
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            raise ValueError(
                "trainer.clip with trainer.precision=16-mixed: a fused optimiser unscales the"
                " gradients only in its update; write optim.optimizer.fused=false, or"
                " trainer.precision=bf16-mixed"
            )
        params = [p for group in optimizer.param_groups for p in group["params"]]
        # FSDP: each process holds a share of the gradients
        clip = getattr(self.trainer.strategy, "clip_grad_norm", clip_grad_norm_)
        clip(params, gradient_clip_val)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self.batch_now = self.clock.batches
        self._seed_step(self.batch_now, batch_idx % self.trainer.accumulate_grad_batches)
        if self.optim is None:  # nothing learns by gradient
            return
        factor = self.optim.factor(self.clock.examples, self.spent)
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * factor

    def _seed_step(self, batch: int, part: int) -> None:
        parts, world = self.trainer.accumulate_grad_batches, self.trainer.world_size
        rank = self.trainer.global_rank if world > 1 else 0
        if self._noise is None or self._noise.device != self.device:
            self._noise = torch.Generator(self.device)
        self._noise.manual_seed(seed_of(self.seed, "step", batch, 0))
        self._shares = (part * world + rank, parts * world)  # as data.base cuts the batch
        own = seed_of(self.seed, "step", batch, self._shares[0])
        seed_generators(own, self.device)

    @contextmanager
    def as_in_step(self, batch: int, part: int = 0) -> Iterator[None]:
        """Within: the noise is that of a part of a training batch, by its number.

        The step that is going on, and its noise, are afterwards as they were.
        """
        shares, noise = self._shares, self._noise and self._noise.get_state()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            try:
                self._seed_step(batch, part)
                with self.share():
                    yield
            finally:
                self._shares = shares
                if noise is not None:
                    self._noise.set_state(noise)

    def tick(self, batch: Batch, batch_idx: int) -> None:
        """Count the batch as seen; at the end of training_step, before any callback looks."""
        if self._trainer is None:  # a step outside a run
            return
        parts = self.trainer.accumulate_grad_batches
        if (batch_idx + 1) % parts == 0:
            self.clock.tick(len(batch["x"]) * self.trainer.world_size * parts)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["clock"] = self.clock.state_dict()

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.clock.load_state_dict(checkpoint["clock"])

    def record(self, terms: dict[str, Tensor]) -> None:
        """Add a batch's terms to the running sums; they stay on the device until they are logged.

        Not every batch needs every term (a lazy penalty): each has its own count.
        """
        names = tuple(terms)
        means = torch.stack([t.detach().float().mean() for t in terms.values()])
        sums, batches = self.terms.get(names, (0.0, 0))
        self.terms[names] = (sums + means, batches + 1)

    def flush(self) -> dict[str, float]:
        """The mean of each term since the last flush (one transfer from the device)."""
        if not self.terms:
            return {}
        values = torch.cat([sums for sums, _ in self.terms.values()]).tolist()
        found: dict[str, list[float]] = {}
        counts: dict[str, int] = {}
        for names, (_, batches) in self.terms.items():
            for name in names:
                found.setdefault(name, []).append(values.pop(0))
                counts[name] = counts.get(name, 0) + batches
        self.terms = {}
        return {name: sum(parts) / counts[name] for name, parts in found.items()}

    def over_look(self) -> dict[str, float]:
        """What a look's row says of its held-out examples as a whole; most have means alone."""
        return {}

    # --- for the families ----------------------------------------------------------------------

    @contextmanager
    def seeded(self, *name: int | str) -> Iterator[None]:
        """Within: torch's generators are seeded by (run seed, name); restored afterwards."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed_of(self.seed, *name))
            yield

    def share(self) -> AbstractContextManager:
        """Within: noise is drawn for the global batch, and this process keeps its share."""
        if self.training:
            return share_of(*self._shares, self._noise)
        trainer = self._trainer
        world = trainer.world_size if trainer is not None else 1
        return share_of(trainer.global_rank if world > 1 else 0, world)

    def compile_networks(self) -> None:
        """Compile what learns (trainer.compile); a fixed part is called outside of it."""
        for part in self.modules():
            if isinstance(part, Loop) and learns(part):
                part.compiled = True
        for _, net in networks(self):
            if learns(net):
                net.compile()

    def eagerly(self) -> AbstractContextManager:
        """Within: nothing is compiled. trainer.compile is for the training step, whose shapes stay;
        each other size, and each step without gradients, would be compiled anew."""
        return torch.compiler.set_stance("force_eager") if self.compiled else nullcontext()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Within: evaluation mode, no gradients, full precision; the mode before comes back."""
        was_training = self.training
        self.eval()
        try:
            kind = self.device.type  # shapes alone ("meta") have no precision
            narrows = torch.amp.is_autocast_available(kind)
            full = torch.autocast(kind, enabled=False) if narrows else nullcontext()
            with self.eagerly(), torch.no_grad(), full:
                yield
        finally:
            self.train(was_training)


def networks(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """What a model calls and that has parameters, by name; of a part that is a model, its own."""
    for name, child in model.named_children():
        if isinstance(child, Loop):
            yield from ((f"{name}.{inner}", net) for inner, net in networks(child))
        elif any(True for _ in child.parameters()):
            yield name, child


def learns(module: nn.Module) -> bool:
    return any(p.requires_grad for p in module.parameters())
