"""Floating-point operations counted on shapes: those of the layers that a batch passes."""

from __future__ import annotations

import pytest
from families import CASES, IMAGE
from running import settled
from torch import nn

from genlab.models.flow import flops, flow
from genlab.runs.settings.plan import Plan
from genlab.shapes import shapes_alone


@pytest.mark.parametrize("size", [1, 8])
@pytest.mark.parametrize("words", [["data=ring", "net=mlp"], ["data=ring", "model=gan"]])
def test_linear_layers_cost_two_a_weight_and_three_times_that_to_train(words, size: int) -> None:
    plan = Plan(settled(words))
    model = plan.model_of_shapes()
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    weights = sum(m.weight.numel() for m in linear)
    counted = flops(model, (size, *plan["data"]["shape"]), tokens=False)
    if "model=gan" in words:  # the discriminator sees real and drawn, and drawn again
        assert 3 * 2 * size * weights <= counted <= 3 * 3 * 2 * size * weights
    else:
        assert counted == 3 * 2 * size * weights


def test_a_gpt_costs_six_a_weight_and_token_and_its_attention() -> None:
    words = ["model=autoregressive", "data=digits_pixels", "net.width=64", "net.depth=2"]
    plan = Plan(settled([*words, "net.heads=2", "conditions=none"]))
    model, (length,) = plan.model_of_shapes(), plan["data"]["shape"]
    weights = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))
    if model.net.head is None:
        weights += model.net.embed.weight.numel()
    attention = 2 * 2 * 2 * length * length * 64  # two products in each of two blocks
    counted = flops(model, (1, length), tokens=True)
    assert counted == pytest.approx(3 * (2 * length * weights + attention), rel=0.02)


def test_a_net_of_another_family_is_refused_in_a_line() -> None:
    model = Plan(settled(["data=ring", "net=mlp"])).model_of_shapes()
    model.net = Plan(settled(["data=ring", "model=normalising_flow"])).model_of_shapes().net
    with pytest.raises(ValueError, match=r"the net does not take .*forward\(\) takes from 2 to 3"):
        flops(model, (4, 2), tokens=False)


def test_what_a_net_takes_and_gives_in_lists_is_told_too():
    with shapes_alone():
        model = CASES["ladder-image"][0]()
    up, down = flow(model, [8, *IMAGE], tokens=False)[0]
    assert (up.name, up.taken) == ("bottom_up", "[8, 1, 8, 8], [8]")
    assert up.given == "([8, 16], [8, 16, 4, 4], [8, 8, 8, 8])"  # a vector and two maps
    assert down.taken.startswith(
        "([8, 4], [8, 2, 4, 4], [8, 1, 8, 8], [8, 1, 8, 8]), [8], ([8, 16]"
    )
    assert down.given == "[8, 1, 8, 8]"


def test_a_net_that_gives_more_than_x_is_refused_in_a_line() -> None:
    model = Plan(settled(["data=ring", "net=mlp"])).model_of_shapes()
    model.net = Plan(settled(["data=jsb_chorales", "model=frames"])).model_of_shapes().net
    with pytest.raises(ValueError, match="it is a net of another family"):
        flops(model, (4, 6, 88), tokens=False)
