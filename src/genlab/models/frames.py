"""Frame after frame: each is drawn given those before it, its values independent of one another.

Reading map
  network     nn/frames.py (RNN, GRU, LSTM), nn/tcn.py (TCN); (frames, cond, state) -> logits, state
  formula     objectives/frames.py: p(x) = prod_t prod_k p(x_tk | x_<t), exactly
  sampler     samplers/frames.py: IndependentKeys (temperature)
  experiment  conf/experiment/jsb_tcn.yaml, jsb_gru.yaml
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions, known
from genlab.objectives.frames import KeysCrossEntropy
from genlab.objectives.tokens import masked_sum
from genlab.optim import Optim
from genlab.rng import Draws
from genlab.samplers.frames import IndependentKeys


class Frames(GenerativeModel):
    """A causal network over frames [T, K] of 0 and 1; the likelihood is exact."""

    likelihood = "exact"
    takes = "frames"
    discrete = True  # log_prob is a probability

    def __init__(
        self,
        net: nn.Module,
        *,
        objective: KeysCrossEntropy,
        sampler: IndependentKeys,
        shape: Sequence[int],
        optim: Optim | None = None,
    ) -> None:
        super().__init__(optim=optim)
        if len(shape) != 2:
            raise ValueError(
                f"data.shape={list(shape)}: frames are [T, K]; write data=jsb_chorales"
            )
        self.net, self.objective, self.sampler = net, objective, sampler
        self.shape = tuple(shape)
        self.conditions = Conditions()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Nats per frame, the mean over the frames that count; in a batch of the data, over all of
        its frames together, for there each example has its share of them as its weight."""
        nats, mask = self._nats(batch), batch.get("mask")
        counted = nats.shape[1] if mask is None else mask.sum(1).clamp(min=1)
        loss = masked_sum(nats, mask) / counted
        return {"loss": loss * batch["weight"] if "weight" in batch else loss}

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(x | what stands before it) in nats [B], the sum over the frames that count."""
        return -masked_sum(self._nats(batch), batch.get("mask"))

    def _nats(self, batch: Batch) -> Tensor:
        """- log p of each frame [B, T]: the net reads [start, x_0, ..., x_{T-2}].

        Before a beginning stands silence.
        """
        x = batch["x"]
        start = batch.get("start")
        start = torch.zeros_like(x[:, 0]) if start is None else start
        logits = self.net(torch.cat([start[:, None], x[:, :-1]], dim=1), None, None)[0]
        return self.objective.nats(logits, x)

    def sample(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """Draw num pieces [num, sampler.length or T, K]; `given`: a beginning, the first frames."""
        length, keys = self.sampler.length or self.shape[0], self.shape[1]
        draws = Draws(seed, first, num, self.device)
        self.conditions.asked_or_drawn(cond, draws)
        beginning, lengths = self._beginning(given, num, length)
        with self.drawing():
            u = draws.rand((length, keys))  # all at once: frame t's do not depend on what is given
            x = torch.zeros(num, length + 1, keys, device=self.device)  # x[:, t + 1] is frame t
            x[:, 1 : beginning.shape[1] + 1] = beginning
            state, read = None, 0
            for t in range(int(lengths.min()), length):
                logits, state = self.net(x[:, read : t + 1], None, state)
                drawn, read = self.sampler(logits[:, -1], u[:, t]), t + 1
                x[:, t + 1] = torch.where((t < lengths)[:, None], x[:, t + 1], drawn)
            return x[:, 1:]

    def _beginning(self, given: Given | None, num: int, length: int) -> tuple[Tensor, Tensor]:
        """The known frames [num, P, K] and how many each example has [num]."""
        if given is None:
            none = torch.zeros(num, dtype=torch.long, device=self.device)
            return none.new_empty(num, 0, self.shape[1], dtype=torch.float), none
        x, mask = known(given, num, self.device)
        whole = mask.all(-1)  # [num, P]
        lengths = whole.sum(1)
        first = torch.arange(x.shape[1], device=mask.device) < lengths[:, None]
        if not torch.equal(mask, first[..., None].expand_as(mask)):
            raise ValueError(
                "given.mask: a model of frames goes on from a beginning, so what is known must be"
                " the first frames of each example, whole and without a gap"
            )
        longest = int(lengths.max())
        if longest > length:
            raise ValueError(
                f"given.x knows {longest} frames, but {length} are drawn: "
                f"write sampler.length={longest} or more"
            )
        x = x[:, :longest].float()
        if not ((x == 0) | (x == 1)).all():
            raise ValueError("given.x: the keys of a frame are 0 (silent) or 1 (sounding)")
        return x.masked_fill(~mask[:, :longest], 0.0), lengths
