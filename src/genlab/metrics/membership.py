"""Does a model's loss tell whether it was trained on an example? In every family and kind of data.

Read: `auc` and `true_positives` (how well losses tell members from others), `exposure` (canaries),
then `Membership`. The attack is the loss itself (Yeom et al. 2018, arXiv 1709.01604): who can ask a
model for it can do as much, and one that trains models of his own can do more (Carlini et al. 2022,
arXiv 2112.03570), so a model that is told apart here leaks, and one that is not may.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genlab.batch import each
from genlab.metrics.base import Evaluation, Samples, check_count
from genlab.metrics.interval import Interval, Z, mean_interval, share_interval
from genlab.metrics.likelihood import seeded
from genlab.metrics.report import Data, Examples, Model, Report, subset

FALSE = 0.01  # of others that are taken for members, where true_positives is read


def auc(members: Tensor, others: Tensor) -> tuple[float, Interval]:
    """The share of pairs in which the member's loss [M] is below the other's [N]; ties count half.

    Its interval is DeLong's (1988): members and others are draws, the model is not.
    """
    members, others = members.double(), others.double()

    def above(x: Tensor, pool: Tensor) -> Tensor:
        """The share of the pool that lies above each of x."""
        pool = pool.sort().values
        low, high = (torch.searchsorted(pool, x, right=side) for side in (False, True))
        return 1 - (low + high).double() / 2 / len(pool)

    of_members, of_others = above(members, others), 1 - above(others, members)
    value = float(of_members.mean())
    variance = sum(float(v.var()) / len(v) if len(v) > 1 else 0.25 for v in (of_members, of_others))
    half = Z * variance**0.5
    return value, (max(0.0, value - half), min(1.0, value + half))


def true_positives(members: Tensor, others: Tensor) -> tuple[float, Interval]:
    """The share of members found where 1 % of the others are taken for members."""
    allowed = int(FALSE * len(others))
    limit = others.double().sort().values[allowed]
    found = int((members.double() < limit).sum())
    return found / len(members), share_interval(found, len(members))


def exposure(canaries: Tensor, others: Tensor) -> Tensor:
    """Bits by which each canary [C] is more likely than one never seen, by its rank among others.

    log2 of their number over the rank of its loss (Carlini et al. 2019, definition 5), the canary
    itself being one: log2(N + 1) where it is the first, 1.44 in the mean where it was not seen.
    """
    others = others.double().sort().values
    rank = 1 + torch.searchsorted(others, canaries.double())
    return math.log2(len(others) + 1) - rank.double().log2()


def unseen(num: int) -> float:
    """The mean exposure of what was never seen, among `num` others."""
    return math.log2(num + 1) - float(torch.arange(1, num + 2).double().log2().mean())


class Membership(Evaluation):
    """Losses of training examples beside those of held-out ones; canaries, forgotten examples."""

    def __init__(
        self,
        *,
        num_examples: int = 1000,
        draws: int = 4,
        chunk: int = 250,
        ids: Sequence[int] | None = None,
    ) -> None:
        """`num_examples` of train, and of val; `draws` of the noise that a loss is the mean of.

        `ids`: numbers of training examples that are asked about, beside all.
        """
        super().__init__(chunk=chunk)
        check_count("num_examples", num_examples, 4)
        check_count("draws", draws, 1)
        self.num_examples, self.draws, self.ids = num_examples, draws, ids

    def __call__(
        self, model: Model, data: Data, *, num: int | None = None, seed: int = 0
    ) -> Report:
        """`num` instead of num_examples."""
        report, num = Report(), num or self.num_examples
        apart = data.splits()
        train, val = apart.get("own", data.split("train")), data.val
        if len(val) < 4:
            raise ValueError(f"metric=membership: {len(val)} held-out examples are too few: 4")
        others = self.losses(model, val, subset(len(val), num), seed, "held-out losses")
        members = self.losses(model, train, subset(len(train), num), seed, "training losses")
        half = len(others) // 2
        self.write(report, "membership", members, others)
        value, ends = auc(others[:half], others[half:])
        report.floor["membership_auc"] = 0.5
        report.floor["membership_found"] = FALSE
        report.metrics["control_auc"], report.interval["control_auc"] = value, ends
        report.floor["control_auc"] = 0.5
        report.remarks |= {
            "membership_auc": "training examples against held-out ones, by loss",
            "membership_found": "of training examples, where 1 % of held-out ones are taken for it",
            "control_auc": "held-out examples against others of them",
        }
        if self.ids is not None:
            self.asked_about(report, model, train, others, seed)
        self.set_apart(report, model, apart, others, seed)
        report.notes |= {"num_members": len(members), "num_held_out": len(others)}
        return report

    def write(self, report: Report, name: str, members: Tensor, others: Tensor) -> None:
        told = {"auc": auc(members, others), "found": true_positives(members, others)}
        for key, (value, ends) in told.items():
            report.metrics[f"{name}_{key}"], report.interval[f"{name}_{key}"] = value, ends

    def asked_about(
        self, report: Report, model: Model, train: Examples, others: Tensor, seed: int
    ) -> None:
        """How well the examples that are asked about are told from held-out ones."""
        ids = torch.tensor(list(self.ids or ()))
        if not len(ids) or int(ids.min()) < 0 or int(ids.max()) >= len(train):
            raise ValueError(f"metric.ids={self.ids}: numbers from 0 to {len(train) - 1}")
        losses = self.losses(model, train, ids, seed, "losses of those asked about")
        report.metrics["asked_auc"], report.interval["asked_auc"] = auc(losses, others)
        report.floor["asked_auc"] = 0.5

    def set_apart(
        self, report: Report, model: Model, there: dict[str, Examples], others: Tensor, seed: int
    ) -> None:
        """What edits have set apart: canaries, by how often they were seen, and the forgotten."""
        if "forgotten" in there:
            split = there["forgotten"]
            losses = self.losses(model, split, torch.arange(len(split)), seed, "the forgotten")
            report.metrics["forgotten_auc"], report.interval["forgotten_auc"] = auc(losses, others)
            report.floor["forgotten_auc"] = 0.5
            report.notes["num_forgotten"] = len(losses)
        if "canaries" in there:
            split = there["canaries"]
            losses = self.losses(model, split, torch.arange(len(split)), seed, "canaries")
            bits = exposure(losses, others)
            for repeats in split.repeats.unique().tolist():
                name, own = f"exposure_{repeats}", bits[split.repeats == repeats]
                report.metrics[name] = float(own.mean())
                report.floor[name] = unseen(len(others))
                report.remarks[name] = f"bits; canaries seen {repeats} times an epoch"
                if len(own) > 1:
                    report.interval[name] = mean_interval(own)
            report.notes["most_exposure"] = round(math.log2(len(others) + 1), 2)

    def losses(
        self, model: Model, examples: Examples, ids: Tensor, seed: int, stage: str
    ) -> Tensor:
        """The loss of each example, a mean over draws of its noise [N]."""
        found = []
        parts = ids.split(self.chunk)
        for i, part in enumerate(parts):
            self.tell(stage, i / len(parts))
            batch = examples.batch(part, None)
            batch = {k: each(lambda rows: rows.to(model.device), v) for k, v in batch.items()}
            total = torch.zeros(len(part), dtype=torch.float64)
            for draw in range(self.draws):
                with torch.no_grad(), model.drawing(), seeded(model, seed, draw, i):
                    total += model.loss(batch)["loss"].double().cpu()
            found.append(total / self.draws)
        self.tell(stage, 1)
        return torch.cat(found)

    def compare(self, report: Report, model: Model, data: Data, samples: Samples) -> None:
        """Nothing: no samples are drawn."""
