"""Attention against the reference: PyTorch's own product, and RoPE's defining property."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from genlab.nn.attention import RoPE, SelfAttention, attend


def qkv(t: int, s: int, heads: int = 4, kv_heads: int = 4, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    sizes = [(2, heads, t, 8), (2, kv_heads, s, 8), (2, kv_heads, s, 8)]
    return [torch.randn(size, generator=g, dtype=torch.float64).to(dtype) for size in sizes]


def plain(q, k, v, *, causal: bool):
    """The definition, written out: every query head uses its group's keys and values."""
    group = q.shape[1] // k.shape[1]
    k = torch.stack([k[:, h // group] for h in range(q.shape[1])], dim=1)
    v = torch.stack([v[:, h // group] for h in range(q.shape[1])], dim=1)
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if causal:
        t, s = scores.shape[-2:]
        late = torch.arange(s)[None, :] > torch.arange(s - t, s)[:, None]
        scores = scores.masked_fill(late, -torch.inf)
    return scores.softmax(-1) @ v


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize(("t", "s"), [(7, 7), (1, 7), (3, 7), (1, 1)])
def test_attend_is_the_definition(t, s, kv_heads, causal):
    q, k, v = qkv(t, s, kv_heads=kv_heads)
    torch.testing.assert_close(attend(q, k, v, causal=causal), plain(q, k, v, causal=causal))


def test_attend_under_bfloat16_is_float32_attention_rounded_once():
    q, k, v = qkv(16, 16, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        out = attend(q, k, v, causal=True)
    exact = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=True)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, exact.bfloat16())


def test_attend_gradients_equal_the_definition():
    leaves = [x.requires_grad_() for x in qkv(6, 6, kv_heads=2)]
    out = torch.autograd.grad(attend(*leaves, causal=True).square().sum(), leaves)
    reference = torch.autograd.grad(plain(*leaves, causal=True).square().sum(), leaves)
    torch.testing.assert_close(out, reference)


def test_rope_products_depend_on_the_distance_alone():
    rope = RoPE(16, max_length=64)
    q, k = torch.randn(2, 1, 1, 1, 16)

    def product(i: int, j: int) -> float:
        return (rope(q, i) * rope(k, j)).sum().item()

    for shift in (1, 10, 40):
        assert product(5, 3) == pytest.approx(product(5 + shift, 3 + shift), abs=1e-4)
    assert product(5, 3) != pytest.approx(product(5, 4), abs=1e-3)


def test_rope_is_a_rotation_and_position_0_stands_still():
    rope = RoPE(16, max_length=32)
    x = torch.randn(2, 32, 3, 16)
    turned = rope(x)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(turned[:, 0], x[:, 0])
    torch.testing.assert_close(rope(x[:, 20:], 20), turned[:, 20:])


@pytest.mark.parametrize(
    ("key", "args"),
    [
        ("net.heads=5", dict(heads=5)),
        ("net.kv_heads=3", dict(heads=4, kv_heads=3)),
    ],
)
def test_wrong_heads_are_named(key, args):
    with pytest.raises(ValueError, match=key):
        SelfAttention(16, **args)
