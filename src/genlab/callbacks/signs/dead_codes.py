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

    def __init__(self, *, perplexity: float = 0.1) -> None:
        """Told where the codes' `perplexity` is below this share of how many could be in use."""
        if not 0 <= perplexity < 1:
            raise ValueError(f"callbacks.doctor.signs.dead_codes.perplexity={perplexity}: 0 to 1")
        self.perplexity = perplexity

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
            return look["signs/codes_perplexity"] < self.perplexity * look["signs/codes_possible"]

        if not past.lasts(bad):
            return None
        look = past.looks[-1]
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
