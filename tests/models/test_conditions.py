"""Conditions: hidden whole, asked for with what is right, drawn where nothing was asked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genlab.batch import Context
from genlab.models.conditions import Captions, Classes, Conditions, OneValue, Several, Values
from genlab.objectives.diffusion import Flow
from genlab.rng import Draws
from genlab.samplers.guidance import Guidance, classifier_free


class Encoder(nn.Module):
    """Ids [B, L] -> states [B, L + 1, 4], a state of no word before them."""

    def forward(self, ids):
        states = nn.functional.pad(ids, (1, 0)).unsqueeze(-1).float().expand(-1, -1, 4)
        return states, nn.functional.pad(ids > 0, (1, 0), value=True)


KINDS = {
    "classes": (Classes(num_classes=3), torch.tensor([0, 1, 2, 0])),
    "captions": (Captions(Encoder(), length=4), torch.tensor([[1, 2, 3, 4]] * 4)),
    "values": (Values(size=4, width=4), torch.arange(16.0).view(4, 4)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whole_conditions_are_hidden_never_columns(kind: str) -> None:
    """With as many examples as columns, too: there a wrong broadcast raises nothing."""
    conditions, cond = KINDS[kind]
    torch.manual_seed(0)
    none, seen = conditions.none(cond), set()
    for _ in range(20):
        hidden = conditions.hidden(cond, 0.5)
        for row, mine, gone in zip(hidden, cond, none):
            kept, dropped = torch.equal(row, mine), _same(row, gone)
            assert kept != dropped
            seen.add(kept)
    assert seen == {True, False}
    assert conditions.hidden(cond, 0) is cond


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a.float(), b.float(), equal_nan=True)


def test_the_share_that_is_hidden() -> None:
    conditions, cond = Captions(Encoder(), length=2), torch.ones(20_000, 2, dtype=torch.long)
    hidden = (conditions.hidden(cond, 0.1) == 0).all(1)
    assert hidden.float().mean().item() == pytest.approx(0.1, abs=0.01)


def test_a_model_that_takes_none_warns_and_ignores_what_its_data_has() -> None:
    for conditions in (Conditions(), Classes(num_classes=None)):
        with pytest.warns(UserWarning, match="cond has no effect"):
            assert conditions.asked(torch.tensor([1]), 1, "cpu") is None
        assert conditions.of({"x": torch.zeros(1), "cond": torch.zeros(1)}) is None
        assert conditions.drawn(Draws(0, 0, 2)) is None


def test_captions_become_a_context_and_one_serves_all() -> None:
    conditions = Captions(Encoder(), length=3)
    ids = conditions.asked(torch.tensor([5, 6, 0]), 2, "cpu")
    assert ids.tolist() == [[5, 6, 0], [5, 6, 0]]
    told = conditions(ids)
    assert isinstance(told, Context) and told.mask.tolist() == [[True, True, True, False]] * 2
    assert conditions(conditions.none(ids)).mask.sum(1).tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"must be \[2, 3\]"):
        conditions.asked(torch.ones(2, 4, dtype=torch.long), 2, "cpu")


def test_a_value_that_is_not_asked_for_has_a_state_of_its_own() -> None:
    conditions = Values(size=2, width=8)
    told = conditions(torch.tensor([[1.0, float("nan")], [1.0, 2.0]]))
    assert torch.equal(told.states[0, 0], told.states[1, 0])
    assert torch.equal(told.states[0, 1], conditions.missing[1])
    torch.testing.assert_close(told.states[1, 1], 2 * conditions.scale[1] + conditions.shift[1])
    told.states.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in conditions.parameters())


def test_several_at_once_by_name() -> None:
    both = Several({"kind": Classes(num_classes=3, width=8), "size": Values(size=2, width=8)})
    cond = both.asked({"kind": 1}, 3, "cpu")
    assert cond["kind"].tolist() == [1, 1, 1] and cond["size"].isnan().all()
    told = both(cond)
    assert told.states.shape == (3, 3, 8) and told.mask.all()
    whole = {"kind": torch.tensor([0, 1]), "size": torch.zeros(2, 2)}
    torch.manual_seed(0)
    rows = [both.hidden(whole, 0.5) for _ in range(20)]
    gone = [(r["kind"] == 3).tolist() for r in rows]
    assert gone == [r["size"].isnan().all(1).tolist() for r in rows]  # all names at once
    assert {g for pair in gone for g in pair} == {True, False}
    with pytest.raises(ValueError, match="kind, size"):
        both.asked({"colour": 1}, 3, "cpu")


def test_guidance_of_a_context_is_one_pass_of_both_halves() -> None:
    conditions = Captions(Encoder(), length=2)
    cond = torch.tensor([[1, 2], [3, 0]])
    told, none = conditions(cond), conditions(conditions.none(cond))

    def net(x, t, c):
        return x + (c.states.sum((1, 2)) * c.mask.sum(1))[:, None]

    x, t = torch.ones(2, 1), torch.full((2,), 0.5)
    path, net_fn = classifier_free(Flow(), net, told, none, Guidance(weight=3))
    found = path.drift(net_fn, x, 0.5)
    torch.testing.assert_close(found, 3 * net(x, t, told) - 2 * net(x, t, none))


def test_one_value_is_drawn_as_the_rows_have_it_and_told_as_a_class() -> None:
    value = OneValue(widths=[1, 2, 3], counts=[[], [30, 10], [0, 5, 35]], weight=0.5)
    assert value.some and not value.words and value.num_classes == 5
    drawn = value.drawn(Draws(3, 0, 4000))
    share = drawn.bincount(minlength=5) / len(drawn)
    assert share.tolist() == pytest.approx([0.375, 0.125, 0, 0.0625, 0.4375], abs=0.03)
    assert torch.equal(value.drawn(Draws(3, 7, 9)), drawn[7:16])  # by its number alone
    assert value.to("meta").drawn(Draws(3, 0, 2)).device.type == "cpu"  # as a check draws it
    value = OneValue(widths=[1, 2, 3], counts=[[], [30, 10], [0, 5, 35]], weight=0.5)
    assert torch.equal(value(drawn), drawn) and (value.none(drawn) == 5).all()
    x, asked = torch.randn(6, 6).tanh(), torch.tensor([0, 1, 2, 3, 4, 0])
    torch.testing.assert_close(value.missed(x, asked), 0.5 * value.values.missed(x, asked))
    assert value.missed(x, None) is None and not value.state_dict()
    assert Classes(num_classes=5).missed(x, asked) is None
    with pytest.raises(ValueError, match=r"conditions\.weight=-1"):
        OneValue(widths=[2], counts=[[1, 1]], weight=-1)
    with pytest.raises(ValueError, match="classes are 0 to 4"):
        value.asked(5, 2, "cpu")
