"""The optimiser and its learning rate as a function of examples seen; Muon.

Read: conf/optim/*.yaml give the numbers; `GenerativeModel.configure_optimizers` calls `build`, and
sets the rate before each batch, so no scheduler's state exists that a resume could lose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from genlab.clock import warmup_decay

DECAYS = ("constant", "linear", "cosine", "steps")


class Optim:
    """How to build an optimiser for a module, and its learning rate over the run."""

    def __init__(
        self,
        optimizer: Callable[..., torch.optim.Optimizer],
        *,
        warmup: int = 0,
        decay: str = "constant",
        final: float = 0.0,
        horizon: int | None = None,
        weight_decay: float = 0.0,
        hidden: Hidden | None = None,
        milestones: Sequence[int] = (),
        drop: float = 0.1,
    ) -> None:
        """`optimizer` takes parameter groups; warmup, horizon, milestones are in examples.

        With decay "steps" the rate is multiplied by `drop` at each milestone.

        Weight decay goes to matrices only (tensors of two or more dimensions): not to gains,
        biases. `hidden` says which of them make a group of their own, marked so, for Muon.
        """
        if decay not in DECAYS:
            raise ValueError(f"optim.decay={decay!r}: allowed are {', '.join(DECAYS)}")
        if bool(milestones) != (decay == "steps"):
            raise ValueError(
                f"optim.decay={decay} optim.milestones={list(milestones)}: a rate that falls by"
                " steps has milestones, another has none; write optim=adam_steps"
            )
        if not 0 < drop <= 1:
            raise ValueError(f"optim.drop={drop}: must be above 0 and at most 1")
        if decay not in ("constant", "steps") and horizon is None:
            raise ValueError(
                f"optim.decay={decay} needs to know its end: set budget.examples or optim.horizon"
            )
        for name, value, most in (
            ("warmup", warmup, None), ("final", final, 1.0), ("weight_decay", weight_decay, None),
        ):  # fmt: skip
            if value < 0 or (most is not None and value > most):
                raise ValueError(
                    f"optim.{name}={value}: at least 0" + (", at most 1" if most else "")
                )
        if not callable(optimizer):
            raise ValueError(
                f"optim.optimizer={optimizer}: it is a class with settings; write"
                " optim.optimizer._target_=torch.optim.SGD, or optim=adam, adamw, muon"
            )
        try:
            made = optimizer([{"params": [torch.zeros(1, device="cpu", requires_grad=True)]}])
        except (TypeError, ValueError) as error:
            raise ValueError(f"optim.optimizer: {error}") from error
        if isinstance(made, Muon) != (hidden is not None):
            raise ValueError(
                "optim.hidden belongs to genlab.optim.Muon, and Muon to it: write optim=muon"
            )
        self.optimizer, self.weight_decay = optimizer, weight_decay
        self.warmup, self.decay, self.final, self.horizon = warmup, decay, final, horizon
        self.hidden, self.milestones, self.drop = hidden, tuple(milestones), drop

    def build(self, *modules: nn.Module) -> torch.optim.Optimizer:
        params = [p for m in modules for p in m.parameters() if p.requires_grad]
        hidden = set() if self.hidden is None else self.hidden(modules)
        decay = {"weight_decay": self.weight_decay}
        groups = [
            {"params": [p for p in params if p.ndim >= 2 and p not in hidden], **decay},
            {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
            {"params": [p for p in params if p in hidden], **decay, "hidden": True},
        ]
        optimizer = self.optimizer([g for g in groups if g["params"]])
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
        optimizer.register_load_state_dict_pre_hook(checked_state)
        return optimizer

    def factor(self, examples: int, spent: float = 0.0) -> float:
        """The learning rate after `examples`, relative to its peak.

        `spent`: the share of the run's minutes that is over; it falls with whichever is further.
        """
        return warmup_decay(
            examples,
            warmup=self.warmup,
            horizon=self.horizon,
            decay=self.decay,
            final=self.final,
            spent=spent,
            milestones=self.milestones,
            drop=self.drop,
        )


# of Adafactor, which keeps a row and a column of a matrix, and has no fused kernel
REDUCED = ("row_var", "col_var", "variance")


def checked_state(optimizer: torch.optim.Optimizer, held: dict[str, Any]) -> dict[str, Any]:
    """A saved state, its settings replaced by the optimiser's own; refused where it is another's.

    A fused kernel writes as many numbers as a parameter has, whatever room its moments have.
    """
    params = [p for group in optimizer.param_groups for p in group["params"]]
    groups, state = held.get("param_groups"), held.get("state")
    if not (isinstance(groups, list) and isinstance(state, dict) and state):
        raise ValueError("an optimiser's state holds no state of its parameters")
    ids = [g.get("params") if isinstance(g, dict) else None for g in groups]
    mine = [len(group["params"]) for group in optimizer.param_groups]
    if not all(isinstance(i, list) for i in ids) or [*map(len, ids)] != mine:
        raise ValueError("an optimiser's state is of other groups of parameters")
    ids = [i for group in ids for i in group]
    if ids != [*range(len(params))] or not {*state} <= {*ids}:
        raise ValueError("an optimiser's state numbers its parameters in another way")
    for number, param in enumerate(params):
        for name, value in _entries(state.get(number, {})):
            if not _fits(name, value, param):
                raise ValueError(
                    f"an optimiser's {name!s:.20} does not fit its parameter of shape"
                    f" {list(param.shape)}"
                )
    own = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    return {
        "state": state,
        "param_groups": [{**o, "params": g["params"]} for o, g in zip(own, groups)],
    }


def _entries(state: Any) -> list[tuple[Any, Any]]:
    if not isinstance(state, dict):
        raise ValueError(f"an optimiser's state of a parameter is a {type(state).__name__}")
    return list(state.items())


def _fits(name: Any, value: Any, param: Tensor) -> bool:
    if not isinstance(value, Tensor):
        return value is None or type(value) in (int, float, bool)
    if not value.is_floating_point():
        return False
    if name == "step":
        return value.numel() == 1 and 0 <= float(value) < 2**53
    if name in REDUCED:
        return value.ndim == param.ndim and all(
            n in (1, m) for n, m in zip(value.shape, param.shape)
        )
    return value.shape == param.shape


class Hidden:
    """The matrices inside a net: weights of its linear layers and convolutions, not its ends'."""

    def __init__(self, *, least: int = 32, but: Sequence[str] = ("first", "last", "head")) -> None:
        """At least `least` rows and columns; `but`: names of layers that are not inside."""
        self.least, self.but = least, set(but)

    def __call__(self, modules: Sequence[nn.Module]) -> set[nn.Parameter]:
        layers = [item for m in modules for item in m.named_modules()]
        tables = {m.weight for _, m in layers if isinstance(m, nn.Embedding)}  # may be a head's too
        kinds = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
        found = {
            m.weight
            for name, m in layers
            if isinstance(m, kinds) and not self.but & set(name.split("."))
        } - tables
        return {p for p in found if p.requires_grad and min(p.flatten(1).shape) >= self.least}


class Muon(torch.optim.AdamW):
    """Muon on the groups marked `hidden`, AdamW on the others (Jordan et al. 2024).

    The momentum's matrix is orthogonalised; its size is AdamW's, 0.2 sqrt(longer side), so that
    one learning rate serves both (Liu et al. 2025, arXiv 2502.16982, eq. 4). A convolution's
    weight is the matrix [out, in * h * w]. torch.optim.Muon takes matrices alone, and no AdamW
    beside it: two optimisers, which a model that steps as others do has no place for.
    """

    def __init__(
        self,
        params,
        *,
        lr: float = 2e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum}: must lie in [0, 1)")
        self.momentum = momentum
        super().__init__(params, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        taken: dict[Tensor, Tensor] = {}
        for group in self.param_groups:
            if group.get("hidden"):
                taken |= {p: p.grad for p in group["params"] if p.grad is not None}
                self._orthogonal_steps(group)
        for p in taken:
            p.grad = None  # AdamW passes over it
        super().step()
        for p, grad in taken.items():
            p.grad = grad
        return loss

    def _orthogonal_steps(self, group: dict) -> None:
        alike: dict[tuple[int, int], list[nn.Parameter]] = {}  # by the shape of their matrices
        for p in group["params"]:
            if p.grad is None:
                continue
            alike.setdefault(p.flatten(1).shape, []).append(p)
            if not self.state[p]:  # "step" is what AdamW looks for when its state is loaded
                self.state[p] |= {"step": torch.tensor(0.0), "momentum": torch.zeros_like(p)}
            self.state[p]["step"] += 1
        for shape, params in alike.items():
            grads, means = [p.grad for p in params], [self.state[p]["momentum"] for p in params]
            torch._foreach_lerp_(means, grads, 1 - self.momentum)
            ahead = torch._foreach_lerp(grads, means, self.momentum)  # Nesterov's
            steps = orthogonal(torch.stack([m.flatten(1) for m in ahead]))
            size = group["lr"] * 0.2 * math.sqrt(max(shape))
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_sub_(
                params, [o.view_as(p) for o, p in zip(steps, params, strict=True)], alpha=size
            )


def orthogonal(matrices: Tensor, *, steps: int = 5) -> Tensor:
    """U V^T of U S V^T, roughly: singular values end between 0.7 and 1.2 (Jordan et al. 2024).

    [N, R, C] -> the same. Newton-Schulz by the quintic 3.4445 s - 4.7750 s^3 + 2.0315 s^5, in
    bfloat16; matrices of one shape at once take a quarter of the time that they take one by one.
    """
    x = matrices.bfloat16()
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        even = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, even, x, beta=3.4445)  # rounded once: half the error of separate sums
    return (x if wide else x.mT).to(matrices.dtype)
