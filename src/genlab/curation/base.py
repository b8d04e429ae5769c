"""What curation speaks of: examples, rules, and what a rule says of an example.

Read: `Example`, then the two sorts of rules. An `Each` looks at one example alone, so any number of
processes may apply it; a `Whole` looks at a sketch of every example (its hash, its group) and then
decides, in one place and one order. A kind of data (kinds/) says how raw files become examples, and
how what is kept is written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

from genlab.seeds import seed_of as hash_of  # noqa: F401

Value = float | int | str | None


@dataclass(frozen=True, slots=True)
class Unread:
    """In the place of what could not be read: why."""

    why: str


@dataclass(slots=True)
class Raw:
    """An example as it lies in the raw files: not looked at yet."""

    id: str  # its file, and its line or row where a file has many
    source: Path | bytes | Unread  # the file to open, or what was read of it
    facts: dict[str, Any] = field(default_factory=dict)  # columns beside it: label, licence, ...


@dataclass(slots=True)
class Example:
    """An example as rules see it; `data` is a text, a picture, a sound or a row."""

    id: str
    data: Any
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Twin:
    """As `value`: another example's place, which becomes its id in the ledger."""

    place: int


@dataclass(frozen=True, slots=True)
class Leave:
    """It is left out: why, and the number or word that decided."""

    why: str
    value: Value | Twin = None


@dataclass(frozen=True, slots=True)
class Change:
    """It becomes another: its data, and facts beside it where they follow."""

    why: str
    value: Value = None
    data: Any = None
    facts: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """It stays as it is; facts are written beside it (its language, its split)."""

    facts: dict[str, Any]


Said = Leave | Change | Note


@dataclass(frozen=True, slots=True)
class Advice:
    """A line about all that stay, and the column that training is to leave out by it."""

    says: str
    drop: str | None = None


class Rule(ABC):  # noqa: B024
    """What every rule has: the kinds of data that it is for, as their `name` says them."""

    kinds: ClassVar[tuple[str, ...]] = ()  # none: all


class Each(Rule):
    """A rule that looks at one example alone."""

    @abstractmethod
    def __call__(self, example: Example) -> Said | None:
        """What is to be done with it; None: nothing."""


class Whole(Rule):
    """A rule that must know all examples: duplicates, balance, splits."""

    @abstractmethod
    def sketch(self, example: Example, kind: Kind) -> bytes:
        """What the decision needs to know of it; always as many bytes, or few."""

    @abstractmethod
    def decide(self, sketches: Sequence[bytes]) -> dict[int, Leave | Note]:
        """What is to be done with which, by their places in the order of the raw files.

        `value` of what is left out may be another's place (`Twin`): the one that it repeats.
        """

    def tells(self, sketches: Sequence[bytes]) -> Iterable[Advice]:
        """What else is to be said of those that stay."""
        return ()


class Kind(ABC):
    """A kind of data: from raw files to examples, and from examples to a curated set."""

    name: ClassVar[str]  # as rules and recipes name it
    noun: ClassVar[str] = "examples"
    shard: ClassVar[int] = 512  # raw examples of a shard: so many are held in memory at a time

    def none_in(self, source: Path) -> str:
        """What to say where there is no raw example: what there is instead, the remedy; or ""."""
        return ""

    @abstractmethod
    def raws(self, source: Path) -> Iterator[Raw]:
        """The raw examples below a folder or in a file, in one order; nothing is decoded."""

    @abstractmethod
    def open(self, raw: Raw) -> Any:
        """Its data. Raises ValueError for what cannot be read."""

    @abstractmethod
    def dump(self, data: Any) -> bytes:
        """The data as bytes, from which `parse` makes the same again."""

    @abstractmethod
    def parse(self, contents: bytes) -> Any:
        """What `dump` wrote."""

    @abstractmethod
    def write(self, examples: Sequence[Example], folder: Path, shard: int) -> None:
        """Write what is kept of one shard and one split into `folder`, below other names than
        every other shard's."""

    @abstractmethod
    def finish(self, folder: Path) -> None:
        """All shards are in folder/SPLIT: make it what the data modules read."""

    @abstractmethod
    def shown(self, data: Any, beside: Any = None) -> str:
        """An excerpt of the data for the page: text, or a picture as a data: URI.

        `beside`: what it was or became, where the excerpt is to show the difference.
        """

    @property
    @abstractmethod
    def option(self) -> dict[str, str]:
        """The words that train on the curated set: the option of conf/data, and its keys."""

    def hash(self, data: Any) -> str:
        """The data's hash, as the ledger has it."""
        return blake2b(self.dump(data), digest_size=16).hexdigest()
