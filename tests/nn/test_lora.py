"""LoRA against its formula: nothing changes at the start, few weights learn, merging is exact."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genlab.nn.lora import LoRA, LoRALinear
from genlab.nn.transformer import GPT


def gpt() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Module()
    model.net = GPT(11, max_length=8, width=16, depth=2, heads=2)
    return model


def test_it_begins_at_the_model_and_trains_only_the_update() -> None:
    model, x = gpt(), torch.randint(11, (3, 8))
    before, names = model.net(x)[0], set(model.state_dict())
    LoRA(rank=2, alpha=4)(model)
    assert torch.equal(model.net(x)[0], before)
    assert names < set(model.state_dict())  # every weight keeps its name
    learns = {n for n, p in model.named_parameters() if p.requires_grad}
    assert learns == {n for n in model.state_dict() if "lora_" in n} and len(learns) == 8


def test_the_formula_and_the_merge() -> None:
    model, x = gpt(), torch.randint(11, (3, 8))
    adapter = LoRA(rank=2, alpha=6, where=())
    adapter(model)
    for name, p in model.named_parameters():
        if "lora_" in name:
            nn.init.normal_(p)
    layer = model.net.blocks[0].attention.qkv
    h = torch.randn(5, 16)
    wanted = h @ (layer.weight + 6 / 2 * layer.lora_b @ layer.lora_a).T
    torch.testing.assert_close(layer(h), wanted)
    with torch.no_grad():
        before = model.net(x)[0]
        adapter.merge(model)
        assert not any(isinstance(m, LoRALinear) for m in model.modules())
        torch.testing.assert_close(model.net(x)[0], before, rtol=1e-4, atol=1e-4)
    assert set(model.state_dict()) == set(gpt().state_dict())


def test_a_place_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"adapt.where=\['atention'\].*attention, .*qkv"):
        LoRA(where=["atention"])(gpt())
