"""Text as tokens: Shakespeare, the source code of Python's own library, any text file.

Read: `Windows` (a stream of tokens cut into examples), `Text` (tokenizer, splits, units), then a
class a source. A split is one stream: <|end|> (id 0), a document, <|end|>, a document, ... An
example is a window of `block` tokens with `start`, the token before it: a model that reads start,
x[0], ..., x[-2] predicts x[0], ..., x[-1], exactly the (input, target) pairs of nanoGPT.
"""

from __future__ import annotations

import math
import sysconfig
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import LongTensor, Tensor

from genlab.batch import Batch
from genlab.data import files
from genlab.data.base import EVERYTHING, DataModule, Examples, check, sha256
from genlab.data.tokenizers import END, Tokenizer
from genlab.rng import generator, seed_of
from genlab.views.texts import Texts


class Windows(Examples):
    """Windows of `block` tokens over a stream of tokens, one every `stride` tokens.

    The stream begins with <|end|>, which is no target. With stride = block every other token is in
    one window; the last is filled up with <|end|>, and the mask says where.
    """

    def __init__(self, stream: Tensor, *, block: int, stride: int) -> None:
        self.block, self.stride = block, stride
        self.targets = len(stream) - 1
        self.num = (self.targets - block) // stride + 1
        self._filled = stride == block and self.targets % block > 0
        if self._filled:
            self.num += 1
            filling = stream.new_full((self.num * block - self.targets,), END)
            stream = torch.cat([stream, filling])
        self.stream = stream.contiguous()
        # all windows as one overlapping view: a batch is a gather of rows, without index arithmetic
        self._rows = self.stream.as_strided((self.num, block + 1), (stride, 1))

    def __len__(self) -> int:
        return self.num

    def batch(
        self,
        ids: LongTensor,
        generator: torch.Generator | None = None,
        share: slice = EVERYTHING,
    ) -> Batch:
        ids = ids[share]
        rows = self._rows.index_select(0, ids)
        batch = Batch(x=rows[:, 1:].long(), start=rows[:, 0].long())
        if self._filled and int(ids.max()) == self.num - 1:
            at = ids[:, None] * self.block + torch.arange(self.block)
            batch["mask"] = at < self.targets
        return batch


class Text(DataModule):
    """Documents as token windows, at random places in training and one after another in val.

    An epoch is as many windows as hold the split's tokens once; their places are drawn evenly and
    independently, as in nanoGPT, so an epoch does not see every token.
    """

    kind = "text"
    view = Texts()

    def __init__(
        self,
        *,
        tokenizer: Tokenizer,
        block: int,
        vocab: int,
        batch_size: int,
        seed: int,
        shape: Sequence[int] | None = None,
        num_classes: int | None = None,
        levels: int | None = None,
        default_prompt: str = "",
        start_token: int = END,
        val_examples: int | None = 1024,
    ) -> None:
        """`block`: tokens a window; `vocab`: ids with <|end|>; `default_prompt`: that of looks."""
        if not isinstance(block, int) or block < 1:
            raise ValueError(f"data.block={block}: write a whole number of tokens from 1 on")
        if shape is not None and tuple(shape) != (block,):
            raise ValueError(f"data.shape={list(shape)}: text has [data.block], here [{block}]")
        for key, value in (("num_classes", num_classes), ("levels", levels)):
            if value is not None:
                raise ValueError(f"data.{key}={value}: text has none; write data.{key}=null")
        if start_token != END:
            raise ValueError(
                f"data.start_token={start_token}: text begins with <|end|>, token {END}"
            )
        super().__init__(
            shape=(block,), vocab=vocab, batch_size=batch_size, seed=seed, val_examples=val_examples
        )
        self.tokenizer, self.block, self.default_prompt = tokenizer, block, default_prompt
        self._bytes: dict[str, int] = {}

    @abstractmethod
    def documents(self) -> tuple[list[str], list[str]]:
        """The documents of train and of val."""

    def read(self) -> tuple[Windows, Windows]:
        train, val = self.documents()
        name = type(self).__name__
        self.tokenizer.fit(train, val, vocab=self.vocab)
        check("vocab", self.vocab, self.tokenizer.vocab, name)
        self._bytes = {
            split: sum(len(document.encode()) for document in documents)
            for split, documents in (("train", train), ("val", val))
        }
        streams = [self._stream_of(documents) for documents in (train, val)]
        longest = len(streams[0]) - 1
        if longest < self.block:
            raise ValueError(
                f"data.block={self.block} but train has {longest} tokens in all:"
                f" write data.block={max(1, longest // 2)} or give a longer text"
            )
        if len(streams[1]) < 2:
            raise ValueError(f"{name} has no text left for val: give a longer text")
        return (
            Windows(streams[0], block=self.block, stride=1),
            Windows(streams[1], block=self.block, stride=self.block),
        )

    def _stream_of(self, documents: list[str]) -> Tensor:
        """<|end|>, a document, <|end|>, a document, ... in the smallest type that holds the ids."""
        vocab = self.tokenizer.vocab
        dtype = np.uint8 if vocab <= 256 else np.int16 if vocab <= 1 << 15 else np.int32
        parts = []
        for ids in self.tokenizer.encode_many(documents):
            parts += [np.zeros(1, dtype), ids.astype(dtype)]
        return torch.from_numpy(np.concatenate(parts or [np.zeros(1, dtype)]))

    @property
    def epoch_examples(self) -> int:
        return -(-self.train.targets // self.block)

    def train_ids(self, k: int) -> LongTensor:
        """Where the windows of the k-th global batch begin [batch_size]."""
        return torch.randint(
            len(self.train), (self.batch_size,), generator=generator("offsets", self.seed, k)
        )

    def bytes_per_token(self, split: Literal["train", "val"] = "val") -> float:
        """UTF-8 bytes of a split's documents by tokens to predict, <|end|> between them included.

        bits/byte = (nats per token) / ln 2 / bytes_per_token, whatever the tokenizer.
        """
        windows = self.train if split == "train" else self.val
        return self._bytes[split] / windows.targets

    def units(self, totals: Any, *, discrete: bool) -> dict[str, float]:
        """nats_per_token, perplexity, and bits_per_byte, which compares across tokenizers."""
        per_token = -totals.log_prob / totals.values
        return {
            "nats_per_token": per_token,
            "perplexity": math.exp(min(per_token, 700.0)),
            "bits_per_byte": per_token / math.log(2) / self.bytes_per_token("val"),
        }

    def digest(self) -> str:
        return sha256(self.train.stream, self.val.stream, repr(self.tokenizer.state()))

    def state(self) -> dict[str, Any]:
        return {"tokenizer": self.tokenizer.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.tokenizer.load_state(state["tokenizer"])

    def decode(self, x: Tensor) -> list[str]:
        """Tokens x [B, T] as texts, without the <|end|> that a finished one is filled up with."""
        rows = x.detach().cpu().long().numpy()
        return [self.tokenizer.decode(row[: last_token(row) + 1]) for row in rows]

    def encode_prompt(self, prompt: str) -> LongTensor:
        """The tokens of a prompt [T]."""
        try:
            return torch.from_numpy(self.tokenizer.encode(prompt))
        except ValueError as error:
            raise ValueError(f"prompt={prompt!r}: {error}") from None


def last_token(ids: np.ndarray) -> int:
    """Where the last id that is not <|end|> stands; -1 if there is none."""
    found = np.flatnonzero(ids != END)
    return int(found[-1]) if len(found) else -1


def cut(text: str, val_fraction: float) -> tuple[list[str], list[str]]:
    """One text as train, its beginning, and val, its end, by characters."""
    at = int(len(text) * (1 - val_fraction))
    return [text[:at]], [text[at:]]


class Shakespeare(Text):
    """Tiny Shakespeare: 1,115,394 characters, the first 90 % train (char-rnn, nanoGPT)."""

    folder: ClassVar = "tinyshakespeare"
    url: ClassVar = (
        "https://raw.githubusercontent.com/karpathy/char-rnn/"
        "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt"
    )
    size: ClassVar = 1115394
    digest_of_file: ClassVar = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

    def __init__(
        self,
        *,
        tokenizer: Tokenizer,
        block: int,
        vocab: int,
        batch_size: int,
        seed: int,
        shape: Sequence[int] | None = None,
        num_classes: int | None = None,
        levels: int | None = None,
        root: str | None = None,
        default_prompt: str = "",
        start_token: int = END,
        val_examples: int | None = 1024,
    ) -> None:
        """As `Text`; `root`: the folder of input.txt, null looks and downloads (see files.py)."""
        super().__init__(
            tokenizer=tokenizer,
            block=block,
            vocab=vocab,
            batch_size=batch_size,
            seed=seed,
            shape=shape,
            num_classes=num_classes,
            levels=levels,
            default_prompt=default_prompt,
            start_token=start_token,
            val_examples=val_examples,
        )
        self.root = root

    def prepare(self) -> None:
        files.fetch(
            "input.txt",
            [self.url],
            name=self.folder,
            root=self.root,
            sha256=self.digest_of_file,
            size=self.size,
        )

    def documents(self) -> tuple[list[str], list[str]]:
        path = files.require("input.txt", name=self.folder, root=self.root)
        contents = files.read(path, sha256=self.digest_of_file, size=self.size)
        return cut(contents.decode(), 0.1)


class StdlibCode(Text):
    """The source files of the running Python's own library, a document each: no download.

    Tests and installed packages are left out. Which tenth of the files is val goes by a hash of the
    name, so it is the same on every machine; the text is that of the Python version.
    """

    left_out: ClassVar = {
        "test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__",
    }  # fmt: skip

    def __init__(
        self,
        *,
        tokenizer: Tokenizer,
        block: int,
        vocab: int,
        batch_size: int,
        seed: int,
        shape: Sequence[int] | None = None,
        num_classes: int | None = None,
        levels: int | None = None,
        limit: int | None = None,
        default_prompt: str = "",
        start_token: int = END,
        val_examples: int | None = 1024,
    ) -> None:
        """As `Text`; `limit` keeps the first N files of each split, in their hashes' order."""
        super().__init__(
            tokenizer=tokenizer,
            block=block,
            vocab=vocab,
            batch_size=batch_size,
            seed=seed,
            shape=shape,
            num_classes=num_classes,
            levels=levels,
            default_prompt=default_prompt,
            start_token=start_token,
            val_examples=val_examples,
        )
        self.limit = limit

    def sources(self) -> Iterator[Path]:
        root = Path(sysconfig.get_paths()["stdlib"])
        for path in root.rglob("*.py"):
            if self.left_out.isdisjoint(path.relative_to(root).parts):
                yield path

    def documents(self) -> tuple[list[str], list[str]]:
        root = Path(sysconfig.get_paths()["stdlib"])
        hashed = sorted(
            (seed_of("file", p.relative_to(root).as_posix()), p) for p in self.sources()
        )
        splits = ([p for h, p in hashed if h % 10], [p for h, p in hashed if not h % 10])
        train, val = ([_source(p) for p in paths[: self.limit]] for paths in splits)
        return [t for t in train if t], [t for t in val if t]


def _source(path: Path) -> str:
    """The text of a source file; "" for the few that are not UTF-8 or cannot be read."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return ""


class TextFile(Text):
    """Any UTF-8 text file; its end is val."""

    def __init__(
        self,
        *,
        path: str | None,
        tokenizer: Tokenizer,
        block: int,
        vocab: int,
        batch_size: int,
        seed: int,
        shape: Sequence[int] | None = None,
        num_classes: int | None = None,
        levels: int | None = None,
        val_fraction: float = 0.1,
        default_prompt: str = "",
        start_token: int = END,
        val_examples: int | None = 1024,
    ) -> None:
        """As `Text`; the last `val_fraction` of the characters of the file at `path` is val."""
        if not 0 < val_fraction < 1:
            raise ValueError(f"data.val_fraction={val_fraction}: write a number between 0 and 1")
        super().__init__(
            tokenizer=tokenizer,
            block=block,
            vocab=vocab,
            batch_size=batch_size,
            seed=seed,
            shape=shape,
            num_classes=num_classes,
            levels=levels,
            default_prompt=default_prompt,
            start_token=start_token,
            val_examples=val_examples,
        )
        self.path, self.val_fraction = path, val_fraction

    def documents(self) -> tuple[list[str], list[str]]:
        if self.path is None:
            raise ValueError("data.path=null: which file? write data.path=FILE")
        path = Path(self.path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"data.path={self.path}: there is no such file")
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"data.path={self.path} is not UTF-8 text: byte {error.start} is"
                f" 0x{error.object[error.start]:02x}; convert it, as with iconv -t UTF-8"
            ) from None
        return cut(text, self.val_fraction)
