"""What a model's code says of x, to look at: what it gives back, and what each of its values does.

Read: `save_codes` is what `genlab evaluate` calls: reconstructions, and traversal_1, _2, ... of the
first held-out examples, in the form that the data's view writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlab.batch import each
from genlab.callbacks.look import real_examples
from genlab.metrics.codes import code_laws

BACK = ("held out", "back")  # what pairs of a reconstruction are
EXAMPLES, SPAN = 3, 2.0  # examples whose codes are walked; standard deviations to each side
LISTED = 64  # values of a code that evaluation.json names


def save_codes(model: Any, data: Any, folder: Path) -> dict[str, Any]:
    """Write both pictures of a model that has them; gives what evaluation.json says of its code."""
    save_reconstructions(model, data, folder)
    return save_traversals(model, data, folder)


def save_reconstructions(model: Any, data: Any, folder: Path) -> None:
    """Held-out examples beside what the code gives back of them."""
    view = data.view
    x, cond = shown_examples(model, data, view.paired)
    back = model.reconstruct(x, cond)
    if back is not None:
        pair = (data.decode(rows.cpu()) for rows in (x, back))
        view.pairs(*pair, folder / f"reconstructions{view.suffix}", names=BACK)


def save_traversals(model: Any, data: Any, folder: Path) -> dict[str, Any]:
    """Rows that change one value of a code and keep the others, the value that tells most first.

    Of a code that is a map there are none: a value of it is a place, and changes what stands there.
    """
    if (laws := code_laws(model, data)) is None:
        return {}
    kl, used = laws.kl(), laws.in_use()
    told: dict[str, Any] = {
        "values": len(kl),
        "of": laws.part,
        "in_use": len(used),
        "nats": float(kl.sum()),
        "most": [[j, round(float(kl[j]), 5)] for j in used[:LISTED]],
        "walked": [],
    }
    rows, steps = data.view.lines
    walked = used[:rows] if len(model.latent_shape) == 1 else []
    if not walked:
        return told
    x, cond = shown_examples(model, data, EXAMPLES)
    names = [f"z{j}: {kl[j]:.3g} nats" for j in walked]
    ways = torch.cat([walk(z, walked, laws.before(), steps) for z in model.encode(x, cond)])
    num = len(walked) * steps
    same = each(lambda rows: rows.repeat_interleave(num, 0), cond)
    for i, items in enumerate(model.decode(ways.flatten(0, 1), same).cpu().split(num), 1):
        path = folder / f"traversal_{i}{data.view.suffix}"
        if data.view.rows(data.decode(items), steps, path, names=names):
            told["walked"] = walked
    return told


def walk(z: Tensor, values: Sequence[int], before: tuple[Tensor, Tensor], steps: int) -> Tensor:
    """A code z [D] with each of `values` in turn from -SPAN to SPAN: [len(values), steps, D].

    `before`: the mean and standard deviation [D] by which the span is measured.
    """
    centre, spread = (t.to(z) for t in before)
    at = torch.linspace(-SPAN, SPAN, steps, device=z.device, dtype=z.dtype)
    way = z.repeat(len(values), steps, 1)
    for row, j in enumerate(values):
        way[row, :, j] = centre[j] + at * spread[j]
    return way


def shown_examples(model: Any, data: Any, num: int) -> tuple[Tensor, Any]:
    """Held-out examples as the page's real ones, on the model's device, and what they are told."""
    x, cond = real_examples(data, num)
    told = model.conditions.heard(cond)
    return x.to(model.device), each(lambda rows: rows.to(model.device), told)
