"""Fashion-MNIST after equal time: genlab's recipes, PyTorch's DCGAN, pythae's VAE.

    pip install pythae imageio
    python scripts/bench/vae_gan.py [NAME ...] [minutes=20]

Each trains for so many minutes of the processor on one thread, its start among them, in a process
of its own, and draws 10,000 pictures; how many examples that is of genlab's, two short runs say.
All are measured by genlab's metric of pictures, against the official test pictures, by which no
recipe was tuned. `dcgan`: networks, rate and batches of PyTorch's own example, at 32 x 32 (one
stage less; pictures with a margin of two pixels, cut off again). `pythae`: its convolutional nets
for MNIST, trained by its BaseTrainer at a rate of 1e-3, sampled by its normal sampler and, as
`pythae_mixture`, by its mixture of ten Gaussians. What was drawn is kept in
$GENLAB_OUTPUTS/vae_gan and not made again. Needs $GENLAB_DATA.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path(os.environ.get("GENLAB_OUTPUTS", ROOT / "outputs")) / "vae_gan"
NUM, CHUNK = 10_000, 500
LONG = ["look_every=100_000_000", "save_every=100_000_000"]
Drawn = tuple[Tensor, int, float]  # pictures, how many were seen, seconds of the processor
OURS = {
    "fashion_gan": ["experiment=fashion_gan"],
    "fashion_vae": ["experiment=fashion_vae"],
    "fashion_ladder_vae": ["experiment=fashion_ladder_vae"],
    "fashion_vq_gpt": ["experiment=fashion_vq_gpt", "codec=experiment:fashion_vqvae"],
}


def fashion():
    from genlab.runs.settings.compose import plan_of

    data = plan_of(["data=fashion_mnist", "model=vae", "logger=none"])[0].build("data")
    data.prepare()
    data.load()
    return data


def training_pictures() -> Tensor:
    """[N, 1, 28, 28] in [-1, 1]."""
    train = fashion().train
    return train.batch(torch.arange(len(train)), None)["x"]


# --- each gives pictures drawn [NUM, 1, 28, 28] in [-1, 1] ----------------------------------------


def genlab(name: str, minutes: float) -> dict[str, Drawn]:
    import genlab
    from genlab.metrics.image import ImageEvaluation

    words, seconds = list(OURS[name]), 60 * minutes
    if name == "fashion_vq_gpt":  # the codec's minutes are of the twenty
        codec = PLACE / "fashion_vqvae.run"
        seconds -= train(["experiment=fashion_vqvae"], codec)
        words.append(f"codec={codec}")
    few, more = 6_400, 25_600
    first, second = (train([*words, *LONG, f"budget.examples={n}"], PLACE / f"{name}.{n}")
                     for n in (few, more))  # fmt: skip
    seen = more + int((seconds - second) * (more - few) / (second - first))
    run = PLACE / f"{name}.run"
    took = train([*words, *LONG, f"budget.examples={seen}"], run)
    x = ImageEvaluation(num_samples=NUM).draw(genlab.load(run), fashion(), NUM, 0).x
    return {name: (x, seen, 60 * minutes - seconds + took)}


def train(words: list[str], run: Path) -> float:
    """Seconds of the processor that the run takes, its start among them."""
    shutil.rmtree(run, ignore_errors=True)
    line = [sys.executable, "-m", "genlab.cli", "train", *words, "trainer.threads=1",
            "logger=none", "evaluate=false", f"hydra.run.dir={run}"]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def dcgan(name: str, minutes: float) -> dict[str, Drawn]:
    """github.com/pytorch/examples, dcgan/main.py: nz 100, ngf = ndf = 64, Adam 2e-4, beta1 0.5."""
    end = 60 * minutes

    def up(i: int, o: int, stride: int, pad: int) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(o), nn.ReLU(True)] if o > 1 else [nn.Tanh()]
        return [nn.ConvTranspose2d(i, o, 4, stride, pad, bias=False), *norm]

    def down(i: int, o: int, norm: bool) -> list[nn.Module]:
        normed = [nn.BatchNorm2d(o)] if norm else []
        return [nn.Conv2d(i, o, 4, 2, 1, bias=False), *normed, nn.LeakyReLU(0.2, inplace=True)]

    def begin(module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)

    torch.manual_seed(0)
    drawing = nn.Sequential(*up(100, 256, 1, 0), *up(256, 128, 2, 1), *up(128, 64, 2, 1),
                            *up(64, 1, 2, 1)).apply(begin)  # fmt: skip
    telling = nn.Sequential(*down(1, 64, False), *down(64, 128, True), *down(128, 256, True),
                            nn.Conv2d(256, 1, 4, 1, 0, bias=False)).apply(begin)  # fmt: skip
    rates = {"lr": 2e-4, "betas": (0.5, 0.999)}
    mine = torch.optim.Adam(drawing.parameters(), **rates)
    theirs = torch.optim.Adam(telling.parameters(), **rates)

    def loss(x: Tensor, real: bool) -> Tensor:
        said = telling(x).flatten()
        return F.binary_cross_entropy_with_logits(said, torch.full_like(said, float(real)))

    x, seen = F.pad(training_pictures(), (2, 2, 2, 2), value=-1.0), 0
    while True:
        for ids in torch.randperm(len(x)).split(64):
            if time.process_time() > end:
                drawing.train()  # as the example draws: statistics of the batch
                with torch.no_grad():
                    parts = [drawing(torch.randn(CHUNK, 100, 1, 1)) for _ in range(NUM // CHUNK)]
                return {name: (torch.cat(parts)[..., 2:-2, 2:-2], seen, end)}
            fake = drawing(torch.randn(len(ids), 100, 1, 1))
            theirs.zero_grad()
            loss(x[ids], True).backward()
            loss(fake.detach(), False).backward()
            theirs.step()
            mine.zero_grad()
            loss(fake, True).backward()
            mine.step()
            seen += len(ids)


def pythae(name: str, minutes: float) -> dict[str, Drawn]:
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
    from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig, NormalSampler
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    end = 60 * minutes
    x, steps = (training_pictures() + 1) / 2, []

    class Over(Exception):
        pass

    class Clock(TrainingCallback):
        def on_train_step_end(self, training_config, **kwargs):
            steps.append(1)
            if time.process_time() > end:
                raise Over

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=16)
    model = VAE(config, Encoder_Conv_VAE_MNIST(config), Decoder_Conv_AE_MNIST(config))
    data = BaseDataset(x, torch.ones(len(x)))
    trainer = BaseTrainer(
        model, train_dataset=data, callbacks=[Clock()],
        training_config=BaseTrainerConfig(
            output_dir=str(PLACE / "pythae.run"), num_epochs=100_000, learning_rate=1e-3,
            per_device_train_batch_size=64, no_cuda=True, keep_best_on_train=False, seed=0,
        ),
    )  # fmt: skip
    with contextlib.suppress(Over):
        trainer.train()
    model.eval()
    seen = 64 * len(steps)
    normal = NormalSampler(model).sample(NUM, batch_size=CHUNK, save_sampler_config=False)
    mixture = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=10))
    mixture.fit(x[:10_000])
    mixed = mixture.sample(NUM, batch_size=CHUNK, save_sampler_config=False)
    drawn = {name: normal, f"{name}_mixture": mixed}
    return {made: (2 * x.cpu() - 1, seen, end) for made, x in drawn.items()}


PEERS: dict[str, Callable] = {**dict.fromkeys(OURS, genlab), "dcgan": dcgan, "pythae": pythae}


def make(name: str, minutes: float) -> None:
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    for made, (x, seen, took) in PEERS[name](name, minutes).items():
        told = {"seen": torch.tensor(seen), "seconds": torch.tensor(took)}
        save_file({"x": x.contiguous().float(), **told}, PLACE / f"{made}.safetensors")


def measure(names: list[str]) -> None:
    """The table: distance with its interval, precision and recall, classes, copies."""
    from safetensors.torch import load_file

    from genlab.metrics.base import Samples
    from genlab.metrics.image import ImageEvaluation
    from genlab.metrics.reference import pictures
    from genlab.metrics.report import Report

    data, metric = fashion(), ImageEvaluation(num_samples=NUM)
    data.hold_out("test")
    real = metric.real(data)
    share = real.val_probs.argmax(1).bincount(minlength=10) / len(real.val_probs)
    print("| | pictures seen | seconds | Frechet distance | precision | recall | near copies"
          " | classes' shares over the real ones |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for name in names:
        kept = load_file(PLACE / f"{name}.safetensors")
        report = Report()
        samples = Samples(kept["x"], None, None, num=NUM, seed=0)
        metric.compare(report, None, data, samples)
        _, probs = real.features(pictures(data, kept["x"]))
        ratios = probs.argmax(1).bincount(minlength=10) / len(probs) / share
        found, (low, high) = report.metrics, report.interval["frechet_distance"]
        floor = report.floor["frechet_distance"]
        print(
            f"| {name} | {int(kept['seen']):,} | {float(kept['seconds']):.0f}"
            f" | {found['frechet_distance']:.2f} ({low:.2f} to {high:.2f}; real {floor:.2f})"
            f" | {found['precision']:.2f} | {found['recall']:.2f}"
            f" | {found['near_copies']:.3f} | {ratios.min():.2f} to {ratios.max():.2f} |",
            flush=True,
        )


def main() -> None:
    minutes = next((float(w[8:]) for w in sys.argv[1:] if w.startswith("minutes=")), 20.0)
    names = [w for w in sys.argv[1:] if w in PEERS] or list(PEERS)
    PLACE.mkdir(parents=True, exist_ok=True)
    if "--one" in sys.argv:
        return make(names[0], minutes)
    for name in names:
        if not (PLACE / f"{name}.safetensors").exists():
            line = [sys.executable, __file__, "--one", name, f"minutes={minutes}"]
            subprocess.run(line, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    drawn = [n for name in names for n in (name, f"{name}_mixture")]
    measure([name for name in drawn if (PLACE / f"{name}.safetensors").exists()])


if __name__ == "__main__":
    main()
