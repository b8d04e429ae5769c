"""Published numbers that one GPU reaches in minutes: the command, the claim, what came out.

python scripts/bench/published.py nanogpt        trains, then prints claim, result and verdict
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Published:
    """A number that somebody else has published, and the command that should reach it."""

    what: str
    source: str
    claimed: dict[str, float]
    lower_is_better: bool
    within: float  # so near is the same: what seeds and details of the recipe make
    words: tuple[str, ...]
    small: tuple[str, ...]
    read: Callable[[Path], dict[str, float]]

    def command(self, *, small: bool = False) -> list[str]:
        """The words of `genlab train`; `small` is only for testing that they work."""
        words = dict(w.split("=", 1) for w in (*self.words, *(self.small if small else ())))
        return [f"{k}={v}" for k, v in words.items()]

    def verdict(self, obtained: dict[str, float]) -> str:
        """The worst of its numbers decides."""
        sign = -1 if self.lower_is_better else 1
        gain = min(sign * (obtained[k] - v) for k, v in self.claimed.items())
        if abs(gain) <= self.within:
            return f"the same, within {self.within}"
        return "better" if gain > 0 else "worse"

    def told(self, words: Sequence[str], run: Path, *, comparable: bool = True) -> dict[str, Any]:
        """Command, claimed, obtained, verdict, from the folder of a finished run."""
        obtained = self.read(run)
        said = self.verdict(obtained) if comparable else "none: too small to compare"
        return {
            "what": self.what,
            "source": self.source,
            "command": f"genlab train {' '.join(words)}",
            "claimed": self.claimed,
            "obtained": obtained,
            "verdict": said,
        }


def best_look(run: Path) -> dict[str, float]:
    from genlab.rows import read_rows

    return {"loss": min(r["val/loss"] for r in read_rows(run / "metrics.jsonl")
                        if r["kind"] == "look")}  # fmt: skip


def table_scores(run: Path) -> dict[str, float]:
    found = json.loads((run / "evaluation.json").read_text())["metrics"]
    return {k: found[k] for k in ("shape", "trend")}


NANOGPT = Published(
    what="lowest held-out loss (nats a character) of a 6-layer GPT on tinyshakespeare",
    source="nanoGPT README and config/train_shakespeare_char.py",
    claimed={"loss": 1.4697},
    lower_is_better=True,
    within=0.02,
    words=("data=shakespeare", "model=autoregressive", "net=gpt", "optim=adamw", "net.norm=layer",
           "net.positions=learned", "net.mlp=gelu", "net.depth=6", "net.heads=6", "net.width=384",
           "net.dropout=0.2", "data.block=256", "data.batch_size=64", "optim.optimizer.lr=1e-3",
           "optim.final=0.1", "optim.warmup=6_400", "trainer.clip=1.0", "callbacks.ema=null",
           "budget.examples=320_000", "look_every=16_000", "save_every=320_000", "logger=none",
           "evaluate=false", "callbacks.look.num=4",
           "trainer.precision=bf16-mixed"),
    small=("net.depth=1", "net.heads=2", "net.width=16", "data.block=32", "data.batch_size=4",
           "data.val_examples=8", "budget.examples=32", "look_every=16"),
    read=best_look,
)  # fmt: skip
TVAE = Published(
    what="columns and pairs of columns of a table VAE's rows of Adult (an own VAE, not its recipe)",
    source="TVAE as measured in arXiv 2603.23016, with SDMetrics",
    claimed={"shape": 0.762, "trend": 0.666},
    lower_is_better=False,
    within=0.01,
    words=("experiment=adult_vae", "logger=none"),
    small=("net.latent_dim=2", "budget.examples=512", "metric.num_samples=64", "data.limit=400",
           "metric.max_train=100", "metric.pairs=2", "metric.likelihood_examples=16"),
    read=table_scores,
)  # fmt: skip
ROWS = {"nanogpt": NANOGPT, "adult": TVAE}


def main(names: Sequence[str]) -> None:
    if unknown := set(names) - set(ROWS) or not names:
        raise SystemExit(f"{unknown if names else 'no row'}: allowed: {', '.join(ROWS)}")
    for name in names:
        words, run = ROWS[name].command(), Path(tempfile.mkdtemp()) / name
        train = [sys.executable, "-m", "genlab.cli", "train", *words, f"hydra.run.dir={run}"]
        subprocess.run(train, check=True)
        print(json.dumps(ROWS[name].told(words, run), indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
