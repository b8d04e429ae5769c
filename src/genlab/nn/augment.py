"""Changes of what a discriminator sees, real and generated alike, that gradients pass through.

Read: each change is one function of (x, u), u uniform numbers of its own; `Augment` applies each to
an example with probability p, `Adaptive` moves p. They are an injected part of the model, not of an
objective: one set of changes serves every loss, and p is state that a checkpoint holds.

Zhao et al. 2020 (arXiv 2006.10738): with data this few, D remembers them; changed at random they
are more, and since what is generated is changed too, the changes do not leak into the samples as
long as they can be undone on average (Karras et al. 2020, arXiv 2006.06676, section 2).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.nn.layers import one_of
from genlab.rng import rand


def color(x: Tensor, u: Tensor) -> Tensor:
    """Brightness +-1/2, saturation 0 to 2, contrast 1/2 to 3/2: u [B, 3]."""
    brightness, saturation, contrast = (c[:, None, None, None] for c in u.unbind(1))
    x = x + brightness - 0.5
    grey = x.mean(1, keepdim=True)
    x = grey + 2 * saturation * (x - grey)
    level = x.mean((1, 2, 3), keepdim=True)
    return level + (contrast + 0.5) * (x - level)


def translation(x: Tensor, u: Tensor, *, ratio: float = 1 / 8) -> Tensor:
    """Moved by whole pixels, to an eighth of each side; what comes in is 0: u [B, 2]."""
    for axis, at in ((2, 0), (3, 1)):
        size = x.shape[axis]
        most = int(size * ratio + 0.5)
        shift = (u[:, at] * (2 * most + 1)).long().clamp(max=2 * most) - most
        source = torch.arange(size, device=x.device) - shift[:, None]  # [B, size]
        inside = ((source >= 0) & (source < size)).to(x)
        index = _along(source.clamp(0, size - 1), axis).expand_as(x)
        x = x.gather(axis, index) * _along(inside, axis)
    return x


def cutout(x: Tensor, u: Tensor, *, ratio: float = 1 / 2) -> Tensor:
    """A hole of half each side, centred on any pixel, is 0: u [B, 2]."""
    hole = None
    for axis, at in ((2, 0), (3, 1)):
        size = x.shape[axis]
        long = int(size * ratio + 0.5)
        centres = size + 1 - long % 2
        first = (u[:, at] * centres).long().clamp(max=centres - 1) - long // 2
        place = torch.arange(size, device=x.device) - first[:, None]
        within = _along((place >= 0) & (place < long), axis)
        hole = within if hole is None else hole & within
    return x.masked_fill(hole, 0.0)


def _along(rows: Tensor, axis: int) -> Tensor:
    """[B, size] -> [B, 1, size, 1] or [B, 1, 1, size]."""
    return rows[:, None, :, None] if axis == 2 else rows[:, None, None, :]


CHANGES = {"color": (color, 3), "translation": (translation, 2), "cutout": (cutout, 2)}


class Augment(nn.Module):
    """Images [B, C, H, W] -> the same, each change of the policy made with probability p."""

    def __init__(self, *, policy: Sequence[str] = tuple(CHANGES), p: float = 1.0) -> None:
        super().__init__()
        if not policy or len(set(policy)) < len(policy):
            raise ValueError(f"augment.policy={list(policy)}: one or more of {', '.join(CHANGES)}")
        if not 0 <= p <= 1:
            raise ValueError(f"augment.p={p}: must lie in 0 to 1")
        self.policy = [one_of("augment.policy", name, tuple(CHANGES)) for name in policy]
        self.register_buffer("p", torch.tensor(float(p)))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError(
                f"augment: it changes pictures [C,H,W], data.shape is {list(x.shape[1:])}; leave it"
                " out"
            )
        for name in self.policy:
            change, numbers = CHANGES[name]
            u = rand((len(x), numbers + 1), x.device)
            chosen = (u[:, 0] < self.p)[:, None, None, None]
            x = torch.where(chosen, change(x, u[:, 1:]), x)
        return x

    def follow(self, signs: Tensor, examples: int) -> dict[str, Tensor]:
        """What is to be looked at, given how often D was right about real examples: nothing."""
        return {}


class Adaptive(Augment):
    """ADA: p follows how far D overfits, by r_t, the mean sign of its logits of real examples.

    Karras et al. 2020, section 3.1 and eq. 1: 0 is no overfitting, 1 is complete. Every few batches
    p takes a step up where r_t is above its target and down where it is below, within 0 to 1.
    """

    def __init__(
        self,
        *,
        policy: Sequence[str] = tuple(CHANGES),
        target: float = 0.6,
        examples: int = 500_000,
        every: int = 4,
    ) -> None:
        """`examples`: in which p would grow from 0 to 1; `every`: batches between two steps."""
        super().__init__(policy=policy, p=0.0)
        if not -1 < target < 1 or examples < 1 or every < 1:
            raise ValueError(
                f"augment.target={target} must lie within -1 and 1, augment.examples={examples} and"
                f" augment.every={every} be at least 1"
            )
        self.target, self.examples, self.every = target, examples, every
        # the signs, the batches and the examples since p's last step, and the last r_t
        self.register_buffer("since", torch.zeros(3))
        self.register_buffer("r_t", torch.tensor(0.0))

    def follow(self, signs: Tensor, examples: int) -> dict[str, Tensor]:
        """Count a batch of `examples` with the mean sign `signs`, a number, over all processes."""
        self.since += torch.stack([signs, signs.new_tensor(1.0), signs.new_tensor(float(examples))])
        total, batches, seen = self.since.clone()
        due = batches >= self.every  # asks nothing of the device
        r_t = torch.where(due, total / batches, self.r_t)
        step = (r_t - self.target).sign() * seen / self.examples
        self.p.copy_(torch.where(due, (self.p + step).clamp(0, 1), self.p))
        self.r_t.copy_(r_t)
        self.since *= ~due
        return {"augment_p": self.p.clone(), "augment_r_t": r_t}
