"""Pieces of music as events: tokens of notes, a document a piece, learned as text is.

Read: `EventExamples` (windows of pieces), then `Music` (splits, units, beginnings). Where the tunes
come from is a source (sources/tunes.py), the tokens are events.py's. A piece is [events, <|end|>];
what stands before its first event is <|end|> (id 0), so a model that starts from it begins a piece,
and one that reaches it has finished. An example is up to `block` tokens of one piece with `start`,
the token before them; the mask says where a shorter piece has ended. An example's `weight` is its
share of the batch's tokens, so that the mean of weighted means is the mean over all tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch, Given
from genlab.data.base import DataModule, Examples
from genlab.data.class_names import NamedClasses
from genlab.data.events import END, Piece, Remi
from genlab.data.held import Chosen
from genlab.data.sources.tunes import TuneSource, twice
from genlab.data.stated import check, sha256
from genlab.views.midi import Note
from genlab.views.tunes import Played, Tunes

KEPT = 4  # bars of a held-out piece that samples go on from, where mask does not say


class EventExamples(Examples):
    """Windows of pieces: a piece has as many as hold its tokens once.

    Held out they lie one after another. In training the place of each is drawn, from half a window
    before the piece to half a window before its end, and cut to the piece: so its first and last
    tokens are seen as often as others.
    """

    def __init__(
        self,
        pieces: Sequence[np.ndarray],
        *,
        block: int,
        remi: Remi,
        drawn: bool,
        transpose: int = 0,
        labels: Sequence[int] | None = None,
    ) -> None:
        """`pieces`: events, without <|end|>; `drawn`: places, and up to `transpose` semitones up or
        down, are drawn; `labels`: None serves none."""
        self.block, self.remi, self.transpose, self.drawn = block, remi, transpose, drawn
        ended = [np.append(p, END) for p in pieces]
        self.lengths = torch.tensor([len(p) for p in ended])  # of pieces, <|end|> with them
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.tokens = torch.from_numpy(np.concatenate(ended).astype(np.int16))
        windows = (self.lengths + block - 1) // block
        self.piece = torch.arange(len(ended)).repeat_interleave(windows)  # of each window
        self.slot = torch.arange(len(self.piece)) - (windows.cumsum(0) - windows)[self.piece]
        self.labels = None if labels is None else torch.tensor(labels)[self.piece]
        self.draws = 2 if drawn else 0
        self.mean = self.counts(torch.arange(len(self))).double().mean()

    def __len__(self) -> int:
        return len(self.piece)

    def events(self, i: int) -> np.ndarray:
        """The events of piece i, without <|end|>."""
        at, num = int(self.starts[i]), int(self.lengths[i])
        return self.tokens[at : at + num - 1].numpy().astype(np.int64)

    def counts(self, ids: LongTensor) -> Tensor:
        """The tokens that count in each window [B]."""
        left = self.lengths[self.piece[ids]]
        left = left if self.drawn else left - self.first(ids)
        return left.clamp(max=self.block)

    def weights(self, ids: LongTensor) -> Tensor:
        """The tokens that count in each, by the mean of all windows [B]."""
        return self.counts(ids) / self.mean

    def first(self, ids: LongTensor) -> LongTensor:
        """Where a window begins in its piece [B]."""
        return self.slot[ids] * self.block

    def chosen(self, ids: Tensor) -> SomeEvents:
        return SomeEvents(self, ids)

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        piece, first = self.piece[ids], self.first(ids)
        lengths = self.lengths[piece]
        if draws is not None:
            place = (draws[:, 0].double() * (lengths + 1)).long() - self.block // 2
            first = place.minimum(lengths - self.block).clamp(min=0)
        at = first[:, None] + torch.arange(-1, self.block)
        mask = at < lengths[:, None]
        place = (self.starts[piece][:, None] + at).clamp(0, len(self.tokens) - 1)
        tokens = self.tokens[place].long().masked_fill(~mask | (at < 0), END)
        if draws is not None and self.transpose:
            # both ends are drawn as often as what is between them
            drawn = (draws[:, 1].double() * (2 * self.transpose + 1)).long() - self.transpose
            tokens = torch.from_numpy(self.remi.transposed(tokens.numpy(), drawn.numpy()))
        batch = Batch(x=tokens[:, 1:], start=tokens[:, 0], mask=mask[:, 1:])
        batch["weight"] = self.weights(ids).float()
        if self.labels is not None:
            batch["cond"] = self.labels[ids]
        return batch


class SomeEvents(Chosen):
    """Some windows. Its pieces are those of which the first window is there, for that is as much of
    a piece as samples are measured beside."""

    def __init__(self, whole: EventExamples, ids: Tensor) -> None:
        super().__init__(whole, ids)
        self.pieces = whole.piece[ids[whole.slot[ids] == 0]]
        self.lengths = whole.lengths[self.pieces]
        found = whole.batch(ids)
        self.tokens = found["x"][found["mask"]]

    def events(self, i: int) -> np.ndarray:
        return self.whole.events(int(self.pieces[i]))


class Music(NamedClasses, DataModule):
    """Tunes as events, with their labels or without."""

    kind = "music"
    noun = "windows"
    finds = ("vocab",)

    def __init__(
        self,
        *,
        source: TuneSource,
        block: int,
        batch_size: int,
        seed: int,
        grid: int = 12,
        longest: int = 8,
        velocities: int = 1,
        transpose: int = 0,
        tempo: int = 100,
        shape: Sequence[int] | None = None,
        vocab: int | None = None,
        num_classes: int | None = None,
        levels: int | None = None,
        start_token: int = END,
        val_examples: int | None = 1024,
    ) -> None:
        """`block`: tokens of an example; `grid`, `longest`, `velocities`: see events.py;
        `transpose`: semitones that training moves pieces by, up or down; `tempo`: quarters a minute
        at which samples are played."""
        for key, value, ok, said in (
            ("block", block, isinstance(block, int) and block > 1, "a whole number from 2 on"),
            ("transpose", transpose, transpose in range(0, 13), "a whole number, 0 to 12"),
            ("tempo", tempo, tempo in range(10, 401), "a whole number, 10 to 400"),
            ("levels", levels, levels is None, "null: events have none"),
            ("start_token", start_token, start_token == END, f"{END}, <|end|>"),
        ):
            if not ok:
                raise ValueError(f"data.{key}={value}: allowed is {said}")
        if shape is not None and tuple(shape) != (block,):
            raise ValueError(f"data.shape={list(shape)}: events have [data.block], here [{block}]")
        self.remi = Remi(grid=grid, longest=longest, velocities=velocities)
        if vocab is not None:
            check("vocab", vocab, self.remi.vocab, "a grid like this")
        super().__init__(
            shape=(block,), vocab=self.remi.vocab if vocab is None else vocab, seed=seed,
            batch_size=batch_size, num_classes=num_classes, val_examples=val_examples,
        )  # fmt: skip
        self.source, self.block, self.transpose = source, block, transpose
        self.view = Tunes(tempo=tempo)
        self._said: list[str] = []

    # --- reading --------------------------------------------------------------------------------

    def prepare(self) -> None:
        self.source.prepare()

    def found(self) -> dict[str, int]:
        """The size of the vocabulary: of the grid alone, so no file is read."""
        return {"vocab": self.remi.vocab}

    def read(self) -> dict[str, Examples]:
        found, splits, self._said = self.source.tunes(), {}, []
        self.class_names = self.source.class_names
        if self.num_classes is not None:
            names = self.class_names
            check("num_classes", self.num_classes, len(names) if names else None, self.source.name)
        long, known = [], {}
        for split, tunes in found.items():
            events, labels = [], []
            for tune in tunes:
                try:
                    events.append(self.remi.encode(self.remi.quantised(tune)))
                    labels.append(tune.label)
                except ValueError as error:
                    long.append(f"{tune.name}: {error}")
            if not events:
                raise ValueError(f"{self.source.name} has no tunes for {split} ({long[0]})")
            known[split] = [e.tobytes() for e in events]
            splits[split] = EventExamples(
                events, block=self.block, remi=self.remi, drawn=split == "train",
                transpose=self.transpose, labels=None if self.num_classes is None else labels,
            )  # fmt: skip
        if long:
            self._said.append(f"{len(long)} too long and left out ({long[0]})")
        if same := twice(known["train"], known["val"]):
            num = len(known["val"])
            self._said.append(f"{same} of {num} held-out pieces stand in train note for note")
        return splits

    def digest(self) -> str:
        parts: list = [f"{self.remi.grid} {self.remi.longest} {self.remi.velocities}"]
        for split in (self.train, self.split("val")):
            parts += [split.tokens, split.lengths]
            labels = split.labels
            parts += [b"no labels" if labels is None else labels[split.slot == 0]]
        return sha256(*parts)

    def size(self) -> str:
        train, val = self.train, self.split("val")
        tokens = ", ".join(f"{len(s.tokens):,}" for s in (train, val))
        parts = [f"{len(train.lengths):,} pieces", *self.said_of_classes()]
        parts += [f"{len(val.lengths):,} held out"]
        if "test" in (self._splits or {}):
            parts += [f"{len(self.test.lengths):,} for split=test"]
        return f"{', '.join(parts)} ({tokens} events; vocabulary {self.vocab})"

    def notes(self) -> list[str]:
        found, names = [*super().notes(), *self._said, *self.source.notes()], self.class_names
        if names and not self.num_classes:
            found.append(f"{len(names)} classes: write data.num_classes={len(names)} to use them")
        return found

    # --- batches --------------------------------------------------------------------------------

    def train_batch(self, k: int, **share: int) -> Batch:
        """As the base's; `weight` has mean 1 over the global batch."""
        batch = super().train_batch(k, **share)
        mean = self.train.weights(self.train_ids(k)).mean()
        batch["weight"] = (batch["weight"] / mean).float()
        return batch

    def units(self, totals: Any, *, discrete: bool) -> dict[str, float]:
        """nats_per_event, bits_per_event, and bits_per_note, which compares across vocabularies."""
        nats = -totals.log_prob / totals.values
        tokens, bits = self.val.tokens, nats / math.log(2)
        notes = int(((tokens >= self.remi.pitch) & (tokens < self.remi.duration)).sum())
        return {
            "nats_per_event": nats,
            "bits_per_event": bits,
            "bits_per_note": bits * len(tokens) / max(1, notes),
        }

    # --- samples --------------------------------------------------------------------------------

    def decode(self, x: Tensor) -> list[Played]:
        """Tokens x [B, T] as the pieces that they begin with, up to <|end|>."""
        return [self._played(self.remi.decode(row)) for row in x.detach().cpu().numpy()]

    def _played(self, piece: Piece) -> Played:
        grid, levels = self.remi.grid, self.remi.velocities
        notes = [
            Note(start / grid, length / grid, pitch, loudness(velocity, levels))
            for start, length, pitch, velocity in piece.notes.tolist()
        ]
        return Played(notes, list(piece.bars))

    def heard(self, x: Tensor) -> list[np.ndarray]:
        """Tokens x [B, T] as notes [N, 3]: start and length in quarters, pitch."""
        rows = x.detach().cpu().numpy()
        return [self.remi.decode(r).notes[:, :3] / self._units() for r in rows]

    def tunes(
        self,
        examples: EventExamples | SomeEvents,
        ids: Sequence[int] | None = None,
        *,
        whole: bool = True,
    ) -> list[np.ndarray]:
        """Pieces of a split as notes [N, 3], by default all: whole, or as long as a sample."""
        ids = range(len(examples.lengths)) if ids is None else ids
        rows = (examples.events(i)[: None if whole else self.block] for i in ids)
        return [self.remi.decode(r).notes[:, :3] / self._units() for r in rows]

    def _units(self) -> np.ndarray:
        return np.array([self.remi.grid, self.remi.grid, 1.0])

    def beginning(self, examples: EventExamples, i: int) -> Tensor:
        """The first tokens of piece i, as x has them [block]."""
        events = torch.from_numpy(examples.events(i)[: self.block])
        return torch.nn.functional.pad(events, (0, self.block - len(events)), value=END)

    def slips(self, x: Tensor) -> tuple[int, int]:
        """(tokens that stand where none of their kind may, tokens) up to <|end|>."""
        rows = x.detach().cpu().numpy()
        rows = [r[: np.append(np.flatnonzero(r == END), len(r))[0]] for r in rows]
        return sum(self.remi.read(r)[1] for r in rows), sum(map(len, rows))

    def asked_given(
        self, num: int, prompt: str | None, given: str | None, mask: str | None
    ) -> Given | None:
        """given=3 mask=4: samples go on from the first 4 bars of held-out piece 3."""
        super().asked_given(num, prompt, None, mask if given is None else None)
        if given is None:
            return None
        self.load()
        number = _whole("given", given, len(self.val.lengths) - 1)
        events = self.val.events(number)
        bars = np.append(np.flatnonzero(events < self.remi.position), len(events))
        kept = min(KEPT, len(bars) - 1) if mask is None else _whole("mask", mask, len(bars) - 1)
        x = torch.from_numpy(events[: bars[kept]]).repeat(num, 1)
        return Given(x=x, mask=torch.ones_like(x, dtype=torch.bool))


def loudness(velocity: int, levels: int) -> int:
    """The velocity, 1 to 127, in the middle of a level."""
    return 80 if levels == 1 else max(1, (2 * velocity + 1) * 64 // levels)


def _whole(key: str, text: str, most: int) -> int:
    if not str(text).isdecimal() or int(text) > most:
        what = {"given": "the number of a held-out piece", "mask": "how many of its bars"}[key]
        raise ValueError(f"{key}={text}: write {what}, 0 to {most}")
    return int(text)
