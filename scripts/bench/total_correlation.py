"""Does weighing the total correlation lower it at equal reconstruction? beta-TC beside a beta-VAE.

    python scripts/bench/total_correlation.py

MNIST, `model=vae net=mlp_vae conditions=none`, ten values of code, 120,000 examples, three seeds,
for several weights of each bound. On held-out pictures: the reconstruction in nats; the total
correlation in nats of the normal law that has the aggregate posterior's covariance (exact, and no
estimate from batches); and the same by a batch of 2,000 (Chen 2018, eq. 5). The beta-VAE's at a
beta-TC run's reconstruction lies on the line between its two nearest runs. Needs $GENLAB_DATA.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

BETAS, WEIGHTS, SEEDS = (1, 2, 4, 8, 16), (2, 4, 8, 16), (0, 1, 2)
WORDS = ["data=mnist", "model=vae", "net=mlp_vae", "conditions=none", "net.latent_dim=10",
         "budget.examples=120_000", "look_every=1_000_000", "save_every=1_000_000",
         "trainer=cpu", "trainer.threads=1", "logger=none", "evaluate=false"]  # fmt: skip
T_95 = 4.303  # Student's t, two degrees of freedom
Measured = tuple[float, float, float]  # reconstruction, total correlation, by a batch


def gaussian(mean: torch.Tensor, logvar: torch.Tensor) -> float:
    """Total correlation of N(., Cov z), z ~ the mean over x of q(z | x): nats."""
    cov = mean.double().T.cov() + logvar.double().exp().mean(0).diag()
    return float((cov.diag().log().sum() - cov.logdet()) / 2)


def measured(words: list[str], folder: Path) -> Measured:
    import genlab
    from genlab.objectives.bounds import averaged
    from genlab.runs.settings.compose import plan_of

    line = [sys.executable, "-m", "genlab.cli", "train", *words, f"hydra.run.dir={folder}"]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    model = genlab.load(folder)
    data = plan_of(words)[0].build("data")
    data.prepare()
    data.load()
    torch.manual_seed(0)
    with torch.no_grad():
        it = model._coded(data.val.batch(torch.arange(len(data.val)), None))
        z = it.q.draw()
        fit = -model.objective.likelihood.log_prob(it.x, it.decode(z)).mean()
        few = type(it.q)(it.q.mean[:2_000], it.q.logvar[:2_000])
        each = averaged(few, few.draw())
    batch = (each["joint"] - each["product"]).mean()
    return float(fit), gaussian(it.q.mean, it.q.logvar), float(batch)


def between(line: list[Measured], fit: float) -> tuple[float, ...] | None:
    """The other figures at a reconstruction, on the line through a bound's runs."""
    for low, high in pairwise(sorted(line)):
        if low[0] <= fit <= high[0]:
            share = (fit - low[0]) / (high[0] - low[0])
            return tuple(a + share * (b - a) for a, b in zip(low[1:], high[1:], strict=True))
    return None


def told(values: list[float]) -> str:
    mean = statistics.fmean(values)
    half = T_95 * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.2f} ({mean - half:.2f} to {mean + half:.2f})"


def main() -> None:
    found: dict[tuple[str, int], list[Measured]] = {}
    with TemporaryDirectory() as folder:
        for bound, key, values in (
            ("elbo", "beta", BETAS),
            ("beta_tc", "tc_weight", WEIGHTS),
        ):
            for value in values:
                for seed in SEEDS:
                    words = [*WORDS, f"objective={bound}", f"objective.{key}={value}"]
                    run = Path(folder) / f"{bound}_{value}_{seed}"
                    one = measured([*words, f"seed={seed}"], run)
                    found.setdefault((bound, value), []).append(one)
                    print(bound, value, seed, one, file=sys.stderr, flush=True)
    print("| bound | reconstruction | total correlation | by a batch"
          " | the beta-VAE's at that reconstruction | difference |")  # fmt: skip
    print("|---|---|---|---|---|---|")
    for (bound, value), runs in found.items():
        own = [told([run[i] for run in runs]) for i in range(3)]
        cells = ["", ""]
        if bound == "beta_tc":
            lines = [[found["elbo", b][i] for b in BETAS] for i in range(len(SEEDS))]
            there = [between(line, run[0]) for line, run in zip(lines, runs, strict=True)]
            if all(there):
                cells = [
                    told([t[0] for t in there]),
                    told([run[1] - t[0] for run, t in zip(runs, there, strict=True)]),
                ]
            else:
                cells = ["beyond its runs", ""]
        name = f"`elbo`, beta {value}" if bound == "elbo" else f"`beta_tc`, weight {value}"
        print("|", " | ".join([name, *own, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
