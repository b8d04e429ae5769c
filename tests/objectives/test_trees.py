"""Chow-Liu trees against brute force: every state, every tree, and the published likelihoods."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from genlab.objectives.columns import Blocks, Coding, pick
from genlab.objectives.trees import ChowLiu, Tree, spanning_tree

FIVE = [2] * 5
STATES = torch.tensor([*itertools.product(range(2), repeat=5)])
# of DEBD's sets: the mean log-likelihood of the test rows, alpha = 1, as published
PUBLISHED = {
    "nltcs": -6.7590, "plants": -16.5240, "jester": -58.2265, "baudio": -44.3749,
    "bnetflix": -60.2503, "accidents": -33.1881, "pumsb_star": -30.8070,
}  # fmt: skip


def signs(codes: Tensor, sizes: list[int]) -> Tensor:
    """x of categories: +1 where it holds, -1 elsewhere."""
    hot = [torch.nn.functional.one_hot(c, n) for c, n in zip(codes.T, sizes)]
    return 2.0 * torch.cat(hot, 1) - 1


def together(num: int = 400, seed: int = 0) -> Tensor:
    """Five columns that go together in a way that is no tree [num, 5]."""
    g = torch.Generator().manual_seed(seed)
    a, b, c, d, e = (torch.rand(num, generator=g) for _ in range(5))
    first, second = a < 0.4, b < 0.3
    third = torch.where(first ^ second, c < 0.9, c < 0.2)
    fourth = torch.where(third, d < 0.7, d < 0.1)
    return torch.stack(
        [first, second, third, fourth, torch.where(first, e < 0.8, e < 0.3)], 1
    ).long()


def five() -> tuple[ChowLiu, Tree, Tensor]:
    codes = together()
    law = ChowLiu(widths=FIVE, alpha=0.5)
    return law, law.fit(law.counts(signs(codes, FIVE))), codes


def test_the_law_is_that_of_counting_by_hand() -> None:
    _, tree, codes = five()
    log_p = tree.log_prob(STATES)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)

    def share(**at: int) -> float:  # of rows, two columns smoothed
        rows = torch.ones(len(codes), dtype=torch.bool)
        for name, value in at.items():
            rows &= codes[:, int(name[1])] == value
        return (rows.sum().item() + 0.5 * 4 / 2 ** len(at)) / (len(codes) + 0.5 * 4)

    for state, found in zip(STATES.tolist(), log_p.tolist()):
        expected = math.log(share(**{f"x{tree.order[0]}": state[tree.order[0]]}))
        for i in tree.order[1:]:
            p = tree.parent[i]
            both = share(**{f"x{i}": state[i], f"x{p}": state[p]})
            expected += math.log(both / share(**{f"x{p}": state[p]}))
        assert found == pytest.approx(expected, abs=1e-12)


def trees(num: int) -> list[list[tuple[int, int]]]:
    """The edges of all trees of `num` columns, by their Pruefer sequences."""
    found = []
    for sequence in itertools.product(range(num), repeat=num - 2):
        degree = [1 + sequence.count(i) for i in range(num)]
        edges = []
        for i in sequence:
            leaf = degree.index(1)
            edges.append((leaf, i))
            degree[leaf] -= 1
            degree[i] -= 1
        edges.append(tuple(i for i in range(num) if degree[i] == 1))
        found.append(edges)
    return found


def test_no_other_tree_is_likelier() -> None:
    law, tree, codes = five()
    weight = law.information(law.counts(signs(codes, FIVE)))
    assert torch.allclose(weight, weight.T)
    totals = [sum(weight[a, b].item() for a, b in edges) for edges in trees(5)]
    assert len(totals) == 125
    mine = sum(weight[i, p].item() for i, p in enumerate(tree.parent) if p >= 0)
    assert mine == pytest.approx(max(totals), abs=1e-12)
    assert len({*totals}) > 20  # the choice matters


def test_the_spanning_tree_of_a_chain() -> None:
    weight = torch.zeros(4, 4)
    for a, b, w in ((0, 2, 3.0), (2, 1, 2.0), (1, 3, 1.0)):
        weight[a, b] = weight[b, a] = w
    assert spanning_tree(weight) == ([0, 2, 1, 3], [-1, 2, 0, 1])


@pytest.mark.parametrize("known", [[], [0], [4], [1, 3], [0, 2, 4]])
def test_draws_follow_the_exact_conditional_law(known: list[int]) -> None:
    _, tree, codes = five()
    num, given = 40_000, codes[7]
    mask = torch.zeros(num, 5, dtype=torch.bool)
    mask[:, known] = True
    u = torch.rand(num, 5, generator=torch.Generator().manual_seed(1)).double()
    drawn = tree.sample(u, given.expand(num, 5).clone(), mask)
    assert (drawn[:, known] == given[known]).all()
    fits = (STATES[:, known] == given[known]).all(1)
    exact = torch.where(fits, tree.log_prob(STATES).exp(), 0.0)
    exact /= exact.sum()
    shares = torch.bincount(drawn @ (2 ** torch.arange(4, -1, -1)), minlength=32) / num
    assert (shares - exact).abs().max() < 0.01


def test_without_edges_the_columns_are_as_often_as_in_the_rows() -> None:
    codes, sizes = together(), FIVE
    law = ChowLiu(widths=sizes, alpha=1e-9, edges=False)
    tree = law.fit(law.counts(signs(codes, sizes)))
    for i, p in enumerate(tree.tables):
        assert p[1].item() == pytest.approx(codes[:, i].double().mean().item(), abs=1e-9)
    assert tree.log_prob(STATES).exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_counts_of_parts_add_up() -> None:
    x = signs(together(), FIVE)
    law = ChowLiu(widths=FIVE)
    assert torch.equal(law.counts(x), law.counts(x[:100]) + law.counts(x[100:]))


def test_numbers_have_a_density_that_integrates_to_one() -> None:
    widths, g = [1, 2, 1], torch.Generator().manual_seed(0)
    z = torch.randn(300, 2, generator=g)
    held = (z[:, :1] > 0).float() * 2 - 1
    x = torch.cat([z[:, :1], held, -held, z[:, 1:]], 1)
    law = ChowLiu(widths=widths, bins=6)
    tree = law.fit(law.counts(x))
    at = torch.linspace(-6, 6, 601)
    a, b = (t.flatten() for t in torch.meshgrid(at, at, indexing="ij"))
    total = 0.0
    for sign in (1.0, -1.0):
        c = torch.full_like(a, sign)
        grid = torch.stack([a, c, -c, b], 1)
        log_p = tree.log_prob(law.coding.read(grid)) + law.coding.log_place(grid)
        total += log_p.exp().sum().item() * 0.02**2
    assert total == pytest.approx(1, abs=0.01)


def test_a_code_is_read_as_it_was_written() -> None:
    coding = Coding(widths=[1, 3, 2], bins=10)
    g = torch.Generator().manual_seed(0)
    codes = torch.stack([torch.randint(n, (50,), generator=g) for n in coding.sizes], 1)
    u = torch.rand(50, 3, generator=g).clamp(0.01, 0.99)
    assert torch.equal(coding.read(coding.write(codes, u)), codes)


def test_inverse_cdf_never_takes_what_has_no_weight() -> None:
    p = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]).repeat(3, 1)
    assert pick(p, torch.tensor([0.0, 0.499, 0.999999])).tolist() == [1, 1, 3]


@pytest.mark.parametrize(
    ("made", "said"),
    [(lambda: ChowLiu(widths=FIVE, alpha=0), r"objective\.alpha=0: must be above 0"),
     (lambda: ChowLiu(widths=[1, 2]), r"objective\.bins=None: the table has numbers"),
     (lambda: ChowLiu(widths=None), r"objective\.widths=\[\]: needs a table's blocks"),
     (lambda: Blocks([2]).known(torch.tensor([[True, False]])), "known as a whole or not at all")],
)  # fmt: skip
def test_what_cannot_be_is_refused(made, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made()


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_debd_is_as_likely_as_published(name: str, data_root) -> None:
    from genlab.data.sources.debd import DEBD

    if not (data_root / "debd" / f"{name}.train.data").is_file():
        pytest.skip(f"GENLAB_DATA has no debd/{name}.train.data")
    found = DEBD(name=name).cells()
    widths = [2] * len(found.names)
    law = ChowLiu(widths=widths)
    train, test = (
        torch.tensor([[int(c) for c in r] for r in s]) for s in (found.train, found.test)
    )
    tree = law.fit(law.counts(signs(train, widths)))
    assert tree.log_prob(test).mean().item() == pytest.approx(PUBLISHED[name], abs=5.1e-5)
