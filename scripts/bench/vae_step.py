"""Pictures a second of a VAE on MNIST: genlab's run, pythae's trainer, a bare loop.

    pip install pythae imageio
    python scripts/bench/vae_step.py [ROUNDS]

The same net (linear 784-512, two heads, 512-784), Adam, batches of 100, one thread, no look and no
save while the clock runs; each in a process of its own, in turn. The clock of each runs over its
second half, so that start-up is left out. genlab runs with its default callbacks and ledger.
Needs MNIST ($GENLAB_DATA).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES, BATCH, WIDTH, LATENT = 120_000, 100, 512, 16
PEERS = ("genlab", "genlab bf16", "pythae", "bare", "bare bf16")


def pictures() -> object:
    """MNIST's training pictures as float32 in [0, 1], [N, 1, 28, 28]."""
    from genlab.runs.settings.compose import plan_of

    data = plan_of(["data=mnist", "model=vae", "logger=none"])[0].build("data")
    data.prepare()
    data.load()
    import torch

    ids = torch.arange(EXAMPLES // 2)
    ids = ids[ids < len(data.train)]
    return (data.train.batch(ids, None)["x"] + 1) / 2


def genlab(precision: str = "32-true") -> float:
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "data=mnist", "conditions=none", "model=vae", "net=plain_vae",
            "objective=elbo_bernoulli", f"net.latent_dim={LATENT}",
            f"net.encoder.width={WIDTH}", f"net.decoder.width={WIDTH}",
            f"data.batch_size={BATCH}", f"budget.examples={EXAMPLES}",
            f"look_every={10 * EXAMPLES}", f"save_every={10 * EXAMPLES}",
            "evaluate=false", "logger=none", "trainer=cpu",
            "trainer.threads=1", f"trainer.precision={precision}", f"hydra.run.dir={folder}/run",
        ]  # fmt: skip
        line = [sys.executable, "-m", "genlab.cli", "train", *words]
        subprocess.run(line, check=True, capture_output=True)
        rows = map(json.loads, (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines())
        ticks = [(r["examples"], r["seconds"]) for r in rows if r.get("kind") == "train"]
    half = next(t for t in ticks if t[0] >= EXAMPLES / 2)
    return (ticks[-1][0] - half[0]) / (ticks[-1][1] - half[1])


def pythae() -> float:
    from pythae.models import VAE, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    x, ends = pictures(), []

    class Clock(TrainingCallback):
        def on_epoch_begin(self, training_config, **kwargs):
            ends.append(time.perf_counter())

    import torch
    from pythae.data.datasets import BaseDataset

    data = BaseDataset(x, torch.ones(len(x)))
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder, num_epochs=3, per_device_train_batch_size=BATCH, no_cuda=True,
            keep_best_on_train=False,
        )  # fmt: skip
        model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce"))
        trainer = BaseTrainer(model, train_dataset=data, training_config=config,
                              callbacks=[Clock()])  # fmt: skip
        trainer.train()
    return len(x) / (ends[2] - ends[1])


def bare(precision: str = "32-true") -> float:
    """Data in memory, a fused optimiser, nothing but the step."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    x = pictures().flatten(1)
    encoder = nn.Sequential(nn.Linear(784, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2 * LATENT))
    decoder = nn.Sequential(nn.Linear(LATENT, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 784))
    both = nn.ModuleList([encoder, decoder])
    optimizer = torch.optim.Adam(both.parameters(), lr=1e-3, fused=True)
    began = 0.0
    steps = EXAMPLES // BATCH
    order = torch.randperm(len(x))
    for step in range(steps):
        if step == steps // 2:
            began = time.perf_counter()
        at = step * BATCH % (len(x) - BATCH)
        batch = x[order[at : at + BATCH]]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision != "32-true"):
            mean, logvar = encoder(batch).float().chunk(2, 1)
            logits = decoder(mean + (logvar / 2).exp() * torch.randn_like(mean))
        fit = F.binary_cross_entropy_with_logits(logits.float(), batch, reduction="none").sum(1)
        kl = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum(1)
        optimizer.zero_grad()
        (fit + kl).mean().backward()
        optimizer.step()
    return (steps - steps // 2) * BATCH / (time.perf_counter() - began)


def one(name: str) -> None:
    import torch

    torch.set_num_threads(1)
    kind, *precision = name.split()
    run = {"genlab": genlab, "pythae": pythae, "bare": bare}[kind]
    print(json.dumps(run("bf16-mixed") if precision else run()))


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        return one(sys.argv[2])
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    found: dict[str, list[float]] = {name: [] for name in PEERS}
    for _ in range(rounds):
        for name in PEERS:
            line = [sys.executable, __file__, "--one", name]
            env = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(line, capture_output=True, text=True, env=env)
            if done.returncode:
                raise SystemExit(done.stderr[-2000:])
            found[name].append(float(done.stdout.split()[-1]))
    print("| | pictures a second | time of a picture over pythae's | over the bare loop's |")
    print("|---|---|---|---|")
    for name, rates in found.items():
        over = {
            other: statistics.median(a / b for a, b in zip(found[other], rates))
            for other in ("pythae", "bare bf16" if name.endswith("bf16") else "bare")
        }
        cells = " | ".join(f"{v:.2f}" for v in over.values())
        print(f"| {name} | {statistics.median(rates):,.0f} | {cells} |")


if __name__ == "__main__":
    main()
