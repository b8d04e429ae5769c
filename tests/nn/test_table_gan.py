"""The nets of rows: categories are a softmax, packs are judged whole, classes are told."""

from __future__ import annotations

import pytest
import torch

from genlab.nn.table_gan import PackDiscriminator, TableGenerator

WIDTHS = [1, 3, 1, 2]


def test_categories_are_probabilities_and_numbers_are_free() -> None:
    torch.manual_seed(0)
    net = TableGenerator(widths=WIDTHS, latent_dim=4, num_classes=5, width=16)
    x = net(10 * torch.randn(64, 4), torch.arange(64) % 5)
    for block in (x[:, 1:4], x[:, 5:7]):
        p = (block + 1) / 2
        torch.testing.assert_close(p.sum(1), torch.ones(64))
        assert p.min() >= 0
    net.last.bias.data[0] = 9.0
    assert net(torch.zeros(2, 4), torch.zeros(2, dtype=torch.long))[:, 0].min() > 1


def test_the_class_is_told_to_both() -> None:
    torch.manual_seed(0)
    made = TableGenerator(widths=WIDTHS, latent_dim=4, num_classes=5, width=16).eval()
    judge = PackDiscriminator([7], num_classes=5, pack=2, width=16)
    z, x = torch.randn(1, 4).expand(5, 4), torch.randn(1, 7).expand(6, 7)
    assert len(made(z, torch.arange(5)).unique(dim=0)) == 5
    assert len(judge(x, torch.tensor([0, 0, 0, 1, 1, 1])).unique()) == 3


def test_rows_are_judged_in_packs_that_follow_one_another() -> None:
    torch.manual_seed(0)
    judge = PackDiscriminator([7], num_classes=3, pack=3, width=16)
    x, cond = torch.randn(7, 7), torch.arange(7) % 3
    logit = judge(x, cond)
    assert logit.shape == (7,) and len(logit.unique()) == 3
    y = x.clone()
    y[1] += 1
    changed = judge(y, cond) != logit
    assert changed.tolist() == [True] * 3 + [False] * 3 + [True]  # the last takes 0 and 1 again
    alone = PackDiscriminator([7], num_classes=3, pack=1, width=16)
    assert len(alone(x, cond).unique()) == 7


def test_sizes_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"net\.pack=0"):
        PackDiscriminator([7], pack=0)
    with pytest.raises(ValueError, match=r"net\.discriminator\.dropout=1"):
        PackDiscriminator([7], dropout=1)
    with pytest.raises(ValueError, match=r"net\.depth=0"):
        TableGenerator(widths=WIDTHS, latent_dim=4, depth=0)
