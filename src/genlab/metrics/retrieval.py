"""Pictures with captions: as image.py, and whether a sample shows what its own caption says.

Read: `Guess`. It learns from the training pairs what words a picture speaks of, by kernel ridge
regression on the picture's colours in 8x8 fields: a simple judge, the same in every run, and no
better than its floor says. A caption is found where the judge thinks that it fits better than 99
other held-out ones; the floor is how often that holds of the captions' own pictures. It sees colour
and coarse form, and no word that training has not. (The feature network's features beside the
fields found no more captions of emoji: 0.32 first, and 0.35 without.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.metrics.base import Samples, held_out_ids
from genlab.metrics.image import ImageEvaluation
from genlab.metrics.interval import share_interval
from genlab.metrics.reference import pictures
from genlab.metrics.report import Data, Examples, Model, Report, subset
from genlab.rng import generator

SIDE = 8  # fields of a picture, across and down
AMONG = 100  # captions, of which one is right
LEAST = 20  # different held-out captions, below which nothing is measured
LEARNT_FROM = 4000  # training pictures at most: N^3 / 3 operations
RIDGE = 0.1


class RetrievalEvaluation(ImageEvaluation):
    """caption_first and caption_in_ten, beside what pictures are measured by."""

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        super().compare(report, model, data, samples)
        if samples.cond is None:
            report.notes["captions"] = "none: the model takes none; write conditions=captions"
            return
        real = self.real(data)
        val = captions_of(data.val, torch.arange(len(data.val)))
        choices = val.unique(dim=0)
        choices = choices[(choices != 0).any(1)]
        if len(choices) < LEAST:
            report.notes["captions"] = f"none: they need {LEAST} held-out ones, not {len(choices)}"
            return
        self.tell("judging captions", 0)
        some = subset(len(real.train), LEARNT_FROM)
        ids = subset(len(data.train), self.max_train)[some]
        guess = Guess(real.train[some], captions_of(data.train, ids))
        own = held_out_ids(data, samples.num).unique()
        theirs = pictures(data, data.val.batch(own, None)["x"])
        for shown, captions, values, interval in (
            (pictures(data, samples.x), samples.cond, report.metrics, report.interval),
            (theirs, val[own], report.floor, report.floor_interval),
        ):
            rank = ranks(guess, shown, captions, choices)
            for name, most in (("caption_first", 1), ("caption_in_ten", 10)):
                hits = int((rank < most).sum())
                values[name] = hits / len(rank)
                interval[name] = share_interval(hits, len(rank))
        report.notes |= {
            "num_captions": min(AMONG, len(choices)),
            "captions_floor": "the same captions' own pictures",
            "captions_chance": 1 / min(AMONG, len(choices)),
        }


class Guess:
    """Which words a picture speaks of."""

    def __init__(self, shown: Tensor, captions: Tensor) -> None:
        """Learn from pictures uint8 [N, C, H, W] and their captions [N, L]."""
        self.vocab = int(captions.max()) + 1
        bags = self.bags(captions)
        self.rarity = ((1 + len(bags)) / (1 + bags.sum(0))).log()
        words = F.normalize(bags * self.rarity)
        self.usual = words.mean(0)
        fields = coloured(shown)
        self.mean, self.scale = fields.mean(0), (fields.std(0) + 1e-6) * fields.shape[1] ** 0.5
        self.places = (fields - self.mean) / self.scale
        gram = nearness(self.places, self.places)
        gram.diagonal().add_(RIDGE)
        self.weights = torch.linalg.solve(gram, words - self.usual)

    def __call__(self, shown: Tensor) -> Tensor:
        """Pictures uint8 [B, C, H, W] -> words [B, V] of length 1."""
        places = (coloured(shown) - self.mean) / self.scale
        return F.normalize(nearness(places, self.places) @ self.weights)

    def words(self, captions: Tensor) -> Tensor:
        """Captions [B, L] -> words [B, V] of length 1: the rare ones large."""
        return F.normalize(F.normalize(self.bags(captions) * self.rarity) - self.usual)

    def bags(self, captions: Tensor) -> Tensor:
        """Which ids stand in captions [N, L], float64 [N, V]; unknown ids are none of them."""
        known = torch.where(captions < self.vocab, captions, 0)
        found = torch.zeros(len(captions), self.vocab, dtype=torch.float64)
        found.scatter_(1, known, 1.0)
        found[:, 0] = 0
        return found


def coloured(shown: Tensor) -> Tensor:
    """The mean colours of SIDE x SIDE fields, float64 [N, C * SIDE * SIDE]."""
    return F.adaptive_avg_pool2d(shown.double() / 255, SIDE).flatten(1)


def nearness(a: Tensor, b: Tensor) -> Tensor:
    """exp(-|a - b|^2 / 2) of places [N, P] and [M, P] -> [N, M]."""
    return (-torch.cdist(a, b).square() / 2).exp()


def ranks(guess: Guess, shown: Tensor, captions: Tensor, choices: Tensor) -> Tensor:
    """How many of AMONG - 1 other captions fit a picture better than its own [N]; ties are half."""
    guesses, own, others = guess(shown), guess.words(captions), guess.words(choices)
    draws, found = generator("captions", len(choices)), []
    for i in range(len(guesses)):
        taken = torch.randperm(len(choices), generator=draws)
        taken = taken[(choices[taken] != captions[i]).any(1)][: AMONG - 1]
        mine, theirs = guesses[i] @ own[i], others[taken] @ guesses[i]
        found.append((theirs > mine).sum() + (theirs == mine).sum() / 2)
    return torch.stack(found)


def captions_of(examples: Examples, ids: Tensor, *, chunk: int = 2048) -> Tensor:
    """The captions of these examples [N, L]."""
    return torch.cat([examples.batch(part, None)["cond"] for part in ids.split(chunk)])
