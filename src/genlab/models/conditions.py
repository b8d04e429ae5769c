"""What a model can be asked for: classes, a table's value, captions, values, or several by name.

Read: `Conditions` is what models and guidance know; each kind is one class and one YAML
(conf/conditions). A batch holds conditions as plain tensors, one row an example; calling the object
turns them into what a net is given: class labels [B], or a sequence to attend to
(`genlab.batch.Context`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral

import torch
from torch import Tensor, nn

from genlab.batch import Asked, Batch, Cond, Context, Given, each, rows_of
from genlab.objectives.by_value import AskedValue
from genlab.rng import Draws, rand
from genlab.shapes import append_dims


class Conditions(nn.Module):
    """The base: a model that cannot be asked for anything."""

    some = False  # whether there is anything to ask for
    words = False  # whether that is captions

    def asked(self, cond: Asked, num: int, device: torch.device | str) -> Cond | None:
        """What was asked for, checked, one row an example [num, ...]; None where nothing was."""
        if cond is not None:
            warnings.warn("cond has no effect: the model has no conditions", stacklevel=4)
        return None

    def drawn(self, draws: Draws) -> Cond | None:
        """One's own condition for each example, where none was asked for."""
        return None

    def none(self, like: Cond | None) -> Cond | None:
        """No condition, in rows as `like`: guidance's other half, and what training hides."""
        return None

    def forward(self, cond: Cond | None) -> Tensor | Context | None:
        """What the net is given."""
        return None

    def missed(self, x: Tensor, cond: Cond | None) -> Tensor | None:
        """How far drawn x are from what they were asked for [B], where x itself can tell: what a
        generator minimises beside its game. None where it cannot."""
        return None

    # --- the same for all -----------------------------------------------------------------------

    def heard(self, cond: Cond | None) -> Cond | None:
        """Conditions of a data set's; a model that has none is asked for nothing."""
        return cond if self.some else None

    def of(self, batch: Batch) -> Cond | None:
        """The batch's conditions, where the model has any."""
        return self.heard(batch.get("cond"))

    def hidden(self, cond: Cond | None, share: float) -> Cond | None:
        """cond with a `share` of the examples left without any (Ho & Salimans 2022, alg. 1)."""
        if cond is None or share == 0:
            return cond
        hide = rand(*rows_of(cond)) < share
        return each(lambda n, c: torch.where(append_dims(hide, c), n, c), self.none(cond), cond)

    def asked_or_drawn(self, cond: Asked, draws: Draws) -> Cond | None:
        """What was asked for; where nothing was, each example draws its own."""
        if cond is None:
            return self.drawn(draws)
        return self.asked(cond, len(draws.generators), draws.device)


class Classes(Conditions):
    """One of `num_classes` classes: labels int64 [B]; label num_classes is "no class".

    The net is given the labels. With `width` it is given a Context of one state instead.
    """

    def __init__(self, *, num_classes: int | None, width: int | None = None) -> None:
        """`num_classes` null: the model ignores the classes that its data may have."""
        super().__init__()
        self.num_classes, self.some = num_classes, num_classes is not None
        embeds = width is not None and num_classes is not None
        self.embed = nn.Embedding(num_classes + 1, width) if embeds else None

    def asked(self, cond: Asked, num: int, device: torch.device | str) -> Tensor | None:
        """A label for all, a list of them (cycled through), or a tensor [num]."""
        if cond is None or not self.some:
            return super().asked(cond, num, device)
        labels = _cycled(cond, num)
        if labels.shape != (num,):
            raise ValueError(
                f"cond has shape {list(labels.shape)}: must be [{num}]: one class each"
            )
        labels = labels.to(device=device, dtype=torch.long)
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= self.num_classes:
            raise ValueError(
                f"cond goes from {low} to {high}: classes are 0 to {self.num_classes - 1}"
            )
        return labels

    def drawn(self, draws: Draws) -> Tensor | None:
        """Classes drawn uniformly."""
        if not self.some:
            return None
        return (draws.rand() * self.num_classes).long().clamp(max=self.num_classes - 1)

    def none(self, like: Tensor | None) -> Tensor | None:
        return None if like is None else torch.full_like(like, self.num_classes)

    def forward(self, cond: Tensor | None) -> Tensor | Context | None:
        if cond is None or self.embed is None:
            return cond
        return _unmasked(self.embed(cond).unsqueeze(1))


class OneValue(Classes):
    """One value of one categorical column of a table: CTGAN's conditional vector, by its number.

    Labels int64 [B] as of classes, K of them for all values of all columns; label K is "no value".
    Where nothing is asked for, the column is drawn evenly, its value in the data's own shares.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int],
        counts: Sequence[Sequence[int]],
        weight: float = 1.0,
    ) -> None:
        """`widths` and `counts` as of AskedValue; `weight` of the cross-entropy that makes a
        generator's row have its value."""
        values = AskedValue(widths=widths, counts=counts)
        super().__init__(num_classes=values.num)
        if not 0 <= weight < math.inf:
            raise ValueError(f"conditions.weight={weight}: write a number from 0 on")
        self.values, self.weight = values, weight

    def drawn(self, draws: Draws) -> Tensor:
        return self.values.draw(draws.rand())

    def missed(self, x: Tensor, cond: Tensor | None) -> Tensor | None:
        return None if cond is None else self.weight * self.values.missed(x, cond)


class Captions(Conditions):
    """Texts as token ids int64 [B, L], 0 where a text has ended; all 0 is no caption."""

    some = words = True

    def __init__(self, encoder: nn.Module, *, length: int) -> None:
        """`encoder`: ids [B, L] -> states [B, L', D] and mask [B, L'] (nn/text_encoder.py)."""
        super().__init__()
        self.encoder, self.length = encoder, length

    def asked(self, cond: Asked, num: int, device: torch.device | str) -> Tensor | None:
        """Ids [num, L], or of one caption [L] for all."""
        if cond is None:
            return None
        ids = torch.as_tensor(cond, device=device)
        ids = ids.expand(num, -1) if ids.ndim == 1 else ids
        if ids.shape != (num, self.length) or ids.is_floating_point():
            raise ValueError(
                f"cond has shape {list(ids.shape)}: must be [{num}, {self.length}], token ids;"
                " data.asked(num, cond=TEXT) makes them of a text"
            )
        return ids.long()

    def drawn(self, draws: Draws) -> Tensor:
        """No caption: a law of captions is the data's, not the model's."""
        ids = torch.zeros(len(draws.generators), self.length, dtype=torch.long)
        return ids.to(draws.device)

    def none(self, like: Tensor | None) -> Tensor | None:
        return None if like is None else torch.zeros_like(like)

    def forward(self, cond: Tensor | None) -> Context | None:
        return None if cond is None else Context(*self.encoder(cond))


class Values(Conditions):
    """`size` continuous attributes, float [B, size], of order 1; NaN where one is not asked for.

    The net is given a Context of one state an attribute.
    """

    some = True

    def __init__(self, *, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        self.scale, self.shift, self.missing = (
            nn.Parameter(torch.randn(size, width) * width**-0.5) for _ in range(3)
        )

    def asked(self, cond: Asked, num: int, device: torch.device | str) -> Tensor | None:
        """Values [num, size], or one row of them for all."""
        if cond is None:
            return None
        values = torch.as_tensor(cond, device=device, dtype=torch.float32)
        values = values.expand(num, -1) if values.ndim == 1 else values
        if values.shape != (num, self.size):
            raise ValueError(f"cond has shape {list(values.shape)}: must be [{num}, {self.size}]")
        return values

    def drawn(self, draws: Draws) -> Tensor:
        """None of the attributes is asked for."""
        return torch.full((len(draws.generators), self.size), torch.nan, device=draws.device)

    def none(self, like: Tensor | None) -> Tensor | None:
        return None if like is None else torch.full_like(like, torch.nan)

    def forward(self, cond: Tensor | None) -> Context | None:
        if cond is None:
            return None
        asked = ~cond.isnan()
        told = cond.nan_to_num().unsqueeze(-1) * self.scale + self.shift
        return _unmasked(torch.where(asked.unsqueeze(-1), told, self.missing))


class Several(Conditions):
    """Conditions of several kinds at once, by name: a mapping of name to rows.

    Each must give a Context of the same width; the net is given their states one after another.
    """

    some = True

    def __init__(self, parts: Mapping[str, Conditions]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)

    def asked(self, cond: Asked, num: int, device: torch.device | str) -> dict[str, Tensor] | None:
        """Some of the names, or all; those left out are not asked for."""
        if cond is None:
            return None
        if not isinstance(cond, Mapping) or not set(cond) <= set(self.parts):
            given = list(cond) if isinstance(cond, Mapping) else cond
            raise ValueError(f"cond={given}: give a mapping of some of {', '.join(self.parts)}")
        rows = {n: p.asked(cond.get(n), num, device) for n, p in self.parts.items()}
        free = self.none(self.drawn(Draws(0, 0, num, device)))
        return {n: free[n] if row is None else row for n, row in rows.items()}

    def drawn(self, draws: Draws) -> dict[str, Tensor]:
        return {name: part.drawn(draws) for name, part in self.parts.items()}

    def none(self, like: dict[str, Tensor] | None) -> dict[str, Tensor] | None:
        if like is None:
            return None
        return {name: part.none(like[name]) for name, part in self.parts.items()}

    def forward(self, cond: dict[str, Tensor] | None) -> Context | None:
        if cond is None:
            return None
        told = [part(cond[name]) for name, part in self.parts.items()]
        return Context(torch.cat([t.states for t in told], 1), torch.cat([t.mask for t in told], 1))


def _unmasked(states: Tensor) -> Context:
    return Context(states, torch.ones(states.shape[:2], dtype=torch.bool, device=states.device))


def _cycled(cond: Asked, num: int) -> Tensor:
    """One number for all examples, or a list's numbers in turn; a tensor as it is."""
    if isinstance(cond, Tensor):
        return cond
    if any(
        not isinstance(c, Integral) for c in (cond if isinstance(cond, list | tuple) else [cond])
    ):
        raise ValueError(
            f"cond={cond!r}: a model knows classes by number; data.asked(num, cond={cond!r})[0]"
            " finds those of names"
        )
    wanted = list(cond) if isinstance(cond, Sequence) else [cond]
    return torch.tensor([wanted[i % len(wanted)] for i in range(num)])


def known(given: Given, num: int, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """x and mask of what is given, on the device; one row per example, of one shape."""
    x, mask = given["x"].to(device), given["mask"].to(device, torch.bool)
    if x.shape != mask.shape or len(x) != num:
        raise ValueError(
            f"given.x has shape {list(x.shape)} and given.mask {list(mask.shape)}: "
            f"both must be of one shape, with {num} rows"
        )
    return x, mask
