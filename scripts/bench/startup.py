"""How fast genlab starts: python scripts/bench/startup.py [ROUNDS]

Fresh processes. What answers without torch is timed by itself, the bar is 1 s; what needs it in
ratios to `import pytorch_lightning` in the same round. Medians of several rounds, one thread.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("genlab"))
ALONE = {
    "genlab --help": ["--help"],
    "genlab list": ["list"],
    "a misspelt key": ["train", "net.wdith=64"],
    "an unknown option": ["train", "model=gna"],
    "a mistyped number": ["train", "optim.optimizer.lr=fast"],
}
FIRST_STEP = """
import os, sys
from genlab.cli import main
from genlab.models.base import GenerativeModel
GenerativeModel.on_train_batch_end = lambda *_: os._exit(0)
sys.argv = ["genlab", "train", *sys.argv[1:]]
main()
"""
AGAINST = "import pytorch_lightning"
PYTHON = {  # over AGAINST
    "import torch": ["-c", "import torch"],
    "genlab check": [PROGRAM, "check"],
    "genlab sample num=1": [PROGRAM, "sample", "run=last", "num=1"],
    "genlab evaluate": [PROGRAM, "evaluate", "run=last"],
    "first training step": ["-c", FIRST_STEP],
    "the same after no look": ["-c", FIRST_STEP, "look_every=null"],
}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=False)
    return time.perf_counter() - began


def show(name: str, values: list[float], unit: str) -> None:
    low, high = min(values), max(values)
    print(f"{name:26} {statistics.median(values):.2f}{unit} ({low:.2f}-{high:.2f})", flush=True)


def main(rounds: int = 5) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    for name, arguments in ALONE.items():
        show(name, [seconds([PROGRAM, *arguments]) for _ in range(rounds)], " s")
    with tempfile.TemporaryDirectory() as outputs:
        os.environ["GENLAB_OUTPUTS"] = outputs
        subprocess.run([PROGRAM, "train", "budget.examples=640"], capture_output=True, check=True)
        for name, arguments in PYTHON.items():
            command = [sys.executable, *arguments]
            ratios = [
                seconds(command) / seconds([sys.executable, "-c", AGAINST]) for _ in range(rounds)
            ]
            show(name, ratios, f" x {AGAINST}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
