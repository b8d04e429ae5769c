"""A training step's noise: shares of one draw, and the same noise a second time."""

from __future__ import annotations

import pytest
import torch

from genlab.rng import Draws, again, mark, rand, rand_alike, randn, randn_like, seed_of, share_of

DRAWS = {
    "randn": lambda b: randn((b, 3, 2)),
    "rand": lambda b: rand((b, 5)),
    "rand of a number": lambda b: rand(b),
    "randn_like": lambda b: randn_like(torch.empty(b, 3, 2)),
}


def noise() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("name", DRAWS)
def test_two_shares_are_the_whole(name: str) -> None:
    draw = DRAWS[name]
    with share_of(0, 1, noise()):
        whole = draw(8), draw(8)
    halves = []
    for share in (0, 1):
        with share_of(share, 2, noise()):
            halves.append((draw(4), draw(4)))
    for k in (0, 1):
        assert torch.equal(torch.cat([h[k] for h in halves]), whole[k])


def test_a_steps_common_draws_are_the_same_in_all_shares() -> None:
    found = []
    for share in (0, 1):
        torch.manual_seed(share)  # each process has torch's own
        with share_of(share, 2, noise()):
            found.append(rand_alike(5))
    assert torch.equal(*found)


def test_a_seed_is_the_same_on_every_machine_and_tells_its_parts_apart() -> None:
    assert seed_of("sample", 0, 3) == 6491405816612057562
    assert len({seed_of(1), seed_of("1"), seed_of("a", "b"), seed_of("astr:b"), seed_of("ab")}) == 5


def test_an_example_is_its_seeds_and_its_numbers_alone() -> None:
    whole, part = Draws(5, 0, 12), Draws(5, 7, 3)
    assert torch.equal(part.randn((4,)), whole.randn((4,))[7:10])
    assert torch.equal(part.rand(), whole.rand()[7:10])
    assert not torch.equal(Draws(6, 7, 3).rand(), Draws(5, 7, 3).rand())
    assert len(set(Draws(5, 0, 12).rand().tolist())) == 12


def test_the_names_draw_from_one_stream() -> None:
    """randn is randn_like by shape, and a number is a shape of one dimension."""
    torch.manual_seed(0)
    a, b = randn((4, 2)), rand((4,))
    torch.manual_seed(0)
    assert torch.equal(randn_like(torch.empty(4, 2)), a) and torch.equal(rand(4), b)
    torch.manual_seed(0)
    assert torch.equal(torch.randn(4, 2), a) and torch.equal(torch.rand(4), b)


@pytest.mark.parametrize("own", [True, False])
def test_the_same_noise_again(own: bool) -> None:
    torch.manual_seed(1)
    with share_of(1, 2, noise() if own else None):
        randn((4,))
        here = mark()
        first = randn((4, 2)), rand(4)
        with again(here):
            second = randn((4, 2)), rand(4)
            randn((4, 9))  # more than before: what follows does not depend on it
        following = randn((4,))
    torch.manual_seed(1)
    with share_of(1, 2, noise() if own else None):
        randn((4,)), randn((4, 2)), rand(4)
        assert torch.equal(randn((4,)), following)
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_an_error_within_leaves_the_stream_where_it_was() -> None:
    torch.manual_seed(1)
    here = mark()
    before = (randn((4,)), torch.get_rng_state())[1]
    with pytest.raises(RuntimeError), again(here):
        raise RuntimeError
    assert torch.equal(torch.get_rng_state(), before)


def test_no_example_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="num=0: at least 1"):
        Draws(0, 0, 0)
