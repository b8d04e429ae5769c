"""Toy laws: densities integrate to 1, draws follow them, moments are as stated."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch

from genlab.data.laws import Circle, Dino, Line, WideMoons
from genlab.data.toy import Checkerboard, Curves, Grid, Moons, Ring, Spirals, Toy2D
from genlab.rng import generator

LAWS = [Ring(), Ring(modes=3, std=0.3), Grid(), Moons(), Spirals(), Checkerboard()]
NAMES = ["ring", "ring3", "grid", "moons", "spirals", "checkerboard"]
laws = pytest.mark.parametrize("law", LAWS, ids=NAMES)


def board(num: int, half: float = 4.0) -> tuple[torch.Tensor, float]:
    """The middles of num x num cells over [-half, half]^2, and the area of a cell."""
    line = (torch.arange(num, dtype=torch.float64) + 0.5) / num * 2 * half - half
    return torch.cartesian_prod(line, line), (2 * half / num) ** 2


@laws
def test_the_density_integrates_to_one(law) -> None:
    # on the edges of the squares the midpoint rule needs cells that end there
    x, area = board(128, 2 * math.sqrt(3)) if isinstance(law, Checkerboard) else board(120, 3)
    assert law.log_prob(x).exp().sum().item() * area == pytest.approx(1, abs=1e-3)


@laws
def test_draws_follow_the_density(law) -> None:
    num = 40_000
    x, _ = law.draw(num, generator("test"))
    half, cells, fine = math.sqrt(3) * 2, 16, 10 if isinstance(law, Curves) else 24
    points, area = board(cells * fine, half)
    mass = law.log_prob(points).exp().view(cells, fine, cells, fine).sum((1, 3)) * area
    at = ((x.double() + half) / (2 * half) * cells).floor().long().clamp(0, cells - 1)
    counts = torch.zeros(cells, cells, dtype=torch.float64)
    counts.index_put_((at[:, 0], at[:, 1]), torch.ones(num, dtype=torch.float64), accumulate=True)
    expected = mass * num
    tested = expected > 5
    assert counts[~tested].sum() <= 20 + 3 * expected[~tested].sum()
    chi2 = ((counts - expected)[tested] ** 2 / expected[tested]).sum().item()
    freedom = int(tested.sum()) - 1
    assert chi2 < freedom + 5 * math.sqrt(2 * freedom)


@laws
def test_the_scale_is_as_stated(law) -> None:
    x, _ = law.draw(100_000, generator("test"))
    std = law.std or 0.0
    assert x.dtype == torch.float32
    assert x.mean(0).abs().max() < 0.02
    assert x.var(0).mean().item() == pytest.approx(1 + std**2, abs=0.02)
    if isinstance(law, Moons):
        assert x.var(0).tolist() == pytest.approx([1.51 + std**2, 0.49 + std**2], abs=0.02)


@pytest.mark.parametrize("law", [Moons(), Spirals()])
def test_the_integral_along_a_curve_has_converged(law) -> None:
    x, _ = law.draw(500, generator("test"))
    coarse = law.log_prob(x)
    law.nodes *= 2
    assert (law.log_prob(x) - coarse).abs().max() < 1e-6


@laws
def test_labels_say_which_part(law) -> None:
    x, label = law.draw(2000, generator("test"))
    if law.modes is not None:
        nearest = torch.cdist(x, law.modes).argmin(1)
        assert (nearest == label).float().mean() > (0.99 if law.std < 0.2 else 0.9)
        assert len(law.modes) == law.parts and set(label.tolist()) == set(range(law.parts))


def test_one_mode_is_the_normal_density() -> None:
    law = Ring(modes=1, std=0.5)
    x = torch.randn(7, 2)
    normal = torch.distributions.Normal(law.modes[0].double(), 0.5).log_prob(x.double()).sum(1)
    assert torch.allclose(law.log_prob(x), normal)


def test_the_ring_and_the_grid_have_their_modes() -> None:
    assert Ring().modes.shape == (8, 2) and Grid().modes.shape == (25, 2)
    assert Ring().modes.norm(dim=1).tolist() == pytest.approx([math.sqrt(2)] * 8)
    assert torch.cdist(Grid().modes, Grid().modes).fill_diagonal_(9).min() == pytest.approx(
        1 / math.sqrt(2), abs=1e-5
    )


def toy(**given) -> Toy2D:
    data = Toy2D(**{"law": Ring(), "batch_size": 16, "seed": 0, **given})
    data.load()
    return data


def test_training_draws_are_always_new_and_val_is_fixed() -> None:
    data = toy()
    batches = torch.cat([data.train_batch(k)["x"] for k in range(50)])
    assert len(batches.unique(dim=0)) == 800 and data.epoch_examples is None
    assert len(data.val) == 4096 and torch.equal(data.val.x, toy(seed=9).val.x)
    assert not torch.equal(data.val.x, data.train.x)
    assert data.train_ids(2).tolist() == list(range(32, 48))
    assert data.decode(batches).shape == (800, 2)
    assert torch.equal(data.log_prob(batches), data.law.log_prob(batches))
    assert torch.equal(data.modes, data.law.modes) and data.mode_std == 0.1


def test_labels_come_if_classes_are_stated() -> None:
    assert "cond" not in toy().train_batch(0) and "cond" not in toy().val_batches()[0]
    assert toy(num_classes=8).train_batch(0)["cond"].dtype == torch.int64
    assert "cond" in toy(num_classes=8).val_batches()[0]


def test_laws_have_fingerprints_of_their_own() -> None:
    all_laws = [*LAWS, Ring(std=0.2), Grid(side=4)]
    assert len({toy(law=law).fingerprint() for law in all_laws}) == len(all_laws)


@pytest.mark.parametrize(
    "wrong, says",
    [
        (lambda: toy(num_classes=5), "data.num_classes=5: Ring can have null or 8"),
        (
            lambda: toy(law=Checkerboard(), num_classes=8),
            "data.num_classes=8: Checkerboard can have null",
        ),
        (lambda: toy(shape=[3]), "data.shape=[3]: points in the plane have data.shape=[2]"),
        (lambda: toy(vocab=5), "data.vocab=5: points have none"),
        (lambda: Ring(std=0), "data.law.std=0: write a number above 0"),
        (lambda: Grid(side=1), "data.law.side=1: write a whole number from 2 on"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(wrong, says) -> None:
    with pytest.raises(ValueError) as error:
        wrong()
    assert str(error.value).startswith(says) and "\n" not in str(error.value)


# --- tiny-diffusion's, in their own scale ---------------------------------------------------------


@pytest.mark.parametrize("law", [Circle(), Line(), WideMoons()], ids=["circle", "line", "moons"])
def test_published_laws_integrate_to_one_where_their_draws_are(law) -> None:
    """By Monte Carlo over boxes around the draws: a third of the density is elsewhere otherwise."""
    x, _ = law.draw(50_000, generator("test"))
    low, high = x.min(0).values - 0.3, x.max(0).values + 0.3
    u = low + (high - low) * torch.rand(400_000, 2, generator=generator("box"))
    total = sum(law.log_prob(part).exp().sum().item() for part in u.split(50_000)) / len(u)
    # of the circle most lies in small discs, which few of these points hit
    assert total * float((high - low).prod()) == pytest.approx(1, abs=0.08)
    assert torch.isfinite(law.log_prob(x)).all(), "no draw lies where the density is 0"


def test_the_circle_is_25_discs_of_which_directions_of_the_lattice_coincide() -> None:
    law = Circle()
    x, label = law.draw(20_000, generator("test"))
    away = (x - law.centres[label]).norm(dim=1)
    assert away.max() <= 0.09 * 1.0001
    assert away.mean().item() == pytest.approx(0.045, abs=0.001)  # uniform in the distance
    assert len(law.centres) == 25 and len(law.centres.mul(1e4).round().unique(dim=0)) == 17


def test_wide_moons_are_scikit_learns_stretched() -> None:
    from sklearn.datasets import make_moons

    theirs, _ = make_moons(20_000, noise=0.03, random_state=0)
    theirs = torch.tensor((theirs + 0.3) * [2, 3] - 1)
    mine, _ = WideMoons().draw(20_000, generator("test"))
    assert mine.mean(0).tolist() == pytest.approx(theirs.mean(0).tolist(), abs=0.03)
    assert mine.std(0).tolist() == pytest.approx(theirs.std(0).tolist(), abs=0.02)
    log_p = WideMoons().log_prob(theirs)
    assert float((log_p > -20).double().mean()) > 0.999


@pytest.fixture
def drawing(tmp_path, monkeypatch) -> str:
    """A file as the datasaurus lies in, of three points, and another drawing beside them."""
    text = "dataset\tx\ty\ndino\t54\t48\naway\t1\t1\ndino\t81\t48\ndino\t54\t96\n"
    (tmp_path / "DatasaurusDozen.tsv").write_text(text)
    monkeypatch.setattr(Dino, "sha256", hashlib.sha256(text.encode()).hexdigest())
    monkeypatch.setattr(Dino, "size", len(text))
    return str(tmp_path)


def test_the_dino_is_its_points_scaled_with_noise_that_is_scaled_too(drawing) -> None:
    law = Dino(root=drawing)
    assert law.drawing.tolist() == pytest.approx(np.array([[0, 0], [2, 0], [0, 4]]), abs=1e-6)
    x, label = law.draw(30_000, generator("test"))
    assert x[label == 1].mean(0).tolist() == pytest.approx([2, 0], abs=1e-3)
    assert x[label == 1].std(0).tolist() == pytest.approx([0.6 / 54, 0.6 / 48], rel=0.03)
    # around one point the density is a normal one, of a third of all
    u = torch.tensor([2.0, 0.0]) + 0.2 * (torch.rand(200_000, 2, generator=generator("box")) - 0.5)
    assert float(law.log_prob(u).exp().mean()) * 0.04 == pytest.approx(1 / 3, rel=0.03)
    assert float(law.log_prob(torch.tensor([[2.0, 0.0]])).exp()) == pytest.approx(
        1 / (3 * 2 * np.pi * 0.6**2 / 54 / 48), rel=1e-5
    )


def test_another_file_of_the_dinos_name_is_refused(drawing, monkeypatch) -> None:
    monkeypatch.setattr(Dino, "sha256", "0" * 64)
    with pytest.raises(ValueError, match=r"DatasaurusDozen.tsv is damaged or another file"):
        Dino(root=drawing).draw(3, generator("test"))


@pytest.mark.parametrize(("law", "centre"), [(Ring(radius=1.0), 1.0), (Grid(spacing=2.0), 4.0)])
def test_a_law_may_have_a_scale_of_its_own(law, centre: float) -> None:
    assert law.modes.abs().max().item() == pytest.approx(centre)
    assert type(law)().describe() != law.describe()
