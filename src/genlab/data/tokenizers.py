"""Tokenizers: text to token ids and back, without loss.

Read: `Tokenizer` is what text.py asks for; then one class a kind. Id 0 is always <|end|>, which
stands before every document: a model that reaches it has finished, and one that starts from it
starts a document. No text can spell it: the characters "<|end|>" become ordinary tokens.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from genlab.data import remembered
from genlab.data.sources.documents import in_parts

END = 0
END_TEXT = "<|end|>"
MOST, LONGEST = 2**22, 512  # ids of a vocabulary; bytes of a token
READ = 2**16  # characters that BPE learns from at once: the library holds hundreds of such parts


class Tokenizer(ABC):
    """Text to ids 1 .. vocab-1 and back; `decode(encode(text)) == text` for every text it knows."""

    # whether a text may be encoded in parts, where documents.cut_at says: the ids are the same
    joins: bool = False

    @property
    @abstractmethod
    def vocab(self) -> int:
        """The number of ids, <|end|> among them."""

    @abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int64 [T]."""

    @abstractmethod
    def piece(self, ids: np.ndarray) -> str:
        """The text of ids that hold no <|end|>."""

    def fit(self, train: Iterable[str], val: Iterable[str], *, vocab: int | None) -> None:  # noqa: B027
        """Learn from the documents, up to `vocab` ids; by default there is nothing to learn.

        Both can be gone through more than once, and may be too many to be held.
        """

    def known_vocab(self, characters: int | None) -> int | None:
        """The vocabulary where no text need be read for it; `characters`: how many there are."""
        return None

    def encode_many(self, texts: list[str]) -> list[np.ndarray]:
        """The ids of every text."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """The text; document boundaries show as <|end|>."""
        ids = np.asarray(list(ids) if not isinstance(ids, np.ndarray) else ids, np.int64)
        bounds = np.flatnonzero(ids == END)
        return END_TEXT.join(self.piece(p[p != END]) for p in np.split(ids, bounds))

    def state(self) -> dict[str, Any]:
        """What `fit` has learnt, as plain data."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Take over what `state` gave."""


class Bytes(Tokenizer):
    """The bytes of the UTF-8 text, each plus 1: 257 ids, nothing to learn, knows every text."""

    vocab = 257
    joins = True

    def known_vocab(self, characters: int | None) -> int:
        return self.vocab

    def encode(self, text: str) -> np.ndarray:
        return np.frombuffer(text.encode(), np.uint8).astype(np.int64) + 1

    def piece(self, ids: np.ndarray) -> str:
        # a window may begin or end within a character, and a model may spell none
        return (ids - 1).astype(np.uint8).tobytes().decode(errors="replace")


class Characters(Tokenizer):
    """The characters that occur in the text, sorted: 1 + their number ids."""

    joins = True

    def __init__(self) -> None:
        self.characters = ""

    @property
    def vocab(self) -> int:
        return 1 + len(self.characters)

    def known_vocab(self, characters: int | None) -> int | None:
        return None if characters is None else 1 + characters

    def fit(self, train: Iterable[str], val: Iterable[str], *, vocab: int | None) -> None:
        """Learn the alphabet, of both splits (as nanoGPT): a held-out text must be spellable."""
        found: set[str] = set()
        for text in chain(train, val):
            found.update(text)
        self.characters = "".join(sorted(found))

    def encode(self, text: str) -> np.ndarray:
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        known = np.frombuffer(self.characters.encode("utf-32-le"), np.uint32)
        at = np.searchsorted(known, points)
        beyond = np.uint32(0xFFFFFFFF)  # no character: what stands after the last known one
        wrong = np.flatnonzero(np.append(known, beyond)[at] != points)
        if len(wrong):
            raise ValueError(
                f"the character {text[wrong[0]]!r} is none of the {len(known)} of this vocabulary:"
                " leave it out, or train with tokenizer=bytes"
            )
        return at.astype(np.int64) + 1

    def piece(self, ids: np.ndarray) -> str:
        return "".join(self.characters[i - 1] for i in ids)

    def state(self) -> dict[str, Any]:
        return {"characters": self.characters}

    def load_state(self, state: dict[str, Any]) -> None:
        found = state.get("characters") if isinstance(state, dict) else None
        if not isinstance(found, str) or found != "".join(sorted(set(found))):
            raise ValueError("its characters are no text of different ones, sorted")
        if any("\ud800" <= c <= "\udfff" for c in found):
            raise ValueError("its characters are not all of Unicode")
        self.characters = found


class BPE(Tokenizer):
    """Byte-pair encoding over bytes (as GPT-2), learnt from the train split; knows every text.

    It learns as many ids as `data.vocab` says, else `size`: <|end|>, the 256 bytes, and what pairs
    make of them. What was learnt is kept in the cache (see remembered.py) for the next start.
    """

    joins = True

    def __init__(self, *, size: int = 1024) -> None:
        """`size`: ids to learn where `data.vocab` is null."""
        self.size = size
        self._model: Any = None

    @property
    def vocab(self) -> int:
        return 1 + self._fitted().get_vocab_size()

    def fit(self, train: Iterable[str], val: Iterable[str], *, vocab: int | None) -> None:
        key, size = ("tokenizer.size", self.size) if vocab is None else ("data.vocab", vocab)
        if size < 257:
            raise ValueError(f"{key}={size}: BPE needs 257 or more (256 bytes and <|end|>)")
        entry = remembered.entry("bpe", train, size)
        learnt = remembered.recall(entry)
        if learnt is None:
            self._model = _trained(train, size)
            model = json.loads(self._model.to_str())["model"]
            remembered.keep(entry, {"vocab": model["vocab"], "merges": model["merges"]})
        else:
            self._model = _model(learnt["vocab"], [tuple(pair) for pair in learnt["merges"]])

    def encode(self, text: str) -> np.ndarray:
        return self.encode_many([text])[0]

    def encode_many(self, texts: list[str]) -> list[np.ndarray]:
        encoded = self._fitted().encode_batch_fast(texts, add_special_tokens=False)
        return [np.asarray(e.ids, np.int64) + 1 for e in encoded]

    def piece(self, ids: np.ndarray) -> str:
        return self._fitted().decode((ids - 1).tolist(), skip_special_tokens=False)

    def _fitted(self) -> Any:
        assert self._model is not None, "call fit() or load_state() first"
        return self._model

    def state(self) -> dict[str, Any]:
        return {"bpe": self._fitted().to_str()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Vocabulary and merges alone: a stranger's file may ask for more that takes its time."""
        from tokenizers import pre_tokenizers

        try:
            learnt = json.loads(state["bpe"])["model"]
            vocab, merges = learnt["vocab"], [tuple(pair) for pair in learnt["merges"]]
            ids = sorted(id for id in vocab.values() if type(id) is int)
            if len(vocab) > MOST or ids != [*range(len(vocab))]:
                raise ValueError(f"a vocabulary of {len(vocab):,} ids that are not 0, 1, 2, ...")
            if max(map(len, vocab)) > LONGEST:
                raise ValueError(f"a token of over {LONGEST} bytes")
            if missing := set(pre_tokenizers.ByteLevel.alphabet()) - {*vocab}:
                raise ValueError(f"a vocabulary without {len(missing)} of the 256 bytes")
            if any(len(pair) != 2 or not {*pair, "".join(pair)} <= vocab.keys() for pair in merges):
                raise ValueError("a merge of or to what is not in the vocabulary")
            self._model = _model(vocab, merges)
        except Exception as error:  # the library raises plain Exceptions
            said = " ".join(str(error).split())[:200]
            raise ValueError(f"no BPE that genlab has learnt: {said}") from error


def _model(vocab: dict[str, int] | None = None, merges: list[tuple[str, str]] | None = None) -> Any:
    """The library's byte-level BPE, empty or of what was learnt."""
    from tokenizers import Tokenizer as Model
    from tokenizers import decoders, models, pre_tokenizers

    model = Model(models.BPE(vocab=vocab, merges=merges) if vocab else models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    return model


def _trained(texts: Iterable[str], size: int) -> Any:
    from tokenizers import pre_tokenizers, trainers

    model = _model()
    # id 0 is kept out of the library (its ids are ours minus 1): no text can spell it there
    trainer = trainers.BpeTrainer(
        vocab_size=size - 1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # cut between two words, so that every word is counted as in the whole
    parts = (part for text in texts for part in in_parts(text, READ))
    model.train_from_iterator(parts, trainer)
    return model
