"""Low-rank adapters: a trained model learns on with few new weights, the old ones fixed.

Hu et al. 2021 (arXiv 2106.09685), eq. 3: h = W x + (alpha / rank) B A x, A random, B zero at the
start, so that training begins at the model as it was. The weights keep their names; A and B stand
beside them as `lora_a` and `lora_b`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class LoRALinear(nn.Linear):
    """A linear layer with its own fixed weight and a trained update of rank `rank`."""

    def __init__(self, linear: nn.Linear, *, rank: int, alpha: float) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.lora_a = nn.Parameter(linear.weight.new_empty(rank, linear.in_features))
        self.lora_b = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.scale * F.linear(F.linear(x, self.lora_a), self.lora_b)

    def merged(self) -> nn.Linear:
        """The same function as a plain layer."""
        size = (self.in_features, self.out_features)
        plain = nn.Linear(*size, bias=self.bias is not None, device=self.weight.device)
        plain.weight = nn.Parameter(self.weight + self.scale * self.lora_b @ self.lora_a)
        plain.bias = self.bias
        return plain


class LoRA:
    """Adapts a model in place: `adapter(model)`; `adapter.merge(model)` makes it plain again."""

    def __init__(
        self, *, rank: int = 8, alpha: float = 16.0, where: Sequence[str] = ("attention",)
    ) -> None:
        """`where`: linear layers whose name has one of these parts; [] takes all of them."""
        if rank < 1:
            raise ValueError(f"adapt.rank={rank}: must be at least 1")
        self.rank, self.alpha, self.where = rank, alpha, tuple(where)

    def __call__(self, model: nn.Module) -> None:
        """Fix every weight, and put an update beside each layer that is meant."""
        layers = {n: m for n, m in model.named_modules() if type(m) is nn.Linear}
        meant = [n for n in layers if not self.where or any(w in n.split(".") for w in self.where)]
        if not meant:
            there = sorted({part for n in layers for part in n.split(".") if not part.isdigit()})
            raise ValueError(
                f"adapt.where={list(self.where)}: no linear layer of the model has such a name;"
                f" parts of names there: {', '.join(there) or 'none'}"
            )
        model.requires_grad_(False)
        for name in meant:
            model.set_submodule(
                name, LoRALinear(layers[name], rank=self.rank, alpha=self.alpha), strict=True
            )

    def merge(self, model: nn.Module) -> None:
        """Add every update to its weight."""
        for name, layer in list(model.named_modules()):
            if isinstance(layer, LoRALinear):
                model.set_submodule(name, layer.merged(), strict=True)
