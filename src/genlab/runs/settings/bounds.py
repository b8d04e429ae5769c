"""Numbers of the parts that no class would take, refused before torch is imported.

The classes refuse them too, seconds later: this says the same at once, for what is mistyped most.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from genlab.runs.gate.files import walk
from genlab.runs.say.errors import UserError

GROUPS = ("net", "objective", "sampler")
AT_LEAST_1 = ("num_steps", "resample", "num_levels")
ABOVE_0 = ("sigma_data", "sigma_min", "sigma_max", "rho", "shift")
DIVIDES = (("heads", "width"), ("kv_heads", "heads"))  # the first divides the second


def check_bounds(settings: dict[str, Any]) -> None:
    """Refuse steps below 1, deviations that are not above 0, heads and patches that do not fit."""
    for place, node in nodes(settings):
        for key, value in node.items():
            if not number(value):
                continue
            if key in AT_LEAST_1 and value < 1:
                raise UserError(f"{place}.{key}={value}: it must be a whole number, at least 1")
            if key in ABOVE_0 and not value > 0:
                raise UserError(f"{place}.{key}={value}: it must be a number, above 0")
        for part, whole in DIVIDES:
            size, total = node.get(part), node.get(whole)
            if number(size) and number(total) and total % size:
                raise UserError(f"{place}.{part}={size}: it must divide {place}.{whole}={total}")
        patch, shape = node.get("patch"), node.get("shape")
        if number(patch) and isinstance(shape, list) and any(n % patch for n in shape[1:]):
            raise UserError(f"{place}.patch={patch}: it must divide the sides {shape[1:]}")


def nodes(settings: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every (place, node) of genlab's own networks, formulas and samplers."""
    for group in GROUPS:
        for place, value in walk(settings.get(group), group):
            if isinstance(value, dict) and str(value.get("_target_")).startswith("genlab."):
                yield place, value


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
