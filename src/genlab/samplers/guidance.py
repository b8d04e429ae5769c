"""Guidance: a sharper denoiser made of two, of what is asked for and of something else.

Read: `Guidance` has the knobs, `sharpened` is the formula on two denoised x_0, `Guided` a path
whose `denoise` and `drift` are those of the sharper one. Every path's denoiser is affine in its
network's output and in the score, with the same coefficients for both, so that to mix denoised x_0,
outputs or scores is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from genlab.batch import each
from genlab.shapes import append_dims

Net = Callable[[Tensor, Tensor, Any], Tensor]
NetFn = Callable[[Tensor, Tensor], Tensor]
Time = float | Tensor


class Path(Protocol):
    """What guidance needs to know of an objective."""

    def alpha_sigma(self, t: Time) -> tuple[Any, Any]: ...
    def denoise(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor: ...
    def drift(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor: ...
    def along(self, D: Tensor, x: Tensor, t: Time) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How far to go from the other denoiser, where, and what is put right afterwards."""

    weight: float = 1.0  # 1 + w of Ho & Salimans 2022 (arXiv 2207.12598), eq. 6; 0 is the other one
    above: float = 0.0  # sigma / alpha between which it acts: Kynkaanniemi et al. 2024
    below: float = math.inf  # (arXiv 2404.07724), section 3.1
    rescale: float = 0.0  # how much of the plain one's deviation comes back: see `rescaled`
    threshold: float | None = None  # a share of the values, as 0.995: see `thresholded`

    def __post_init__(self) -> None:
        if not 0 <= self.above < self.below:
            raise ValueError(
                f"sampler.guidance_above={self.above} guidance_below={self.below}: from 0 on, the"
                " first below the second"
            )
        if not 0 <= self.rescale <= 1:
            raise ValueError(f"sampler.rescale={self.rescale}: must lie between 0 and 1")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(
                f"sampler.threshold={self.threshold}: a share of the values, as 0.995, or null"
            )

    def sharpened(self, plain: Tensor, other: Tensor) -> Tensor:
        """other + weight (plain - other), put right."""
        D = other + self.weight * (plain - other)
        if self.rescale > 0:
            D = rescaled(D, plain, self.rescale)
        return D if self.threshold is None else thresholded(D, self.threshold)


def rescaled(D: Tensor, plain: Tensor, share: float) -> Tensor:
    """D with the deviation of `plain`, or a share of it: Lin et al. 2024 (arXiv 2305.08891).

    Its eq. 15-16, on the denoised x_0: guidance of large weight makes pictures too bright.
    """
    wanted, found = (t.float().flatten(1).std(1) for t in (plain, D))
    scale = append_dims(share * wanted / found.clamp(min=1e-8) + 1 - share, D)
    return scale.to(D.dtype) * D


def thresholded(D: Tensor, quantile: float) -> Tensor:
    """D within [-s, s] and divided by s, where s > 1 is that quantile of an example's |D|.

    Saharia et al. 2022 (Imagen, arXiv 2205.11487), section 2.3: of data in [-1, 1].
    """
    s = D.float().abs().flatten(1).quantile(quantile, dim=1).clamp(min=1)
    s = append_dims(s, D).to(D.dtype)
    return D.clamp(-s, s) / s


class Guided:
    """A path with the sharper denoiser of two: what a sampler is given in the path's place.

    `net_fn` of its methods is the plain network; `both(x, t)` gives the denoised x_0 of both,
    `both(x, t, s)` x at the level s, where the path has jumps.
    """

    def __init__(
        self, path: Path, guidance: Guidance, both: Callable[..., tuple[Tensor, Tensor]]
    ) -> None:
        self.path, self.guidance, self.both = path, guidance, both

    def __getattr__(self, name: str) -> Any:
        return getattr(self.path, name)

    def denoise(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        active = self._active(t)
        if active is False:
            return self.path.denoise(net_fn, x, t)
        plain, other = self.both(x, t)
        D = self.guidance.sharpened(plain, other)
        return D if active is True else torch.where(append_dims(active, x), D, plain)

    def jump(self, net_fn: NetFn, x: Tensor, t: Time, s: Time) -> Tensor:
        """x_s in one pass of each, of models that jump: mixed as denoised x_0 are."""
        if self._active(t) is False:
            return self.path.jump(net_fn, x, t, s)
        plain, other = self.both(x, t, s)
        return other + self.guidance.weight * (plain - other)

    def drift(self, net_fn: NetFn, x: Tensor, t: Time) -> Tensor:
        """dx/dt by the sharper D; at t = 0 itself, where it says nothing, the plain network's."""
        if self._active(t) is False or bool((torch.as_tensor(t) == 0).any()):
            return self.path.drift(net_fn, x, t)
        return self.path.along(self.denoise(net_fn, x, t), x, t)

    def _active(self, t: Time) -> bool | Tensor:
        """Whether guidance acts at t; of several t [B] each."""
        g = self.guidance
        if (g.above, g.below) == (0, math.inf):
            return True
        alpha, sigma = self.path.alpha_sigma(t)
        if isinstance(t, Tensor):
            return (sigma > g.above * alpha) & (sigma <= g.below * alpha)
        return bool(g.above * alpha < sigma and (g.below == math.inf or sigma <= g.below * alpha))


def going(path: Any, levels: Sequence[Time]) -> Callable[..., Tensor]:
    """The path's `denoise` for one level, its `jump` for two."""
    return path.denoise if len(levels) == 1 else path.jump


def classifier_free(path: Path, net: Net, cond: Any, none: Any, guidance: Guidance):
    """The path, and net(x, t) with the condition; guided, where there is one to be guided by.

    `none` is what the net is given where there is no condition (or a negative one is), in rows as
    `cond`. Both passes run as one batch of twice the size.
    """
    plain = (lambda x, t: net(x, t, cond)), (lambda x, t: net(x, t, none))
    if cond is None or none is None or guidance.weight == 1:
        return path, plain[0]
    if guidance.weight == 0 and (guidance.above, guidance.below) == (0, math.inf):
        return path, plain[1]
    rows = each(lambda c, n: torch.cat([c, n]), cond, none)

    def both(x: Tensor, *levels: Time) -> tuple[Tensor, Tensor]:
        twice = [torch.cat([t, t]) if isinstance(t, Tensor) and t.ndim else t for t in levels]
        D = going(path, levels)(lambda x, t: net(x, t, rows), torch.cat([x, x]), *twice)
        first, second = D.chunk(2)
        return first, second

    return Guided(path, guidance, both), plain[0]


def by_weaker(path: Path, net_fn: NetFn, weaker: Path, weaker_fn: NetFn, guidance: Guidance):
    """Autoguidance, Karras et al. 2024 (arXiv 2406.02507), eq. 5: away from a worse model's.

    The weaker one has had less training, or fewer weights, on the same data and noise levels.
    """

    def both(x: Tensor, *levels: Time) -> tuple[Tensor, Tensor]:
        return (
            going(path, levels)(net_fn, x, *levels),
            going(weaker, levels)(weaker_fn, x, *levels),
        )

    return (path if guidance.weight == 1 else Guided(path, guidance, both)), net_fn
