"""Dead codes: most of a codebook stands for no example.

Measured at a look: the codes of held-out examples, beside how many would be in use if all were as
likely, for few positions cannot use many codes.
"""

from __future__ import annotations

import math

import torch

from genlab.callbacks.signs.base import Finding, Past, Shown, Sign

PIECE = 64  # examples that are encoded at once


class DeadCodes(Sign):
    needs = ("perplexity", "commitment")

    def __init__(self, *, used: float = 0.3, batches: int = 500) -> None:
        """Told where less than this share is `used` of the codes that could be, after so many
        `batches`: before, those that stand for nothing may yet be moved onto data."""
        if not 0 <= used < 1 or batches < 0:
            raise ValueError(
                f"callbacks.doctor.signs.dead_codes: used={used} is a share, batches={batches} at"
                " least 0"
            )
        self.used, self.batches = used, batches

    def measure(self, shown: Shown) -> dict[str, float]:
        model = shown.model
        if not hasattr(model, "encode"):  # a prior of latents
            return {}
        pieces = shown.real["x"].split(PIECE)
        codes = torch.cat([model.encode(x.to(model.device)).flatten().cpu() for x in pieces])
        counts = torch.bincount(codes, minlength=model.latent_vocab).double()
        return {
            "codes": float(model.latent_vocab),
            "codes_used": float((counts > 0).sum()),
            "codes_possible": model.latent_vocab * -math.expm1(-len(codes) / model.latent_vocab),
            "codes_perplexity": float(torch.special.entr(counts / len(codes)).sum().exp()),
        }

    def judge(self, past: Past) -> Finding | None:
        def bad(look: dict[str, float]) -> bool:
            if "signs/codes" not in look:
                return False
            return look["signs/codes_used"] < self.used * look["signs/codes_possible"]

        if not past.lasts(bad):
            return None
        look = past.looks[-1]
        if look["batches"] < self.batches:
            return None
        used, perplexity = look["signs/codes_used"], look["signs/codes_perplexity"]
        evidence = (
            f"held-out examples use {used:.0f} of {look['signs/codes']:.0f} codes"
            f" ({look['signs/codes_possible']:.0f} if all were as likely), perplexity"
            f" {perplexity:.3g}"
        )
        remedies = []
        revive = past.setting("objective.quantiser.revive")
        if revive is not None:
            remedies.append(f"objective.quantiser.revive={max(0.1, min(0.5, 2 * revive)):g}")
            fewer = 2 ** max(2, math.ceil(math.log2(2 * used)))
            if fewer < look["signs/codes"]:
                remedies.append(f"objective.quantiser.vocab={fewer}")
        return Finding("dead codes", evidence, tuple(remedies))
