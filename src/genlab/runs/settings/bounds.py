"""Numbers that make no part of genlab's, refused before torch is imported.

What is mistyped most. Some classes would refuse them too, seconds later; others would build a net
without layers, or without channels.
"""

from __future__ import annotations

from typing import Any

from genlab.runs.gate.files import walk
from genlab.runs.say.errors import UserError

AT_LEAST_1 = (
    "width", "depth", "heads", "kv_heads", "blocks", "patch", "latent_dim", "head_dim",
    "num_steps", "resample", "num_levels",
)  # fmt: skip
ABOVE_0 = ("sigma_data", "sigma_min", "sigma_max", "rho", "shift")
DIVIDES = (("heads", "width"), ("kv_heads", "heads"))  # the first divides the second


def check_bounds(settings: dict[str, Any]) -> None:
    """Refuse sizes and steps below 1, deviations not above 0, heads and patches that do not fit."""
    for place, node in walk(settings.get("optim"), "optim"):
        rate = node.get("lr") if isinstance(node, dict) else None
        if type(rate) in (int, float) and rate < 0:
            raise UserError(f"{place}.lr={rate}: it must not be below 0")
    for group in ("net", "conditions", "objective", "sampler"):
        for place, node in walk(settings.get(group), group):
            if isinstance(node, dict) and str(node.get("_target_")).startswith("genlab."):
                numbers = {k: v for k, v in node.items() if type(v) in (int, float)}
                _check_node(place, numbers, node.get("shape"))


def _check_node(place: str, numbers: dict[str, float], shape: Any) -> None:
    for key, value in numbers.items():
        if key in AT_LEAST_1 and value < 1:
            raise UserError(f"{place}.{key}={value}: it must be a whole number, at least 1")
        if key in ABOVE_0 and not value > 0:
            raise UserError(f"{place}.{key}={value}: it must be a number, above 0")
    for part, whole in DIVIDES:
        if {part, whole} <= set(numbers) and numbers[whole] % numbers[part]:
            rest = f"it must divide {place}.{whole}={numbers[whole]}"
            raise UserError(f"{place}.{part}={numbers[part]}: {rest}")
    patch = numbers.get("patch")
    if patch and isinstance(shape, list) and any(n % patch for n in shape[1:]):
        raise UserError(f"{place}.patch={patch}: it must divide the sides {shape[1:]}")
