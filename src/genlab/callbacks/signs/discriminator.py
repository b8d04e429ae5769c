"""A discriminator that always wins: its loss is near 0, and the generator learns little from it.

Arjovsky & Bottou 2017 (arXiv 1701.04862), section 2. A critic of WGAN-GP is to be as good as it can
be and its loss is no saturated one: it is the negative gap.
"""

from __future__ import annotations

from genlab.callbacks.signs.base import Finding, Past, Sign


class Overpowered(Sign):
    """The gap of the logits is wide and the discriminator's loss near 0, row after row."""

    needs = ("loss_discriminator", "logit_real", "logit_fake")

    def __init__(self, *, loss: float = 0.05, rows: int = 10) -> None:
        """Told where the discriminator's loss is from 0 to `loss` in `rows` train rows in a row."""
        if rows < 1:
            raise ValueError(f"callbacks.doctor.signs.discriminator.rows={rows}: at least 1")
        self.loss, self.rows = loss, rows

    def judge(self, past: Past) -> Finding | None:
        rows = [r for r in past.rows if "train/loss_discriminator" in r][-self.rows :]
        losses = [r["train/loss_discriminator"] for r in rows]
        if len(rows) < self.rows or not all(0 <= loss <= self.loss for loss in losses):
            return None
        gaps = [r["train/logit_real"] - r["train/logit_fake"] for r in rows]
        evidence = (
            f"its loss is {max(losses):.2g} at most in the last {len(rows)} rows, the logits of"
            f" real and drawn examples lie {sum(gaps) / len(gaps):.3g} apart, the generator's loss"
            f" is {rows[-1]['train/loss_generator']:.3g}"
        )
        gamma = past.setting("objective.r1_gamma")
        remedies = [] if gamma is None else [f"objective.r1_gamma={max(1.0, 10 * gamma):g}"]
        lr = past.setting("model.optim_discriminator.optimizer.lr")
        if lr is not None:
            remedies.append(f"model.optim_discriminator.optimizer.lr={lr / 4:.2g}")
        return Finding("the discriminator always wins", evidence, tuple(remedies))
