"""A few runs with other seeds: their mean, and its interval by Student's t. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from genlab.metrics.figures import cut_to, limits

# 97.5 % of Student's law for 1, 2, ... degrees of freedom
STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093,
)  # fmt: skip


def t_interval(values: Sequence[float], name: str = "") -> tuple[float, tuple[float, float]]:
    """The mean of a few values, as of runs with other seeds, and its interval by Student's t.

    That of a figure whose `name` is known as a share is cut to [0, 1], where its mean lies. Of one
    value it is all that may be: a single run says nothing of how far runs differ.
    """
    num, within = len(values), limits(name)
    if num < 2:
        return (values[0] if values else math.nan), within
    mean = sum(values) / num
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (num - 1))
    half = STUDENT[min(num - 2, len(STUDENT) - 1)] * spread / math.sqrt(num)
    return mean, cut_to((mean - half, mean + half), within)
