"""What `genlab board` takes over many made runs: the first page, the filter, an update, its memory.

    python scripts/bench/board.py [RUNS] [ROUNDS] [ROWS]        2,000 runs of 200 rows, 5 rounds
    python scripts/bench/board.py make FOLDER [RUNS] [ROWS]     the made runs alone, to look at

Each round starts a server, which has read nothing and keeps nothing on disk, opens the page in
Chromium by playwright (PATH's chromium) and measures. The files are in the system's cache: they
were just written. The machine's load is told, for all figures follow it.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from genlab.rows import append, line_of

FAMILIES = {  # model -> (class, objective, loss at the end)
    "diffusion": ("Diffusion", "EDM", 0.35), "vae": ("VAE", "ELBO", 92.0),
    "gan": ("GAN", "NonSaturating", 1.1), "autoregressive": ("Autoregressive", "CrossEntropy", 1.5),
}  # fmt: skip
DATA = ("digits", "fashion_mnist", "shakespeare")
CELLS = 24  # of a made sweep: widths, rates and seeds


def settings_of(name: str, model: str, data: str, knobs: dict[str, Any]) -> dict[str, Any]:
    """A config.yaml of about the size of a real one."""
    kind, objective, _ = FAMILIES[model]
    model_node = {
        "_target_": f"genlab.models.{model}.{kind}",
        "net": {"_target_": "genlab.nn.unet.UNet", "width": knobs["net.width"], "depth": 4},
        "objective": {"_target_": f"genlab.objectives.{model}.{objective}"},
        "optim": {"optimizer": {"_target_": "torch.optim.Adam", "lr": knobs["optim.optimizer.lr"]}},
    }
    return {
        "name": name, "seed": knobs["seed"], "budget": {"examples": 200_000, "minutes": None},
        "look_every": 10_000, "save_every": 100_000, "resume": None, "evaluate": True, "trust": [],
        "net": model_node["net"], "objective": model_node["objective"],
        "data": {"_target_": f"genlab.data.images.{data.title()}", "batch_size": 128, "root": None},
        "model": model_node,
        "trainer": {"_target_": "genlab.runs.devices.trainer.Trainer", "precision": "auto"},
        "callbacks": {f"part_{i}": {"every": i, "keep": 2, "on": True} for i in range(12)},
        "logger": {"wandb": {"tags": ["paper"] if knobs["net.width"] == 64 else []}},
    }  # fmt: skip


def make_run(run: Path, i: int, rows: int, draw: random.Random, *, pictures: bool) -> None:
    """One run as training leaves it: settings, provenance, ledger, evaluation, looks."""
    model = list(FAMILIES)[i // CELLS % len(FAMILIES)]
    data = DATA[i // (CELLS * 4) % len(DATA)]
    cell = i % CELLS
    knobs = {
        "net.width": (32, 64, 128)[cell % 3], "optim.optimizer.lr": (1e-4, 1e-3)[cell // 3 % 2],
        "seed": cell // 6,
    }  # fmt: skip
    (run / "samples").mkdir(parents=True)
    settings = settings_of(f"{data}_{model}", model, data, knobs)
    (run / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    words = [f"model={model}", f"data={data}", *(f"{k}={v}" for k, v in knobs.items())]
    (run / "overrides.yaml").write_text(yaml.safe_dump(words))
    began = 1.79e9 + 900 * i
    day = time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(began))
    proof = {"command": "genlab train " + " ".join(words), "started": began, "time": day,
             "parameters": 10_000 * knobs["net.width"], "data_fingerprint": f"{data:0<32}",
             "versions": {"python": "3.12", "torch": "2.11"}, "seed": knobs["seed"]}  # fmt: skip
    (run / "provenance.json").write_text(json.dumps(proof))
    end, state = FAMILIES[model][2], draw.choices(["finished", "failed", "half"], [90, 5, 5])[0]
    good = end * (
        1
        + 0.3 * abs(math.log2(knobs["net.width"] / 64))
        + 100 * (1e-3 - knobs["optim.optimizer.lr"])
    )
    good *= 1 + 0.04 * draw.gauss(0, 1)
    last = rows if state == "finished" else rows // 2
    lines = []
    for n in range(1, last + 1):
        seen = n * 200_000 // rows
        clock = {"examples": seen, "batches": seen // 128, "seconds": round(seen / 900, 3)}
        loss = good * (1 + 4 * math.exp(-6 * n / rows)) * (1 + 0.05 * draw.gauss(0, 1))
        row = {
            "kind": "train",
            **clock,
            "train/loss": loss,
            "train/lr": 1e-3,
            "speed/examples_per_second": 900 + 20 * draw.random(),
            "energy/joules": clock["seconds"] * 55,
        }
        lines.append(line_of(row))
        if n % max(1, rows // 20) == 0:
            lines.append(line_of({"kind": "look", **clock, "val/loss": loss * 1.05}))
            if pictures:
                picture(run / "samples" / f"{seen:012d}.png", n / rows, i)
    if state == "failed":
        lines.append(
            line_of(
                {
                    "kind": "failed",
                    **clock,
                    "error": "ValueError: the loss is not finite at batch 781: nan",
                }
            )
        )
    if state == "finished":
        lines.append(line_of({"kind": "end", **clock}))
        frechet = 12 * good / end * (1 + 0.1 * draw.gauss(0, 1))
        figures = {
            "frechet_distance": frechet,
            "precision": min(0.99, 0.8 / (good / end) + 0.02 * draw.gauss(0, 1)),
            "recall": 0.5 + 0.1 * draw.random(),
            "loss": good,
        }
        found = {
            "metrics": figures,
            "floor": {"frechet_distance": 1.3, "precision": 0.93, "recall": 0.91},
            "interval": {k: [v * 0.97, v * 1.03] for k, v in figures.items()},
            "notes": {"split": "val"},
        }
        (run / "evaluation.json").write_text(json.dumps(found))
    (run / "metrics.jsonl").write_bytes(b"".join(lines))


def picture(path: Path, share: float, seed: int) -> None:
    """Blobs that come out of the noise."""
    from PIL import Image

    draw = random.Random(seed)
    noise = random.Random(f"{seed} {share}")
    place = [(draw.random() * 48, draw.random() * 48) for _ in range(5)]
    dots = []
    for y in range(48):
        for x in range(48):
            near = max(math.exp(-((x - a) ** 2 + (y - b) ** 2) / 40) for a, b in place)
            dots.append(int(255 * (share * near + (1 - share) * noise.random())))
    image = Image.new("L", (48, 48))
    image.putdata(dots)
    image.save(path)


def make(folder: Path, num: int = 2000, rows: int = 200) -> list[Path]:
    """`num` runs in sweeps of `CELLS`, the newest last."""
    draw, runs = random.Random(0), []
    for i in range(num):
        sweep, cell = divmod(i, CELLS)
        day = time.strftime("%Y-%m-%d_%H-%M-%S", time.gmtime(1.79e9 + 900 * CELLS * sweep))
        run = folder / "sweeps" / f"{day}_{sweep:06x}" / f"{cell}_made"
        make_run(run, i, rows, draw, pictures=i < 2 * CELLS or i >= num - 2)
        old = 1.79e9 + 900 * i
        for name in ("metrics.jsonl", "evaluation.json"):
            if (run / name).exists():
                os.utime(run / name, (old, old))
        runs.append(run)
    return runs


class Server:
    """`genlab board` over a folder, as a user starts it."""

    def __init__(self, folder: Path) -> None:
        self.began = time.perf_counter()
        words = [sys.executable, "-m", "genlab.cli", "board", str(folder), "port=0"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        self.seconds = time.perf_counter() - self.began

    def memory(self) -> float:
        """Resident memory in MB, at its most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1000

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def browser() -> Any:
    from playwright.sync_api import sync_playwright

    found = map(shutil.which, ("chromium", "google-chrome", "chrome"))
    where = next(filter(None, found), None) or sys.exit("no Chromium here: install one")
    driver = sync_playwright().start()
    return driver, driver.chromium.launch(executable_path=where, args=["--no-sandbox"])


# how long an answer to a letter takes to be on the screen: two frames after the handler
FILTER = """async (text) => {
  const box = document.getElementById("filter"); box.value = text;
  const began = performance.now();
  box.dispatchEvent(new Event("input", {bubbles: true}));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - began;
}"""


def until(page: Any, condition: str, seconds: float = 60.0) -> None:
    """Wait for a condition; playwright's own way is an eval, which the page's policy forbids."""
    end = time.perf_counter() + seconds
    while not page.evaluate(condition):
        if time.perf_counter() > end:
            raise TimeoutError(condition)
        time.sleep(0.01)


TYPED = (
    "v", "vae", "model=vae", "model=vae val/loss<100", "state=failed",
    "lr>2e-4 frechet_distance<15", "",
)  # fmt: skip
STATUS = 'document.getElementById("status").textContent'


def round_of(folder: Path, runs: list[Path], chromium: Any, turn: int) -> dict[str, float]:
    found: dict[str, float] = {}
    server = Server(folder)
    try:
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        began = time.perf_counter()
        page.goto(server.address, wait_until="commit")
        page.wait_for_selector("table.runs tbody th.run a")
        found["first rows, s from opening"] = time.perf_counter() - began
        found["first rows, s from the command"] = time.perf_counter() - server.began
        page.wait_for_selector("table.runs tbody td.n.strong, table.runs tbody td.n small")
        found["first figures, s from opening"] = time.perf_counter() - began
        page.wait_for_timeout(max(0, 1000 * (1 - (time.perf_counter() - began))))
        words = page.evaluate(STATUS)
        read = int(words.split()[1].replace(",", "")) if words.startswith("reading") else len(runs)
        found["runs read after 1 s"] = read
        until(page, f"{STATUS} === 'live'")
        found["all read, s from opening"] = time.perf_counter() - began
        took = [page.evaluate(FILTER, text) for text in TYPED]
        found["filter, ms (the slowest of 7)"] = max(took)
        found["update, s after the row"] = update(page, runs[-1], 201_000 + 1000 * turn)
        sweep = quote(str(runs[0].parent.relative_to(folder)), safe="")
        page.goto(f"{server.address.split('?')[0]}#/sweep/{sweep}")
        page.wait_for_selector(".barline")
        page.wait_for_selector("figure.curve svg path")
        found["memory, MB at its most"] = server.memory()
        page.close()
    finally:
        server.end()
    return found


def update(page: Any, run: Path, begun: int) -> float:
    """Seconds until a row that is added to a run's ledger stands in the table."""
    row = {
        "kind": "train",
        "examples": begun,
        "batches": 1484,
        "seconds": 211.1,
        "train/loss": 0.5,
    }
    append(run / "metrics.jsonl", row)  # from now on it is seen to run
    until(
        page,
        "[...document.querySelectorAll('.runs .state')].some((s) => s.textContent === 'running')",
    )
    page.wait_for_timeout(300 + 700 * random.random())
    seen = begun + random.randrange(1, 999)
    append(run / "metrics.jsonl", {**row, "examples": seen})
    began = time.perf_counter()
    until(page, f"document.querySelector('table.runs').textContent.includes('{seen:,}')")
    return time.perf_counter() - began


def main(num: int = 2000, rounds: int = 5, rows: int = 200) -> None:
    driver, chromium = browser()
    print(f"{num:,} runs of {rows} rows, {rounds} rounds: min / median / max", flush=True)
    results: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as place:
        runs = make(Path(place), num, rows)
        for turn in range(rounds):
            load = os.getloadavg()[0]
            results.append({"load before": load, **round_of(Path(place), runs, chromium, turn)})
    for name in results[0]:
        values = sorted(r[name] for r in results)
        three = (values[0], statistics.median(values), values[-1])
        print(f"  {name:34} " + " / ".join(f"{v:.3g}" if v < 1000 else f"{v:,.0f}" for v in three))
    chromium.close()
    driver.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(Path(sys.argv[2]), *map(int, sys.argv[3:]))
    else:
        main(*map(int, sys.argv[1:]))
