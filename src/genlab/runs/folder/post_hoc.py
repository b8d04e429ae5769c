"""A run's weights averaged over another length than in training: ema=SIGMA of sample and evaluate.

Read: `averaged`. callbacks/post_hoc.py stores the snapshots and has the formulas.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from genlab.runs.folder.layout import find_run
from genlab.runs.say.errors import UserError


def averaged(path: str | Path, weights: dict[str, Tensor], sigma_rel: float, until: int) -> dict:
    """The run's `weights` with those that learn averaged over `sigma_rel` of training, `until`.

    UserError where the run stored no snapshots, or they are of another model.
    """
    from safetensors import safe_open

    from genlab.callbacks.post_hoc import FOLDER, coefficients, gamma_of

    try:
        gamma = gamma_of(sigma_rel)
    except (ValueError, TypeError) as error:
        raise UserError(str(error)) from None
    found = sorted((find_run(path) / FOLDER).glob("examples=*.safetensors"))
    numbers = {int(file.stem.partition("=")[2]): file for file in found}
    files = [(t, file) for t, file in numbers.items() if 0 < t <= until]
    if not files:
        raise UserError(
            f"ema={sigma_rel}: {path} has no snapshots to average; train with callbacks=post_hoc"
        )
    times, gammas, parts = [], [], []
    for t, file in files:
        with safe_open(file, "pt") as stored:
            names = stored.keys()
            for length in sorted({name.partition("/")[0] for name in names}):
                times.append(t)
                gammas.append(gamma_of(float(length)))
                parts.append((file, length))
    shares = coefficients(times, gammas, files[-1][0], gamma)
    sums: dict[str, Tensor] = {}
    for (file, length), share in zip(parts, shares, strict=True):
        with safe_open(file, "pt") as stored:
            names = stored.keys()
            for name in names:
                own, _, weight = name.partition("/")
                if own == length:
                    part = float(share) * stored.get_tensor(name).double()
                    sums[weight] = sums[weight] + part if weight in sums else part
    if odd := [k for k, w in sums.items() if k not in weights or weights[k].shape != w.shape]:
        raise UserError(f"ema={sigma_rel}: the snapshots of {path} are of another model: {odd[0]}")
    return {**weights, **{k: w.to(weights[k]) for k, w in sums.items()}}
