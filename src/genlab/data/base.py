"""The data module: what the examples are, and which of them the k-th step sees.

Read: `Stream` (the order of the examples), `DataModule` (a batch by its number), then a file for
each kind of data: images.py, folder.py, text.py, toy.py, which has `read`, `decode` and `digest`.

Random access: the k-th global batch is a pure function of (seed, k). So a resumed run needs no
saved loader, and any number of processes or accumulated parts see the same examples in a step.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from pytorch_lightning import LightningDataModule
from torch import LongTensor, Tensor

from genlab.batch import Batch, Given
from genlab.rng import generator
from genlab.views.base import View

EVERYTHING = slice(None)


class Examples(ABC):
    """Examples in memory, taken many at a time."""

    augments = False  # whether `batch` draws anything from its generator

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(
        self,
        ids: LongTensor,
        generator: torch.Generator | None = None,
        share: slice = EVERYTHING,
    ) -> Batch:
        """The examples ids[share], augmented if a generator is given.

        Augmentation is drawn for all of `ids` before the share is taken, so that an example's draw
        does not depend on how many processes share a batch.
        """


class Stream:
    """Endless ids: the epochs' permutations one after another; a batch may straddle two."""

    def __init__(self, length: int, *, seed: int) -> None:
        self.length, self.seed = length, seed
        self._orders: dict[int, Tensor] = {}

    def order(self, epoch: int) -> LongTensor:
        """The order of the examples in an epoch, computed once [length]."""
        if epoch not in self._orders:
            drawn = torch.randperm(self.length, generator=generator("epoch", self.seed, epoch))
            # an epoch and the one it runs into; no more, for a long run has many
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = drawn
        return self._orders[epoch]

    def ids(self, first: int, num: int) -> LongTensor:
        """The ids at positions first .. first+num-1 [num]."""
        epoch, at = divmod(first, self.length)
        if at + num <= self.length:
            return self.order(epoch)[at : at + num]
        parts = []
        while num > 0:
            parts.append(self.order(epoch)[at : at + num])
            num -= len(parts[-1])
            epoch, at = epoch + 1, 0
        return torch.cat(parts)


class DataModule(LightningDataModule, ABC):
    """Examples of one kind, split into train and val, served in batches by number.

    `shape` of one example x: an image [C, H, W], tokens [T], points [2]. `num_classes`: labels in
    `cond`; None serves none. `vocab`: tokens. `levels`: grey levels per value of an image. They are
    stated in YAML, where nets and models take them from, and `load` checks them against the data.
    """

    kind: Literal["image", "text", "points"]
    view: View  # how an example looks to people
    class_names: list[str] | None = None
    default_prompt: str = ""

    def __init__(
        self,
        *,
        shape: Sequence[int],
        batch_size: int,
        seed: int,
        num_classes: int | None = None,
        vocab: int | None = None,
        levels: int | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`batch_size`: a step's, over all devices; `val_examples`: a look's, None for all."""
        super().__init__()
        for key, value in (("batch_size", batch_size), ("val_examples", val_examples or 1)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"data.{key}={value}: write a whole number from 1 on")
        self.shape = tuple(int(n) for n in shape)
        self.num_classes, self.vocab, self.levels = num_classes, vocab, levels
        self.batch_size, self.seed, self.val_examples = batch_size, seed, val_examples
        self._train: Examples | None = None
        self._val: Examples | None = None
        self._stream: Stream | None = None
        self._fingerprint: str | None = None

    # --- what a kind of data implements ---------------------------------------------------------

    @abstractmethod
    def read(self) -> tuple[Examples, Examples]:
        """Read the files, check them against what is stated; gives train and val."""

    @abstractmethod
    def decode(self, x: Tensor) -> Any:
        """What people look at: uint8 arrays [H, W, C], strings, or points [N, 2]."""

    @abstractmethod
    def digest(self) -> str:
        """The hash of the loaded data; `fingerprint` keeps it."""

    def prepare(self) -> None:
        """Download what is missing; any number of processes may call it."""

    def state(self) -> dict[str, Any]:
        """Plain data that `decode` and `encode_prompt` need where the files are not at hand."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""

    # --- loading --------------------------------------------------------------------------------

    def load(self) -> None:
        """Read into memory, once."""
        if self._train is None:
            self._train, self._val = self.read()
            self._stream = Stream(len(self._train), seed=self.seed)

    @property
    def train(self) -> Examples:
        assert self._train is not None, "call load() first"
        return self._train

    @property
    def val(self) -> Examples:
        assert self._val is not None, "call load() first"
        return self._val

    @property
    def test(self) -> Examples:
        """The held-out examples: the sets served here have two splits."""
        return self.val

    @property
    def epoch_examples(self) -> int | None:
        """Examples in one pass over the data; None where they never end."""
        return len(self.train)

    def fingerprint(self) -> str:
        """The sha256 of the loaded data."""
        if self._fingerprint is None:
            self.load()
            self._fingerprint = self.digest()
        return self._fingerprint

    # --- batches by number ----------------------------------------------------------------------

    def train_ids(self, k: int) -> LongTensor:
        """Which examples are in the k-th global batch [batch_size]."""
        assert self._stream is not None, "call load() first"
        return self._stream.ids(k * self.batch_size, self.batch_size)

    def train_generator(self, k: int) -> torch.Generator | None:
        """What the k-th batch's augmentation is drawn from."""
        return generator("augment", self.seed, k) if self.train.augments else None

    def train_batch(
        self, k: int, *, rank: int = 0, world: int = 1, micro: int = 0, accumulate: int = 1
    ) -> Batch:
        """This process's share of the k-th global batch, in one of its accumulated parts."""
        share = self.share(rank, world, micro, accumulate)
        generator = self.train_generator(k)
        if generator is None:  # no draw to share, so only the share is gathered
            return self.train.batch(self.train_ids(k)[share])
        return self.train.batch(self.train_ids(k), generator, share)

    def share(self, rank: int, world: int, micro: int, accumulate: int) -> slice:
        parts = world * accumulate
        size, left = divmod(self.batch_size, parts)
        if left or size == 0:
            below, above = self.batch_size - left, self.batch_size - left + parts
            raise ValueError(
                f"data.batch_size={self.batch_size} cannot be shared evenly by {world} device(s) x "
                f"{accumulate} accumulated part(s): write data.batch_size={below or above}"
                + (f" or {above}" if below else "")
            )
        first = (micro * world + rank) * size
        return slice(first, first + size)

    def val_batches(
        self, examples: int | None = None, *, rank: int = 0, world: int = 1
    ) -> ValBatches:
        """The first `examples` of val (None: all) in order, in batches shared by the ranks."""
        return ValBatches(self.val, examples, self.batch_size, rank=rank, world=world)

    # --- Lightning's names ----------------------------------------------------------------------

    def prepare_data(self) -> None:
        self.prepare()

    def setup(self, stage: str | None = None) -> None:
        self.load()

    def train_dataloader(self) -> Any:
        return TrainBatches(self)

    def val_dataloader(self) -> ValBatches:
        rank, world = _place(self)[:2]
        return self.val_batches(self.val_examples, rank=rank, world=world)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, _: int) -> Batch:
        """The batch's tensors on `device` (Lightning's own way costs 0.1 ms even on the CPU)."""
        return {k: v.to(device, non_blocking=True) for k, v in batch.items()}

    def units(self, totals: Any, *, discrete: bool) -> dict[str, float]:
        """A log-probability in the units that this kind of data compares in.

        totals (metrics/likelihood.py): sums of log_prob in nats, examples and values that count;
        discrete: log_prob is a probability, not a density.
        """
        return {"nats_per_example": -totals.log_prob / totals.examples}

    # --- samples --------------------------------------------------------------------------------

    def encode_prompt(self, prompt: str) -> LongTensor:
        """The tokens of a prompt [T]."""
        raise ValueError(f"prompt={prompt!r}: {self.kind} data takes no prompt; leave it out")

    def looks(self, num: int) -> tuple[Tensor | None, Given | None]:
        """What `num` samples to look at are conditioned on: all classes in turn; the prompt."""
        cond = torch.arange(num) % self.num_classes if self.num_classes else None
        if not self.default_prompt:
            return cond, None
        x = self.encode_prompt(self.default_prompt).repeat(num, 1)
        return cond, Given(x=x, mask=torch.ones_like(x, dtype=torch.bool))


def _place(data: DataModule) -> tuple[int, int, int, int]:
    """(rank, world, accumulated parts, batches done) of the run that the data is part of."""
    trainer = data.trainer
    if trainer is None:
        return 0, 1, 1, 0
    clock = getattr(trainer.lightning_module, "clock", None)
    done = clock.batches if clock is not None else 0
    return trainer.global_rank, trainer.world_size, trainer.accumulate_grad_batches, done


class TrainBatches:
    """This process's batches from where the model's clock stands, without end.

    No __len__ on purpose: a run is measured in examples, and an epoch is not its unit.
    """

    def __init__(self, data: DataModule) -> None:
        self.data = data

    def __iter__(self) -> Iterator[Batch]:
        rank, world, accumulate, k = _place(self.data)
        while True:
            for micro in range(accumulate):
                yield self.data.train_batch(
                    k, rank=rank, world=world, micro=micro, accumulate=accumulate
                )
            k += 1


class ValBatches(Sequence):
    """Examples in order, each once over all ranks; every rank has the same number of batches.

    The i-th batch is cut into contiguous shares, as in training. A rest of fewer examples than
    ranks joins the batch before it: an empty share would stop a rank at the next reduction.
    """

    def __init__(
        self, examples: Examples, num: int | None, batch_size: int, *, rank: int, world: int
    ) -> None:
        self.examples, self.rank, self.world = examples, rank, world
        total = len(examples) if num is None else min(num, len(examples))
        bounds = [*range(0, total, batch_size), total]
        if len(bounds) > 2 and bounds[-1] - bounds[-2] < world:
            del bounds[-2]
        self.bounds = bounds

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, i: int) -> Batch:
        if not 0 <= i < len(self):
            raise IndexError(i)
        first, size = self.bounds[i], self.bounds[i + 1] - self.bounds[i]
        start, stop = (first + size * r // self.world for r in (self.rank, self.rank + 1))
        return self.examples.batch(torch.arange(start, stop))


# --- for the kinds of data ----------------------------------------------------------------------


def written(value: Any) -> str:
    """A value as it is written on the command line: [1,28,28], null, 10."""
    if value is None:
        return "null"
    return f"[{','.join(map(str, value))}]" if isinstance(value, tuple | list) else str(value)


def check(key: str, stated: Any, found: Any, source: str) -> None:
    """Refuse what is stated in YAML where it is not what the data has, and say what to write."""
    if stated != found:
        raise ValueError(
            f"data.{key}={written(stated)} but {source} has {written(found)}:"
            f" write data.{key}={written(found)}"
        )


def sha256(*parts: Tensor | bytes | str) -> str:
    """One hash over tensors (type, shape and values), bytes and names."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype}{tuple(part.shape)}".encode())
            part = part.detach().cpu().contiguous().numpy().data.cast("B") if part.numel() else b""
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\x1f")
    return digest.hexdigest()
