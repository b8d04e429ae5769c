"""The VQ-VAE: an autoencoder whose latent is a map of codes, for priors over codes.

Reading map
  network     nn/codec.py: ConvCodecEncoder, ConvCodecDecoder
  formula     objectives/quantisation.py: VQ with VectorQuantiser, FSQ or ResidualVQ
  sampler     none: codes are uniform here, as in training; models/latent.py has a prior of theirs
  experiment  conf/experiment/fashion_vqvae.yaml, emoji_vq.yaml
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions
from genlab.objectives.quantisation import VQ, by_stage, of_all, perplexity
from genlab.optim import Optim
from genlab.rng import Draws


class VQVAE(GenerativeModel):
    """Encoder, quantiser, decoder: van den Oord et al. 2017 (arXiv 1711.00937).

    As a codec it gives codes [B, T], the map's positions row by row, each with the codes of all its
    stages: `latent_shape` is [T] and `latent_vocab` how many codes there are.
    """

    likelihood = "bound"
    shards = False  # the codebook follows each step, whole

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        objective: VQ,
        shape: Sequence[int],
        latent_map: Sequence[int],
        latent_shape: Sequence[int],
        latent_vocab: int,
        optim: Optim | None = None,
    ) -> None:
        """`latent_map`: the encoder's output [dim, h, w] (of a waveform [dim, t]).

        `latent_shape` [h w stages] and `latent_vocab` follow from it and from the quantiser; they
        are stated so that a prior's settings are read without building the codec.
        """
        super().__init__(optim=optim)
        code_map, vocab = objective.quantiser.code_shape(latent_map[1:]), objective.quantiser.vocab
        if latent_map[0] != objective.quantiser.dim:
            raise ValueError(
                f"model.latent_map={list(latent_map)}: the quantiser takes vectors of"
                f" {objective.quantiser.dim} values; write net.latent_map="
                f"[{','.join(map(str, (objective.quantiser.dim, *latent_map[1:])))}]"
            )
        if list(latent_shape) != [math.prod(code_map)]:
            raise ValueError(
                f"model.latent_shape={list(latent_shape)}: a map of {list(latent_map)} with"
                f" {objective.quantiser.stages} code(s) a position has [{math.prod(code_map)}]"
            )
        if latent_vocab != vocab:
            raise ValueError(
                f"model.latent_vocab={latent_vocab}: the quantiser has {vocab} codes; write {vocab}"
            )
        self.encoder, self.decoder, self.objective = encoder, decoder, objective
        self.conditions = Conditions()
        self.shape, self.code_map = tuple(shape), code_map
        self.latent_shape, self.latent_vocab = (math.prod(code_map),), vocab
        self._counts: Tensor | None = None  # of codes in a look [stages, vocab]

    def on_train_start(self) -> None:
        parts = self.trainer.accumulate_grad_batches
        if parts > 1 and self.objective.quantiser.follows:
            raise ValueError(
                f"trainer.accumulate={parts}: a learned codebook follows the whole batch; set it to"
                " 1, or write objective=fsq, which has none"
            )

    @property
    def discrete(self) -> bool | None:
        """Whether log_prob is a probability or a density: bits per dimension depend on it."""
        return self.objective.likelihood.discrete

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """loss = reconstruction + beta commitment, in nats per example."""
        return self.objective.loss(batch["x"], *self._coded(batch["x"]))

    def _coded(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The parameters of p(x | codes), the codes, and how far the vectors lie from them [B]."""
        z, codes, distance = self.objective.quantiser(self.encoder(x))
        if self._counts is not None:
            self._counts += self.objective.quantiser.counts(codes)
        return self.decoder(z), codes, distance

    def on_validation_epoch_start(self) -> None:
        quantiser = self.objective.quantiser
        shape = quantiser.stages, quantiser.vocab
        self._counts = torch.zeros(shape, dtype=torch.long, device=self.device)

    def over_look(self) -> dict[str, float]:
        """How many codes all held-out examples of a look together use: perplexity, and share."""
        counts, self._counts = self._counts, None
        if counts is None:
            return {}
        counts = of_all(counts)
        found = by_stage("perplexity", perplexity(counts))
        found |= by_stage("codes_used", (counts > 0).float().mean(1))
        return {name: value.item() for name, value in found.items()}

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(x | codes) + log p(codes) in nats [B]: a lower bound, for one z among all.

        p(codes) is uniform, as van den Oord et al. train (section 3.2): T ln(vocab) nats.
        """
        log_prior = -math.prod(self.latent_shape) * math.log(self.latent_vocab)
        return self.log_prob_given(batch["x"], self._codes(batch["x"]).flatten(1)) + log_prior

    def log_prob_given(self, x: Tensor, codes: Tensor) -> Tensor:
        """log p(x | codes [B, T]) in nats [B]."""
        z = self.objective.quantiser.vectors(codes.unflatten(1, self.code_map))
        return self.objective.likelihood.log_prob(x, self.decoder(z))

    def sample(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """Draw num examples from uniform codes: what the codec is without a prior."""
        if given is not None:
            raise ValueError("given: a VQ-VAE cannot fill in a part of x; a diffusion model can")
        draws = Draws(seed, first, num, self.device)
        self.conditions.asked_or_drawn(cond, draws)  # there are none, which it says
        u = draws.rand(self.latent_shape)
        return self.decode((u * self.latent_vocab).long().clamp(max=self.latent_vocab - 1))

    def encode(self, x: Tensor) -> Tensor:
        """x [B, *shape] -> codes, int64 [B, T]."""
        with self.drawing():
            return self._codes(x).flatten(1)

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, T] -> the mean of p(x | codes) [B, *shape]."""
        with self.drawing():
            z = self.objective.quantiser.vectors(codes.unflatten(1, self.code_map))
            return self.objective.likelihood.mean(self.decoder(z))

    def reconstruct(self, x: Tensor, cond: Asked = None) -> Tensor:
        """x [B, *shape] -> decode(encode(x))."""
        return self.decode(self.encode(x))

    def _codes(self, x: Tensor) -> Tensor:
        return self.objective.quantiser.codes(self.encoder(x))
