"""The order of the examples: epochs' permutations, from the seed alone."""

from __future__ import annotations

import torch
from torch import LongTensor, Tensor

from genlab.rng import generator


class Stream:
    """Endless ids: the epochs' permutations one after another; a batch may straddle two."""

    def __init__(self, length: int, *, seed: int) -> None:
        self.length, self.seed = length, seed
        self._orders: dict[int, Tensor] = {}

    def order(self, epoch: int) -> LongTensor:
        """The order of the examples in an epoch, computed once [length]."""
        if epoch not in self._orders:
            drawn = torch.randperm(self.length, generator=generator("epoch", self.seed, epoch))
            # an epoch and the one it runs into; no more, for a long run has many
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = drawn
        return self._orders[epoch]

    def ids(self, first: int, num: int) -> LongTensor:
        """The ids at positions first .. first+num-1 [num]."""
        epoch, at = divmod(first, self.length)
        if at + num <= self.length:
            return self.order(epoch)[at : at + num]
        parts = []
        while num > 0:
            parts.append(self.order(epoch)[at : at + num])
            num -= len(parts[-1])
            epoch, at = epoch + 1, 0
        return torch.cat(parts)
