"""All that a GPU should show, in 25 minutes on one: tests, shards, resume, speed, published rows.

    python scripts/gpu_day.py --out gpu_day                       or `make gpu-day`
    python scripts/gpu_day.py --out small --device cpu --small    every stage, tiny, on a CPU

Read: `STAGES` is the order and each stage's time; a stage that fails or is too slow does not stop
the others. Under --out: results.json, results.md (both written after every stage), a log for each
command and the runs' folders. Exit code 1 where a stage failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.gpu_tables import page

from genlab.runs.papers.row import read_row
from genlab.runs.papers.verdict import verdict
from genlab.runs.reproduce import values_of

ROOT = Path(__file__).resolve().parent.parent
GENLAB = [sys.executable, "-m", "genlab.cli"]


class Failed(Exception):
    """What a stage says when something is not as it should be."""


class Day:
    """Where the stages run and write, and how long the present one may still take."""

    def __init__(self, out: Path, *, device: str, small: bool) -> None:
        self.out, self.device, self.small, self.until = out, device, small, 0.0
        self.trainer = f"trainer={'gpu' if device == 'cuda' else 'cpu'}"

    def start(self, name: str, words: Sequence[str], **env: str) -> tuple[subprocess.Popen, Path]:
        """A process of its own group, and its log."""
        log, path = self.out / f"{name}.log", os.environ.get("PYTHONPATH", "")
        env = {**os.environ, "WANDB_MODE": "offline", **env}
        env |= {"PYTHONPATH": f"{ROOT / 'src'}:{path}", "GENLAB_OUTPUTS": str(self.out / "runs")}
        with log.open("w") as f:
            f.write(f"$ {' '.join(map(str, words))}\n")
            f.flush()
            return subprocess.Popen(
                words, cwd=ROOT, env=env, stdout=f, stderr=f, stdin=subprocess.DEVNULL,
                start_new_session=True,
            ), log  # fmt: skip

    def finish(self, process: subprocess.Popen, log: Path, allowed: Sequence[int] = (0,)) -> str:
        """Its log, once it has ended with a code that is allowed; it and its children end anyway"""
        try:
            code = process.wait(max(1.0, self.until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failed(f"its time was over; see {log.name}") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if code not in allowed:
            last = (log.read_text().strip().splitlines() or [""])[-1][:300]
            raise Failed(f"exit code {code}; see {log.name}: {last}")
        return log.read_text()

    def run(self, name: str, words: Sequence[str], **env: str) -> str:
        return self.finish(*self.start(name, words, **env))

    def train(self, name: str, words: Sequence[str]) -> Path:
        """`genlab train`, and the run's folder."""
        folder = self.out / "runs" / name
        self.run(name, [*GENLAB, "train", *words, self.trainer, f"hydra.run.dir={folder}"])
        return folder


# --- the stages ---------------------------------------------------------------------------------


def gpu_tests(day: Day, file: str, chosen: str) -> dict[str, Any]:
    """The tests that are marked gpu; on the CPU they test themselves."""
    words = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", f"tests/gpu/{file}"]
    words += ["-p", "no:cacheprovider", *(["-k", chosen] if day.small else [])]
    env = {"GENLAB_GPU_TESTS": "cpu"} if day.device == "cpu" else {}
    said = day.run(Path(file).stem, words, **env).strip().splitlines()[-1]
    if "passed" not in said:
        raise Failed(said)
    return {"said": said}


def suite(day: Day) -> dict[str, Any]:
    return gpu_tests(day, "test_gpu.py", "guard or vae")


def fsdp(day: Day) -> dict[str, Any]:
    """FSDP2 with one rank against no shards."""
    backend = "NCCL" if day.device == "cuda" else "gloo, for NCCL needs a GPU"
    return {**gpu_tests(day, "test_gpu_fsdp.py", "gpt"), "backend": backend}


def resume(day: Day) -> dict[str, Any]:
    """A real command, ended by SIGTERM in the middle and continued, against one left alone."""
    examples = 3_000 if day.small else 60_000
    words = ["logger=none", "evaluate=false", "callbacks.look.num=4", "look_every=1_000_000"]
    words += ["trainer.deterministic=true", "trainer.precision=32-true"]
    words += [f"budget.examples={examples}", f"save_every={examples}"]
    words += ["callbacks.ledger.log_every=8", *(["net.width=8"] if day.small else [])]
    whole = day.train("resume_whole", words)
    broken = day.out / "runs" / "resume_broken"
    process, log = day.start(
        "resume_broken", [*GENLAB, "train", *words, day.trainer, f"hydra.run.dir={broken}"]
    )
    while process.poll() is None and seen(broken) < examples / 4 and time.monotonic() < day.until:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    day.finish(process, log, allowed=(128 + signal.SIGTERM,))
    at = seen(broken)
    day.run("resume_continued", [*GENLAB, "train", f"resume={broken}"])
    differ = differences(*(final(run) for run in (whole, broken)))
    if differ:
        raise Failed(f"stopped at {at:,} examples; not the same bits: {', '.join(differ[:5])}")
    return {"command": f"genlab train {' '.join(words)}", "stopped_at": at, "bitwise": True}


def seen(run: Path) -> int:
    """Examples that the ledger has."""
    from genlab.rows import read_rows

    path = run / "metrics.jsonl"
    return max((r.get("examples", 0) for r in read_rows(path)), default=0) if path.exists() else 0


def final(run: Path) -> dict[str, Any]:
    """What two runs must share: weights, averages, optimiser, clock."""
    from genlab.runs.folder.checkpoint import newest, read

    held, names = read(newest(run)), ("state_dict", "current_model_state", "optimizer_states")
    return {name: held[name] for name in (*names, "clock") if name in held}


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """The places in nested data and tensors that are not the same to the bit."""
    if type(a) is not type(b):
        return [where]
    if isinstance(a, dict):
        if a.keys() != b.keys():
            return [f"{where}: its keys"]
        return [d for k in a for d in differences(a[k], b[k], f"{where}.{k}".lstrip("."))]
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return [f"{where}: its length"]
        return [d for i, (x, y) in enumerate(zip(a, b)) for d in differences(x, y, f"{where}.{i}")]
    same = a.equal(b) if hasattr(a, "equal") else a == b
    return [] if same else [where]


def speed(day: Day, model: str) -> dict[str, Any]:
    """The rows of scripts/bench/throughput.py for one model; those it had time for."""
    words = [sys.executable, "scripts/bench/throughput.py", model, "--device", day.device]
    if day.small:
        words += ["--small", "--seconds", "0.05", "--compile", "both" if model == "gpt" else "off"]
    problem = ""
    try:
        day.run(f"speed_{model}", words)
    except Failed as error:
        problem = str(error)
    lines = (day.out / f"speed_{model}.log").read_text().splitlines()
    rows = [json.loads(line) for line in lines if line.startswith('{"model"')]
    problem = problem or "; ".join(
        f"{r['precision']} compile={r['compile']}: {r['error']}" for r in rows if "error" in r
    )
    return {"rows": rows, **({"error": problem} if problem else {})}


def published(day: Day, name: str) -> dict[str, Any]:
    """One seed of a row of `genlab reproduce`: conf/paper."""
    row = read_row(name)
    words = [*row.train, "evaluate=false", *(SMALL_ROWS[name] if day.small else ())]
    run = day.train(f"published_{name}", words)
    found = {c.figure: values_of([run], c.figure) for c in row.claims}
    told = {"what": row.title, "source": f"{row.paper}; {row.place}", "seeds": 1}
    told |= {"command": f"genlab reproduce {name}"}
    told |= {"claimed": {c.figure: c.value for c in row.claims}}
    told |= {"obtained": {k: o.mean for k, o in found.items() if o is not None}}
    said = verdict(row, {k: o for k, o in found.items() if o is not None}, 1)
    return {**told, "verdict": "none: too small to compare" if day.small else said}


SMALL_ROWS = {  # only to test that a stage works
    "nanogpt_gpu": [
        "net.depth=1", "net.heads=2", "net.width=16", "data.block=32", "data.batch_size=4",
        "data.val_examples=8", "budget.examples=32", "look_every=16",
    ],
}  # fmt: skip
Stage = tuple[str, float, Callable[[Day], dict[str, Any]]]
# name, seconds it may take, what it does: 25 minutes together
STAGES: list[Stage] = [
    ("tests", 240, suite),
    ("fsdp", 80, fsdp),
    ("resume", 100, resume),
    ("speed: unet", 150, lambda day: speed(day, "unet")),
    ("speed: dit", 150, lambda day: speed(day, "dit")),
    ("speed: gpt", 150, lambda day: speed(day, "gpt")),
    ("speed: vae", 120, lambda day: speed(day, "vae")),
    ("published: nanogpt", 270, lambda day: published(day, "nanogpt_gpu")),
]


# --- the day ------------------------------------------------------------------------------------


def go(day: Day, stages: Sequence[Stage]) -> bool:
    """Every stage in turn; whether all were well."""
    found: dict[str, Any] = {"machine": machine(day), "stages": {}}
    print(f"{json.dumps(found['machine'])}\nat most {sum(s[1] for s in stages) / 60:.0f} minutes:"
          f" {', '.join(f'{name} {s:.0f} s' for name, s, _ in stages)}", flush=True)  # fmt: skip
    for name, seconds, stage in stages:
        began = time.monotonic()
        day.until = began + seconds
        try:
            told = stage(day)
        except Exception as error:
            told = {"error": str(error) if isinstance(error, Failed) else traceback.format_exc()}
        took = round(time.monotonic() - began, 1)
        told = {"ok": "error" not in told, "seconds": took, "allowed": seconds, **told}
        found["stages"][name] = told
        print(f"{name}: {'ok' if told['ok'] else 'FAILED'} in {took} s"
              f" {told.get('error', '')}", flush=True)  # fmt: skip
        (day.out / "results.json").write_text(json.dumps(found, indent=1))
        (day.out / "results.md").write_text(page(found))
    print(f"written: {day.out / 'results.md'}, results.json")
    return all(told["ok"] for told in found["stages"].values())


def machine(day: Day) -> dict[str, Any]:
    """Card, driver, versions, commit."""
    import torch

    told = {"device": f"CPU, {platform.machine()}, {os.cpu_count()} cores"}
    if day.device == "cuda":
        card = torch.cuda.get_device_properties(0)
        driver = output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        told = {"device": f"{card.name}, {card.total_memory / 2**30:.0f} GiB", "driver": driver}
        told["cuda"] = torch.version.cuda
    commit = output("git", "-C", str(ROOT), "describe", "--always", "--dirty")
    return {**told, "torch": torch.__version__, "python": platform.python_version(),
            "commit": commit, "small": day.small, "date": time.strftime("%Y-%m-%d")}  # fmt: skip


def output(*words: str) -> str | None:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu_day"))
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--small", action="store_true", help="tiny: tests the script itself")
    parser.add_argument("--only", default="", help="stages whose name begins so")
    a = parser.parse_args()
    sys.path.insert(0, str(ROOT / "src"))
    import torch

    if a.device == "cuda" and not torch.cuda.is_available():
        parser.error(f"torch {torch.__version__} sees no GPU here; write --device cpu --small")
    if not (stages := [s for s in STAGES if s[0].startswith(a.only)]):
        parser.error(f"--only {a.only}: there are {', '.join(s[0] for s in STAGES)}")
    a.out.mkdir(parents=True, exist_ok=True)
    return 0 if go(Day(a.out.resolve(), device=a.device, small=a.small), stages) else 1


if __name__ == "__main__":
    raise SystemExit(main())
