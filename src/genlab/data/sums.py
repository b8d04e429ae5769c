"""Sums of two numbers as tokens: can a model compute what it has not seen?

Read: `tokens_of`, the format: "123+456=" and the sum from its last digit on, so that a carry is
known before it is needed. Train and held-out sums are different pairs of numbers; the loss counts
the sum's digits alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch, Cond, Given
from genlab.data.asks import Ask, Line
from genlab.data.base import DataModule, Examples
from genlab.data.origins import DRAWN
from genlab.data.stated import sha256
from genlab.rng import generator
from genlab.views.texts import Texts

SIGNS = "0123456789+="
MOST_DIGITS = 6


def tokens_of(a: Tensor, b: Tensor, digits: int) -> Tensor:
    """Numbers [N], [N] of `digits` digits -> "A+B=" and the sum's digits, the last first [N, T]."""

    def spelled(numbers: Tensor, places: range) -> Tensor:
        return torch.stack([numbers // 10**p % 10 for p in places], 1)

    sign = torch.ones(len(a), 1, dtype=torch.long)
    first, second = (spelled(n, range(digits - 1, -1, -1)) for n in (a, b))
    total = spelled(a + b, range(digits + 1))
    return torch.cat([first, 10 * sign, second, 11 * sign, total], 1)


class Pairs(Examples):
    """Pairs of numbers by their place in a fixed order of all pairs."""

    def __init__(self, pairs: Tensor, digits: int) -> None:
        """`pairs` [N]: a * 10^digits + b."""
        self.pairs, self.digits = pairs, digits

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        numbers = self.pairs[ids]
        x = tokens_of(numbers // 10**self.digits, numbers % 10**self.digits, self.digits)
        return Batch(x=x, mask=answers(self.digits).expand(len(x), -1))


def answers(digits: int) -> Tensor:
    """Which tokens are the sum's [T] bool."""
    return torch.arange(3 * digits + 3) >= 2 * digits + 2


class Sums(DataModule):
    """Sums of two numbers of `digits` digits."""

    kind = "sums"
    noun = "sums"
    origin = DRAWN
    view = Texts()

    def __init__(
        self,
        *,
        digits: int = 3,
        num_train: int = 10_000,
        num_held_out: int = 1_000,
        batch_size: int,
        seed: int,
        shape: Sequence[int] | None = None,
        vocab: int | None = None,
        num_classes: int | None = None,
        levels: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`num_held_out` pairs each are val and test; no pair is in two of the three."""
        if not 1 <= digits <= MOST_DIGITS:
            raise ValueError(f"data.digits={digits}: write 1 to {MOST_DIGITS}")
        length, all_pairs = 3 * digits + 3, 10 ** (2 * digits)
        if shape is not None and tuple(shape) != (length,):
            raise ValueError(f"data.shape={list(shape)}: sums of {digits} digits have [{length}]")
        if vocab not in (None, len(SIGNS)):
            raise ValueError(f"data.vocab={vocab}: sums are written with {len(SIGNS)} signs")
        for key, value in (("num_classes", num_classes), ("levels", levels), ("std", std)):
            if value is not None:
                raise ValueError(f"data.{key}={value}: sums have none; write data.{key}=null")
        if min(num_train, num_held_out) < 1 or num_train + 2 * num_held_out > all_pairs:
            raise ValueError(
                f"data.num_train={num_train} data.num_held_out={num_held_out}: at least 1 each,"
                f" and there are {all_pairs:,} pairs of numbers of {digits} digits for all three"
            )
        super().__init__(
            shape=(length,),
            vocab=len(SIGNS),
            batch_size=batch_size,
            seed=seed,
            val_examples=val_examples,
        )
        self.digits, self.num_train, self.num_held_out = digits, num_train, num_held_out

    def read(self) -> dict[str, Examples]:
        # the same pairs in every run, whatever its seed: val and test first, then train's
        rows = torch.randperm(10 ** (2 * self.digits), generator=generator("sums", self.digits))
        n = self.num_held_out
        parts = {"val": rows[:n], "test": rows[n : 2 * n], "train": rows[2 * n :][: self.num_train]}
        return {split: Pairs(pairs, self.digits) for split, pairs in parts.items()}

    def digest(self) -> str:
        return sha256(self.train.pairs, self.val.pairs)

    def units(self, totals: Any, *, discrete: bool) -> dict[str, float]:
        return {"nats_per_token": -totals.log_prob / totals.values}

    def decode(self, x: Tensor) -> list[str]:
        """Tokens [B, T] as sums to read: "123+456=0579", the digits turned round again."""
        end = 2 * self.digits + 2
        rows = x.detach().cpu().tolist()
        return [
            "".join(SIGNS[t] for t in (*row[:end], *reversed(row[end : self.shape[0]])))
            for row in rows
        ]

    # --- samples --------------------------------------------------------------------------------

    def captions(self, cond: Cond | None, known: Tensor | None = None) -> list[str] | None:
        return None if known is None else ["".join(SIGNS[t] for t in row) for row in known.tolist()]

    def looks(self, num: int) -> tuple[Tensor | None, Given | None]:
        """`num` held-out sums to be completed."""
        return None, self.questions(num)

    def questions(self, num: int) -> Given:
        """The first `num` held-out sums, what stands after "=" left out; in turn if more."""
        x = self.val.batch(torch.arange(num) % len(self.val))["x"][:, : 2 * self.digits + 2]
        return Given(x=x, mask=torch.ones_like(x, dtype=torch.bool))

    def asks(self) -> tuple[Ask, ...]:
        example = "1" * self.digits + "+" + "2" * self.digits + "="
        return (Line(key="prompt", label="sum", example=example, known="beginning"),)

    def asked_given(
        self, num: int, prompt: str | None, given: str | None, mask: str | None
    ) -> Given | None:
        """The sum that is asked for: prompt="123+456="."""
        super().asked_given(num, None, given, mask)
        if prompt is None:
            return None
        if not re.fullmatch(rf"[0-9]{{{self.digits}}}\+[0-9]{{{self.digits}}}=", prompt):
            number = "1" * self.digits
            raise ValueError(
                f"prompt={prompt!r}: write two numbers of {self.digits} digits: {number}+{number}="
            )
        x = torch.tensor([[SIGNS.index(c) for c in prompt]]).repeat(num, 1)
        return Given(x=x, mask=torch.ones_like(x, dtype=torch.bool))
