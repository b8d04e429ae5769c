"""What is measured for pictures, text and points: one object each, called on any model.

    report = ImageEvaluation(num_samples=1000)(model, data, seed=0)

conf/metric/*.yaml build one of them; `genlab evaluate` and training use the same object. Model and
data are those of the contract (report.py says which part). Everything but the model runs on the
CPU. A sample that is not finite is left out, and finite_share falls below 1.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from genlab.metrics import distribution, language, likelihood, toy
from genlab.metrics.memorisation import memorisation
from genlab.metrics.reference import Reference, pictures, reference
from genlab.metrics.report import (
    Data,
    Model,
    Report,
    draw,
    gather,
    in_turn,
    proportional_labels,
    same_labels,
    subset,
)
from genlab.rng import generator

FLOORS = 4  # one draw of 1000 training pictures leaves the Frechet floor +-10 %


class ImageEvaluation:
    """Pictures, measured as a viewer sees them (uint8), against the held-out split.

    The floor: as many training pictures against the held-out ones. Class-conditional samples ask
    for the classes in the held-out proportions.
    """

    kind = "image"

    def __init__(
        self,
        *,
        num_samples: int = 1000,
        chunk: int = 250,
        k: int = 3,
        max_train: int = 60_000,
        pairs: int = 32,
        likelihood_examples: int | None = None,
        cache: str | None = None,
    ) -> None:
        """`chunk` samples are drawn at once; `k` is the neighbour of precision and recall.

        max_train: training pictures looked at, at random if there are more; pairs: neighbour
        pictures kept; likelihood_examples: held-out examples for the loss (None: all); cache: where
        feature networks are kept (None: $GENLAB_CACHE/features or ~/.cache/genlab/features).
        """
        check_count("k", k, 1)
        check_count("num_samples", num_samples, k + 1)
        check_count("max_train", max_train, k + 1)
        check_count("pairs", pairs, 1)
        check_count("chunk", chunk, 1)
        check_count("likelihood_examples", likelihood_examples, 1)
        self.num_samples, self.chunk, self.k, self.pairs = num_samples, chunk, k, pairs
        self.max_train, self.likelihood_examples = max_train, likelihood_examples
        self.cache = Path(cache) if cache else None
        self._real: Reference | None = None  # made at the first call, once per data set
        self._floor: tuple[tuple, dict[str, float]] | None = None  # of what was asked last

    def __call__(
        self, model: Model, data: Data, *, num: int | None = None, seed: int = 0
    ) -> Report:
        """`num` instead of num_samples; `seed` of the samples and of noise in the likelihood."""
        num, report = num or self.num_samples, Report()
        if self._real is None or self._real.fingerprint != data.fingerprint():
            self._real = reference(data, most=self.max_train, cache=self.cache)
            self._floor = None
        real = self._real
        some = likelihood.split_batches(data.val, size=self.chunk, limit=self.likelihood_examples)
        report.metrics |= likelihood.held_out(model, data, some, seed=seed)
        asked = asked_labels(model, data, real.val_labels, num)
        x, finite = draw(model, num, asked, seed=seed, chunk=self.chunk)
        report.metrics["finite_share"] = float(finite.double().mean())
        report.notes = {
            "num_samples": num,
            "num_held_out": len(real.val),
            "num_train": len(real.train),
            "feature_hash": real.features.hash,
            "feature_task": real.features.task,
            "feature_accuracy": real.features.accuracy,
            "num_floor": min(num, len(real.train)),
            "floor": f"training pictures against the same held-out ones, mean of {FLOORS} draws",
        }
        x, asked = x[finite], asked[finite] if asked is not None else None
        if len(x) > self.k:
            self.compare(report, data, real, x, asked)
        return report

    def compare(
        self, report: Report, data: Data, real: Reference, x: Tensor, asked: Tensor | None
    ) -> None:
        """Everything that is measured on the samples x [N, *shape]."""
        shown = pictures(data, x)
        found, probs = real.features(shown)
        report.metrics |= self.distances(found, real)
        report.floor |= self.distances_floor(len(x), asked, real)
        if real.labels is not None:
            report.metrics |= distribution.class_metrics(probs, asked)
            floor = distribution.class_metrics(real.val_probs, real.val_labels)
            report.floor |= {k: v for k, v in floor.items() if k in report.metrics}
        some = subset(len(real.val), max(len(x), 1000))
        spaces = {
            "features": (found, real.val_features[some], real.train_features),
            "pixels": (shown, real.val[some], real.train),
        }
        for name, (mine, theirs, train) in spaces.items():
            metrics, floor, ratio, index = memorisation(mine, theirs, train)
            report.metrics |= {f"{k}_{name}": v for k, v in metrics.items()}
            report.floor |= {f"{k}_{name}": v for k, v in floor.items()}
        worst = ratio.argsort(stable=True)[: self.pairs]  # of the pixels, the last space
        ids = subset(len(data.train), self.max_train)[index[worst]]
        report.pictures = {
            "samples": x if asked is None else x[in_turn(asked)],
            "neighbour_samples": x[worst],
            "neighbours": gather(data.train, ids)[0],
        }

    def distances(self, found: Tensor, real: Reference) -> dict[str, float]:
        """Of features [N, F] from the held-out ones (from as many of them for the manifolds)."""
        val = real.val_features
        if min(len(found), len(val)) < 2:
            return {}
        values = {
            "frechet_distance": distribution.frechet_distance(found, val),
            "kernel_distance": distribution.kernel_distance(found, val),
        }
        num = min(len(found), len(val))
        if num > self.k:
            some = val[subset(len(val), num)]  # samples and floor come in no order
            precision, recall = distribution.precision_recall(some, found[:num], k=self.k)
            values |= {"precision": precision, "recall": recall}
        return values

    def distances_floor(self, num: int, asked: Tensor | None, real: Reference) -> dict[str, float]:
        """The same of `num` training pictures, classes as asked; the mean over FLOORS draws.

        It does not depend on the samples or their seed.
        """
        key = (num, asked.bincount().tolist() if asked is not None else None)
        if self._floor is not None and self._floor[0] == key:
            return self._floor[1]
        draws, found = generator("floor", num), []
        for _ in range(FLOORS):
            if asked is not None and real.labels is not None:
                chosen = same_labels(real.labels, asked, draws)
            else:
                chosen = torch.randperm(len(real.train), generator=draws)[:num]
            found.append(self.distances(real.train_features[chosen], real))
        self._floor = key, {name: sum(f[name] for f in found) / FLOORS for name in found[0]}
        return self._floor[1]


def asked_labels(model: Model, data: Data, labels: Tensor | None, num: int) -> Tensor | None:
    """The classes to ask for [num], as they are held out; None where data or model has none.

    A model says by its conditions that it ignores the classes its data has.
    """
    if data.num_classes is None or not model.conditions.some:
        return None
    return proportional_labels(labels, num)


def check_count(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise ValueError(f"metric.{name}={value}: allowed is {least} or more")


class PointsEvaluation:
    """Points in the plane, against held-out points and the exact law.

    The floor: as many fresh draws from the law.
    """

    kind = "points"

    def __init__(
        self, *, num_samples: int = 1000, chunk: int = 1000, likelihood_examples: int | None = None
    ) -> None:
        check_count("num_samples", num_samples, 2)
        check_count("chunk", chunk, 1)
        check_count("likelihood_examples", likelihood_examples, 1)
        self.num_samples, self.chunk = num_samples, chunk
        self.likelihood_examples = likelihood_examples

    def __call__(
        self, model: Model, data: Data, *, num: int | None = None, seed: int = 0
    ) -> Report:
        num, report = num or self.num_samples, Report()
        some = likelihood.split_batches(data.val, size=self.chunk, limit=self.likelihood_examples)
        report.metrics |= likelihood.held_out(model, data, some, seed=seed)
        val, labels = gather(data.val, torch.arange(len(data.val)))
        asked = asked_labels(model, data, labels, num)
        x, finite = draw(model, num, asked, seed=seed, chunk=self.chunk)
        report.metrics["finite_share"] = float(finite.double().mean())
        x = x[finite]
        fresh = fresh_points(data, num)
        report.floor |= self.compare(data, fresh, val)
        if len(x) > 1:
            report.metrics |= self.compare(data, x, val)
        self.law(report, model, data, x, asked[finite] if asked is not None else None, val)
        report.notes = {"num_samples": num, "num_held_out": len(val), "num_floor": len(fresh)}
        report.notes["floor"] = "as many fresh draws from the law, against the same held-out points"
        report.pictures = {"samples": x}
        return report

    def compare(self, data: Data, x: Tensor, val: Tensor) -> dict[str, float]:
        values = {
            "energy_distance": toy.energy_distance(x, val),
            "sliced_wasserstein": toy.sliced_wasserstein(x, val),
        }
        if getattr(data, "modes", None) is not None and getattr(data, "std", None) is not None:
            values |= toy.mode_metrics(x, torch.as_tensor(data.modes), float(data.std))
        log_p = exact_log_prob(data, x)
        return values | (toy.law_metrics(log_p) if log_p is not None else {})

    def law(
        self,
        report: Report,
        model: Model,
        data: Data,
        x: Tensor,
        asked: Tensor | None,
        val: Tensor,
    ) -> None:
        """What a perfect model's likelihood is, and how far this one's is from it, in nats.

        kl_to_model: KL(law | model) = E_law[log p - log q], from held-out points (a bound where the
        model's likelihood is one). For data with classes the model's q is given the class.
        """
        log_p = exact_log_prob(data, val)
        if log_p is None or model.likelihood == "none" or asked is not None:
            return
        name = "nats_per_example" + ("" if model.likelihood == "exact" else "_bound")
        floor = likelihood.entropy(log_p)
        report.floor[name] = floor
        if self.likelihood_examples is None:
            bound = "" if model.likelihood == "exact" else "_bound"
            report.metrics[f"kl_to_model{bound}"] = report.metrics[name] - floor
            report.floor[f"kl_to_model{bound}"] = 0.0


def exact_log_prob(data: Data, x: Tensor) -> Tensor | None:
    """The exact law's log-density at x [N], or None where it has none in closed form."""
    try:
        return data.log_prob(x)
    except (AttributeError, NotImplementedError):
        return None


def fresh_points(data: Data, num: int) -> Tensor:
    """Draws from the law that no held-out point and, for the first batches, a model has seen."""
    rows, count, k = [], 0, 10**9  # far beyond the batches of any run
    while count < num:
        rows.append(data.train_batch(k)["x"])
        count, k = count + len(rows[-1]), k + 1
    return torch.cat(rows)[:num]


class TextEvaluation:
    """Text, against as much held-out text.

    The floor: held-out windows as long and as many as the samples, measured in the same way.
    """

    kind = "text"

    def __init__(
        self,
        *,
        num_samples: int = 100,
        chunk: int = 50,
        copy_length: int = 50,
        likelihood_examples: int | None = None,
    ) -> None:
        """`copy_length` characters in a row that stand in the training text count as copied."""
        check_count("num_samples", num_samples, 1)
        check_count("chunk", chunk, 1)
        check_count("likelihood_examples", likelihood_examples, 1)
        check_count("copy_length", copy_length, 1)
        self.num_samples, self.chunk, self.copy_length = num_samples, chunk, copy_length
        self.likelihood_examples = likelihood_examples
        self._corpus: tuple[str, language.Corpus, set[str]] | None = None

    def __call__(
        self, model: Model, data: Data, *, num: int | None = None, seed: int = 0
    ) -> Report:
        num, report = num or self.num_samples, Report()
        some = likelihood.split_batches(data.val, size=self.chunk, limit=self.likelihood_examples)
        report.metrics |= likelihood.held_out(model, data, some, seed=seed)
        x, _ = draw(model, num, None, seed=seed, chunk=self.chunk)
        # the last held-out window may be short
        windows = gather(data.val, subset(max(1, len(data.val) - 1), num))[0]
        samples, copied = self.compare(data, documents(data, x))
        report.metrics |= samples
        report.floor |= self.compare(data, documents(data, windows))[0]
        report.notes = {
            "num_samples": num,
            "num_floor": len(windows),
            "copy_length": self.copy_length,
            "longest_copy_text": copied,
            "floor": "as many held-out windows of the same length",
        }
        report.pictures = {"samples": x}
        return report

    def compare(self, data: Data, texts: list[str]) -> tuple[dict[str, float], str]:
        """Numbers for texts, and the longest passage that they share with the training text."""
        corpus, known = self.corpus(data)
        copied = corpus.longest_copy(texts)
        values = language.word_metrics(texts, known)
        values["longest_copy"] = float(len(copied))
        values["copied_share"] = corpus.copied_share(texts, self.copy_length)
        return values, copied

    def corpus(self, data: Data) -> tuple[language.Corpus, set[str]]:
        """The training text and its words; made at the first call, once per data set."""
        if self._corpus is None or self._corpus[0] != data.fingerprint():
            text = training_text(data)
            known = set(language.words([text])[0])
            self._corpus = (data.fingerprint(), language.Corpus(text), known)
        return self._corpus[1:]


def training_text(data: Data) -> str:
    """The whole training split as one text."""
    return documents(data, data.train.stream[None])[0]


def documents(data: Data, x: Tensor) -> list[str]:
    """Tokens [B, T] as texts in which the boundary between documents is one character."""
    return [text.replace("<|end|>", "\n") for text in data.decode(x)]
