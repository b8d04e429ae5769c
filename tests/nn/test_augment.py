"""What a discriminator sees: each change against a plain loop, the identity, gradients, ADA's p."""

from __future__ import annotations

import pytest
import torch

from genlab.nn.augment import CHANGES, Adaptive, Augment, color, cutout, translation
from genlab.rng import share_of

X = torch.rand(6, 3, 8, 16) * 2 - 1


def test_color_is_its_three_formulas():
    u = torch.rand(6, 3)
    for x, (brightness, saturation, contrast), out in zip(X, u, color(X, u), strict=True):
        x = x + (brightness - 0.5)
        grey = (x[0] + x[1] + x[2]) / 3
        x = torch.stack([grey + 2 * saturation * (c - grey) for c in x])
        torch.testing.assert_close(out, x.mean() + (contrast + 0.5) * (x - x.mean()))
    middle = torch.full((6, 3), 0.5)
    torch.testing.assert_close(color(X, middle), X)


def test_translation_moves_whole_pixels_and_leaves_zeros():
    """To an eighth of 8 and of 16: 1 and 2 pixels, each shift as often."""
    u = torch.tensor([[a, b] for a in (0.1, 0.5, 0.9) for b in (0.1, 0.3, 0.5, 0.7, 0.9)])
    x = X[:1].expand(15, -1, -1, -1)
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-2, -1, 0, 1, 2)]
    for (down, right), out in zip(shifts, translation(x, u), strict=True):
        for i in range(8):
            for j in range(16):
                a, b = i - down, j - right
                there = 0 <= a < 8 and 0 <= b < 16
                wanted = X[0, :, a, b] if there else torch.zeros(3)
                assert torch.equal(out[:, i, j], wanted), (down, right, i, j)
    torch.testing.assert_close(translation(x, torch.ones(15, 2))[0], translation(x, u)[-1])


def test_cutout_leaves_a_hole_of_half_each_side_centred_anywhere():
    """Sides 8 and 16 have holes of 4 and 8, whose centres are any of 9 and of 17 edges."""
    for centre in range(9):
        u = torch.tensor([[(centre + 0.5) / 9, (8 + 0.5) / 17]])
        out = cutout(torch.ones(1, 1, 8, 16), u)[0, 0]
        rows = [i for i in range(8) if centre - 2 <= i < centre + 2]
        for i in range(8):
            for j in range(16):
                assert out[i, j] == (0 if i in rows and 4 <= j < 12 else 1), (centre, i, j)
    full = cutout(torch.ones(1, 1, 28, 28), torch.full((1, 2), 0.5))
    assert (full == 0).sum() == 14**2


def test_p_0_is_the_identity_and_p_1_changes_each_example():
    assert torch.equal(Augment(p=0.0)(X), X)
    assert torch.equal(Adaptive()(X), X)  # where it begins
    torch.manual_seed(0)
    changed = Augment(p=1.0)(X)
    assert changed.shape == X.shape and (changed != X).flatten(1).any(1).all()


def test_each_change_of_each_example_is_a_toss_with_p():
    torch.manual_seed(0)
    x = torch.full((4000, 1, 8, 8), 0.7)
    share = (Augment(policy=["color"], p=0.3)(x) != x).flatten(1).any(1).float().mean().item()
    assert share == pytest.approx(0.3, abs=4 * (0.21 / 4000) ** 0.5)
    both = Augment(policy=["color", "cutout"], p=0.5)(x)
    colour, hole = (both != 0.7).flatten(1).all(1), (both == 0).flatten(1).any(1)
    assert (colour & hole).float().mean().item() == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("name", CHANGES)
def test_gradients_pass_through(name):
    """Against finite differences, in double precision."""
    change, numbers = CHANGES[name]
    x, u = torch.randn(2, 2, 4, 8, dtype=torch.double, requires_grad=True), torch.rand(2, numbers)
    assert torch.autograd.gradcheck(lambda y: change(y, u.double()), x)


def test_two_shares_of_a_batch_are_changed_as_one_would_be():
    augment, parts = Augment(p=0.8), []
    torch.manual_seed(3)
    whole = augment(X)
    for rank in (0, 1):
        torch.manual_seed(3)
        with share_of(rank, 2):
            parts.append(augment(X[3 * rank : 3 * rank + 3]))
    torch.testing.assert_close(torch.cat(parts), whole)


def test_ada_is_the_papers_rule_by_hand():
    augment = Adaptive(target=0.6, examples=1000, every=3)
    signs = torch.empty(60).uniform_(0.2, 1, generator=torch.Generator().manual_seed(1)).tolist()
    p, seen, all_p = 0.0, [], set()
    for i, sign in enumerate(signs):
        told = augment.follow(torch.tensor(sign), 50)
        seen.append(sign)
        if (i + 1) % 3 == 0:
            p += (1 if sum(seen) / 3 > 0.6 else -1) * 3 * 50 / 1000
            p, r_t, seen = min(1, max(0, p)), sum(seen) / 3, []
            assert told["augment_r_t"].item() == pytest.approx(r_t)
        assert augment.p.item() == pytest.approx(p, abs=1e-6)
        assert told["augment_p"].item() == augment.p.item()
        all_p.add(round(p, 2))
    assert len(all_p) >= 4


def test_p_stays_within_0_and_1():
    augment = Adaptive(examples=100, every=1)
    for sign, limit in ((1.0, 1), (-1.0, 0)):
        for _ in range(30):
            augment.follow(torch.tensor(sign), 10)
        assert augment.p.item() == limit


def test_a_copy_goes_on_where_ada_stood():
    a, b = (Adaptive(examples=1000, every=4) for _ in range(2))
    signs = [0.9, 0.8, 0.1, 0.95, 0.9, 1.0, 0.7, 0.99, 0.3, 1.0]
    for sign in signs[:6]:
        a.follow(torch.tensor(sign), 50)
    b.load_state_dict(a.state_dict())
    for sign in signs[6:]:
        assert torch.equal(a.follow(torch.tensor(sign), 50)["augment_p"],
                           b.follow(torch.tensor(sign), 50)["augment_p"])  # fmt: skip
    assert torch.equal(a.p, b.p) and torch.equal(a.since, b.since) and a.p > 0


@pytest.mark.parametrize(
    ("message", "make"),
    [
        (
            r"augment.policy='blur': allowed are color, translation",
            lambda: Augment(policy=["blur"]),
        ),
        (r"augment.policy=\[\]: one or more of", lambda: Augment(policy=[])),
        (r"augment.p=1.5: must lie in 0 to 1", lambda: Augment(p=1.5)),
        (r"augment.target=1 must lie", lambda: Adaptive(target=1)),
        (r"augment.every=0 be at least 1", lambda: Adaptive(every=0)),
        (r"data.shape is \[2\]; leave it out", lambda: Augment()(torch.randn(3, 2))),
    ],
)
def test_what_does_not_fit_is_named(message, make):
    with pytest.raises(ValueError, match=message):
        make()
