"""The VQ-VAE: an autoencoder whose latent is a map of codes, for priors over codes.

Reading map
  network     nn/codec.py: ConvCodecEncoder, ConvCodecDecoder
  formula     objectives/quantisation.py: VQ with VectorQuantiser or FSQ
  sampler     none: codes are uniform here, as in training; models/latent.py has a prior of theirs
  experiment  conf/experiment/fashion_vqvae.yaml
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions
from genlab.objectives.quantisation import VQ
from genlab.optim import Optim
from genlab.rng import Draws


class VQVAE(GenerativeModel):
    """Encoder, quantiser, decoder: van den Oord et al. 2017 (arXiv 1711.00937).

    As a codec it gives codes [B, T], the map's positions row by row: `latent_shape` is [T] and
    `latent_vocab` how many codes there are.
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
        """`latent_map`: the encoder's output [dim, h, w].

        `latent_shape` [h w] and `latent_vocab` follow from it and from the quantiser; they are
        stated so that a prior's settings are read without building the codec.
        """
        super().__init__(optim=optim)
        positions, vocab = math.prod(latent_map[1:]), objective.quantiser.vocab
        if latent_map[0] != objective.quantiser.dim:
            raise ValueError(
                f"model.latent_map={list(latent_map)}: the quantiser takes vectors of"
                f" {objective.quantiser.dim} values; write net.latent_map="
                f"[{','.join(map(str, (objective.quantiser.dim, *latent_map[1:])))}]"
            )
        if list(latent_shape) != [positions]:
            raise ValueError(
                f"model.latent_shape={list(latent_shape)}: a map of {list(latent_map)} has the"
                f" positions [{positions}]"
            )
        if latent_vocab != vocab:
            raise ValueError(
                f"model.latent_vocab={latent_vocab}: the quantiser has {vocab} codes; write {vocab}"
            )
        self.encoder, self.decoder, self.objective = encoder, decoder, objective
        self.conditions = Conditions()
        self.shape, self.latent_map = tuple(shape), tuple(latent_map[1:])
        self.latent_shape, self.latent_vocab = (positions,), vocab

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
        z, codes, distance = self.objective.quantiser(self.encoder(batch["x"]))
        return self.objective.loss(batch["x"], self.decoder(z), codes, distance)

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(x | codes) + log p(codes) in nats [B]: a lower bound, for one z among all.

        p(codes) is uniform, as van den Oord et al. train (section 3.2): T ln(vocab) nats.
        """
        log_prior = -math.prod(self.latent_shape) * math.log(self.latent_vocab)
        return self.log_prob_given(batch["x"], self._codes(batch["x"]).flatten(1)) + log_prior

    def log_prob_given(self, x: Tensor, codes: Tensor) -> Tensor:
        """log p(x | codes [B, T]) in nats [B]."""
        z = self.objective.quantiser.vectors(codes.unflatten(1, self.latent_map))
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
            z = self.objective.quantiser.vectors(codes.unflatten(1, self.latent_map))
            return self.objective.likelihood.mean(self.decoder(z))

    def _codes(self, x: Tensor) -> Tensor:
        return self.objective.quantiser.codes(self.encoder(x))
