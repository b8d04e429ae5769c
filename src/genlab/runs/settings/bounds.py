"""Numbers that make no part of genlab's, refused before torch is imported.

What is mistyped most, and what a stranger's checkpoint could ask for: some classes would refuse it
too, seconds later; others would build a net without layers, a table of gigabytes, or never end.
"""

from __future__ import annotations

import math
from typing import Any

from genlab.runs.gate.files import walk
from genlab.runs.say.errors import UserError

AT_LEAST_1 = (
    "width", "depth", "heads", "kv_heads", "blocks", "patch", "latent_dim", "head_dim",
    "num_steps", "resample", "num_levels",
)  # fmt: skip
# far beyond what anybody trains; what a table or a loop is as long as
AT_MOST = {
    "num_levels": 100_000, "num_steps": 100_000, "resample": 1_000, "num_importance": 100_000,
    "critic_steps": 1_000, "length": 2**20, "max_length": 2**20, "frequencies": 4096,
    "num_classes": 2**20, "vocab": 2**22, "caption_vocab": 2**22, "caption_length": 2**20,
    "levels": 2**16, "side": 100, "modes": 100_000, "grid": 1_000, "num_workers": 1_000,
    "val_examples": 10**8, "num": 10**6, "num_samples": 10**8, "chunk": 10**6, "pairs": 10**4,
    "max_train": 10**8, "threads": 4096, "width": 2**17, "depth": 512, "blocks": 64,
    "heads": 1024, "kv_heads": 1024, "head_dim": 2**14, "latent_dim": 2**16,
}  # fmt: skip
GROUPS = ("net", "conditions", "objective", "sampler", "data", "model", "metric", "callbacks",
          "trainer")  # fmt: skip
VALUES, TOKENS = 10**7, 2**20  # that one example may have
ABOVE_0 = ("sigma_data", "sigma_min", "sigma_max", "rho", "shift")
DIVIDES = (("heads", "width"), ("kv_heads", "heads"))  # the first divides the second


def check_bounds(settings: dict[str, Any]) -> None:
    """Refuse sizes and steps below 1 or without end, deviations not above 0, what does not fit."""
    for place, node in walk(settings.get("optim"), "optim"):
        rate = node.get("lr") if isinstance(node, dict) else None
        if type(rate) in (int, float) and rate < 0:
            raise UserError(f"{place}.lr={rate}: it must not be below 0")
    for group in GROUPS:
        for place, node in walk(settings.get(group), group):
            if isinstance(node, dict) and str(node.get("_target_")).startswith("genlab."):
                numbers = {k: v for k, v in node.items() if type(v) in (int, float)}
                _check_node(place, numbers, node.get("shape"))


def _check_node(place: str, numbers: dict[str, float], shape: Any) -> None:
    if isinstance(shape, list) and shape and all(type(n) is int for n in shape):
        most = VALUES if numbers.get("vocab") is None else TOKENS
        if min(shape) < 1 or math.prod(shape) > most:
            raise UserError(f"{place}.shape={shape}: sizes above 0, {most:,} numbers at most")
    for key, value in numbers.items():
        if value > AT_MOST.get(key, math.inf):
            raise UserError(f"{place}.{key}={value}: it must be at most {AT_MOST[key]:,}")
        if key in AT_LEAST_1 and value < 1:
            raise UserError(f"{place}.{key}={value}: it must be a whole number, at least 1")
        if key in ABOVE_0 and not value > 0:
            raise UserError(f"{place}.{key}={value}: it must be a number, above 0")
    for part, whole in DIVIDES:
        if {part, whole} <= set(numbers) and numbers[whole] % numbers[part]:
            rest = f"it must divide {place}.{whole}={numbers[whole]}"
            raise UserError(f"{place}.{part}={numbers[part]}: {rest}")
    patch = numbers.get("patch")
    sides = shape[1:][-2:] if isinstance(shape, list) else []  # of what else, its class tells
    if patch and all(type(n) is int for n in sides) and any(n % patch for n in sides):
        raise UserError(f"{place}.patch={patch}: it must divide the sides {sides}")
