"""Captioned shapes: pictures of one to three coloured shapes without end, and what each shows.

Read: scene_law.py (what is drawn, what is held out), then scenes.py (pictures), captions.py (words)
and scene_reader.py (a picture read back, exactly). Here it becomes data: batches by their number,
captions as word numbers, and the judgement whether a picture shows what its caption says.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch, Cond
from genlab.data.asks import Ask, Line
from genlab.data.base import DataModule, Examples
from genlab.data.captions import NUMBERS, WORDS, Wanted, fits, meaning
from genlab.data.origins import DRAWN
from genlab.data.scene_law import CASES, Drawn, SceneLaw, held
from genlab.data.scene_reader import read
from genlab.data.scenes import SIDE, Scene
from genlab.data.stated import check, sha256
from genlab.rng import generator as seeded
from genlab.views.sheet import Sheet

LENGTH = 16  # words of a caption, padded with 0
PARTS = tuple((case, kept) for case in CASES for kept in ("seen", "held_out"))


class Captioned(Examples):
    """Pictures uint8 [N, 3, 32, 32] and their captions [N, L] int64."""

    def __init__(self, pictures: Tensor, captions: Tensor) -> None:
        self.pictures, self.captions = pictures, captions

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        x = self.pictures[ids].float().div_(127.5).sub_(1)
        return Batch(x=x, cond=self.captions[ids])


class CaptionedShapes(DataModule):
    """Every training batch is drawn anew; val is 1,536 fixed pictures, half of them held out.

    In val one, two and three shapes, seen and held-out combinations take turns (PARTS), so that its
    beginning has all of them alike. `train` is a fixed draw, for what compares.
    """

    kind = "image"
    noun = "pictures"
    origin = DRAWN
    endless = True
    view = Sheet()
    fixed = 1536

    def __init__(
        self,
        *,
        shares: Sequence[float] = (0.25, 0.5, 0.25),
        grid: int = 1,
        shape: Sequence[int] = (3, SIDE, SIDE),
        caption_vocab: int = len(WORDS) + 1,
        caption_length: int = LENGTH,
        levels: int = 256,
        batch_size: int,
        seed: int,
        num_classes: int | None = None,
        vocab: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`shares` of training pictures with one, two and three shapes.

        `grid`: pixels of which the corners of the squares around shapes are multiples.
        `caption_vocab` counts the words and 0, the padding; `caption_length` is in words.
        """
        check("shape", tuple(shape), (3, SIDE, SIDE), "captioned_shapes")
        check("levels", levels, 256, "captioned_shapes")
        check("caption_vocab", caption_vocab, len(WORDS) + 1, "captioned_shapes")
        check("caption_length", caption_length, LENGTH, "captioned_shapes")
        check("num_classes", num_classes, None, "captioned_shapes")
        check("vocab", vocab, None, "captioned_shapes")
        super().__init__(
            shape=shape,
            batch_size=batch_size,
            seed=seed,
            levels=levels,
            std=std,
            val_examples=val_examples,
        )
        self.caption_vocab, self.caption_length = caption_vocab, caption_length
        self.law = SceneLaw(shares=shares, grid=grid)

    # --- examples -------------------------------------------------------------------------------

    def read(self) -> dict[str, Examples]:
        # fixed draws, whatever the seed: runs are measured on the same pictures
        train = self._examples(self.law.draw(self.fixed, seeded("captioned_shapes", "train")))
        each = self.fixed // len(PARTS)
        parts = []
        for case, kept in PARTS:
            cases = torch.full((each,), CASES.index(case))
            draws = seeded("captioned_shapes", "val", case, kept)
            drawn = self.law.draw(each, draws, kept=kept, case=cases, omit=0.0)
            parts.append(self._examples(drawn))
        pictures = torch.stack([p.pictures for p in parts], 1).flatten(0, 1)
        captions = torch.stack([p.captions for p in parts], 1).flatten(0, 1)
        return {"train": train, "val": Captioned(pictures, captions)}

    def _examples(self, drawn: Drawn) -> Captioned:
        return Captioned(drawn.pictures(), torch.stack([self.encode(c) for c in drawn.captions]))

    @property
    def epoch_examples(self) -> None:
        return None

    def train_ids(self, k: int) -> LongTensor:
        """The numbers of the draws in the k-th global batch [batch_size]."""
        return torch.arange(k * self.batch_size, (k + 1) * self.batch_size)

    def fresh(self, k: int) -> Batch:
        drawn = self.law.draw(self.batch_size, seeded("draw", self.seed, k))
        return self._examples(drawn).batch(torch.arange(self.batch_size))

    def describe(self) -> str:
        self.load()
        parts = f"captioned shapes drawn without end, {len(self.val):,} held out"
        return "; ".join([f"{parts}, half of them of combinations never trained on", *self.notes()])

    def digest(self) -> str:
        return sha256(
            str([self.law.grid, *self.law.shares.tolist()]), self.val.pictures, self.val.captions
        )

    def decode(self, x: Tensor) -> list[np.ndarray]:
        """Pictures uint8 [32, 32, 3]."""
        grey = ((x.detach().cpu().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return list(grey.movedim(1, -1).numpy())

    # --- captions -------------------------------------------------------------------------------

    def encode(self, caption: str) -> LongTensor:
        """The numbers of a caption's words [16]; 0 after its end."""
        words = re.findall(r"[^\s.,;!?]+", caption.lower())
        words = ["a" if word == "an" else word for word in words]
        for word in words:
            if word not in NUMBERS:
                near = difflib.get_close_matches(word, WORDS, n=3, cutoff=0.5)
                raise ValueError(
                    f"cond={caption!r}: captions have no word {word!r}; "
                    + (f"near it: {', '.join(near)}" if near else f"words: {', '.join(WORDS)}")
                )
        if len(words) > self.caption_length:
            raise ValueError(
                f"cond={caption!r}: {len(words)} words; a caption has at most {self.caption_length}"
            )
        return torch.tensor([NUMBERS[w] for w in words] + [0] * (self.caption_length - len(words)))

    def caption(self, cond: Tensor) -> str:
        """The words of a caption's numbers [16]."""
        return " ".join(WORDS[n - 1] for n in cond.tolist() if n)

    def captions(self, cond: Cond | None, known: Tensor | None = None) -> list[str] | None:
        return None if cond is None else [self.caption(c) for c in cond]

    def asks(self) -> tuple[Ask, ...]:
        example = "a large red circle above a small blue square"
        return (Line(key="cond", label="caption", example=example),)

    def asked_cond(self, num: int, cond: str | Sequence[str] | None) -> Tensor:
        """The numbers of a caption, or of a list of them gone through in turn; None: val's."""
        if cond is None:
            return self.looks(num)[0]
        captions = [cond] if isinstance(cond, str) else list(cond)
        ids = torch.stack([self.encode(str(c)) for c in captions])
        return ids[torch.arange(num) % len(ids)]

    def looks(self, num: int) -> tuple[Tensor, None]:
        """The first captions of val: one, two, three shapes, seen and held out, in turn."""
        self.load()
        return self.val.captions[torch.arange(num) % len(self.val)], None

    # --- judgement ------------------------------------------------------------------------------

    def wanted(self, cond: Tensor) -> Wanted | None:
        """What a caption [16] asks for; None where it is none that can be judged."""
        return meaning(self.caption(cond).split())

    def part(self, cond: Tensor) -> tuple[str, str] | None:
        """Which of PARTS a caption [16] belongs to; None: it leaves something open."""
        wanted = self.wanted(cond)
        kept = None if wanted is None else held(wanted)
        if kept is None:
            return None
        count = sum(part.count for part in wanted.parts)
        return CASES[min(count, len(CASES)) - 1], "held_out" if kept else "seen"

    def scenes(self, x: Tensor) -> list[Scene | None]:
        """What pictures x [N, 3, 32, 32] show; None where it cannot be read."""
        pictures = np.stack(self.decode(x))
        return read(torch.from_numpy(pictures).movedim(-1, 1))

    def right(self, x: Tensor, cond: Tensor) -> list[bool | None]:
        """Whether each picture shows all that its caption [N, 16] says, and nothing else.

        None where the picture cannot be read.
        """
        pairs = zip(self.scenes(x), cond, strict=True)
        return [None if s is None else self._fits(self.wanted(c), s) for s, c in pairs]

    @staticmethod
    def _fits(wanted: Wanted | None, scene: Scene) -> bool:
        return wanted is not None and fits(wanted, scene)
