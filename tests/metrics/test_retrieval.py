"""Captions found by what pictures show: right pictures, pictures of other captions, noise."""

from __future__ import annotations

import torch

from genlab.metrics.retrieval import Guess, ranks
from genlab.rng import generator

NUM, WORDS = 400, 12


def pairs(num: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two of 12 words; each colours one field of 4x3."""
    draws = generator("pairs", seed)
    two = torch.stack([torch.randperm(WORDS, generator=draws)[:2] for _ in range(num)])
    shown = torch.full((num, 3, 16, 12), 255, dtype=torch.uint8)
    for i, words in enumerate(two.tolist()):
        for w in words:
            shown[i, w % 3, 4 * (w // 3) : 4 * (w // 3) + 4, 4 * (w % 3) : 4 * (w % 3) + 4] = 0
    captions = torch.cat([two.sort(1).values + 1, torch.zeros(num, 3).long()], 1)
    return shown, captions


def test_right_pictures_are_found_and_others_only_by_chance() -> None:
    guess = Guess(*pairs(NUM, 0))
    shown, captions = pairs(200, 1)
    choices = captions.unique(dim=0)
    first = (ranks(guess, shown, captions, choices) < 1).double().mean()
    assert first > 0.95
    shuffled = ranks(guess, shown.roll(1, 0), captions, choices)
    assert (shuffled < 1).double().mean() < 0.1
    noise = torch.randint(256, shown.shape, dtype=torch.uint8, generator=generator("noise"))
    assert (ranks(guess, noise, captions, choices) < 1).double().mean() < 0.15


def test_captions_of_unknown_words_and_ties_are_chance() -> None:
    guess = Guess(*pairs(NUM, 0))
    shown, captions = pairs(50, 1)
    unknown = torch.full_like(captions, 99)
    rank = ranks(guess, shown, unknown, captions.unique(dim=0))
    assert torch.isfinite(rank).all()
    assert torch.equal(ranks(guess, shown, captions, captions.unique(dim=0)),
                       ranks(guess, shown, captions, captions.unique(dim=0)))  # fmt: skip
