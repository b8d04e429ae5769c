"""How fast the commands that train nothing answer: python scripts/bench/startup.py [ROUNDS]

Fresh processes, the median of several rounds; the bar is 1 s.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "genlab --help": ["--help"],
    "genlab list": ["list"],
    "a misspelt key": ["train", "net.wdith=64"],
    "an unknown option": ["train", "model=gna"],
    "a net that does not fit": ["train", "model=gan", "net=unet"],
}


def main(rounds: int = 5) -> None:
    program = Path(sys.executable).with_name("genlab")
    for name, arguments in COMMANDS.items():
        seconds = []
        for _ in range(rounds):
            began = time.perf_counter()
            subprocess.run([program, *arguments], capture_output=True, check=False)
            seconds.append(time.perf_counter() - began)
        print(
            f"{name:26} {statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f})"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
