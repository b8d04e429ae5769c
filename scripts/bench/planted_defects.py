"""Defects planted among samples, each of several sizes: what calibration.py asks metrics to see.

A defect is a function (data, rows, size) -> rows, whose first line says what the size is. Which are
damaged is by lot, and the same ones each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.data.events import END, Piece, tidied
from genlab.metrics.report import gather, subset
from genlab.rng import generator
from genlab.views.score import notes_of

Rows = dict[str, Tensor]  # x, and cond where there are classes
Defect = Callable[[Any, Rows, float], Rows]


def taken(data: Any, split: Any, ids: Tensor) -> Rows:
    """Examples of a split as samples are: pieces of music are cut, or end in silence."""
    rows = gather(split, ids)
    if getattr(split, "ragged", False):
        length = data.shape[0]
        x = rows["x"][:, :length]
        rows["x"] = F.pad(x, (0, 0, 0, length - x.shape[1]))
    return {k: rows[k] for k in ("x", "cond") if k in rows}


def some(num: int, share: float) -> Tensor:
    """Which of num, a share of them [num] bool."""
    order = torch.randperm(num, generator=generator("some", num))
    return order < round(share * num)


def copies(data: Any, rows: Rows, share: float) -> Rows:
    """A share are ten training examples, over and over."""
    hit = some(len(rows["x"]), share)
    train = taken(data, data.train, subset(len(data.train), 10))
    at = torch.arange(int(hit.sum())) % 10
    return {k: _put(v, hit, train[k][at]) for k, v in rows.items() if k in train}


def _put(values: Tensor, hit: Tensor, others: Tensor) -> Tensor:
    values = values.clone()
    values[hit] = others.to(values.dtype)
    return values


def dropped(data: Any, rows: Rows, share: float) -> Rows:
    """A share of the classes are never drawn."""
    classes = rows["cond"].unique()
    left = classes[: len(classes) - round(share * len(classes))]
    keep = torch.isin(rows["cond"], left)
    return {k: v[keep] for k, v in rows.items()}


def noise(data: Any, rows: Rows, sd: float) -> Rows:
    """Normal noise, in standard deviations of the data."""
    drawn = torch.randn(rows["x"].shape, generator=generator("noise"))
    x = rows["x"] + sd * float(rows["x"].std()) * drawn
    return {**rows, "x": x.clamp(-1, 1) if data.levels else x}


def blur(data: Any, rows: Rows, sd: float) -> Rows:
    """A Gaussian's, of so many pixels."""
    at = torch.arange(-6, 7).float()
    line = torch.exp(-(at**2) / (2 * sd**2))
    line /= line.sum()
    x = rows["x"].flatten(0, 1)[:, None]
    x = F.conv2d(F.pad(x, (6, 6, 0, 0), mode="replicate"), line[None, None, None])
    x = F.conv2d(F.pad(x, (0, 0, 6, 6), mode="replicate"), line[None, None, :, None])
    return {**rows, "x": x.view_as(rows["x"])}


def shifted(data: Any, rows: Rows, pixels: float) -> Rows:
    """To the right, by so many pixels (frames of sound)."""
    return {**rows, "x": rows["x"].roll(int(pixels), -1)}


def swapped(data: Any, rows: Rows, share: float) -> Rows:
    """A share have another's class."""
    hit = some(len(rows["x"]), share)
    return {**rows, "cond": _put(rows["cond"], hit, (rows["cond"][hit] + 1) % data.num_classes)}


def collapsed(data: Any, rows: Rows, share: float) -> Rows:
    """Of the first class a share are one sample."""
    one, x = (rows["cond"] == rows["cond"].min()).nonzero()[:, 0], rows["x"].clone()
    x[one[: round(share * len(one))]] = x[one[0]].clone()
    return {**rows, "x": x}


ASKED = (swapped, collapsed)  # seen where each class is asked for


def factorised(data: Any, rows: Rows, share: float) -> Rows:
    """In a share of the rows each column is another row's: the columns stay, their ties are cut."""
    hit, x, at = some(len(rows["x"]), share), rows["x"].clone(), 0
    for i, width in enumerate(data.widths):
        part = x[hit, at : at + width]
        order = torch.randperm(len(part), generator=generator("column", i))
        x[hit, at : at + width] = part[order]
        at += width
    return {**rows, "x": x}


def one_kind(data: Any, rows: Rows, share: float) -> Rows:
    """Of the rows whose target is the rarer of two values, a share is never drawn."""
    told = [r[data.target] for r in data.decode(rows["x"])]
    rare = min(set(told), key=told.count)
    gone = torch.tensor([v == rare for v in told])
    gone &= some(len(told), share)
    return {k: v[~gone] for k, v in rows.items()}


def letters(data: Any, rows: Rows, share: float) -> Rows:
    """A share of the tokens are others, of the law of all."""
    x = rows["x"].clone()
    hit = torch.rand(x.shape, generator=generator("letters")) < share
    pool = x.flatten()
    drawn = torch.randint(len(pool), (int(hit.sum()),), generator=generator("tokens"))
    x[hit] = pool[drawn]
    return {**rows, "x": x}


def out_of_order(data: Any, rows: Rows, share: float) -> Rows:
    """In a share of the texts the words stand in any order."""
    texts, length = data.decode(rows["x"]), rows["x"].shape[1]
    hit, x = some(len(texts), share), rows["x"].clone()
    for i in hit.nonzero()[:, 0].tolist():
        words = texts[i].split(" ")
        order = torch.randperm(len(words), generator=generator("words", i)).tolist()
        ids = torch.from_numpy(data.tokenizer.encode(" ".join(words[j] for j in order)))[:length]
        x[i, : len(ids)] = ids.long()
    return {**rows, "x": x}


def again(data: Any, rows: Rows, share: float) -> Rows:
    """A share of the texts say their last eighth over and over."""
    x, part = rows["x"].clone(), rows["x"].shape[1] // 8
    hit = some(len(x), share)
    x[hit] = x[hit][:, -part:].repeat(1, 9)[:, : x.shape[1]]
    return {**rows, "x": x}


def silent(data: Any, rows: Rows, share: float) -> Rows:
    """A share are silence."""
    return {**rows, "x": _put(rows["x"], hit := some(len(rows["x"]), share),
                              torch.full_like(rows["x"][hit], -1.0))}  # fmt: skip


def noted(change: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]) -> Defect:
    """A defect of notes, whether x is frames or events.

    `change` gets a piece's notes [N, 4] (start, length, pitch, velocity), the size and a dice.
    """

    def defect(data: Any, rows: Rows, size: float) -> Rows:
        x = rows["x"].clone()
        for i, row in enumerate(rows["x"].numpy()):
            dice = np.random.default_rng(i)
            if data.vocab is None:
                notes = np.array([(*n, 0) for n in notes_of(row > 0.5)], int).reshape(-1, 4)
                x[i] = 0
                for start, length, key, _ in change(notes, size, dice):
                    x[i, start : start + length, np.clip(key, 0, x.shape[2] - 1)] = 1
            else:
                piece = data.remi.decode(row)
                notes = tidied(change(piece.notes.copy(), size, dice))
                # bars enough for twice the length; those behind the last note are read away
                ids = data.remi.encode(Piece(notes, piece.bars * 2))
                ids = data.remi.encode(data.remi.decode(ids))[: x.shape[1]]
                x[i] = END
                x[i, : len(ids)] = torch.from_numpy(ids)
        return {**rows, "x": x}

    defect.__doc__ = change.__doc__
    return defect


@noted
def transposed(notes: np.ndarray, keys: float, dice: np.random.Generator) -> np.ndarray:
    """Every piece so many keys higher."""
    notes[:, 2] += int(keys)
    return notes


@noted
def other_pitches(notes: np.ndarray, share: float, dice: np.random.Generator) -> np.ndarray:
    """A share of the notes are moved by up to a fifth, up or down."""
    hit = dice.random(len(notes)) < share
    notes[hit, 2] += dice.choice([*range(-7, 0), *range(1, 8)], int(hit.sum()))
    return notes


@noted
def fewer_notes(notes: np.ndarray, share: float, dice: np.random.Generator) -> np.ndarray:
    """A share of the notes are left out."""
    return notes[dice.random(len(notes)) >= share]


@noted
def more_notes(notes: np.ndarray, share: float, dice: np.random.Generator) -> np.ndarray:
    """For a share of the notes there is one more, at any pitch between the piece's ends."""
    more = notes[dice.random(len(notes)) < share]
    more[:, 2] = dice.integers(notes[:, 2].min(), notes[:, 2].max() + 1, len(more))
    return np.concatenate([notes, more])


@noted
def other_order(notes: np.ndarray, share: float, dice: np.random.Generator) -> np.ndarray:
    """In a share of the pieces what starts together takes the place of what else does."""
    if dice.random() < share:
        starts, group = np.unique(notes[:, 0], return_inverse=True)
        notes[:, 0] = starts[dice.permutation(len(starts))[group]]
    return notes


@noted
def stretched(notes: np.ndarray, share: float, dice: np.random.Generator) -> np.ndarray:
    """A share of the pieces are half as quick."""
    return notes * [2, 2, 1, 1] if dice.random() < share else notes


def shuffled(data: Any, rows: Rows, share: float) -> Rows:
    """A share of the clips have their frames in any order."""
    x, hit = rows["x"].clone(), some(len(rows["x"]), share)
    for i in hit.nonzero()[:, 0].tolist():
        x[i] = x[i][:, torch.randperm(x.shape[2], generator=generator("clip", i))]
    return {**rows, "x": x}


def frozen(data: Any, rows: Rows, share: float) -> Rows:
    """A share of the clips stand still at their first frame."""
    x, hit = rows["x"].clone(), some(len(rows["x"]), share)
    x[hit] = x[hit][:, :, :1].expand_as(x[hit])
    return {**rows, "x": x}


def modes(data: Any, rows: Rows, share: float) -> Rows:
    """Points of a share of the modes are never drawn."""
    angle = torch.atan2(rows["x"][:, 1], rows["x"][:, 0]).remainder(2 * torch.pi)
    keep = (angle / (2 * torch.pi) * 8).round().remainder(8) >= round(8 * share)
    return {k: v[keep] for k, v in rows.items()}
