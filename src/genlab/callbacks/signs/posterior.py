"""Posterior collapse: q(z | x) is the prior, so the decoder is told nothing.

Bowman et al. 2016 (arXiv 1511.06349); active units are Burda et al.'s, 2016 (arXiv 1509.00519),
section 5.2: latents whose posterior mean has a variance above 0.01 over examples.
"""

from __future__ import annotations

import math

from genlab.batch import each
from genlab.callbacks.signs.base import Finding, Past, Shown, Sign

ACTIVE = 0.01  # variance of a latent's mean
MOST = 256  # held-out examples that are encoded


class PosteriorCollapse(Sign):
    needs = ("kl", "reconstruction")

    def __init__(self, *, nats: float = 0.1, batches: int = 200) -> None:
        """Told where the KL is below `nats` an example, or no latent is active, after `batches`."""
        if nats < 0:
            raise ValueError(f"callbacks.doctor.signs.posterior_collapse.nats={nats}: at least 0")
        if batches < 0:
            raise ValueError(
                f"callbacks.doctor.signs.posterior_collapse.batches={batches}: at least 0"
            )
        self.nats, self.batches = nats, batches

    def measure(self, shown: Shown) -> dict[str, float]:
        model, real = shown.model, shown.real
        if not hasattr(model, "encode"):  # a prior of latents
            return {}
        cond = each(lambda rows: rows[:MOST].to(model.device), model.conditions.of(real))
        mean = model.encode(real["x"][:MOST].to(model.device), cond).flatten(1).float()
        if len(mean) < 2 or not mean.isfinite().all():
            return {}
        active = int((mean.var(0) > ACTIVE).sum())
        return {"active_units": float(active), "units": float(mean.shape[1])}

    def judge(self, past: Past) -> Finding | None:
        def bad(look: dict[str, float]) -> bool:
            kl = look.get("val/kl", math.inf)
            return kl < self.nats or look.get("signs/active_units") == 0

        if not past.lasts(bad):
            return None
        look = past.looks[-1]
        if look["batches"] < self.batches:  # nothing is learnt yet
            return None
        evidence = f"the KL is {look['val/kl']:.2g} nats an example"
        if "signs/units" in look:
            of = f"{look['signs/active_units']:.0f} of {look['signs/units']:.0f}"
            evidence += f", {of} latents are active"
        beta = past.setting("objective.beta")
        remedies = [] if beta is None else [f"objective.beta={1.0 if beta > 1 else beta / 10:g}"]
        sigma = past.setting("objective.likelihood.sigma")
        if sigma is not None:
            remedies.append(f"objective.likelihood.sigma={sigma / 4:g}")
        return Finding("posterior collapse", evidence, tuple(remedies))
