"""Sounds: waveforms of one length, learned as mel spectrograms, which are pictures to a net.

Read: `Sounds`; waves.py has the same as waveforms. Where they come from is a source
(sources/sounds.py), how a file is read audio.py, the spectrogram and its way back mel.py. Every
sound becomes `data.seconds` long: of a longer one a part is taken (in training at a place that is
drawn, held out the middle), a shorter one is followed by silence, which is learned as well: so a
model knows where its sounds end. `describe` counts both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch
from genlab.data.audio import RATES
from genlab.data.base import DataModule, Examples
from genlab.data.class_names import NamedClasses
from genlab.data.clips import Clips
from genlab.data.mel import Mel
from genlab.data.sources.sounds import SoundSource
from genlab.data.stated import check, sha256
from genlab.views.sound import Player

LONGEST = 10**7  # samples of an example
AT_ONCE = 32  # sounds that are decoded together: a matter of memory
SEEN = 32  # sides of the pictures that a classifier is shown, at most: a matter of time


class SoundExamples(Examples):
    """Sounds as spectrograms [1, mels, frames], and their labels if they are wanted."""

    def __init__(self, clips: Clips, mel: Mel, *, drawn: bool, labelled: bool) -> None:
        """`drawn`: of a sound that is too long the part is drawn, else it is the middle."""
        self.clips, self.mel = clips, mel
        self.labels = clips.labels if labelled else None
        self.draws = int(drawn)

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        places = [0.5] * len(ids) if draws is None else draws[:, 0].tolist()
        batch = Batch(x=self.shown(self.waves(ids, places)))
        if self.labels is not None:
            batch["cond"] = self.labels[ids]
        return batch

    def shown(self, waves: Tensor) -> Tensor:
        """Waveforms [B, length] as x."""
        return self.mel(waves)

    def waves(self, ids: LongTensor, places: Sequence[float] | None = None) -> Tensor:
        """The waveforms [B, length] at the places given, 0 to 1; the middle of each by default."""
        found = []
        for i, place in zip(ids.tolist(), places or [0.5] * len(ids)):
            if self.at is not None:
                self.at[0] = i
            found.append(placed(self.clips.wave(i), self.mel.length, place))
        return torch.stack(found)

    def name_of(self, i: int) -> str:
        return f"example {i}, {self.clips.paths[i]}"


def placed(wave: Tensor, length: int, place: float) -> Tensor:
    """`length` samples of a waveform: a part of a longer one, silence after a shorter one."""
    spare = len(wave) - length
    if spare <= 0:
        return torch.nn.functional.pad(wave, (0, -spare))
    first = min(spare, int(place * (spare + 1)))
    return wave[first : first + length]


class Sounds(NamedClasses, DataModule):
    """Sounds from a source, with their labels or without."""

    kind = "sound"
    noun = "sounds"
    examples = SoundExamples

    def __init__(
        self,
        *,
        source: SoundSource,
        shape: Sequence[int],
        rate: int,
        seconds: float,
        num_classes: int | None,
        batch_size: int,
        seed: int,
        window: int | None = None,
        peak: float | None = 0.5,
        num_workers: int = 0,
        limit: int | None = None,
        levels: int | None = None,
        vocab: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`shape` [1, MELS, FRAMES] of what is learned: a frame is a hop of seconds x rate / FRAMES
        samples, and sees `window` of them (null: four hops).

        `peak`: every file's largest sample, null leaves levels as they are; `limit`: the first N
        sounds of train; `num_workers`: decode files on demand in so many processes.
        """
        if len(shape) != 3 or shape[0] != 1 or min(shape) < 1:
            raise ValueError(f"data.shape={list(shape)}: sounds have [1,MELS,FRAMES]")
        low, high = RATES
        for key, value, allowed, said in (
            ("rate", rate, low <= rate <= high, f"{low} to {high} samples a second"),
            ("seconds", seconds, 0 < seconds * rate <= LONGEST, f"up to {LONGEST / rate:g} here"),
            ("peak", peak, peak is None or 0 < peak <= 1, "above 0, up to 1, or null"),
            ("num_workers", num_workers, num_workers >= 0, "0 or more"),
            ("limit", limit, limit is None or limit > 0, "1 or more, or null"),
            ("levels", levels, levels is None, "null: sounds have none"),
            ("vocab", vocab, vocab is None, "null: sounds have none"),
        ):
            if not allowed:
                raise ValueError(f"data.{key}={value}: allowed is {said}")
        super().__init__(
            shape=shape, batch_size=batch_size, seed=seed, num_classes=num_classes, std=std,
            val_examples=val_examples,
        )  # fmt: skip
        _, mels, frames = self.shape
        hop = max(1, round(seconds * rate / frames))
        if abs(hop * frames - seconds * rate) > 1e-3:
            raise ValueError(
                f"data.seconds={seconds:g}: {frames} frames (data.shape) of whole samples at"
                f" {rate} a second last {hop * frames / rate:g} s: write"
                f" data.seconds={hop * frames / rate:g}"
            )
        window = 4 * hop if window is None else window
        self.mel = Mel(rate=rate, hop=hop, window=window, mels=mels, frames=frames)
        self.source, self.rate, self.peak, self.limit = source, rate, peak, limit
        self.num_workers = num_workers
        self.class_names = source.class_names
        self.view = Player(rate=rate)

    # --- reading --------------------------------------------------------------------------------

    def prepare(self) -> None:
        self.source.prepare()

    def read(self) -> dict[str, Examples]:
        root, found = self.source.read()
        self.class_names = self.source.class_names
        if self.num_classes is not None:
            names = self.class_names
            check("num_classes", self.num_classes, len(names) if names else None, self.source.name)
        found["train"] = found["train"].take(range(len(found["train"]))[: self.limit])
        splits = {}
        for split, listing in found.items():
            clips = Clips(listing, root=root, rate=self.rate, peak=self.peak)
            splits[split] = self.examples(
                clips.check() if self.num_workers else clips.hold(),
                self.mel,
                drawn=split == "train",
                labelled=self.num_classes is not None,
            )
        return splits

    def digest(self) -> str:
        mel = self.mel
        parts: list = [f"{self.rate} {mel.hop} {mel.window} {mel.mels} {mel.frames} {self.peak}"]
        for split in (self.train, self.split("val")):
            parts += split.clips.identity()
            parts += [split.labels if split.labels is not None else b"no labels"]
        return sha256(*parts)

    def notes(self) -> list[str]:
        """How many were cut or filled up; what was left out."""
        found, names, skipped = super().notes(), self.class_names, self.source.skipped
        splits = (self._splits or {}).values()
        lengths = torch.cat([s.clips.lengths for s in splits])
        length, num = self.mel.length, len(lengths)
        hop = self.mel.hop  # less than a frame is not worth telling
        cut, filled = int((lengths > length + hop).sum()), int((lengths < length - hop).sum())
        seconds = f"{length / self.rate:g} s"
        found.append(
            f"{seconds} of each: {cut:,} of {num:,} are longer and cut, {filled:,} shorter, with"
            f" silence after them; the longest lasts {float(lengths.max()) / self.rate:.3g} s"
        )
        silent = sum(s.clips.num_silent() for s in splits)
        if silent:
            found.append(f"{silent:,} are silent throughout")
        if names and not self.num_classes:
            found.append(f"{len(names)} classes: write data.num_classes={len(names)} to use them")
        if skipped:
            shown = ", ".join(skipped[:5]) + (", ..." if len(skipped) > 5 else "")
            found.append(f"{len(skipped)} file{'s' * (len(skipped) > 1)} skipped: {shown}")
        return found

    # --- samples --------------------------------------------------------------------------------

    def decode(self, x: Tensor) -> list[np.ndarray]:
        """x [B, 1, mels, frames] as B waveforms [samples] float32 at `rate`."""
        x = torch.nan_to_num(x.detach().cpu().float(), nan=-1.0)
        waves = [self.mel.inverse(part) for part in x.split(AT_ONCE)]
        return list(torch.cat(waves).numpy()) if waves else []

    def encode(self, waves: Sequence[np.ndarray]) -> Tensor:
        """Waveforms of `rate` and length, as `decode` gives them, as x [B, 1, mels, frames]."""
        return self.mel(torch.from_numpy(np.stack(waves)))

    def spectrogram(self, x: Tensor) -> Tensor:
        """x as spectrograms [B, 1, mels, frames], which sounds are measured by."""
        return x

    def pictured(self, x: Tensor) -> list[np.ndarray]:
        """x as small pictures [H, W, 1] uint8, low tones on top: what a classifier is shown."""
        x = self.spectrogram(x.detach().cpu().float())
        small = torch.nn.functional.adaptive_avg_pool2d(
            x, [min(SEEN, side) for side in x.shape[2:]]
        )
        grey = (small + 1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return list(grey.permute(0, 2, 3, 1).contiguous().numpy())
