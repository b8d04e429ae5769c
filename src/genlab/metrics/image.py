"""Pictures: distances to held-out ones, what is covered of them, what a classifier sees, copies.

Read: `compare` (the order of the numbers), then the file of the number you doubt: two_sets.py,
distribution.py, memorisation.py, features.py. docs/metrics.md says what each sees and does not.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from genlab.batch import each
from genlab.metrics import distribution, two_sets
from genlab.metrics.base import Evaluation, Samples, check_count, is_labels
from genlab.metrics.by_class import Covered, by_class
from genlab.metrics.distribution import Manifolds
from genlab.metrics.interval import STUDENT, num_groups, share_interval
from genlab.metrics.memorisation import memorisation, neighbours
from genlab.metrics.near import PictureCopies
from genlab.metrics.reference import COMPARED, Reference, pictures, reference
from genlab.metrics.report import Data, Model, Report, gather, in_turn, same_labels, subset
from genlab.rng import generator

FLOORS = 4  # draws of training pictures for a floor that is not known exactly
CROWD = 6  # pictures for each neighbour: among fewer everything lies within a neighbour's radius
# below them it is said beside the numbers: how far from chance to certainty the judge is; pictures
WEAK, FEW_HELD_OUT = 0.25, 50
JUDGED = ("frechet_distance", "frechet_infinity", "precision", "recall", "coverage")
MANIFOLD = 2000  # at most so many pictures of each side for precision, recall and coverage


class ImageEvaluation(Evaluation):
    """Pictures, measured as a viewer sees them (uint8), against the held-out split.

    Class-conditional samples are asked for in the held-out proportions.
    """

    kind = "image"
    near = PictureCopies()

    def __init__(
        self,
        *,
        num_samples: int | None = None,
        chunk: int = 250,
        k: int = 3,
        max_train: int = 60_000,
        pairs: int = 32,
        likelihood_examples: int | None = None,
        cache: str | None = None,
    ) -> None:
        """As `Evaluation`; `k`: the neighbour of precision and recall.

        max_train: training pictures looked at, at random if there are more; pairs: neighbour
        pictures kept; cache: where feature networks are kept (null: $GENLAB_CACHE/features or
        ~/.cache/genlab/features).
        """
        check_count("k", k, 1)
        check_count("max_train", max_train, k + 1)
        check_count("pairs", pairs, 1)
        self.least = k + 1
        super().__init__(
            num_samples=num_samples, chunk=chunk, likelihood_examples=likelihood_examples
        )
        self.k, self.pairs, self.max_train = k, pairs, max_train
        self.cache = Path(cache) if cache else None
        self._real: Reference | None = None  # made at the first call, once per data set
        self._floor: tuple[tuple, dict[str, Tensor]] | None = None  # of what was asked last
        self._side: tuple[int, two_sets.Side] | None = None  # the held-out ones

    def real(self, data: Data) -> Reference:
        """The real pictures, read and looked at once per data set."""
        if self._real is None or self._real.fingerprint != data.fingerprint():
            self._real = reference(data, most=self.max_train, cache=self.cache, tell=self.tell)
            self._floor = self._side = None
        return self._real

    def labels(self, data: Data) -> Tensor:
        return self.real(data).val_labels

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        real = self.real(data)
        report.notes |= {
            "num_train": len(real.train),
            "feature_hash": real.features.hash,
            "feature_task": real.features.task,
            "feature_accuracy": real.features.accuracy,
            "interval": "95 %, over the draw of samples and held-out pictures",
        }
        asked = samples.cond if samples.cond is not None and is_labels(samples.cond, data) else None
        if len(samples.x) <= self.k:
            report.notes["compared"] = f"only {len(samples.x)} finite samples: nothing is compared"
            return
        shown = pictures(data, samples.x)
        found, probs = real.features(shown)
        self.distances(report, found, asked, real)
        covered = self.cover(report, found, asked, real)
        if real.labels is not None:
            self.classes(report, probs, asked, real)
            names = list(map(str, data.class_names or range(data.num_classes)))
            report.classes = by_class(
                names, probs, real.val_probs, real.val_labels, asked, covered, least=CROWD * self.k
            )
        self.copies(report, data, samples.x, shown, real)
        self.warn(report, real)
        order = torch.arange(len(samples.x)) if asked is None else in_turn(asked)
        report.pictures["samples"] = samples.x[order]
        if samples.cond is not None:
            report.pictures["samples_cond"] = each(lambda rows: rows[order], samples.cond)

    def warn(self, report: Report, real: Reference) -> None:
        """Say beside the numbers where little can be told by them."""
        chance = 1 / real.val_probs.shape[1]
        weak = real.features.accuracy < chance + WEAK * (1 - chance)
        if weak:
            said = f"by a weak judge: {real.features.accuracy:.0%} right, {chance:.0%} by chance"
        elif len(real.val) < FEW_HELD_OUT:
            said = f"only {len(real.val)} held-out pictures"
        else:
            return
        for name in JUDGED:
            if name in report.metrics:
                report.remarks[name] = said

    def distances(
        self, report: Report, found: Tensor, asked: Tensor | None, real: Reference
    ) -> None:
        """Of features [N, F] from the held-out ones."""
        groups = num_groups(len(found), len(real.val))
        if not groups:
            report.notes["distances"] = (
                f"none: they need 8 samples and 8 held-out pictures, here {len(found)} and"
                f" {len(real.val)}"
            )
            return
        self.tell("comparing", 0.1)
        if self._side is None or self._side[0] != groups:
            self._side = groups, two_sets.Side(real.val_features, real.val_labels, groups)
        values = two_sets.compare(two_sets.Side(found, asked, groups), self._side[1])
        least, dims = min(len(found), len(real.val)), found.shape[1]
        if least < 2 * dims:  # the excess does not fall as 1 / N yet
            del values.metrics["frechet_infinity"], values.interval["frechet_infinity"]
            report.notes["frechet_infinity"] = f"none: it needs {2 * dims} pictures, here {least}"
        report.metrics |= values.metrics
        report.interval |= values.interval
        exact = [name for name in ("kernel_distance", "frechet_infinity") if name in values.metrics]
        report.floor |= dict.fromkeys(exact, 0.0)

    def cover(
        self, report: Report, found: Tensor, asked: Tensor | None, real: Reference
    ) -> Covered | None:
        """Precision, recall, coverage; and the floors that training pictures are drawn for."""
        num = min(len(found), len(real.val), MANIFOLD)
        least = CROWD * self.k
        if num < least:
            report.notes["coverage"] = (
                f"none, nor precision and recall: they need {least} samples and held-out pictures,"
                f" here {len(found)} and {len(real.val)}"
            )
            return None
        self.tell("comparing", 0.3)
        held = subset(len(real.val), num)
        mine = subset(len(found), num)
        parts = self.manifolds(found[mine], held, real)
        for name, hits in zip(("precision", "recall", "coverage"), vars(parts).values()):
            report.metrics[name] = float(hits.double().mean())
            report.interval[name] = share_interval(int(hits.sum()), len(hits))
        if asked is not None:
            worst, name = worst_class(parts.covered, real.val_labels[held])
            report.metrics["coverage_worst_class"] = worst
            report.notes["worst_class"] = name
        self.floors(report, len(found), asked, real)
        report.floor["coverage"] = distribution.expected_coverage(num, num)
        report.notes["num_manifold"] = num
        return Covered(parts, mine, held)

    def manifolds(self, found: Tensor, held: Tensor, real: Reference) -> Manifolds:
        return distribution.manifolds(real.val_features[held], found, k=self.k)

    def floors(self, report: Report, num: int, asked: Tensor | None, real: Reference) -> None:
        """The mean over FLOORS draws of `num` training pictures, classes as asked.

        It does not depend on the samples or their seed.
        """
        key = (num, asked.bincount().tolist() if asked is not None else None)
        if self._floor is None or self._floor[0] != key:
            self._floor = key, self._drawn_floors(num, asked, real)
        for name, values in self._floor[1].items():
            if name in report.metrics:
                mean, error = float(values.mean()), float(values.std() / FLOORS**0.5)
                half = STUDENT[FLOORS - 2] * error
                report.floor[name] = mean
                report.floor_interval[name] = mean - half, mean + half
        report.notes["num_floor"] = min(num, len(real.train))
        report.notes["floor"] = (
            "exact for kernel_distance, frechet_infinity and coverage; training pictures against"
            f" the same held-out ones, mean of {FLOORS} draws, for frechet_distance, precision,"
            " recall and coverage_worst_class; held-out pictures for classes and copies"
        )

    def _drawn_floors(self, num: int, asked: Tensor | None, real: Reference) -> dict[str, Tensor]:
        draws, rows = generator("floor", num), []
        for i in range(FLOORS):
            self.tell("comparing", 0.4 + 0.1 * i)
            if asked is not None and real.labels is not None:
                chosen = same_labels(real.labels, asked, draws)
            else:
                chosen = torch.randperm(len(real.train), generator=draws)[:num]
            found = real.train_features[chosen]
            size = min(len(found), len(real.val), MANIFOLD)
            if size <= self.k:
                continue
            held = subset(len(real.val), size)
            parts = self.manifolds(found[:size], held, real)
            row = {
                "frechet_distance": distribution.frechet_distance(found, real.val_features),
                "precision": float(parts.precise.double().mean()),
                "recall": float(parts.recalled.double().mean()),
            }
            if asked is not None:
                row["coverage_worst_class"] = worst_class(parts.covered, real.val_labels[held])[0]
            rows.append(row)
        names = rows[0] if len(rows) == FLOORS else ()
        return {n: torch.tensor([r[n] for r in rows], dtype=torch.float64) for n in names}

    def classes(self, report: Report, probs: Tensor, asked: Tensor | None, real: Reference) -> None:
        """What the feature network, a classifier, says of samples and held-out pictures."""
        report.metrics |= distribution.class_metrics(probs, asked)
        floor = distribution.class_metrics(real.val_probs, real.val_labels)
        report.floor |= {k: v for k, v in floor.items() if k in report.metrics}
        for name in ("confident_share", "class_agreement"):
            if name in report.metrics:
                hits = round(report.metrics[name] * len(probs))
                report.interval[name] = share_interval(hits, len(probs))

    def copies(self, report: Report, data: Data, x: Tensor, shown: Tensor, real: Reference) -> None:
        """Nearest training pictures: of at most COMPARED samples."""
        some = subset(len(x), COMPARED)
        mine = neighbours(
            shown[some], real.train, progress=lambda share: self.tell("looking for copies", share)
        )
        values = memorisation(mine, real.val_neighbours)
        report.metrics |= values.metrics
        report.floor |= values.floor
        report.interval |= values.interval
        worst = mine.ratio.argsort(stable=True)[: self.pairs]
        ids = subset(len(data.train), self.max_train)[mine.index[worst]]
        report.pictures |= {
            "neighbour_samples": x[some[worst]],
            "neighbours": gather(data.train, ids)["x"],
        }


def worst_class(covered: Tensor, labels: Tensor) -> tuple[float, int]:
    """The least coverage of any class, and which class: held-out pictures covered [N], labels."""
    shares = {int(c): float(covered[labels == c].double().mean()) for c in labels.unique()}
    name = min(shares, key=shares.__getitem__)
    return shares[name], name
