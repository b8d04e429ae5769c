"""MADE: a law over all sequences, causal, the same whole and token by token."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from genlab.nn.made import FVSBN, MADE

LENGTH = 6
NETS = {
    "logistic": lambda vocab: FVSBN(vocab, length=LENGTH),
    "one": lambda vocab: MADE(vocab, length=LENGTH, width=40),
    "two": lambda vocab: MADE(vocab, length=LENGTH, width=40, depth=2),
}
each = pytest.mark.parametrize(("name", "vocab"), [*itertools.product(NETS, (2, 3))])


def made(name: str, vocab: int) -> MADE:
    torch.manual_seed(0)
    net = NETS[name](vocab)
    for p in net.parameters():
        nn.init.normal_(p)
    return net.requires_grad_(False)


def inputs(x: torch.Tensor, vocab: int) -> torch.Tensor:
    """The start, then all but the last token."""
    return torch.cat([torch.full((len(x), 1), vocab), x[:, :-1]], 1)


@each
def test_the_probabilities_of_all_sequences_sum_to_one(name: str, vocab: int) -> None:
    x = torch.tensor(list(itertools.product(range(vocab), repeat=LENGTH)))
    logits = made(name, vocab)(inputs(x, vocab))[0].double()
    log_p = logits.log_softmax(-1).gather(2, x[:, :, None]).sum((1, 2))
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-6)


@each
def test_a_token_changes_the_laws_after_it_alone(name: str, vocab: int) -> None:
    net, x = made(name, vocab), torch.randint(vocab, (4, LENGTH))
    before, reached = net(inputs(x, vocab))[0], torch.zeros(LENGTH)
    for t in range(LENGTH):
        other = x.clone()
        other[:, t] = (other[:, t] + 1) % vocab
        changed = (net(inputs(other, vocab))[0] - before).abs().sum((0, 2))
        assert (changed[: t + 1] == 0).all()
        reached[t + 1 :] += changed[t + 1 :]
    assert (reached[1:] > 0).all(), "every token but the first hears of one before it"


@each
def test_token_by_token_and_in_parts_it_is_the_same(name: str, vocab: int) -> None:
    net, x = made(name, vocab), torch.randint(vocab, (4, LENGTH))
    tokens = inputs(x, vocab)
    whole = net(tokens)[0]
    for cut in ([1] * LENGTH, [2, 4], [5, 1]):
        state, parts = net.init_state(4), []
        for part in tokens.split(cut, 1):
            logits, state = net(part, None, state)
            parts.append(logits)
        assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)


def test_without_a_hidden_layer_it_is_one_logistic_regression_a_token() -> None:
    net, x = made("logistic", 2), torch.randint(2, (5, LENGTH))
    weight, bias = net.layers[0].weight, net.layers[0].bias
    found = net(inputs(x, 2))[0]
    assert (found[..., 0] == 0).all()
    for t in range(LENGTH):
        expected = bias[t] + x[:, :t].float() @ weight[t, :t]
        assert torch.allclose(found[:, t, 1], expected, atol=1e-6)


def test_more_tokens_than_it_has_are_refused() -> None:
    with pytest.raises(ValueError, match=f"net.length={LENGTH}"):
        made("one", 2)(torch.zeros(1, LENGTH + 1, dtype=torch.long))
