"""Maps that can be undone, each with the log-determinant of its Jacobian: layers of flows.

Read: `Bijection` is what all have in common, from one layer to a whole net (flow_nets.py); `Flow`
is a list of them, `Reversed` another way round, `Within` one on a part of z. Then the layers
themselves. `forward` leads from noise to data, `inverse` back; which of the two is one pass and
which is more is said where they differ.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genlab.shapes import sum_example

LIMIT = 2.0  # a layer's log-scales stay within it, so that float32 can undo many layers
LEAST = 1e-3  # the deviation that ActNorm takes a constant channel to have


class Bijection(nn.Module):
    """z [B, *S] -> y [B, *S] and log |det dy/dz| [B].

    `inverse` goes through `forward` too: what hooks into a net (FSDP, compile, counts) sees both.
    """

    def forward(
        self, z: Tensor, context: Any = None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def inverse(self, y: Tensor, context: Any = None) -> tuple[Tensor, Tensor]:
        """y -> the z that it came from, and log |det dz/dy| [B]."""
        return self(y, context, inverse=True)

    def start(self, y: Tensor, context: Any = None) -> Tensor:
        """Set what is to be set from first data y (`ActNorm`); its z."""
        return self.inverse(y, context)[0]


class Flow(Bijection):
    """Layers one after another, from noise on."""

    def __init__(self, layers: Iterable[Bijection]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(
        self, z: Tensor, context: Any = None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        total = torch.zeros(len(z), device=z.device)
        for layer in reversed(self.layers) if inverse else self.layers:
            z, log_det = layer(z, context, inverse=inverse)
            total = total + log_det
        return z, total

    def start(self, y: Tensor, context: Any = None) -> Tensor:
        for layer in reversed(self.layers):
            y = layer.start(y, context)
        return y


class Reversed(Bijection):
    """A bijection whose two ways are swapped."""

    def __init__(self, inner: Bijection) -> None:
        super().__init__()
        self.inner = inner

    def forward(
        self, z: Tensor, context: Any = None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        return self.inner(z, context, inverse=not inverse)


class Within(Bijection):
    """A bijection of what `part` takes out of z; `join` puts it back. A permutation at most."""

    def __init__(self, inner: Bijection) -> None:
        super().__init__()
        self.inner = inner

    def part(self, z: Tensor) -> tuple[Tensor, Any]:
        """What the inner bijection is of, and the rest."""
        raise NotImplementedError

    def join(self, part: Tensor, rest: Any) -> Tensor:
        raise NotImplementedError

    def forward(
        self, z: Tensor, context: Any = None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        part, rest = self.part(z)
        part, log_det = self.inner(part, context, inverse=inverse)
        return self.join(part, rest), log_det

    def start(self, y: Tensor, context: Any = None) -> Tensor:
        part, rest = self.part(y)
        return self.join(self.inner.start(part, context), rest)


class Flattened(Within):
    """Of z as a vector [B, D]."""

    def part(self, z: Tensor) -> tuple[Tensor, Sequence[int]]:
        return z.flatten(1), z.shape

    def join(self, part: Tensor, rest: Sequence[int]) -> Tensor:
        return part.reshape(rest)


class Squeezed(Within):
    """Of a map [B, 4C, H/2, W/2]: each 2 x 2 pixels are channels (Dinh et al. 2017, sec. 3.6)."""

    def part(self, z: Tensor) -> tuple[Tensor, None]:
        return F.pixel_unshuffle(z, 2), None

    def join(self, part: Tensor, rest: None) -> Tensor:
        return F.pixel_shuffle(part, 2)


class Half(Within):
    """Of the first half of the channels: the others stay, a scale's own noise (ibid.)."""

    def part(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z[:, : z.shape[1] // 2], z[:, z.shape[1] // 2 :]

    def join(self, part: Tensor, rest: Tensor) -> Tensor:
        return torch.cat([part, rest], 1)


class Permutation(Bijection):
    """Channels in another order: y_i = z_order[i]."""

    order: Tensor
    back: Tensor

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        if sorted(order) != list(range(len(order))):
            raise ValueError(f"order={list(order)}: each of 0 to {len(order) - 1} once")
        back = sorted(range(len(order)), key=order.__getitem__)
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.register_buffer("back", torch.tensor(back), persistent=False)

    def forward(
        self, z: Tensor, context: Any = None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        return z[:, self.back if inverse else self.order], torch.zeros(len(z), device=z.device)


class ActNorm(Bijection):
    """y = shift + scale z, one of each a channel (Kingma & Dhariwal 2018, section 3.1).

    They are parameters; `start` makes z of mean 0 and variance 1 on the data that it is given.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))

    def forward(
        self, z: Tensor, context: Any = None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        shift, log_scale = (
            p.view(-1, *[1] * (z.ndim - 2)).expand_as(z) for p in (self.shift, self.log_scale)
        )
        return affine(z, shift, log_scale, inverse=inverse)

    @torch.no_grad()
    def start(self, y: Tensor, context: Any = None) -> Tensor:
        values = y.transpose(0, 1).flatten(1).double()
        self.shift.copy_(values.mean(1))
        self.log_scale.copy_(values.std(1, correction=0).clamp(min=LEAST).log())
        return self.inverse(y)[0]


class Invertible1x1(Bijection):
    """z = W y at each place, W [C, C] (Kingma & Dhariwal 2018, section 3.2), begun as a rotation.

    W = P L (U + diag(s)) with P and the signs of s fixed (eq. 10-11), so that log |det W| is the
    sum of log |s|, and W is never singular. From noise to data: two triangular systems.
    """

    order: Tensor
    back: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels)).Q
        p, lower, upper = torch.linalg.lu(rotation)
        s = upper.diagonal()
        self.register_buffer("order", p.argmax(1))  # row i of P L is row order[i] of L
        self.register_buffer("back", p.argmax(0))
        self.register_buffer("sign", s.sign())
        self.lower, self.upper = nn.Parameter(lower.tril(-1)), nn.Parameter(upper.triu(1))
        self.log_s = nn.Parameter(s.abs().log())

    def factors(self) -> tuple[Tensor, Tensor]:
        """L, and U + diag(s)."""
        eye = torch.eye(len(self.log_s), device=self.log_s.device)
        upper = self.upper.triu(1) + torch.diag(self.sign * self.log_s.exp())
        return self.lower.tril(-1) + eye, upper

    def forward(
        self, z: Tensor, context: Any = None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        columns = z.transpose(0, 1).flatten(1)  # [C, B * places]
        with full_precision(z):
            lower, upper = self.factors()
            if inverse:
                columns = (lower @ (upper @ columns))[self.order]
            else:
                columns = columns[self.back]
                columns = torch.linalg.solve_triangular(
                    lower, columns, upper=False, unitriangular=True
                )
                columns = torch.linalg.solve_triangular(upper, columns, upper=True)
        out = columns.unflatten(1, (len(z), *z.shape[2:])).transpose(0, 1)
        places = z[0, 0].numel()
        log_det = (places if inverse else -places) * self.log_s.sum()
        return out, log_det.expand(len(z))


class Coupling(Bijection):
    """The first half of the channels stays, and says how the others are shifted and scaled.

    Dinh et al. 2017 (arXiv 1605.08803), eq. 4-5 and 7-8; one pass both ways.
    """

    def __init__(self, net: nn.Module) -> None:
        """`net`: C // 2 channels and the context -> twice the other channels."""
        super().__init__()
        self.net = net

    def forward(
        self, z: Tensor, context: Any = None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        stays, moved = z[:, : z.shape[1] // 2], z[:, z.shape[1] // 2 :]
        moved, log_det = affine(moved, *halves(self.net(stays, context)), inverse=inverse)
        return torch.cat([stays, moved], 1), log_det


class Autoregressive(Bijection):
    """y_i = m_i + sigma_i z_i, with m_i and sigma_i of z_1 .. z_(i-1) alone: an IAF's layer.

    Kingma et al. 2016 (arXiv 1606.04934), eq. 9-10. forward is one pass, inverse one for each of
    the D values. `Reversed`, it is a MAF's (Papamakarios et al. 2017, arXiv 1705.07057, eq. 4).
    """

    def __init__(self, net: nn.Module) -> None:
        """`net`: z [B, D] and the context -> [B, 2 D], masked."""
        super().__init__()
        self.net = net

    def forward(
        self, z: Tensor, context: Any = None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        if not inverse:
            return affine(z, *halves(self.net(z, context)))
        y, place = z, torch.arange(z.shape[1], device=z.device)
        z = torch.zeros_like(y)
        for i in range(y.shape[1]):  # z_1 .. z_i are known; what is not known stays 0, not huge
            found, log_det = affine(y, *halves(self.net(z, context)), inverse=True)
            z = torch.where(place <= i, found, 0.0)
        return z, log_det


def affine(
    z: Tensor, shift: Tensor, log_scale: Tensor, *, inverse: bool = False
) -> tuple[Tensor, Tensor]:
    """shift + exp(log_scale) z, or back from there, and the log-determinant [B]."""
    if inverse:
        return (z - shift) * (-log_scale).exp(), -sum_example(log_scale)
    return shift + log_scale.exp() * z, sum_example(log_scale)


def halves(params: Tensor) -> tuple[Tensor, Tensor]:
    """A net's output [B, 2 C, ...] as shift and log-scale, the latter within LIMIT."""
    shift, log_scale = params.float().chunk(2, dim=1)
    return shift, LIMIT * (log_scale / LIMIT).tanh()


def full_precision(z: Tensor) -> contextlib.AbstractContextManager:
    """Within: no autocast; shapes alone ("meta") have none."""
    if not torch.amp.is_autocast_available(z.device.type):
        return contextlib.nullcontext()
    return torch.autocast(z.device.type, enabled=False)
