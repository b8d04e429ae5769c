"""Points of one's own, of any dimension: the law that they follow is not known.

Read: `PointSet`. Laws that are known, for a model to be held against, are toy.py's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.batch import Given
from genlab.data.asks import Ask, Row
from genlab.data.base import DataModule, Examples
from genlab.data.sources.documents import Place, sides
from genlab.data.sources.points import PointsFile
from genlab.data.stated import check, sha256
from genlab.data.toy import Points
from genlab.views.coordinates import Coordinates


class PointSet(DataModule):
    """Points from a file, of which a share is held out by hash: equal points are on one side."""

    kind = "points"
    noun = "points"
    finds = ("shape",)

    def __init__(
        self,
        *,
        source: PointsFile,
        shape: Sequence[int] | None,
        batch_size: int,
        seed: int,
        standardise: bool = True,
        val_fraction: float = 0.1,
        num_classes: int | None = None,
        vocab: int | None = None,
        levels: int | None = None,
        std: float | None = None,
        val_examples: int | None = 1024,
    ) -> None:
        """`standardise`: learn coordinates of mean 0 and variance 1; samples are put back.

        `shape` None: as many coordinates as the file has.
        """
        for key, value in (("num_classes", num_classes), ("vocab", vocab), ("levels", levels)):
            if value is not None:
                raise ValueError(f"data.{key}={value}: points have none; write data.{key}=null")
        if not 0 < val_fraction < 1:
            raise ValueError(f"data.val_fraction={val_fraction}: write a number between 0 and 1")
        super().__init__(
            shape=shape or (), batch_size=batch_size, seed=seed, std=std, val_examples=val_examples
        )
        self.source, self.standardise, self.val_fraction = source, standardise, val_fraction
        self.names: list[str] = []
        self._place(np.zeros(1), np.ones(1))
        self.view = Coordinates()

    def _place(self, mean: np.ndarray, scale: np.ndarray) -> None:
        """x = (point - mean) / scale, each [D]."""
        self.mean, self.scale = (torch.from_numpy(np.asarray(v, np.float64)) for v in (mean, scale))

    # --- reading --------------------------------------------------------------------------------

    def found(self) -> dict[str, list[int]]:
        """How many coordinates the file's points have."""
        return {"shape": [self.source.read()[1].shape[1]]}

    def read(self) -> dict[str, Examples]:
        self.names, points = self.source.read()
        shape = (points.shape[1],)
        self.shape = self.shape or shape
        check("shape", self.shape, shape, self.source_name)
        places = [Place(row.tobytes().hex()) for row in points]
        side = sides(places, self.val_fraction, f"data.path={self.source.path}", noun="point")
        held_out = np.array([side(place) == "val" for place in places])
        train, val = points[~held_out], points[held_out]
        if self.standardise:
            spread = train.std(0)
            self._place(train.mean(0), np.where(spread > 0, spread, 1.0))
        self.view = Coordinates(self.names)
        return {"train": Points(self._x(train), None), "val": Points(self._x(val), None)}

    def _x(self, points: np.ndarray) -> Tensor:
        return ((torch.from_numpy(points) - self.mean) / self.scale).float()

    @property
    def source_name(self) -> str:
        return str(self.source.path)

    def notes(self) -> list[str]:
        still = [n for n, s in zip(self.names, self.train.x.std(0).tolist()) if s == 0]
        return [*super().notes(), *(f"{name!r} is the same in every point" for name in still)]

    def digest(self) -> str:
        return sha256(self.train.x, self.val.x)

    # --- samples --------------------------------------------------------------------------------

    def decode(self, x: Tensor) -> np.ndarray:
        """Points [N, D] in the file's units."""
        return (x.detach().cpu().double() * self.scale + self.mean).float().numpy()

    def state(self) -> dict[str, Any]:
        numbers = {"mean": self.mean.tolist(), "scale": self.scale.tolist()}
        return {"names": self.names, **numbers}

    def load_state(self, state: dict[str, Any]) -> None:
        names, mean, scale = state["names"], state["mean"], state["scale"]
        wide = self.shape[0] if self.shape else len(names)
        if not isinstance(names, list) or len(names) != wide:
            raise ValueError(f"names: {wide} texts")
        for key, numbers in (("mean", mean), ("scale", scale)):
            if not isinstance(numbers, list) or len(numbers) not in (1, wide):
                raise ValueError(f"{key}: {wide} numbers")
            if not all(isinstance(n, float) and np.isfinite(n) for n in numbers):
                raise ValueError(f"{key}: finite numbers")
        if not all(n > 0 for n in scale) or not all(
            isinstance(n, str) and len(n) <= 1000 for n in names
        ):
            raise ValueError("a scale above 0, and names of at most 1,000 letters")
        self.names = list(names)
        self._place(np.array(mean), np.array(scale))
        self.view = Coordinates(self.names)

    def asks(self) -> tuple[Ask, ...]:
        known = Row(key="given", label="known coordinates", names=tuple(self.names), listed=True)
        return (*super().asks(), known)

    def asked_given(
        self, num: int, prompt: str | None, given: str | None, mask: str | None
    ) -> Given | None:
        """Known coordinates in the file's units: given=[0.5,null] draws the second."""
        super().asked_given(num, prompt, None, mask)
        if given is None:
            return None
        try:
            values = json.loads(given)
            known = torch.tensor([v is not None for v in values])
            point = np.array([0.0 if v is None else float(v) for v in values])
        except (ValueError, TypeError):
            known, point = torch.empty(0), np.empty(0)
        if point.shape != tuple(self.shape) or not np.isfinite(point).all():
            raise ValueError(
                f"given={given}: write a point's {self.shape[0]} coordinates"
                f" ({', '.join(self.names[:6])}), null for one to be drawn: given=[0.5,null]"
            )
        return Given(x=self._x(point[None]).repeat(num, 1), mask=known.repeat(num, 1))
