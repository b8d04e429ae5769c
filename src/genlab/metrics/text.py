"""Text: words, variety, and what of it stands word for word in the training text.

Samples continue the beginnings of held-out windows, and only what follows is compared: a start
token alone is a beginning that training windows almost never have.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genlab.batch import Given
from genlab.metrics import language
from genlab.metrics.base import Evaluation, Samples, check_count
from genlab.metrics.interval import jackknife
from genlab.metrics.report import Data, Model, Report, gather, subset
from genlab.metrics.shared_runs import WordRuns

SHARED = 200  # characters in a row that held-out and training text have in common
MOST = 2**26  # tokens of a split that are looked at: more would not be held in memory


@dataclass
class Known:
    """What is asked of a data set's training text, made once."""

    fingerprint: str
    corpus: language.Corpus
    words: set[str]
    shared: float  # the share of held-out characters in passages that stand in the training text


class TextEvaluation(Evaluation):
    """Text, against the real continuations of the same held-out beginnings."""

    kind = "text"
    near = WordRuns()

    def __init__(
        self,
        *,
        num_samples: int = 100,
        chunk: int = 50,
        prompt_length: int = 16,
        copy_length: int = 50,
        likelihood_examples: int | None = None,
    ) -> None:
        """As `Evaluation`; `prompt_length`: held-out tokens that a sample continues.

        It is at most a quarter of the window. copy_length: characters in a row that stand in the
        training text count as copied.
        """
        check_count("copy_length", copy_length, 1)
        check_count("prompt_length", prompt_length, 1)
        super().__init__(
            num_samples=num_samples, chunk=chunk, likelihood_examples=likelihood_examples
        )
        self.prompt_length, self.copy_length = prompt_length, copy_length
        self._known: Known | None = None

    def beginnings(self, data: Data, num: int) -> tuple[Tensor, Tensor]:
        """Beginnings of held-out windows [num, P], and what follows there [num, T + 1 - P].

        A window's `start` is its first token. The last window may be short: it is left out.
        """
        ids = subset(max(1, len(data.val) - 1), num)
        batch = gather(data.val, ids.repeat(-(-num // len(ids)))[:num])
        tokens = batch["x"]
        if "start" in batch:
            tokens = torch.cat([batch["start"][:, None], tokens], 1)
        length = max(1, min(self.prompt_length, data.shape[0] // 4))
        return tokens[:, :length], tokens[:, length:]

    def given(self, data: Data, num: int) -> Given:
        x = self.beginnings(data, num)[0]
        return Given(x=x, mask=torch.ones_like(x, dtype=torch.bool))

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        known, prompt = self.known(data), samples.given["x"].shape[1]
        mine = documents(data, samples.x[:, prompt:])
        # as much real text as the samples have, also where fewer windows are held out
        theirs = self.beginnings(data, min(samples.num, max(1, len(data.val) - 1)))[1]
        theirs = documents(data, theirs[:, : samples.x.shape[1] - prompt])
        report.metrics |= self.numbers(known, mine)
        report.floor |= self.numbers(known, theirs)
        copied = known.corpus.longest_copy(mine)
        report.metrics["longest_copy"] = float(len(copied))
        report.floor["longest_copy"] = float(len(known.corpus.longest_copy(theirs)))
        report.metrics["shared_with_train"] = known.shared
        report.remarks["shared_with_train"] = "of the data: held-out text, not samples"
        for texts, values, into in (
            (mine, report.metrics, report.interval),
            (theirs, report.floor, report.floor_interval),
        ):
            names = ("known_words", "distinct_2", "copied_share")
            found = jackknife(
                lambda ids, texts=texts: self.numbers(known, [texts[i] for i in ids.tolist()]),
                len(texts),
                {name: values[name] for name in names},
            )
            into |= {n: (max(0.0, low), min(1.0, high)) for n, (low, high) in found.items()}
        report.notes |= {
            "num_floor": len(theirs),
            "num_train_tokens": min(MOST, data.train.stream.numel()),
            "prompt_length": prompt,
            "copy_length": self.copy_length,
            "shared_length": SHARED,
            "longest_copy_text": copied,
            "floor": "the real continuations of the same held-out beginnings",
        }
        report.pictures["samples"] = samples.x
        report.pictures["samples_known"] = samples.given["x"]

    def numbers(self, known: Known, texts: list[str]) -> dict[str, float]:
        copied = known.corpus.copied_share(texts, self.copy_length)
        return {**language.word_metrics(texts, known.words), "copied_share": copied}

    def known(self, data: Data) -> Known:
        """The training text and its words; made at the first call, once per data set."""
        if self._known is None or self._known.fingerprint != data.fingerprint():
            self.tell("reading the training text", 0)
            text, held_out = (stream_text(data, split) for split in (data.train, data.val))
            corpus = language.Corpus(text)
            self._known = Known(
                fingerprint=data.fingerprint(),
                corpus=corpus,
                words=set(language.words([text])[0]),
                shared=corpus.copied_share([held_out], SHARED),
            )
        return self._known


def stream_text(data: Data, split) -> str:
    """A split as one text: its first MOST tokens, where it has more."""
    return documents(data, split.stream[None, :MOST])[0]


def documents(data: Data, x: Tensor) -> list[str]:
    """Tokens [B, T] as texts in which the boundary between documents is one character."""
    return [text.replace("<|end|>", "\n") for text in data.decode(x)]
