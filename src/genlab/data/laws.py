"""The laws of tiny-diffusion's points in the plane, in their own scale, for published numbers.

tiny-diffusion (github.com/tanelp/tiny-diffusion) calls them circle, dino, line and moons; the
AI-Scientist's 2-D experiments take the same. Other laws, scaled to variance 1, are in toy.py.
"""

from __future__ import annotations

import csv
import functools
import math
from typing import ClassVar

import torch
from torch import Tensor

from genlab.data import files
from genlab.data.toy import Law, Moons, mixture_log_prob


class Circle(Law):
    """25 small discs: the directions of a 5 by 5 lattice, on a circle of radius 3, and its centre.

    The distance from a disc's centre is uniform up to 0.09, so it is denser in the middle.
    """

    radius, reach = 3.0, 0.09
    slack = 1e-5  # points are float32: those at the rim belong to the disc

    def __init__(self) -> None:
        line = torch.arange(-2.0, 3.0)
        lattice = torch.cartesian_prod(line, line)
        self.centres = self.radius * torch.nn.functional.normalize(lattice)

    def draw(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        label = torch.randint(len(self.centres), (num,), generator=generator)
        angle, distance = torch.rand(2, num, generator=generator)
        step = torch.stack([(2 * math.pi * angle).cos(), (2 * math.pi * angle).sin()], 1)
        return self.centres[label] + self.reach * distance[:, None] * step, label

    def log_prob(self, x: Tensor) -> Tensor:
        """log of the sum over discs of 1 / (2 pi d reach), d < reach, over their number."""
        d = torch.cdist(x.double(), self.centres.to(x.device).double())
        density = torch.where(
            d < self.reach * (1 + self.slack), 1 / (2 * math.pi * self.reach * d), 0.0
        )
        return density.mean(1).log()


class Dino(Law):
    """Cairo's datasaurus: 142 points that draw a dinosaur, with noise of 0.15, then scaled.

    A point p with its noise becomes (4 p / 54 - 4, 4 p / 48 - 4). The drawing is read from
    DatasaurusDozen.tsv in `root`, in $GENLAB_DATA/datasaurus, or is downloaded (64 kB).
    """

    folder: ClassVar = "datasaurus"
    file: ClassVar = "DatasaurusDozen.tsv"
    size: ClassVar = 64046  # bytes
    sha256: ClassVar = "c8c4792c3ed15238ba07dad6ab778adc79d72e3e1324ead4d8c1ae52849780f8"
    url: ClassVar = (
        "https://raw.githubusercontent.com/tanelp/tiny-diffusion/"
        "726b6bbbf2c9e3d23dff9eaea2fda10d0af6a78c/static/DatasaurusDozen.tsv"
    )
    noise, stretch = 0.15, (4 / 54, 4 / 48)

    def __init__(self, *, root: str | None = None) -> None:
        self.root = root

    @functools.cached_property
    def drawing(self) -> Tensor:
        """The 142 points [142, 2], scaled; read when they are first asked for."""
        where = {"name": self.folder, "root": self.root}
        known = {"sha256": self.sha256, "size": self.size}
        path = files.fetch(self.file, [self.url], **where, **known)
        lines = files.read(path, **known).decode().splitlines()
        rows = [r for r in csv.DictReader(lines, delimiter="\t") if r["dataset"] == "dino"]
        points = torch.tensor([(float(r["x"]), float(r["y"])) for r in rows])
        return points * torch.tensor(self.stretch) - 4

    def draw(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        label = torch.randint(len(self.drawing), (num,), generator=generator)
        std = self.noise * torch.tensor(self.stretch)
        return self.drawing[label] + std * torch.randn(num, 2, generator=generator), label

    def log_prob(self, x: Tensor) -> Tensor:
        stretch = torch.tensor(self.stretch, dtype=torch.float64, device=x.device)
        weights = torch.full((len(self.drawing),), 1 / len(self.drawing))
        inner = mixture_log_prob(
            x / stretch, self.drawing.to(x.device) / stretch, weights, self.noise
        )
        return inner - stretch.log().sum()


class Line(Law):
    """Evenly within a rectangle, 4 wide and 8 high, around 0."""

    half = (2.0, 4.0)

    def draw(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = (2 * torch.rand(num, 2, generator=generator) - 1) * torch.tensor(self.half)
        return x, torch.zeros(num, dtype=torch.long)

    def log_prob(self, x: Tensor) -> Tensor:
        inside = (x.double().abs() <= torch.tensor(self.half, dtype=torch.float64)).all(1)
        return torch.where(inside, -math.log(4 * math.prod(self.half)), -math.inf)


class WideMoons(Law):
    """scikit-learn's two moons, unscaled, with noise of 0.03, then (2 x - 0.4, 3 y - 0.1)."""

    stretch, shift, noise = (2.0, 3.0), (-0.4, -0.1), 0.03

    def __init__(self) -> None:
        self._moons = _Moons(std=self.noise)

    def draw(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, label = self._moons.draw(num, generator)
        return x * torch.tensor(self.stretch) + torch.tensor(self.shift), label

    def log_prob(self, x: Tensor) -> Tensor:
        stretch = torch.tensor(self.stretch, dtype=torch.float64)
        inner = (x.double() - torch.tensor(self.shift, dtype=torch.float64)) / stretch
        return self._moons.log_prob(inner) - math.log(math.prod(self.stretch))


class _Moons(Moons):
    """The two moons where scikit-learn puts them."""

    def curve(self, t: Tensor, label: Tensor) -> Tensor:
        cos, sin = (math.pi * t).cos(), (math.pi * t).sin()
        lower = label == 1
        return torch.stack(
            [torch.where(lower, 1 - cos, cos), torch.where(lower, 0.5 - sin, sin)], 1
        )
