"""How near `genlab check measure=true` comes: minutes and peak memory foretold, and what they were.

    python scripts/bench/preflight.py [--only digits_vae]

Ten recipes, shortened to about a minute each. Of each first what is foretold, in a process of its
own, then the run itself: its wall time and its process's peak memory.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

RECIPES = {
    "toy2d_flow_matching": ["budget.examples=600_000", "look_every=200_000"],
    "toy2d_gan": ["budget.examples=400_000", "look_every=200_000"],
    "toy2d_diffusion": ["budget.examples=600_000", "look_every=300_000"],
    "digits_diffusion": ["budget.examples=60_000", "look_every=30_000"],
    "digits_vae": ["budget.examples=300_000", "look_every=100_000"],
    "digits_gan": ["budget.examples=60_000", "look_every=30_000"],
    "digits_autoregressive": ["budget.examples=20_000", "look_every=10_000"],
    "shakespeare_gru": ["budget.examples=4_000", "look_every=2_000"],
    "adult_vae": ["budget.examples=500_000", "look_every=250_000"],
    "fashion_vae": ["budget.examples=60_000", "look_every=30_000"],
}
UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "ms": 1e-3}


def timed(command: list[str], folder: str) -> tuple[float, float, str]:
    """Seconds, MiB of the largest process, and what was printed."""
    began = time.time()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "GENLAB_OUTPUTS": folder},
    )  # fmt: skip
    out = process.stdout.read()  # type: ignore[union-attr]
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: {status}")
    return time.time() - began, usage.ru_maxrss / 1024, out


def seconds(text: str) -> float:
    """ "about 1 min 20 s here" or "about 90.9 s here"."""
    found = re.search(r"about (.*?) here", text)
    assert found, text
    pairs = re.findall(r"([\d.,]+) (ms|s|min|h)\b", found[1])
    return sum(float(n.replace(",", "")) * UNITS[u] for n, u in pairs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=RECIPES)
    only = parser.parse_args().only
    print("| recipe | foretold | took | ratio | memory foretold | was | ratio |")
    print("|---|---|---|---|---|---|---|")
    genlab = [sys.executable, "-m", "genlab.cli"]
    for name, words in RECIPES.items():
        if only not in (None, name):
            continue
        own = [f"experiment={name}", *words, "logger=none"]
        with tempfile.TemporaryDirectory() as folder:
            _, _, said = timed([*genlab, "check", *own, "measure=true"], folder)
            took, mib, _ = timed([*genlab, "train", *own], folder)
        peak = re.search(r"([\d,]+) MiB; disk", said)
        assert peak, said
        memory, foretold = float(peak[1].replace(",", "")), seconds(said)
        print(
            f"| {name} | {foretold:.0f} s | {took:.0f} s | {foretold / took:.2f} |"
            f" {memory:,.0f} MiB | {mib:,.0f} MiB | {memory / mib:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
