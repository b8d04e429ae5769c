"""The data module: what the examples are, and which of them the k-th step sees.

Read: `Examples` (what a kind serves by number), stream.py (their order), `DataModule` (a batch by
its number), then a file a kind: images.py, text.py, toy.py. Where the data come from is injected: a
source (sources/*.py). What people may ask for is asking.py; loaders are batches.py and workers.py.

Random access: the k-th global batch is a pure function of (seed, k). So a resumed run needs no
saved loader, and any number of processes or accumulated parts see the same examples in a step.
A kind of data and its sources know nothing of processes: the batch is shared out here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pytorch_lightning import LightningDataModule
from torch import LongTensor, Tensor

from genlab.batch import Batch, Cond, Given, each
from genlab.data.asking import class_captions, classes_asked
from genlab.data.asks import Ask, Choice
from genlab.data.batches import TrainBatches, ValBatches, place_of
from genlab.data.held import Choosable, Held
from genlab.data.stated import refuse_large_batch, sha256
from genlab.data.stream import Stream
from genlab.data.workers import DecodedBatches
from genlab.rng import generator
from genlab.views.base import View

STD_SLACK = 0.2  # how far a stated standard deviation may be from the measured one, untold


class Examples(Choosable, ABC):
    """Examples that are taken many at a time, by their numbers: from memory, files, a table."""

    draws: int = 0  # uniform random numbers that an example's augmentation takes
    ragged: bool = False  # a batch is as long as its longest example
    at: Tensor | None = None  # [1], shared: the number of the example that this process is reading

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(self, ids: LongTensor, draws: Tensor | None = None) -> Batch:
        """The examples `ids` [B], augmented by `draws` [B, self.draws] in [0, 1) if there are any.

        An example may depend on its own row of `draws` alone.
        """

    def name_of(self, i: int) -> str:
        """What example i is called where something is wrong with it: a file's path."""
        return f"example {i}"

    def numbers_in(self, read: Examples) -> LongTensor:
        """The number that each of them has among those that were `read` [N]; -1: it is no such."""
        return torch.arange(len(self)) if self is read else torch.full((len(self),), -1)


class DataModule(Held, LightningDataModule, ABC):
    """Examples of one kind, split into train and val, served in batches by number.

    `shape` of one example x: an image [C, H, W], tokens [T], points [2]. `num_classes`: labels in
    `cond`; None serves none. `vocab`: tokens. `levels`: grey levels per value of an image. They are
    stated in YAML, where nets and models take them from, and `load` checks them against the data.
    `std`: the standard deviation of all numbers in x; None is measured when the data are loaded.
    """

    kind: str
    noun: ClassVar[str] = "examples"  # what `describe` calls them
    endless: ClassVar[bool] = False  # drawn anew for every batch (`fresh`)
    finds: ClassVar[tuple[str, ...]] = ()  # what it finds in its files where YAML says null
    made_of: ClassVar[str] = ""  # as `takes` of a model says it; "": tokens or values, by its vocab
    view: View  # how an example looks to people
    class_names: list[str] | None = None
    default_prompt: str = ""
    captions_heard: bool = True  # the run's model is asked by them, where there are any
    read_early: bool = False  # its files are read to compose a run: `genlab check` says what it is
    num_workers: int = 0  # processes that make training batches ahead; 0: this one makes them

    def __init__(
        self,
        *,
        shape: Sequence[int],
        batch_size: int,
        seed: int,
        num_classes: int | None = None,
        vocab: int | None = None,
        levels: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`batch_size`: a step's, over all devices; `val_examples`: a look's, None for all."""
        super().__init__()
        for key, value in (("batch_size", batch_size), ("val_examples", val_examples or 1)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"data.{key}={value}: write a whole number from 1 on")
        if std is not None and not 0 < std < math.inf:
            raise ValueError(f"data.std={std}: write a number above 0, or null to measure it")
        self.shape = tuple(int(n) for n in shape)
        self.num_classes, self.vocab, self.levels = num_classes, vocab, levels
        self.batch_size, self.seed, self.val_examples = batch_size, seed, val_examples
        self.std = self.stated_std = std
        self._splits: dict[str, Examples] | None = None
        self._held_out = "val"
        self._stream: Stream | None = None
        self._fingerprint: str | None = None
        self.edits: Sequence[Any] = ()  # edits/base.py: what becomes of what is read

    # --- what a kind of data implements ---------------------------------------------------------

    @abstractmethod
    def read(self) -> dict[str, Examples]:
        """Read the source and check it against what is stated.

        Gives train, val and, only where the set has an official test split, test.
        """

    @abstractmethod
    def decode(self, x: Tensor) -> Any:
        """What people look at: uint8 arrays [H, W, C], strings, or points [N, 2]."""

    @abstractmethod
    def digest(self) -> str:
        """The hash of the loaded data; `fingerprint` keeps it."""

    def found(self) -> dict[str, Any]:
        """The settings that `finds` names, as the files have them, and what follows from them."""
        return {}

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
        if self._splits is not None:
            return
        splits = self.read()
        if not self.endless:
            refuse_large_batch(self.batch_size, len(splits["train"]))
        self._splits, self._read = splits, splits["train"]
        for edit in self.edits:
            self._splits = edit(self._splits, self)
        self._stream = Stream(len(self.train), seed=self.seed)
        if self.std is None and self.vocab is None:
            self.std = self.measured_std()

    def splits(self) -> dict[str, Examples]:
        """All splits by name, those among them that edits have set apart."""
        self.load()
        return dict(self._splits)

    def split(self, name: str) -> Examples:
        """The examples of train, val or test, read where they are not yet."""
        self.load()
        if name not in self._splits:
            there = " and ".join(self._splits)
            raise ValueError(
                f"split={name}: {self.source_name} has no {name} split, only {there};"
                " write split=val"
            )
        return self._splits[name]

    def trained_on(self) -> Sequence[int]:
        """Edits leave some out, and take some more than once."""
        numbers = self.train.numbers_in(self._read).unique()
        return numbers[numbers >= 0].tolist()

    @property
    def train(self) -> Examples:
        return self.split("train")

    @property
    def val(self) -> Examples:
        """The held-out examples; after `hold_out("test")`, those of the test split."""
        return self.split(self._held_out)

    @property
    def test(self) -> Examples:
        """The set's official test split, which nothing is chosen by."""
        return self.split("test")

    def hold_out(self, split: str) -> None:
        """Let `val` be this split from now on, to measure on it."""
        self.load()
        self.split(split)
        self._held_out = split

    @property
    def source_name(self) -> str:
        """What the data are called in messages."""
        return type(getattr(self, "source", self)).__name__

    @property
    def epoch_examples(self) -> int | None:
        """Examples in one pass over the data; None where they never end."""
        return len(self.train)

    def measured_std(self, most: int = 1024) -> float:
        """The standard deviation of the numbers in x, over train examples at even steps."""
        step = max(1, len(self.train) // most)
        x = self.train.batch(torch.arange(0, len(self.train), step))["x"]
        return float(x.double().std(correction=0))

    def fingerprint(self) -> str:
        """The sha256 of the loaded data, and of what was done to them."""
        if self._fingerprint is None:
            self.load()
            said = [edit.said() for edit in self.edits]
            own = self.digest()
            self._fingerprint = sha256(own, *said) if said else own
        return self._fingerprint

    # --- what is said of it ---------------------------------------------------------------------

    def describe(self) -> str:
        """One line of what was found: how many, which classes, how many held out, what is odd."""
        return "; ".join([self.size(), *self.notes(), *(edit.said() for edit in self.edits)])

    def told(self) -> list[str]:
        """What a start says of it, a line each."""
        return [self.describe()]

    def size(self) -> str:
        """How many examples, which classes, how many held out."""
        self.load()
        parts = [f"{len(self.train):,} {self.noun}", *self.said_of_classes()]
        parts += [f"{len(self.split('val')):,} held out"]
        if "test" in (self._splits or {}):
            parts += [f"{len(self.test):,} for split=test"]
        return ", ".join(parts)

    def said_of_classes(self) -> list[str]:
        """The classes, as `describe` names them."""
        if not self.num_classes:
            return []
        names = list(map(str, self.class_names or range(self.num_classes)))
        shown = names[:10] + (["..."] if len(names) > 10 else [])
        return [f"{self.num_classes} classes ({', '.join(shown)})"]

    def notes(self) -> list[str]:
        """What a user should know of the data and may not: each one part of `describe`."""
        if self.stated_std is None or self.vocab is not None:
            return []
        found = self.measured_std()
        if abs(found / self.stated_std - 1) <= STD_SLACK:
            return []
        return [
            f"standard deviation {found:.3g}, but data.std={self.stated_std:g}:"
            f" write data.std={found:.3g}"
        ]

    # --- batches by number ----------------------------------------------------------------------

    def train_ids(self, k: int) -> LongTensor:
        """Which examples are in the k-th global batch [batch_size]."""
        self.load()
        return self._stream.ids(k * self.batch_size, self.batch_size)

    def fresh(self, k: int) -> Batch | None:
        """The k-th global batch of data that never end; None: it is taken from train."""
        return None

    def train_batch(
        self, k: int, *, rank: int = 0, world: int = 1, micro: int = 0, accumulate: int = 1
    ) -> Batch:
        """This process's share of the k-th global batch, in one of its accumulated parts.

        Augmentation is drawn for the whole batch before the share is taken, so that an example's
        draws do not depend on how many processes share it; only the share itself is read.
        """
        share = self.share(rank, world, micro, accumulate)
        if (batch := self.fresh(k)) is not None:
            return each(lambda value: value[share], batch)
        ids, draws = self.train_ids(k)[share], None
        if num := self.train.draws:
            draws = generator("augment", self.seed, k)
            draws = torch.rand(self.batch_size, num, generator=draws)[share]
        return self.train.batch(ids, draws)

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
        return DecodedBatches(self) if self.num_workers else TrainBatches(self)

    def val_dataloader(self) -> ValBatches:
        rank, world = place_of(self)[:2]
        return self.val_batches(self.val_examples, rank=rank, world=world)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, _: int) -> Batch:
        """The batch's tensors on `device` (Lightning's own way costs 0.1 ms even on the CPU)."""
        return each(lambda value: value.to(device, non_blocking=True), batch)

    def units(self, totals: Any, *, discrete: bool) -> dict[str, float]:
        """A log-probability in the units that this kind of data compares in.

        totals (metrics/likelihood.py): sums of log_prob in nats, examples and values that count;
        discrete: log_prob is a probability, not a density.
        """
        return {"nats_per_example": -totals.log_prob / totals.examples}

    # --- samples --------------------------------------------------------------------------------

    def coordinates(self, x: Tensor) -> Tensor:
        """x [N, ...] as numbers whose distances say how far examples lie apart."""
        return x

    def looks(self, num: int) -> tuple[Cond | None, Given | None]:
        """What `num` samples to look at are conditioned on: all classes in turn."""
        return (torch.arange(num) % self.num_classes if self.num_classes else None), None

    def asks(self) -> tuple[Ask, ...]:
        """What `asked` understands, as forms to fill in; here the classes."""
        if not self.num_classes:
            return ()
        names = list(self.class_names or range(self.num_classes))[: self.num_classes]
        return (Choice(key="cond", label="class", options=tuple(map(str, names))),)

    def asked(
        self,
        num: int,
        cond: Any = None,
        prompt: str | None = None,
        given: str | None = None,
        mask: str | None = None,
    ) -> tuple[Cond | None, Given | None]:
        """Words into conditions for `num` samples, and what is known of them.

        `cond`: a class's name or number, or a list of them that is gone through in turn; None: all
        classes in turn. `prompt`: the beginning of a text. `given`: what is known (a picture's
        file, a point's coordinates), with the part of it that is kept in `mask`.
        """
        return self.asked_cond(num, cond), self.asked_given(num, prompt, given, mask)

    def asked_cond(self, num: int, cond: Any) -> Cond | None:
        """What the samples are conditioned on; here classes [num]."""
        if cond is None:
            return torch.arange(num) % self.num_classes if self.num_classes else None
        return classes_asked(num, cond, self.class_names, self.num_classes)

    def asked_given(
        self, num: int, prompt: str | None, given: str | None, mask: str | None
    ) -> Given | None:
        """What is known of the samples; a kind that can take something overrides this."""
        if prompt is not None:
            raise ValueError(
                f"prompt={prompt!r}: {self.kind} data take no prompt, only a model of text does;"
                " leave it out"
            )
        for key, value in (("given", given), ("mask", mask)):
            if value is not None:
                raise ValueError(f"{key}={value}: {self.kind} data take none; leave it out")
        return None

    def captions(self, cond: Cond | None, known: Tensor | None = None) -> list[str] | None:
        """What each sample was asked for, in words; None where nothing was.

        `known`: what was given of the samples, where it is told beside them.
        """
        return class_captions(cond, self.class_names)
