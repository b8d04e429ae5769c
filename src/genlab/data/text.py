"""Text as tokens: a source's documents, cut into windows.

Read: `Windows` (a stream of tokens cut into examples), then `Text` (tokenizer, splits, units).
Where the documents come from is a source (sources/text.py). A split is one stream: <|end|> (id 0),
a document, <|end|>, a document, ... An example is a window of `block` tokens with `start`, the
token before it: a model that reads start, x[0], ..., x[-2] predicts x[0], ..., x[-1], exactly the
(input, target) pairs of nanoGPT. A text larger than `in_memory` is not held: its tokens are read
from a file in the cache (token_files.py), and every batch is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch, Cond, Given
from genlab.data.asks import Ask, Line
from genlab.data.base import DataModule, Examples
from genlab.data.held import Chosen
from genlab.data.origins import Origins
from genlab.data.sources.documents import held
from genlab.data.sources.text import TextSource
from genlab.data.stated import check, sha256
from genlab.data.token_files import Tokens, beside, held_tokens, mapped
from genlab.data.tokenizers import END, Tokenizer
from genlab.rng import generator
from genlab.views.texts import Texts


class Windows(Examples):
    """Windows of `block` tokens over a stream of tokens, one every `stride` tokens.

    The stream begins with <|end|>, which is no target. With stride = block every other token is in
    one window; the last is filled up with <|end|>, and the mask says where.
    """

    def __init__(
        self, stream: Tensor, *, block: int, stride: int, targets: int | None = None
    ) -> None:
        """`targets`: None where no more <|end|>s stand behind them."""
        self.block, self.stride = block, stride
        self.targets = len(stream) - 1 if targets is None else targets
        self.num = (self.targets - block) // stride + 1
        self._filled = stride == block and self.targets % block > 0
        length = 1 + self.targets
        if self._filled:
            self.num += 1
            length = 1 + self.num * block
            if length > len(stream):
                stream = torch.cat([stream, stream.new_full((length - len(stream),), END)])
        self.stream = stream[:length].contiguous()
        # all windows as one overlapping view: a batch is a gather of rows, without index arithmetic
        self._rows = self.stream.as_strided((self.num, block + 1), (stride, 1))

    def __len__(self) -> int:
        return self.num

    def chosen(self, ids: Tensor) -> SomeWindows:
        return SomeWindows(self, ids)

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        rows = self._rows.index_select(0, ids)
        batch = Batch(x=rows[:, 1:].long(), start=rows[:, 0].long())
        if self._filled and int(ids.max()) == self.num - 1:
            at = ids[:, None] * self.block + torch.arange(self.block)
            batch["mask"] = at < self.targets
        return batch


class SomeWindows(Chosen):
    """Windows that need not follow one another; `stream` is what they hold, one after another."""

    def __init__(self, whole: Windows, ids: Tensor) -> None:
        super().__init__(whole, ids)
        self.block = whole.block
        counts = (whole.targets - ids * self.block).clamp(0, self.block)
        self.targets = int(counts.sum())
        rows = whole._rows[ids, 1:]
        inside = torch.arange(self.block) < counts[:, None]
        self.stream = torch.cat([whole._rows[ids[:1], 0], rows[inside]])


class Text(DataModule):
    """Documents as token windows, at random places in training and one after another in val.

    An epoch is as many windows as hold the split's tokens once; their places are drawn evenly and
    independently, as in nanoGPT, so an epoch does not see every token.
    """

    kind = "text"
    noun = "tokens"
    finds = ("vocab",)
    view = Texts()

    def __init__(
        self,
        *,
        source: TextSource,
        tokenizer: Tokenizer,
        block: int,
        batch_size: int,
        seed: int,
        vocab: int | None = None,
        shape: Sequence[int] | None = None,
        num_classes: int | None = None,
        levels: int | None = None,
        default_prompt: str = "",
        start_token: int = END,
        in_memory: int = 2**28,
        val_examples: int | None = 1024,
    ) -> None:
        """`block`: tokens a window; `vocab`: ids with <|end|>, None as many as are found;
        `default_prompt`: that of looks; `in_memory`: bytes of a split's text that are held."""
        if not isinstance(block, int) or block < 1:
            raise ValueError(f"data.block={block}: write a whole number of tokens from 1 on")
        if shape is not None and tuple(shape) != (block,):
            raise ValueError(f"data.shape={list(shape)}: text has [data.block], here [{block}]")
        for key, value in (("num_classes", num_classes), ("levels", levels)):
            if value is not None:
                raise ValueError(f"data.{key}={value}: text has none; write data.{key}=null")
        if start_token != END:
            raise ValueError(
                f"data.start_token={start_token}: text begins with <|end|>, token {END}"
            )
        if not isinstance(in_memory, int) or in_memory < 0:
            raise ValueError(f"data.in_memory={in_memory}: write a whole number of bytes")
        super().__init__(
            shape=(block,), vocab=vocab, batch_size=batch_size, seed=seed, val_examples=val_examples
        )
        self.source, self.tokenizer, self.block = source, tokenizer, block
        self.default_prompt, self.in_memory = default_prompt, in_memory
        self._bytes: dict[str, int] = {}
        self._documents = 1  # of train, where they are held
        self._anew: list[str] = []  # why the tokens beside the text are not read

    def prepare(self) -> None:
        self.source.prepare()

    def found(self) -> dict[str, int]:
        """How many ids the tokenizer makes of the source's text, which is read if need be."""
        known = self.tokenizer.known_vocab(self.source.characters)
        if known is None:
            self.prepare()
            self.tokenizer.fit(*self.source.documents(), vocab=None)
            known = self.tokenizer.vocab
        return {"vocab": known}

    def read(self) -> dict[str, Examples]:
        texts = [held(d, self.in_memory) or d for d in self.source.documents()]
        name = self.source.name
        self._documents = len(texts[0]) if isinstance(texts[0], list) else 1
        self.tokenizer.fit(*texts, vocab=self.vocab)
        if self.vocab is None:
            self.vocab = self.tokenizer.vocab
        check("vocab", self.vocab, self.tokenizer.vocab, name)
        train, val = map(self._tokens, texts)
        self._bytes = {"train": train.num_bytes, "val": val.num_bytes}
        if train.targets < self.block:
            raise ValueError(
                f"data.block={self.block} but train has {train.targets} tokens in all:"
                f" write data.block={max(1, train.targets // 2)} or give a longer text"
            )
        if val.targets < 1:
            raise ValueError(f"{name} has no text left for val: give a longer text")
        return {
            "train": Windows(train.stream, block=self.block, stride=1, targets=train.targets),
            "val": Windows(val.stream, block=self.block, stride=self.block, targets=val.targets),
        }

    def _tokens(self, documents: Iterable[str]) -> Tokens:
        if (folder := self.source.tokens) is not None:
            if (found := beside(folder, documents, self.tokenizer)) is not None:
                return found
            self._anew = [f"{folder} has tokens of another text or tokenizer: tokenised anew"]
        if isinstance(documents, list):
            return held_tokens(documents, self.tokenizer)
        return mapped(documents, self.tokenizer)

    def origins(self) -> Origins:
        """Of the documents that the windows are cut out of."""
        self.load()
        return self.source.origins(self._documents)

    @property
    def epoch_examples(self) -> int:
        return -(-self.train.targets // self.block)  # of the text, whatever edits add

    def train_ids(self, k: int) -> LongTensor:
        """Where the windows of the k-th global batch begin [batch_size]."""
        return torch.randint(
            len(self.train), (self.batch_size,), generator=generator("offsets", self.seed, k)
        )

    def bytes_per_token(self, split: Literal["train", "val"] = "val") -> float:
        """UTF-8 bytes of a split's documents by tokens to predict, <|end|> between them included.

        bits/byte = (nats per token) / ln 2 / bytes_per_token, whatever the tokenizer.
        """
        windows = self.train if split == "train" else self.val
        return self._bytes[split] / windows.targets

    def keep(self, ids: Tensor) -> Text:
        """What follows on one another is counted together: a letter may begin in one window."""
        part = super().keep(ids)
        breaks = (ids.diff() != 1).nonzero()[:, 0] + 1
        runs = torch.tensor_split(ids, breaks.tolist())
        whole = [SomeWindows(self.val, run).stream[1:] for run in runs if len(run)]
        texts = [self.decode(tokens[None])[0].replace("<|end|>", "") for tokens in whole]
        part._bytes = {**self._bytes, "val": sum(len(text.encode()) for text in texts)}
        return part

    def units(self, totals: Any, *, discrete: bool) -> dict[str, float]:
        """nats_per_token, perplexity, and bits_per_byte, which compares across tokenizers."""
        per_token = -totals.log_prob / totals.values
        return {
            "nats_per_token": per_token,
            "perplexity": math.exp(min(per_token, 700.0)),
            "bits_per_byte": per_token / math.log(2) / self.bytes_per_token("val"),
        }

    def digest(self) -> str:
        return sha256(self.train.stream, self.val.stream, repr(self.tokenizer.state()))

    def state(self) -> dict[str, Any]:
        return {"tokenizer": self.tokenizer.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.tokenizer.load_state(state["tokenizer"])

    def decode(self, x: Tensor) -> list[str]:
        """Tokens x [B, T] as texts, without the <|end|> that a finished one is filled up with."""
        rows = x.detach().cpu().long().numpy()
        return [self.tokenizer.decode(row[: last_token(row) + 1]) for row in rows]

    def describe(self) -> str:
        self.load()
        kind = type(self.tokenizer).__name__
        said = (
            f"{self.train.targets:,} tokens of text, {self.val.targets:,} held out;"
            f" vocabulary {self.vocab} ({kind})"
        )
        return "; ".join([said, *self.source.notes(), *self._anew])

    # --- samples --------------------------------------------------------------------------------

    def captions(self, cond: Cond | None, known: Tensor | None = None) -> list[str] | None:
        """The beginnings [N, P] that samples go on from."""
        return None if known is None else self.decode(known)

    def asks(self) -> tuple[Ask, ...]:
        start = self.default_prompt
        prompt = Line(key="prompt", label="prompt", value=start, blank=True, known="beginning")
        return (prompt,)

    def asked_given(
        self, num: int, prompt: str | None, given: str | None, mask: str | None
    ) -> Given | None:
        """The prompt that every sample goes on from; else `default_prompt`."""
        if given is not None or mask is not None:
            key, value = ("given", given) if given is not None else ("mask", mask)
            raise ValueError(f"{key}={value}: a text's beginning is given as prompt=TEXT")
        return self._prompted(num, self.default_prompt or None if prompt is None else prompt)

    def looks(self, num: int) -> tuple[Tensor | None, Given | None]:
        """`num` samples to look at go on from the default prompt, else from held-out beginnings."""
        if self.default_prompt:
            return None, self._prompted(num, self.default_prompt)
        return None, self.beginnings(num)

    def _prompted(self, num: int, prompt: str | None) -> Given | None:
        if prompt is None:
            return None
        x = self.encode_prompt(prompt).repeat(num, 1)
        return Given(x=x, mask=torch.ones_like(x, dtype=torch.bool))

    def beginnings(self, num: int, length: int | None = None) -> Given:
        """The first tokens of held-out windows that lie evenly over val, x [num, length].

        `length`: None takes an eighth of a window. A training window hardly ever begins with
        <|end|>, so a model that starts from it alone is asked for what it has hardly seen.
        """
        length = length or max(1, self.block // 8)
        whole = max(1, len(self.val) - 1)  # the last window may be short
        ids = torch.arange(num) * whole // num
        x = self.val.batch(ids)["x"][:, :length]
        return Given(x=x, mask=torch.ones_like(x, dtype=torch.bool))

    def encode_prompt(self, prompt: str) -> LongTensor:
        """The tokens of a prompt [T]."""
        try:
            return torch.from_numpy(self.tokenizer.encode(prompt))
        except ValueError as error:
            raise ValueError(f"prompt={prompt!r}: {error}") from None


def last_token(ids: np.ndarray) -> int:
    """Where the last id that is not <|end|> stands; -1 if there is none."""
    found = np.flatnonzero(ids != END)
    return int(found[-1]) if len(found) else -1
