"""Autoregressive models: each token is drawn given those before it.

Reading map
  network     nn/transformer.py (GPT), nn/rnn.py (GRU, LSTM); (tokens, cond, state) -> logits, state
  formula     objectives/tokens.py: cross-entropy; p(x) = prod_t p(x_t | x_<t), exactly
  sampler     samplers/tokens.py: Sample (temperature, top_k, top_p), Greedy
  experiment  conf/experiment/shakespeare_gpt.yaml, digits_autoregressive.yaml
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Given
from genlab.models.base import GenerativeModel
from genlab.models.conditions import Conditions, known
from genlab.objectives.tokens import CrossEntropy, masked_sum, token_log_probs
from genlab.optim import Optim
from genlab.rng import Draws
from genlab.samplers.tokens import Greedy, Sample


class Autoregressive(GenerativeModel):
    """A causal network over tokens; the likelihood is exact."""

    likelihood = "exact"
    takes = "tokens"
    knows = "beginning"

    def __init__(
        self,
        net: nn.Module,
        *,
        objective: CrossEntropy,
        sampler: Sample | Greedy,
        shape: Sequence[int],
        vocab: int,
        start_token: int | None = None,
        slots: Sequence[int] | None = None,
        conditions: Conditions | None = None,
        optim: Optim | None = None,
    ) -> None:
        """`start_token` stands before an example; null: the net's own learned one, row `vocab`.

        `slots`: the token at each place is one of so many, the first of the vocabulary; null: any.
        """
        super().__init__(optim=optim)
        if vocab is None or len(shape) != 1:
            raise ValueError(
                f"data.vocab={vocab}, data.shape={list(shape)}: an autoregressive model takes "
                "tokens [T]; write data=shakespeare, or data=digits_pixels for images as tokens"
            )
        if start_token is not None and not 0 <= start_token <= vocab:
            raise ValueError(f"model.start_token={start_token}: must lie between 0 and {vocab}")
        stop = sampler.stop
        if stop is not None and stop >= vocab:
            raise ValueError(f"sampler.stop={stop}: must be a token of 0 to {vocab - 1}, or null")
        self.net, self.objective, self.sampler = net, objective, sampler
        self.shape, self.vocab = tuple(shape), vocab
        self.conditions = conditions or Conditions()
        self.start_token = vocab if start_token is None else start_token
        self.register_buffer("barred", _barred(slots, self.shape[0], vocab), persistent=False)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Nats per token, the mean over the tokens of an example that count; where examples of
        other lengths have their share of a batch as weight, over all of its tokens together."""
        loss = self.objective.loss(self._logits(batch), batch["x"], batch.get("mask"))
        return {"loss": loss * batch["weight"] if "weight" in batch else loss}

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(x | what stands before it) in nats [B], the sum over the tokens that count."""
        return masked_sum(token_log_probs(self._logits(batch), batch["x"]), batch.get("mask"))

    def _logits(self, batch: Batch) -> Tensor:
        """logits[:, t] is the law of x[:, t]: the net reads [start, x_0, ..., x_{T-2}]."""
        x = batch["x"]
        start = batch.get("start")
        start = x.new_full((len(x),), self.start_token) if start is None else start
        inputs = torch.cat([start[:, None], x[:, :-1]], dim=1)
        logits = self.net(inputs, self.conditions(self.conditions.of(batch)), None)[0]
        return logits if self.barred is None else logits.masked_fill(self.barred, -torch.inf)

    def sample(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Tensor:
        """Draw num sequences [num, sampler.length or T]; `given`: a prompt, the first tokens.

        Where nothing is asked for, each example draws its own condition.
        """
        grown = self._grown(Draws(seed, first, num, self.device), cond, given)
        with self.drawing():
            for tokens in grown:  # noqa: B007 (the last is all of them)
                pass
        return tokens

    def stream(
        self,
        num: int,
        cond: Asked = None,
        given: Given | None = None,
        *,
        seed: int = 0,
        first: int = 0,
    ) -> Iterator[Tensor]:
        """The tokens so far [num, t] after each new one; the last are what `sample` gives."""
        grown = self._grown(Draws(seed, first, num, self.device), cond, given)
        while True:
            with self.drawing():  # never open while somebody else goes on
                if (tokens := next(grown, None)) is None:
                    return
            yield tokens.clone()

    def _grown(self, draws: Draws, cond: Asked, given: Given | None) -> Iterator[Tensor]:
        """The tokens so far [num, t], the prompt first; a view of what the next step changes."""
        num, length = len(draws.generators), self.sampler.length or self.shape[0]
        prompt, lengths = self._prompt(given, num, length)
        u = draws.rand((length,))  # all at once: token t's number does not depend on the prompt
        cond = self.conditions(self.conditions.asked_or_drawn(cond, draws))
        tokens = torch.full((num, length + 1), self.start_token, device=self.device)
        tokens[:, 1 : prompt.shape[1] + 1] = prompt  # tokens[:, t + 1] is x_t
        reader = _Reader(self.net, cond)
        longest, ends = int(lengths.max()), _Ends(self.sampler.stop, num, self.device)
        yield tokens[:, 1 : int(lengths.min()) + 1]
        for t in range(int(lengths.min()), length):
            logits = reader.read(tokens[:, : t + 1])
            if self.barred is not None:
                logits = logits.masked_fill(self.barred[t], -torch.inf)
            drawn = self.sampler(logits, u[:, t])
            known_now = t < lengths if t < longest else None
            drawn = ends.after(drawn, known_now)
            if known_now is not None:
                drawn = torch.where(known_now, tokens[:, t + 1], drawn)
            tokens[:, t + 1] = drawn
            if t + 1 >= longest and ends.all():
                tokens[:, t + 2 :] = self.sampler.stop
                yield tokens[:, 1:]
                return
            yield tokens[:, 1 : t + 2]

    def _prompt(self, given: Given | None, num: int, length: int) -> tuple[Tensor, Tensor]:
        """The known tokens [num, P] and how many each example has [num]."""
        if given is None:
            none = torch.zeros(num, dtype=torch.long, device=self.device)
            return none.new_empty(num, 0), none
        x, mask = known(given, num, self.device)
        lengths = mask.sum(1)
        if not torch.equal(mask, torch.arange(x.shape[1], device=mask.device) < lengths[:, None]):
            raise ValueError(
                "given.mask: an autoregressive model goes on from a beginning, so what is known "
                "must be the first tokens of each example, without a gap"
            )
        longest = int(lengths.max())
        if longest > length:
            raise ValueError(
                f"given.x knows {longest} tokens, but {length} are drawn: "
                f"write sampler.length={longest} or more"
            )
        known_x = x[:, :longest]
        if longest > 0:
            low, high = int(known_x[mask[:, :longest]].min()), int(known_x[mask[:, :longest]].max())
            if low < 0 or high >= self.vocab:
                raise ValueError(
                    f"given.x has tokens from {low} to {high}: must lie in 0 to {self.vocab - 1}"
                )
        return known_x.masked_fill(~mask[:, :longest], 0), lengths


def _barred(slots: Sequence[int] | None, length: int, vocab: int) -> Tensor | None:
    """Which tokens cannot stand at a place [length, vocab]; None: any can."""
    if slots is None:
        return None
    if len(slots) != length or not all(1 <= n <= vocab for n in slots):
        raise ValueError(f"model.slots={list(slots)}: {length} numbers from 1 to {vocab}")
    return torch.arange(vocab) >= torch.tensor(list(slots))[:, None]


class _Ends:
    """Which examples have drawn the token that ends them; a prompt's tokens end nothing."""

    def __init__(self, stop: int | None, num: int, device: torch.device) -> None:
        self.stop = stop
        self.ended = torch.zeros(num, dtype=torch.bool, device=device)

    def after(self, drawn: Tensor, known: Tensor | None) -> Tensor:
        """`drawn` [B], or the stop token where an example has ended."""
        if self.stop is None:
            return drawn
        drawn = drawn.masked_fill(self.ended, self.stop)
        now = drawn == self.stop
        self.ended |= now if known is None else now & ~known
        return drawn

    def all(self) -> bool:
        return self.stop is not None and bool(self.ended.all())


class _Reader:
    """Reads a growing sequence with the net's cache: each token once, while there is room.

    Where the net's max_length is reached it starts again from the last half of it. How many tokens
    stand before a token is a function of its place alone, not of the prompts in the batch.
    """

    def __init__(self, net: nn.Module, cond: Tensor | None) -> None:
        self.net, self.cond = net, cond
        self.max_length: int | None = net.max_length
        self.state, self.cached, self.seen = None, 0, 0  # cached: tokens in the state

    def context(self, length: int) -> int:
        """How many of `length` tokens are read."""
        most = self.max_length
        if most is None or length <= most:
            return length
        half = max(1, most // 2)
        return half + (length - most - 1) % (most - half + 1)

    def read(self, tokens: Tensor) -> Tensor:
        """Logits [B, vocab] of what follows `tokens` [B, t], which are those of before and more."""
        length = tokens.shape[1]
        context, new = self.context(length), tokens[:, self.seen :]
        if self.state is None or self.cached + new.shape[1] != context:
            emptied = getattr(self.state, "emptied", None)  # where a state can serve again
            self.state = emptied() if emptied else self.net.init_state(len(tokens), tokens.device)
            new = tokens[:, -context:]
        logits, self.state = self.net(new, self.cond, self.state)
        self.cached, self.seen = context, length
        return logits[:, -1]
