"""Quantisation: a continuous feature map becomes codes of a finite vocabulary, and learns from it.

Read: a quantiser maps z [B, D, *S] to codes [B, *S] and back, and lets gradients through; `VQ` is
the objective of an autoencoder with a quantiser between. Vector quantisation has a learned codebook
(van den Oord et al. 2017, arXiv 1711.00937), FSQ a fixed grid (Mentzer et al. 2023, arXiv
2309.15505), residual vector quantisation several codebooks, one for what the one before left over
(Zeghidour et al. 2021, arXiv 2107.03312). S is any shape: a map [h, w], a sequence [T], or nothing.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.objectives.variational import Likelihood
from genlab.rng import rand, rand_alike
from genlab.shapes import append_dims, sum_example


class Quantiser(nn.Module, ABC):
    """`vocab` codes, each a vector of `dim` values; of several `stages` a position has as many."""

    vocab: int
    dim: int
    stages = 1
    follows = False  # whether it learns from each batch, whole, by itself

    @abstractmethod
    def codes(self, z: Tensor) -> Tensor:
        """z [B, dim, *S] -> the codes that stand for it, int64 [B, *S] ([B, *S, stages])."""

    @abstractmethod
    def vectors(self, codes: Tensor) -> Tensor:
        """codes [B, *S] ([B, *S, stages]) -> their vectors [B, dim, *S]."""

    def code_shape(self, places: Sequence[int]) -> tuple[int, ...]:
        """The shape of the codes of a map of `places`."""
        return tuple(places)

    def counts(self, codes: Tensor) -> Tensor:
        """How often each code of each stage stands in `codes`, int64 [stages, vocab]."""
        flat = codes.reshape(-1, self.stages).T
        found = flat.new_zeros(self.stages, self.vocab)
        return found.scatter_add_(1, flat, torch.ones_like(flat))

    @abstractmethod
    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z -> vectors that carry gradients to z, codes, and how far z lies from them [B]."""


def straight_through(z: Tensor, quantised: Tensor) -> Tensor:
    """`quantised` in value, z in gradient (van den Oord 2017, section 3.1; Bengio et al. 2013)."""
    return z + (quantised - z).detach()


def perplexity(counts: Tensor) -> Tensor:
    """exp(entropy) of how often each code is used [..., vocab]: how many are in use [...]."""
    p = counts.float() / counts.sum(-1, keepdim=True)
    return torch.special.entr(p).sum(-1).exp()


def by_stage(name: str, values: Tensor) -> dict[str, Tensor]:
    """One value for each stage by name: `name` of a single stage, else name_1, name_2, ..."""
    if len(values) == 1:
        return {name: values[0]}
    return {f"{name}_{i}": value for i, value in enumerate(values, 1)}


class VectorQuantiser(Quantiser):
    """The nearest of `vocab` learned vectors: van den Oord et al. 2017, eq. 1-2.

    The codebook follows the vectors that it stands for as a running mean (appendix A.1), so it has
    no gradient. In a distributed step all processes count together and hold one codebook.
    """

    follows = True

    def __init__(
        self, *, vocab: int = 512, dim: int = 16, decay: float = 0.99, revive: float = 0.1
    ) -> None:
        """`revive`: a code that stands for fewer vectors a step than this share of the average code

        (in the running mean) is moved onto a vector of the step: Jukebox (Dhariwal et al. 2020,
        arXiv 2005.00341, section 3), "random restarts". 0 never moves one. At the first step all
        codes are moved, which is where the codebook comes from.
        """
        super().__init__()
        for key, value, least in (("vocab", vocab, 2), ("dim", dim, 1)):
            if value < least:
                raise ValueError(f"objective.quantiser.{key}={value}: must be at least {least}")
        if not 0 <= decay < 1:
            raise ValueError(f"objective.quantiser.decay={decay}: must be at least 0 and below 1")
        if not 0 <= revive < 1:
            raise ValueError(f"objective.quantiser.revive={revive}: must be at least 0 and below 1")
        self.vocab, self.dim, self.decay, self.revive = vocab, dim, decay, revive
        self.register_buffer("codebook", torch.randn(vocab, dim))
        self.register_buffer("usage", torch.zeros(vocab))  # vectors a step, running mean
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def codes(self, z: Tensor) -> Tensor:
        flat = z.float().movedim(1, -1)  # |z - e|^2 = |z|^2 - 2 z.e + |e|^2
        distance = self.codebook.square().sum(1) - 2 * flat @ self.codebook.T
        return distance.argmin(-1)

    def vectors(self, codes: Tensor) -> Tensor:
        return self.codebook[codes].movedim(-1, 1)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = z.float()
        if self.training and not self.begun:
            self._place(torch.ones_like(self.usage, dtype=torch.bool), z)
            self.begun.fill_(True)
        codes = self.codes(z)
        quantised = self.vectors(codes)
        if self.training:
            self._follow(z, codes)
        return straight_through(z, quantised), codes, sum_example((z - quantised) ** 2)

    @torch.no_grad()
    def _follow(self, z: Tensor, codes: Tensor) -> None:
        """N_i and m_i of appendix A.1 (eq. 6-8), then the restarts."""
        one_hot = nn.functional.one_hot(codes.flatten(), self.vocab).to(z)  # [N, K]
        count = of_all(one_hot.sum(0))
        total = of_all(one_hot.T @ z.movedim(1, -1).flatten(0, -2))
        held = self.codebook * self.usage[:, None] * self.decay + (1 - self.decay) * total
        self.usage.mul_(self.decay).add_(count, alpha=1 - self.decay)
        used = count > 0  # the others keep their place: both sums fall by the same factor
        self.codebook[used] = held[used] / self.usage[used, None]
        self._place(self.usage < self.revive * count.sum() / self.vocab, z)

    @torch.no_grad()
    def _place(self, which: Tensor, z: Tensor) -> None:
        """Move codes onto vectors of this step, which get the average code's share of them."""
        flat = z.movedim(1, -1).flatten(0, -2)
        average = of_all(z.new_tensor(float(len(flat)))) / self.vocab
        self.codebook[which] = self._drawn(flat)[which]
        self.usage.masked_fill_(which, average)

    def _drawn(self, flat: Tensor) -> Tensor:
        """As many vectors [vocab, dim] as there are codes, drawn from those of all processes."""
        rank, world = _process()
        at = (rand_alike(self.vocab, flat.device) * (world * len(flat))).long() - rank * len(flat)
        here = (at >= 0) & (at < len(flat))  # each is held by one process; the others add 0
        return of_all(flat[at.clamp(0, len(flat) - 1)] * here[:, None])


class ResidualVQ(Quantiser):
    """Vector quantisers in a row, each of what those before it left over.

    Zeghidour et al. 2021 (SoundStream, arXiv 2107.03312), algorithm 1: `stages` log2(vocab) bits a
    position, with codebooks of `vocab` vectors. The commitment is summed over the stages, as in
    Defossez et al. 2022 (EnCodec, arXiv 2210.13438), eq. 3. The stages' codes stand side by side,
    [B, *S, stages]: flattened, a prior reads a position's codes one after another, coarse to fine.
    """

    follows = True

    def __init__(
        self,
        *,
        stages: int = 4,
        vocab: int = 256,
        dim: int = 16,
        decay: float = 0.99,
        revive: float = 0.1,
        dropout: bool = False,
    ) -> None:
        """`vocab`, `decay`, `revive`: each stage's; as a VectorQuantiser's.

        `dropout`: in training an example is decoded from its first 1 to `stages` codes, a number
        that is drawn (section III-C), so that codes[..., :n] of a trained one decode as well. All
        codebooks follow all examples.
        """
        super().__init__()
        if stages < 1:
            raise ValueError(f"objective.quantiser.stages={stages}: must be at least 1")
        self.stages, self.vocab, self.dim, self.dropout = stages, vocab, dim, dropout
        self.each = nn.ModuleList(
            VectorQuantiser(vocab=vocab, dim=dim, decay=decay, revive=revive) for _ in range(stages)
        )

    def code_shape(self, places: Sequence[int]) -> tuple[int, ...]:
        return (*places, self.stages)

    def codes(self, z: Tensor) -> Tensor:
        left, found = z.float(), []
        for quantiser in self.each:
            found.append(quantiser.codes(left))
            left = left - quantiser.vectors(found[-1])
        return torch.stack(found, -1)

    def vectors(self, codes: Tensor) -> Tensor:
        """Of the first of the codes [B, *S, n <= stages], too."""
        return sum(q.vectors(k) for q, k in zip(self.each, codes.unbind(-1)))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = z.float()
        self._refuse_few(z)
        last = self._last(z)  # [B]
        left, quantised, found, distance = z, torch.zeros_like(z), [], z.new_zeros(len(z))
        for i, quantiser in enumerate(self.each):
            vectors, codes, far = quantiser(left)
            used, vectors = (last >= i).to(z), vectors.detach()
            quantised = quantised + append_dims(used, z) * vectors
            left, distance = left - vectors, distance + used * far
            found.append(codes)
        return straight_through(z, quantised), torch.stack(found, -1), distance

    def _last(self, z: Tensor) -> Tensor:
        """The last stage that each example is decoded from."""
        if not (self.dropout and self.training):
            return z.new_full((len(z),), self.stages - 1)
        return (rand(len(z), z.device) * self.stages).floor()

    def _refuse_few(self, z: Tensor) -> None:
        """Refuse a first batch of fewer vectors than codes: they are to be placed on them."""
        num = _process()[1] * z.numel() // self.dim
        if self.training and num < self.vocab and not z.is_meta and not self.each[0].begun:
            raise ValueError(
                f"objective.quantiser.vocab={self.vocab}: a batch has {num} vectors, on which as"
                " many codes are placed; fewer codes, or a larger data.batch_size"
            )


class FSQ(Quantiser):
    """Finite scalar quantisation: each value of z is rounded to one of a few levels.

    Mentzer et al. 2023, section 3.1 and appendix A.1: no codebook, no commitment, nothing to
    revive. The vocabulary is the product of `levels`, [8, 5, 5, 5] is 1000 codes.
    """

    def __init__(self, *, levels: Sequence[int] = (8, 5, 5, 5), vocab: int | None = None) -> None:
        """`vocab`: where it is stated, it must be the product of the levels."""
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"objective.quantiser.levels={list(levels)}: each must be at least 2")
        self.levels = [int(n) for n in levels]
        self.vocab, self.dim = math.prod(self.levels), len(self.levels)
        if vocab not in (None, self.vocab):
            raise ValueError(
                f"objective.quantiser.vocab={vocab}: levels {self.levels} are {self.vocab} codes;"
                f" write {self.vocab}"
            )

    def codes(self, z: Tensor) -> Tensor:
        digits, code = self._digits(z.float()), 0
        for i in reversed(range(self.dim)):
            code = code * self.levels[i] + digits[:, i].round().long()
        return code

    def vectors(self, codes: Tensor) -> Tensor:
        values = []
        for n in self.levels:
            values.append(2 * (codes % n).float() / (n - 1) - 1)
            codes = codes // n
        return torch.stack(values, dim=1)  # each within [-1, 1]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = z.float()
        codes, digits = self.codes(z), self._digits(z)
        scale = 2 / (self._shaped(z) - 1)
        quantised = straight_through(digits * scale - 1, self.vectors(codes))
        return quantised, codes, z.new_zeros(len(z))

    def _digits(self, z: Tensor) -> Tensor:
        """z bounded to the levels 0 .. n - 1, before rounding."""
        most = (self._shaped(z) - 1) * (1 - 1e-3)
        return (self._shaped(z) - 1) / 2 + most / 2 * z.tanh()

    def _shaped(self, z: Tensor) -> Tensor:
        return z.new_tensor(self.levels).view(-1, *[1] * (z.ndim - 2))


class VQ(nn.Module):
    """- log p(x | z_q) + beta |z - sg(z_q)|^2: van den Oord et al. 2017, eq. 3, per example.

    The third term of eq. 3, which moves the codebook, is the quantiser's running mean. In nats per
    example: likelihood and commitment are summed over an example's values.
    """

    def __init__(self, likelihood: Likelihood, quantiser: Quantiser, *, beta: float = 0.25) -> None:
        super().__init__()
        if beta < 0:
            raise ValueError(f"objective.beta={beta}: must be at least 0")
        self.likelihood, self.quantiser, self.beta = likelihood, quantiser, beta

    def loss(self, x: Tensor, params: Tensor, codes: Tensor, distance: Tensor) -> dict[str, Tensor]:
        reconstruction = -self.likelihood.log_prob(x, params)
        used = by_stage("perplexity", perplexity(self.quantiser.counts(codes)))
        return {
            "loss": reconstruction + self.beta * distance,
            "reconstruction": reconstruction,
            "commitment": distance,
            **{name: value.expand(len(x)) for name, value in used.items()},  # of the batch
        }


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _process() -> tuple[int, int]:
    """Which process of a step this is, and how many there are."""
    if not _distributed():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def of_all(t: Tensor) -> Tensor:
    """The sum over the processes of a step."""
    if _distributed():
        torch.distributed.all_reduce(t)
    return t
