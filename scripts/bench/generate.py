"""Drawing text token by token: genlab's cached sampling against a loop without a cache.

    python scripts/bench/generate.py [TOKENS] [ROUNDS]

The baseline does what nanoGPT's `generate` does: for each token it crops the text to the net's
longest context, runs the whole context through a GPT-2 block stack, and draws by torch.multinomial.
It is written anew here, of plain torch modules, in the same size. One example, one thread; rounds
alternate, and the table gives medians and the median of the ratios within a round.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CASES = {  # nanoGPT's two Shakespeare recipes, for a CPU and the larger one, and between them
    "block 64, width 128, depth 4": dict(max_length=64, width=128, depth=4, heads=4),
    "block 256, width 128, depth 4": dict(max_length=256, width=128, depth=4, heads=4),
    "block 256, width 384, depth 6": dict(max_length=256, width=384, depth=6, heads=6),
}
VOCAB = 65


class Layer(nn.Module):
    """GPT-2's block: attention and a feed-forward of four times the width, each after a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).split(c, dim=2)
        q, k, v = (y.view(b, t, self.heads, c // self.heads).transpose(1, 2) for y in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Plain(nn.Module):
    """A GPT-2 that knows no cache."""

    def __init__(self, *, max_length: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.max_length = max_length
        self.embed, self.places = nn.Embedding(VOCAB, width), nn.Embedding(max_length, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, bias=False)

    @torch.no_grad()
    def generate(self, text: Tensor, num: int) -> Tensor:
        for _ in range(num):
            seen = text[:, -self.max_length :]
            x = self.embed(seen) + self.places(torch.arange(seen.shape[1]))
            for layer in self.layers:
                x = layer(x)
            logits = F.linear(self.norm(x[:, [-1]]), self.embed.weight)[:, -1]
            text = torch.cat([text, torch.multinomial(F.softmax(logits, -1), 1)], dim=1)
        return text


def ours(case: dict, tokens: int, **knobs):
    from genlab.models.autoregressive import Autoregressive
    from genlab.nn.transformer import GPT
    from genlab.objectives.tokens import CrossEntropy
    from genlab.samplers.tokens import Sample

    return Autoregressive(
        GPT(VOCAB, **case, **knobs),
        objective=CrossEntropy(),
        sampler=Sample(length=tokens),
        shape=(tokens,),
        vocab=VOCAB,
    ).eval()


def main(tokens: int = 256, rounds: int = 9) -> None:
    torch.set_num_threads(1)
    as_gpt2 = dict(norm="layer", positions="learned", mlp="gelu")
    for name, case in CASES.items():
        torch.manual_seed(0)
        plain = Plain(**case).eval()
        nets = {"genlab": ours(case, tokens), "genlab as GPT-2": ours(case, tokens, **as_gpt2)}
        start = torch.zeros(1, 1, dtype=torch.long)
        found: dict[str, list[float]] = {"baseline": [], **{n: [] for n in nets}}
        for _ in range(rounds):
            began = time.perf_counter()
            plain.generate(start, tokens)
            found["baseline"].append(time.perf_counter() - began)
            for n, model in nets.items():
                began = time.perf_counter()
                model.sample(1)
                found[n].append(time.perf_counter() - began)
        print(f"{name}, {tokens} tokens")
        for n, seconds in found.items():
            ratio = statistics.median(a / b for a, b in zip(seconds, found["baseline"]))
            each = statistics.median(seconds) / tokens * 1e3
            print(f"  {n:16} {each:.3f} ms a token, x{ratio:.3f}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
