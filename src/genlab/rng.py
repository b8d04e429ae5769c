"""Randomness that means something: every draw is a function of a seed and of whose draw it is.

Training: before each batch torch's generators are seeded by (seed, step), so a step's noise depends
on no earlier step and a resumed run needs no saved generator. `randn`, `randn_like` and `rand` draw
for the GLOBAL batch and keep this process's share, so two processes, or two accumulated parts, see
the noise that one would have seen; `again` gives the same noise to a second network. They draw from
a generator of their own: torch's, seeded by share as well, is left to what must differ between
shares (dropout).

Sampling: `Draws(seed, first, num)` holds one generator per example, seeded by (seed, index), so an
example does not depend on the batch it was drawn in (as StackedRandomGenerator in EDM2).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from genlab.seeds import seed_of

# (this share, number of shares, their generator; None: torch's own) while a step runs
_share: tuple[int, int, torch.Generator | None] = (0, 1, None)


def generator(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded by `seed_of(*parts)`."""
    return torch.Generator().manual_seed(seed_of(*parts))


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the generators that a step on `device` draws from.

    torch.manual_seed asks every kind of accelerator each time, which takes 0.1 ms and more.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextlib.contextmanager
def share_of(share: int, shares: int, noise: torch.Generator | None = None) -> Iterator[None]:
    """Within: `randn_like` and `rand` keep one share out of a draw for all, from `noise`."""
    global _share
    before, _share = _share, (share, shares, noise)
    try:
        yield
    finally:
        _share = before


def _draw(fn, shape: Sequence[int], device) -> Tensor:
    share, shares, noise = _share
    b = shape[0]
    whole = fn((b * shares, *shape[1:]), device=device, dtype=torch.float32, generator=noise)
    return whole[share * b : (share + 1) * b]


def randn_like(x: Tensor) -> Tensor:
    """Standard normal noise for a training batch, shaped as x; the same for any number of ranks."""
    return _draw(torch.randn, x.shape, x.device)


def randn(shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """Standard normal noise [B, ...] for a training batch; the same for any number of ranks."""
    return _draw(torch.randn, shape, device)


def rand(shape: int | Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """Uniform draws in [0, 1) for a training batch, [B] or [B, ...]; the same for any number of
    ranks."""
    return _draw(torch.rand, (shape,) if isinstance(shape, int) else shape, device)


def rand_alike(num: int, device: torch.device | str = "cpu") -> Tensor:
    """Uniform draws in [0, 1) [num] for a step as a whole: all shares of its batch have them."""
    return torch.rand(num, device=device, generator=_share[2])


class Mark(NamedTuple):
    """A place in a stream of random numbers: `again` draws from there."""

    source: torch.Generator
    state: Tensor


def mark(device: torch.device | str = "cpu") -> Mark:
    """Where this step's noise stands now, on `device`.

    here = mark(x.device)
    ours = self.net(x + randn_like(x))
    with again(here):
        theirs = self.reference(x + randn_like(x))  # the same noise
    """
    source = _share[2] or _own(torch.device(device))
    return Mark(source, source.get_state())


@contextlib.contextmanager
def again(here: Mark) -> Iterator[None]:
    """Within: the noise that was drawn after `here` is drawn again; afterwards it continues where
    it stood before. Outside of a step that has a generator for its noise, dropout repeats too."""
    before = here.source.get_state()
    here.source.set_state(here.state)
    try:
        yield
    finally:
        here.source.set_state(before)


def _own(device: torch.device) -> torch.Generator:
    """torch's own generator for `device`."""
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.cuda.default_generators[index]
    if device.type == "mps":
        return torch.mps._get_default_mps_generator()
    return torch.default_generator


class Draws:
    """Random draws for examples first .. first+num-1, each from its own generator."""

    def __init__(self, seed: int, first: int, num: int, device: torch.device | str = "cpu") -> None:
        if num < 1:
            raise ValueError(f"num={num}: at least 1 example is drawn")
        self.device = torch.device(device)
        self.generators = [generator("sample", seed, first + i) for i in range(num)]

    def _stack(self, fn, shape: Sequence[int], **kwargs) -> Tensor:
        rows = [fn(tuple(shape), generator=g, **kwargs) for g in self.generators]
        return torch.stack(rows).to(self.device)

    def randn(self, shape: Sequence[int]) -> Tensor:
        """Standard normal [num, *shape]."""
        return self._stack(torch.randn, shape)

    def rand(self, shape: Sequence[int] = ()) -> Tensor:
        """Uniform in [0, 1) [num, *shape]."""
        return self._stack(torch.rand, shape)
