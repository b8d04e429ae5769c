"""What models remember, forget and keep: the tables of docs/privacy.md, by genlab's own commands.

    python scripts/bench/privacy.py [membership] [forget] [continual] [bias] [--write]

The table of bias stands in docs/metrics.md.

Some two hours on two cores; finished runs are kept in $GENLAB_OUTPUTS/privacy and not made again.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from zlib import crc32

from genlab.metrics.seeds import t_interval

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path(os.environ.get("GENLAB_OUTPUTS", ROOT / "outputs")) / "privacy"
CANARIES = ["+edit@edits.canaries=canaries"]
SHORT = ["look_every=1_000_000", "save_every=1_000_000_000", "logger=none", "trainer.threads=1"]
TEXT = ["tokenizer=bytes", "data.block=64", "net=gru", "net.width=96", "model=autoregressive"]
# kind and family: words of a recipe that sees its data as often as a user's would
CASES = {
    "images, VAE": ["data=digits", "model=vae", "budget.examples=140_000", *CANARIES],
    "images, GAN": ["data=digits", "model=gan", "budget.examples=60_000", *CANARIES],
    "images, diffusion": ["data=digits", "model=diffusion", "budget.examples=60_000", *CANARIES],
    "images, autoregressive": [
        "data=digits_pixels", "model=autoregressive", "budget.examples=40_000", *CANARIES
    ],
    "text, autoregressive": [
        "data=shakespeare", *TEXT, "data.batch_size=64", "budget.examples=50_000", *CANARIES
    ],
    "tables, VAE": ["data=adult", "model=vae", "budget.examples=300_000", *CANARIES],
    "tables, diffusion": ["data=adult", "model=diffusion", "budget.examples=200_000", *CANARIES],
    "sounds, VAE": ["experiment=fsdd_vae", "budget.examples=10_000", *CANARIES],
    "music, frames": ["experiment=jsb_gru", "budget.examples=8_000"],
}  # fmt: skip
SHARES = (0.0, 0.05, 0.5)
SEEDS = (1, 2, 3)


def genlab(*words: str) -> str:
    line = [sys.executable, "-m", "genlab.cli", *words]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr[-3000:]}")
    return done.stdout


def train(name: str, *words: str) -> Path:
    """The run of this name, trained if it is not there."""
    run = PLACE / name
    if not (run / "done").is_file():
        genlab("train", *SHORT, *words, f"hydra.run.dir={run}")
        (run / "done").touch()
    return run


def evaluated(run: Path, *words: str) -> dict:
    """The figures of a run, measured by these words."""
    name = re.sub(r"\W+", "_", "_".join(words) or "as_it_is")
    to = run / "measured" / (name if len(name) < 100 else f"{name[:90]}_{crc32(name.encode()):08x}")
    if not (to / "evaluation.json").is_file():
        to.mkdir(parents=True, exist_ok=True)
        genlab("evaluate", f"run={run}", *words, f"to={to}")
    return json.loads((to / "evaluation.json").read_text())


def told(found: dict, name: str, digits: int = 3) -> str:
    """A figure with its interval."""
    if name not in found["metrics"]:
        return ""
    low, high = found["interval"].get(name, (None, None))
    ends = f" ({low:.{digits}f} to {high:.{digits}f})" if low is not None else ""
    return f"{found['metrics'][name]:.{digits}f}{ends}"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def membership() -> str:
    rows = []
    for name, words in CASES.items():
        run = train(re.sub(r"\W+", "_", name), *words, "evaluate=false")
        found = evaluated(run, "metric=membership")
        bits = [told(found, f"exposure_{n}", 1) for n in (1, 10, 100)]
        figures = (told(found, f"{n}") for n in ("membership_auc", "control_auc"))
        share = f"{found['metrics']['membership_found']:.3f}"
        rows.append([name, *figures, share, *bits])
        print(rows[-1], flush=True)
    head = ["kind, family", "members against held-out", "control", "found at 1 %"]
    return table([*head, "exposure, bits: 1 an epoch", "10", "100"], rows)


def forget() -> str:
    ids, rows = list(range(0, 1000, 10)), []
    for name in ("images, VAE", "images, autoregressive", "tables, VAE"):
        words = [w for w in CASES[name] if w not in CANARIES]
        asked = f"[{','.join(map(str, ids))}]"
        base = re.sub(r"\W+", "_", name)
        before = evaluated(
            train(f"{base}_all", *words, "evaluate=false"), "metric=membership",
            f"metric.ids={asked}",
        )  # fmt: skip
        without = [*words, "+edit@edits.forget=forget", f"edits.forget.ids={asked}"]
        after = evaluated(train(f"{base}_without", *without, "evaluate=false"), "metric=membership")
        rows.append([name, told(before, "asked_auc"), told(after, "forgotten_auc"),
                     told(after, "membership_auc")])  # fmt: skip
        print(rows[-1], flush=True)
    head = ["kind, family", "the 100, trained on", "the 100, trained without"]
    return table([*head, "all others, trained on"], rows)


def continual() -> str:
    """Old text, then new text with a share of the old: what is kept of the old."""
    old, new = ["data=kjv", *TEXT], ["data=shakespeare", *TEXT]
    size = ["data.batch_size=64", "net.depth=1", "optim.optimizer.lr=0.004", "evaluate=false"]
    likelihood = ["metric=likelihood", "metric.likelihood_examples=2000"]
    of = {name: [f"data={name}", "tokenizer=bytes", "data.block=64"]
          for name in ("kjv", "shakespeare")}  # fmt: skip
    rows = []
    losses: dict[str, list[tuple[float, float]]] = {}
    for seed in SEEDS:
        first = train(f"old_{seed}", *old, *size, "budget.examples=20_000", f"seed={seed}")
        runs = {"before": first}
        for share in SHARES:
            words = [f"init_from={first}", "budget.examples=10_000", f"seed={seed}"]
            if share:
                words += ["+edit@edits.replay=replay", f"edits.replay.run={first}",
                          f"edits.replay.share={share}"]  # fmt: skip
            runs[f"{share:g}"] = train(f"new_{seed}_{share:g}", *new, *size, *words)
        for name, run in runs.items():
            own = "kjv" if name == "before" else "shakespeare"
            pair = tuple(
                evaluated(run, *likelihood, *([] if text == own else words))["metrics"][
                    "bits_per_byte"
                ]
                for text, words in of.items()
            )
            losses.setdefault(name, []).append(pair)
            print(seed, name, pair, flush=True)
    for name, pairs in losses.items():
        label = "before" if name == "before" else f"{float(name):.0%} replayed"
        rows.append([label, *(spread([p[i] for p in pairs]) for i in range(2))])
    return table(["", "old text (kjv), bits per byte", "new text (shakespeare)"], rows)


def bias() -> str:
    """The commonest value of adult's columns, in the data and in samples of two families."""
    rows = []
    for name in ("tables, VAE", "tables, diffusion"):
        run = train(re.sub(r"\W+", "_", name), *CASES[name], "evaluate=false")
        for columns in ("sex", "race", "sex,income"):
            found = evaluated(run, "metric=representation_columns", f"metric.columns=[{columns}]")
            most = found["remarks"]["amplification"].removeprefix("of ").split(":")[0]
            data, floor = (found["floor"][n] for n in (f"share/{most}", "total_variation"))
            rows.append([name, f"`{columns}`", most, f"{data:.3f}", told(found, f"share/{most}"),
                         told(found, "amplification"), told(found, "total_variation"),
                         f"{floor:.3f}", found["notes"]["balanced_counts_as"]])  # fmt: skip
            print(rows[-1], flush=True)
    head = ["adult, by", "columns", "commonest", "in the data", "in samples", "amplification"]
    return table([*head, "total variation", "of draws", "balanced counts as"], rows)


def spread(values: list[float]) -> str:
    """The mean over seeds and Student's interval."""
    centre, (low, high) = t_interval(values)
    return f"{centre:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parts = {"membership": membership, "forget": forget, "continual": continual,
             "bias": bias}  # fmt: skip
    asked = [w for w in sys.argv[1:] if w in parts] or list(parts)
    for name in asked:
        path = ROOT / "docs" / ("metrics.md" if name == "bias" else "privacy.md")
        made = parts[name]()
        print(made)
        if "--write" in sys.argv:
            start, end = f"<!-- {name}: scripts/bench/privacy.py -->", f"<!-- end of {name} -->"
            text = path.read_text()
            before, after = text.split(start)[0], text.split(end)[1]
            path.write_text(f"{before}{start}\n{made}\n{end}{after}")


if __name__ == "__main__":
    main()
