"""One token at a time: the few operators give what the modules give."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from genlab.batch import Context
from genlab.nn.decode import decodes
from genlab.nn.lora import LoRA
from genlab.nn.transformer import GPT, Block

SIZE = dict(max_length=12, width=16, depth=2, heads=4)
NETS = {
    "as it comes": {},
    "gpt-2": dict(norm="layer", positions="learned", mlp="gelu"),
    "biases": dict(norm="layer", mlp="gelu", bias=True, tied=False),
    "biases, gated": dict(bias=True, tied=False),
    "grouped heads": dict(kv_heads=2),
    "classes": dict(num_classes=3),
    "context": dict(context=8),
}


def made(knobs: dict) -> tuple[GPT, Tensor, object]:
    net = GPT(20, **SIZE, **knobs).eval()
    for p in net.parameters():  # gains and biases too are something
        nn.init.normal_(p, mean=1.0 if p.ndim < 2 else 0.0, std=0.3)
    cond = None
    if "num_classes" in knobs:
        cond = torch.tensor([0, 2, 1])
    if "context" in knobs:
        mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] + [False] * 4])
        cond = Context(torch.randn(3, 5, 8), mask)
    return net, torch.randint(0, 20, (3, 12)), cond


@torch.no_grad()
def token_by_token(net: GPT, tokens: Tensor, cond: object, *, prompt: int = 4):
    logits, state = net(tokens[:, :prompt], cond, net.init_state(len(tokens)))
    parts = [logits]
    for t in range(prompt, tokens.shape[1]):
        logits, state = net(tokens[:, t : t + 1], cond, state)
        parts.append(logits)
    return torch.cat(parts, dim=1), state


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("knobs", NETS.values(), ids=NETS)
def test_token_by_token_is_what_the_whole_gives(knobs: dict, dtype: torch.dtype) -> None:
    net, tokens, cond = made(knobs)
    net = net.to(dtype)
    if isinstance(cond, Context):
        cond = cond._replace(states=cond.states.to(dtype))
    with torch.no_grad():
        whole, _ = net(tokens, cond)
    parts, state = token_by_token(net, tokens, cond)
    assert state.decoder is not None
    bound = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(parts, whole, rtol=bound, atol=bound * whole.abs().max().item())


def test_what_is_not_its_own_goes_through_the_modules() -> None:
    adapted, tokens, _ = made({})
    LoRA(rank=2)(adapted)
    for name, p in adapted.named_parameters():
        if "lora" in name:
            nn.init.normal_(p)
    hooked, _, _ = made({})
    hooked.blocks[0].register_forward_hook(lambda module, args, out: 0 * out)

    class Quiet(Block):
        def forward(self, x: Tensor, *_: object) -> Tensor:
            return 0 * x

    replaced, _, _ = made({})
    replaced.blocks[0].__class__ = Quiet
    for net in (adapted, hooked, replaced):
        assert not decodes(net, Block)
        with torch.no_grad():
            whole, _ = net(tokens, None)
        parts, state = token_by_token(net, tokens, None)
        assert state.decoder is None
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-4)


def test_learning_goes_through_the_modules() -> None:
    net, tokens, _ = made({})
    _, state = net(tokens[:, :4], None, net.init_state(3))
    logits, state = net(tokens[:, 4:5], None, state)
    assert state.decoder is None and logits.requires_grad
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert net(tokens[:, 5:6], None, state)[1].decoder is None


def test_a_new_state_sees_new_weights() -> None:
    net, tokens, _ = made({})
    token_by_token(net, tokens, None)
    with torch.no_grad():
        net.blocks[1].mlp.up.weight.mul_(2)
        whole, _ = net(tokens, None)
    parts, _ = token_by_token(net, tokens, None)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-4)
