"""Pictures and clips with captions of one's own: what a model is asked for is said in words.

Read: `Captioned`, which gives a kind of data a caption for each example in `cond`;
`CaptionedPictures` is `Images` with it, captioned_videos.py has clips. Captions are ids of
a tokenizer learnt from the training captions; 0 stands after a caption's end. Byte pairs, for of
an own folder's words most come once (70 % of those of 1,911 emoji): a list of words could not say
what is held out, and pieces of words can. So every caption can be asked for; a word that no
training caption has is spelt by its pieces, and the start says so and names those near it.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import LongTensor, Tensor

from genlab.batch import Cond
from genlab.data.asks import Ask, Line
from genlab.data.base import Examples
from genlab.data.images import NAME, Images
from genlab.data.sources.captioned import CaptionedFolder
from genlab.data.stated import check
from genlab.data.tokenizers import END, Tokenizer
from genlab.views.sheet import Sheet

MOST = 64  # tokens of a caption at most, where data.caption_length is found
SPELT = 8  # tokens more than the longest one has: words that are not known take several
SHOWN = 64  # held-out captions that a checkpoint keeps, to be looked at
WORDS = 200_000  # different words that a checkpoint keeps
UNHEARD = "its captions are not used: conditions=captions trains on them"
WORD = re.compile(r"[^\W_]+")


class Captioned:
    """What a data module of captioned examples has beside its kind; it stands before its kind.

    The source gives the captions of each split; the kind's `_examples` makes the examples.
    """

    finds = ("caption_vocab", "caption_length")

    def _captioned(
        self, tokenizer: Tokenizer, vocab: int | None, length: int | None, num_classes: int | None
    ) -> None:
        check("num_classes", num_classes, None, "a captioned folder")
        for key, value in (("caption_vocab", vocab), ("caption_length", length)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"data.{key}={value}: write a whole number from 1 on, or null")
        self.tokenizer = tokenizer
        self.caption_vocab, self.caption_length = vocab, length
        self._words: list[str] = []
        self._shown: list[str] = []
        self._odd: list[str] = []

    # --- reading --------------------------------------------------------------------------------

    def _fit(self) -> dict[str, list[str]]:
        """The captions of each split; learns the tokenizer and what is known of words."""
        captions = {name: [*map(said, c)] for name, c in self.source.captions().items()}
        train, val = ([c for c in captions[name] if c] for name in ("train", "val"))
        self.tokenizer.fit(train, val, vocab=self.caption_vocab)
        self._words = sorted({word for c in train for word in WORD.findall(c)})[:WORDS]
        self._shown = [c.strip() for c in val[:SHOWN]]
        return captions

    def found(self) -> dict[str, int]:
        """How many ids the captions take, and the longest of them."""
        self.prepare()
        every = [c for captions in self._fit().values() for c in captions]
        longest = max(map(len, self.tokenizer.encode_many(every)), default=1)
        length = self.caption_length or min(MOST, longest + SPELT)
        return {"caption_vocab": self.tokenizer.vocab, "caption_length": length}

    def read(self) -> dict[str, Examples]:
        if self.caption_length is None:
            self.caption_length = self.found()["caption_length"]
        self._captions = self._fit()
        if self.caption_vocab is None:
            self.caption_vocab = self.tokenizer.vocab
        check("caption_vocab", self.caption_vocab, self.tokenizer.vocab, self.source.name)
        return super().read()

    def _examples(self, split: str, given: Any) -> Any:
        examples = super()._examples(split, given)
        captions, kept = self._captions[split], self.kept(examples)
        ids = self.tokenizer.encode_many([captions[i] for i in kept])
        examples.labels = torch.stack([self._padded(torch.from_numpy(i)) for i in ids])  # the cond
        cut = sum(len(i) > self.caption_length for i in ids)
        none = sum(len(i) == 0 for i in ids)
        for num, what in ((cut, f"cut at {self.caption_length} tokens"), (none, "empty")):
            if num:
                self._odd.append(f"{num:,} captions of {split} are {what}")
        return examples

    def kept(self, examples: Any) -> Sequence[int]:
        """Which of the source's captions belong to the examples."""
        return range(len(examples))

    def _padded(self, ids: LongTensor) -> LongTensor:
        row = torch.full((self.caption_length,), END, dtype=torch.long)
        row[: len(ids)] = ids[: self.caption_length]
        return row

    def notes(self) -> list[str]:
        unheard = [] if self.captions_heard else [UNHEARD]
        return [*super().notes(), *self._odd, *unheard]

    # --- captions -------------------------------------------------------------------------------

    def encode(self, caption: str) -> LongTensor:
        """The ids of a caption that is asked for [L]; words that are not known are told."""
        ids = torch.from_numpy(self.tokenizer.encode(said(caption)))
        if len(ids) > self.caption_length:
            raise ValueError(
                f"cond={caption[:60]!r}: {len(ids)} tokens; a caption has at most"
                f" {self.caption_length}: say it in fewer words"
            )
        for word in WORD.findall(said(caption)):
            if word not in self._words:
                near = difflib.get_close_matches(word, self._words, n=3, cutoff=0.6)
                warnings.warn(
                    f"cond={caption[:60]!r}: no training caption has the word {word!r}"
                    + (f" (near it: {', '.join(near)})" if near else "")
                    + "; it is spelt by its pieces, which the model may not understand",
                    stacklevel=2,
                )
        return self._padded(ids)

    def captions(self, cond: Cond | None, known: Tensor | None = None) -> list[str] | None:
        if not isinstance(cond, Tensor):
            return None
        return [self.tokenizer.decode(row[row != END].cpu().numpy()).strip() for row in cond]

    def asks(self) -> tuple[Ask, ...]:
        example = self._shown[0] if self._shown else ""
        return (Line(key="cond", label="caption", example=example), *super().asks())

    def asked_cond(self, num: int, cond: str | Sequence[str] | None) -> Tensor:
        """The ids of a caption, or of a list of them gone through in turn; None: held-out ones."""
        if cond is None:
            return self.looks(num)[0]
        captions = [cond] if isinstance(cond, str) else list(cond)
        if not captions:
            raise ValueError("cond=[]: give a caption or several: cond='a red apple'")
        ids = torch.stack([self.encode(str(c)) for c in captions])
        return ids[torch.arange(num) % len(ids)]

    def looks(self, num: int) -> tuple[Tensor, None]:
        """The first held-out captions."""
        if not self._shown:
            self.load()
        ids = [self._padded(torch.from_numpy(self.tokenizer.encode(said(c)))) for c in self._shown]
        ids = ids or [self._padded(torch.empty(0, dtype=torch.long))]
        return torch.stack(ids)[torch.arange(num) % len(ids)], None

    # --- what a checkpoint keeps ----------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        own = {"tokenizer": self.tokenizer.state(), "words": self._words, "shown": self._shown}
        return super().state() | own

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        for key, most in (("words", WORDS), ("shown", SHOWN)):
            texts = state[key]
            if not isinstance(texts, list) or len(texts) > most:
                raise ValueError(f"{key}: a list of {most:,} texts at most")
            if not all(isinstance(t, str) and len(t) <= 2 * NAME for t in texts):
                raise ValueError(f"{key}: texts of at most {2 * NAME} letters")
        self.tokenizer.load_state(state["tokenizer"])
        self._words, self._shown = list(state["words"]), list(state["shown"])


class CaptionedPictures(Captioned, Images):
    """Pictures of a folder with their captions."""

    noun = "captioned pictures"
    view = Sheet()

    def __init__(
        self,
        *,
        source: CaptionedFolder,
        tokenizer: Tokenizer,
        shape: Sequence[int],
        batch_size: int,
        seed: int,
        caption_vocab: int | None = None,
        caption_length: int | None = None,
        levels: int = 256,
        num_classes: int | None = None,
        vocab: int | None = None,
        std: float | None = None,
        flip: bool = False,
        limit: int | None = None,
        num_workers: int = 0,
        val_examples: int | None = 1024,
    ) -> None:
        """`caption_vocab`: ids of captions, with 0 for none; `caption_length`: ids a caption.

        None takes what the captions have; longer ones are cut.
        """
        super().__init__(
            source=source,
            shape=shape,
            num_classes=None,
            levels=levels,
            batch_size=batch_size,
            seed=seed,
            vocab=vocab,
            std=std,
            flip=flip,
            limit=limit,
            num_workers=num_workers,
            val_examples=val_examples,
        )
        self._captioned(tokenizer, caption_vocab, caption_length, num_classes)


def said(caption: str) -> str:
    """A caption as it is encoded: in small letters, a space before each word, also the first.

    So a word is the same tokens wherever it stands.
    """
    return "".join(f" {word}" for word in caption.lower().split())
