"""Which defect each metric sees, and from which size on: planted defects, a curve for each number.

    python scripts/bench/calibration.py [images] [text] [tables] [points] [sounds] ... [--write]

A half of train is what the metric knows as train; samples are drawn of the other half, so that what
is undamaged is a perfect model's. Eight such draws say how far a number moves by chance; a defect
(planted_defects.py) is seen where the number is 6 of their standard deviations away (1 in 1,000 by
chance, Student's of 7). --write puts tables into docs/metrics.md and pictures into docs/samples.
What was measured is kept in $GENLAB_OUTPUTS/calibration and not measured again. Some 30 minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import planted_defects as planted
import torch
from planted_defects import Defect
from torch import Tensor

from genlab.data.base import Examples
from genlab.data.edits.base import Edit, Picked
from genlab.data.music import EventExamples
from genlab.data.text import Windows
from genlab.models.conditions import Classes, Conditions
from genlab.rng import generator
from genlab.runs.settings.compose import plan_of

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path(os.environ.get("GENLAB_OUTPUTS", ROOT / "outputs")) / "calibration"
DRAWS, SEEN = 8, 6.0
MOST = 1000.0  # standard deviations that a picture has room for
LEFT_OUT = {"finite_share", "loss"}


class Halves(Edit):
    """train is a half of it, by lot; the rest is `pool`."""

    def __call__(self, splits: dict, data: Any) -> dict:
        train = splits["train"]
        if isinstance(train, Windows):  # at any place: the halves would have one text
            train = Windows(train.stream, block=train.block, stride=train.block)
        num = len(train.lengths) if isinstance(train, EventExamples) else len(train)
        order = torch.randperm(num, generator=generator("halves"))
        halves = order[: num // 2].sort().values, order[num // 2 :]
        return {**splits, **{k: part(train, ids) for k, ids in zip(("train", "pool"), halves)}}

    def said(self) -> str:
        return "a half of train"


def part(train: Examples, ids: Tensor) -> Examples:
    """Some of the examples, and nothing of the others in whatever a metric reads of them."""
    if isinstance(train, EventExamples):  # of tunes, as much as a sample has
        some = [train.events(i)[: train.block - 1] for i in ids.tolist()]
        return EventExamples(some, block=train.block, remi=train.remi, drawn=False)
    own = type(train).chosen is not Examples.chosen
    return train.chosen(ids) if own else Picked(train, ids)


class Hands:
    """A model that hands out rows, of the class that is asked for where it is asked for one."""

    likelihood, device, vocab = "none", torch.device("cpu"), None

    def __init__(self, rows: planted.Rows, conditional: int | None = None) -> None:
        self.rows = rows
        self.conditions = Classes(num_classes=conditional) if conditional else Conditions()

    def loss(self, batch: dict) -> planted.Rows:
        return {"loss": torch.zeros(len(batch["x"]))}

    def drawing(self) -> contextlib.nullcontext:
        return contextlib.nullcontext()

    def sample(self, num, cond=None, given=None, *, seed=0, first=0) -> Tensor:
        x, at = self.rows["x"], torch.arange(first, first + num)
        if cond is not None and "cond" in self.rows:
            own, x = self.rows["cond"], self.rows["x"]
            of = {int(c): (own == c).nonzero()[:, 0] for c in own.unique()}
            at = torch.stack([of[int(c)][int(i) % len(of[int(c)])] for c, i in zip(cond, at)])
        x = x[at % len(x)]
        if given is not None:
            known = given["x"].shape[1]  # a text's beginning
            x = torch.cat([torch.where(given["mask"], given["x"], x[:, :known]), x[:, known:]], 1)
        return x


COPIES = (planted.copies, (0.01, 0.05, 0.25))
NOTES: dict[str, tuple[Defect, Sequence[float]]] = {
    "keys higher": (planted.transposed, (1, 5, 12)),
    "copies (share)": COPIES,
    "notes moved (share)": (planted.other_pitches, (0.05, 0.2, 0.5)),
    "notes left out (share)": (planted.fewer_notes, (0.05, 0.2, 0.5)),
    "notes added (share)": (planted.more_notes, (0.05, 0.2, 0.5)),
    "another order (share of pieces)": (planted.other_order, (0.1, 0.5, 1.0)),
    "half as quick (share of pieces)": (planted.stretched, (0.1, 0.5, 1.0)),
}
# kind: (words, samples, {what is planted: (defect, its sizes)})
CASES: dict[str, tuple[list[str], int, dict[str, tuple[Defect, Sequence[float]]]]] = {
    "images": (["data=fashion_mnist", "data.limit=12_000"], 1000, {
        "classes never drawn (share)": (planted.dropped, (0.1, 0.3, 0.5)), "copies (share)": COPIES,
        "noise (sd)": (planted.noise, (0.05, 0.1, 0.2, 0.5)),
        "blur (pixels)": (planted.blur, (0.5, 1.0, 2.0)),
        "shift (pixels)": (planted.shifted, (1, 2, 4)),
        "classes swapped (share)": (planted.swapped, (0.05, 0.25, 1.0)),
        "one class, one sample (share)": (planted.collapsed, (0.25, 0.5, 1.0)),
    }),
    "text": (["data=kjv", "model=autoregressive", "tokenizer=bytes", "data.block=256"], 400, {
        "copies (share)": COPIES, "letters changed (share)": (planted.letters, (0.01, 0.05, 0.2)),
        "words in any order (share of texts)": (planted.out_of_order, (0.1, 0.5, 1.0)),
        "over and over (share of texts)": (planted.again, (0.05, 0.25, 1.0)),
    }),
    "tables": (["data=adult"], 2000, {
        "rarer target never drawn (share)": (planted.one_kind, (0.25, 0.5, 1.0)),
        "copies (share)": COPIES,
        "noise (sd)": (planted.noise, (0.05, 0.2, 0.5)),
        "columns cut apart (share)": (planted.factorised, (0.1, 0.5, 1.0)),
    }),
    "points": (["data=ring"], 2000, {
        "modes never drawn (share)": (planted.modes, (0.125, 0.25, 0.5)), "copies (share)": COPIES,
        "noise (sd)": (planted.noise, (0.02, 0.05, 0.2)),
    }),
    "music": (["data=jsb_chorales", "model=frames", "data.frames=32", "metric=rolls"], 60, NOTES),
    "notes": (["data=nottingham_events", "model=autoregressive", "data.block=256"], 100, {
        **NOTES, "tokens changed (share)": (planted.letters, (0.01, 0.05, 0.2)),
    }),
    "sounds": (["data=fsdd"], 250, {
        "digits never drawn (share)": (planted.dropped, (0.1, 0.3, 0.5)), "copies (share)": COPIES,
        "noise (sd)": (planted.noise, (0.05, 0.1, 0.2)),
        "blur (bands, frames)": (planted.blur, (0.5, 1.0, 2.0)),
        "silence (share)": (planted.silent, (0.01, 0.05, 0.25)),
        "shift (frames)": (planted.shifted, (2, 8, 16)),
    }),
    "video": (["data=moving_digits"], 250, {
        "digits never drawn (share)": (planted.dropped, (0.1, 0.3, 0.5)), "copies (share)": COPIES,
        "noise (sd)": (planted.noise, (0.05, 0.1, 0.2)),
        "frames in any order (share of clips)": (planted.shuffled, (0.05, 0.25, 1.0)),
        "standing still (share of clips)": (planted.frozen, (0.05, 0.25, 1.0)),
    }),
}  # fmt: skip


def drawn(data: Any, num: int, k: int) -> planted.Rows:
    """The k-th draw of `num` examples of the pool."""
    if data.endless:
        return dict(data.fresh(1000 + k))
    pool = data.split("pool")
    ids = torch.randperm(len(pool), generator=generator("draw", k))[:num]
    return planted.taken(data, pool, ids)


def measured(kind: str) -> dict[str, Any]:
    """What a kind's metric says of perfect draws (base), of such with their classes asked for
    (labelled), and of defects, by what is planted and its size."""
    words, num, defects = CASES[kind]
    plan = plan_of([*words, "logger=none"])[0]
    data = plan.data()
    data.prepare()
    if not data.endless:
        data.edits = [Halves()]
    else:
        data.batch_size = num
    metric = plan.metrics()[""]
    metric.likelihood_examples = 8

    def values(rows: planted.Rows, conditional: bool) -> dict[str, float]:
        model = Hands(rows, data.num_classes if conditional else None)
        found = metric(model, data, num=num if conditional else len(rows["x"])).metrics
        return {k: v for k, v in found.items() if k not in LEFT_OUT}

    def base(conditional: bool) -> list[dict[str, float]]:
        return [values(drawn(data, num, k), conditional) for k in range(DRAWS)]

    asked = [name for name, (defect, _) in defects.items() if defect in planted.ASKED]
    found: dict[str, Any] = {
        "pool": None if data.endless else len(data.split("pool")),
        "base": base(False), "labelled": base(True) if asked else [], "asked": asked, "defects": {},
    }  # fmt: skip
    for name, (defect, sizes) in defects.items():
        for size in sizes:
            # another draw than those of the base
            rows = defect(data, drawn(data, num, DRAWS), size)
            found["defects"].setdefault(name, {})[f"{size:g}"] = values(rows, name in asked)
            print(kind, name, size, flush=True)
    return found


def kept(kind: str) -> dict[str, Any]:
    """What was measured of a kind; it is measured where that is not there."""
    path = PLACE / f"{kind}.json"
    if not path.is_file():
        found = measured(kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1))
    return json.loads(path.read_text())


Seen = dict[str, dict[str, dict[str, float]]]  # by what is planted, its size and the number


def seen(found: dict[str, Any], num: int) -> Seen:
    """How many standard deviations each number of a defect is away from perfect draws."""
    spread = 1.0 if found["pool"] is None else (1 - num / found["pool"]) ** -0.5
    return {
        name: {
            size: away(value, found["labelled" if name in found["asked"] else "base"], num, spread)
            for size, value in sizes.items()
        }
        for name, sizes in found["defects"].items()
    }


def away(
    value: dict[str, float], base: list[dict[str, float]], num: int, spread: float
) -> dict[str, float]:
    """How many standard deviations of the base's draws each number is from their mean.

    `spread`: draws from a finite pool overlap, so they differ less than a model's would. A share of
    the samples (a multiple of 1 / num) has a standard deviation of sqrt(3/8) samples at least: none
    in eight draws leaves a mean of 3/8 of one possible (at 95 %).
    """
    out = {}
    for name in base[0].keys() & value.keys():
        draws = torch.tensor([b[name] for b in base if name in b], dtype=torch.float64)
        gap, sd = value[name] - float(draws.mean()), float(draws.std()) * spread
        whole = (draws * num - (draws * num).round()).abs().max() < 1e-6
        out[name] = gap / (max(sd, (3 / 8) ** 0.5 / num) if whole or sd < 1e-9 else sd)
    return out


def table(defects: Seen) -> str:
    """From which size on each number sees a defect; those that see none are named below."""
    names = sorted({n for sizes in defects.values() for z in sizes.values() for n in z})
    rows, blind = [], []
    for name in names:
        cells = []
        for sizes in defects.values():
            first = next((s for s, z in sizes.items() if abs(z.get(name, 0.0)) > SEEN), None)
            if first is None:
                cells.append("")
                continue
            most = max((z[name] for z in sizes.values() if name in z), key=abs)
            cells.append(f"{'↑' if most > 0 else '↓'} {first}")
        if any(cells):
            rows.append([f"`{name}`", *cells])
        else:
            blind.append(f"`{name}`")
    head = ["number", *defects]
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return text + (f"\n\nNone of these is seen by {', '.join(blind)}." if blind else "")


def picture(kind: str, defects: Seen, path: Path) -> None:
    """A row for each number that sees a defect, a column for each defect, and in each its curve."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = sorted({n for sizes in defects.values() for z in sizes.values()
                    for n, v in z.items() if abs(v) > SEEN})  # fmt: skip
    left, wide, high, top, below = 1.75, 1.3, 0.46, 0.75, 0.45  # inches
    width, height = left + wide * len(defects) + 0.1, top + high * len(names) + below
    figure, axes = plt.subplots(len(names), len(defects), figsize=(width, height), sharey=True,
                                sharex="col", squeeze=False)  # fmt: skip
    for row, name in zip(axes, names):
        for ax, sizes in zip(row, defects.values()):
            y = [0.0, *(z.get(name, float("nan")) for z in sizes.values())]
            y = [max(-MOST, min(MOST, v)) if v == v else v for v in y]
            ax.axhspan(-SEEN, SEEN, color="0.92", zorder=0)
            ax.plot(range(len(y)), y, lw=1, color="0.45", zorder=1)
            for i, v in enumerate(y):
                colour = "0.6" if not abs(v) > SEEN else "tab:red" if v > 0 else "tab:blue"
                ax.plot(i, v, marker="o", ms=4 if abs(v) > SEEN else 2.5, color=colour)
            ax.set_yscale("symlog", linthresh=SEEN, linscale=0.4)
            ax.set_ylim(-2 * MOST, 2 * MOST)
            ax.set_yticks([-100, 0, 100], ["-100", "0", "100"], fontsize=6)
            ax.minorticks_off()
            ax.set_xlim(-0.3, len(y) - 0.7)
            ax.set_xticks(range(len(y)), ["0", *sizes], fontsize=7)
            ax.tick_params(length=2)
            for side in ax.spines.values():
                side.set_color("0.8")
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    for ax, defect in zip(axes[0], defects):
        ax.set_title(defect.replace(" (", "\n("), fontsize=8)
    figure.suptitle(f"{kind}: standard deviations from a perfect model's draws", fontsize=9)
    figure.subplots_adjust(left / width, below / height, 1 - 0.1 / width, 1 - top / height, 0.06,
                           0.12)  # fmt: skip
    figure.savefig(path, dpi=100)
    plt.close(figure)


def write(kind: str, defects: Seen, made: str) -> None:
    """The table and the picture into docs/, in place of those that stand there."""
    place = ROOT / "docs" / "samples" / f"calibration_{kind}.png"
    picture(kind, defects, place)
    path, (words, num, _) = ROOT / "docs" / "metrics.md", CASES[kind]
    start, end = f"<!-- calibration of {kind}: scripts/bench/calibration.py -->", "<!-- end -->"
    told = " ".join(w for w in words if w.startswith(("data", "metric")))
    block = f"{start}\n`{told}`, {num} samples.\n\n{made}\n\n![{kind}](samples/{place.name})\n{end}"
    text = path.read_text()
    if start in text:
        before, rest = text.split(start)
        text = before + block + rest.split(end, 1)[1]
    else:
        own = "\n## One's own"
        text = text.replace(own, f"\n### {kind.capitalize()}\n\n{block}\n{own}")
    path.write_text(text)


def main() -> None:
    asked = [w for w in sys.argv[1:] if w in CASES] or list(CASES)
    for kind in asked:
        defects = seen(kept(kind), CASES[kind][1])
        made = table(defects)
        print(made, flush=True)
        if "--write" in sys.argv:
            write(kind, defects, made)


if __name__ == "__main__":
    main()
