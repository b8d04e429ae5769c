"""Which defect each metric sees, and from which size on: planted defects, a curve for each number.

    python scripts/bench/calibration.py [images] [text] [tables] [points] [sounds] ... [--write]

A half of train is what the metric knows as train; samples are drawn of the other half, so that what
is undamaged is a perfect model's. Eight such draws say how far a number moves by chance; a defect
is seen where the number is 6 of their standard deviations away (1 in 1,000 by chance, Student's of
7). --write puts tables into docs/metrics.md and pictures into docs/samples. Some 20 minutes.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genlab.batch import each
from genlab.data.edits.base import Edit, Picked
from genlab.metrics.report import gather, subset
from genlab.models.conditions import Classes, Conditions
from genlab.rng import generator
from genlab.runs.settings.compose import plan_of

ROOT = Path(__file__).resolve().parents[2]
DRAWS, SEEN = 8, 6.0
LEFT_OUT = {"finite_share", "loss"}
Defect = Callable[[Any, dict[str, Tensor], float], dict[str, Tensor]]


class Halves(Edit):
    """train is its first half, by lot; the rest is `pool`."""

    def __call__(self, splits: dict, data: Any) -> dict:
        order = torch.randperm(len(splits["train"]), generator=generator("halves"))
        half = len(order) // 2
        train, pool = order[:half].sort().values, order[half:]
        return {**splits, "train": Picked(splits["train"], train),
                "pool": Picked(splits["train"], pool)}  # fmt: skip

    def said(self) -> str:
        return "a half of train"


class Hands:
    """A model that hands out rows, of the class that is asked for where it is asked for one."""

    likelihood, device, vocab = "none", torch.device("cpu"), None

    def __init__(self, rows: dict[str, Tensor], conditional: int | None = None) -> None:
        self.rows = rows
        self.conditions = Classes(num_classes=conditional) if conditional else Conditions()

    def loss(self, batch: dict) -> dict[str, Tensor]:
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


def some(num: int, share: float) -> Tensor:
    """Which of num, a share of them [num] bool."""
    order = torch.randperm(num, generator=generator("some", num))
    return order < round(share * num)


def copies(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """A share are ten training examples, over and over."""
    hit = some(len(rows["x"]), share)
    train = gather(data.train, subset(len(data.train), 10))
    at = torch.arange(int(hit.sum())) % 10
    return {k: _put(v, hit, train[k][at]) for k, v in rows.items() if k in train}


def _put(values: Tensor, hit: Tensor, others: Tensor) -> Tensor:
    values = values.clone()
    values[hit] = others.to(values.dtype)
    return values


def dropped(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """A share of the classes are never drawn."""
    classes = rows["cond"].unique()
    left = classes[: len(classes) - round(share * len(classes))]
    keep = torch.isin(rows["cond"], left)
    return {k: v[keep] for k, v in rows.items()}


def noise(data: Any, rows: dict[str, Tensor], sd: float) -> dict[str, Tensor]:
    """Normal noise, in standard deviations of the data."""
    drawn = torch.randn(rows["x"].shape, generator=generator("noise"))
    x = rows["x"] + sd * float(rows["x"].std()) * drawn
    return {**rows, "x": x.clamp(-1, 1) if data.levels else x}


def blur(data: Any, rows: dict[str, Tensor], sd: float) -> dict[str, Tensor]:
    """A Gaussian's, of so many pixels."""
    at = torch.arange(-6, 7).float()
    line = torch.exp(-(at**2) / (2 * sd**2))
    line /= line.sum()
    x = rows["x"].flatten(0, 1)[:, None]
    x = F.conv2d(F.pad(x, (6, 6, 0, 0), mode="replicate"), line[None, None, None])
    x = F.conv2d(F.pad(x, (0, 0, 6, 6), mode="replicate"), line[None, None, :, None])
    return {**rows, "x": x.view_as(rows["x"])}


def shifted(data: Any, rows: dict[str, Tensor], pixels: float) -> dict[str, Tensor]:
    """To the right, by so many pixels (frames of sound)."""
    return {**rows, "x": rows["x"].roll(int(pixels), -1)}


def swapped(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """A share have another's class."""
    hit = some(len(rows["x"]), share)
    return {**rows, "cond": _put(rows["cond"], hit, (rows["cond"][hit] + 1) % data.num_classes)}


def factorised(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """In a share of the rows each column is another row's: the columns stay, their ties are cut."""
    hit, x, at = some(len(rows["x"]), share), rows["x"].clone(), 0
    for i, width in enumerate(data.widths):
        part = x[hit, at : at + width]
        order = torch.randperm(len(part), generator=generator("column", i))
        x[hit, at : at + width] = part[order]
        at += width
    return {**rows, "x": x}


def one_kind(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Of the rows whose target is the rarer of two values, a share is never drawn."""
    told = [r[data.target] for r in data.decode(rows["x"])]
    rare = min(set(told), key=told.count)
    gone = torch.tensor([v == rare for v in told])
    gone &= some(len(told), share)
    return {k: v[~gone] for k, v in rows.items()}


def letters(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """A share of the tokens are others, of the law of all."""
    x = rows["x"].clone()
    hit = torch.rand(x.shape, generator=generator("letters")) < share
    pool = x.flatten()
    drawn = torch.randint(len(pool), (int(hit.sum()),), generator=generator("tokens"))
    x[hit] = pool[drawn]
    return {**rows, "x": x}


def out_of_order(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """In a share of the texts the words stand in any order."""
    texts, length = data.decode(rows["x"]), rows["x"].shape[1]
    hit, x = some(len(texts), share), rows["x"].clone()
    for i in hit.nonzero()[:, 0].tolist():
        words = texts[i].split(" ")
        order = torch.randperm(len(words), generator=generator("words", i)).tolist()
        ids = torch.from_numpy(data.tokenizer.encode(" ".join(words[j] for j in order)))[:length]
        x[i, : len(ids)] = ids.long()
    return {**rows, "x": x}


def again(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """A share of the texts say their last eighth over and over."""
    x, part = rows["x"].clone(), rows["x"].shape[1] // 8
    hit = some(len(x), share)
    x[hit] = x[hit][:, -part:].repeat(1, 9)[:, : x.shape[1]]
    return {**rows, "x": x}


def silent(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """A share are silence."""
    return {**rows, "x": _put(rows["x"], hit := some(len(rows["x"]), share),
                              torch.full_like(rows["x"][hit], -1.0))}  # fmt: skip


def transposed(data: Any, rows: dict[str, Tensor], keys: float) -> dict[str, Tensor]:
    """Every piece so many keys higher."""
    return {**rows, "x": rows["x"].roll(int(keys), -1)}


def held_notes(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """A share of the frames of every piece are another piece's, at random."""
    x = rows["x"].clone()
    hit = torch.rand(x.shape[:2], generator=generator("frames")) < share
    pool = x.flatten(0, 1)
    x[hit] = pool[torch.randint(len(pool), (int(hit.sum()),), generator=generator("others"))]
    return {**rows, "x": x}


def shuffled(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """A share of the clips have their frames in any order."""
    x, hit = rows["x"].clone(), some(len(rows["x"]), share)
    for i in hit.nonzero()[:, 0].tolist():
        x[i] = x[i][:, torch.randperm(x.shape[2], generator=generator("clip", i))]
    return {**rows, "x": x}


def frozen(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """A share of the clips stand still at their first frame."""
    x, hit = rows["x"].clone(), some(len(rows["x"]), share)
    x[hit] = x[hit][:, :, :1].expand_as(x[hit])
    return {**rows, "x": x}


def modes(data: Any, rows: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Points of a share of the modes are never drawn."""
    angle = torch.atan2(rows["x"][:, 1], rows["x"][:, 0]).remainder(2 * torch.pi)
    keep = (angle / (2 * torch.pi) * 8).round().remainder(8) >= round(8 * share)
    return {k: v[keep] for k, v in rows.items()}


COPIES = (copies, (0.01, 0.05, 0.25))
# kind: (words, samples, {what is planted: (defect, its sizes)})
CASES: dict[str, tuple[list[str], int, dict[str, tuple[Defect, Sequence[float]]]]] = {
    "images": (["data=fashion_mnist", "data.limit=12_000"], 1000, {
        "classes never drawn (share)": (dropped, (0.1, 0.3, 0.5)), "copies (share)": COPIES,
        "noise (sd)": (noise, (0.05, 0.1, 0.2, 0.5)), "blur (pixels)": (blur, (0.5, 1.0, 2.0)),
        "shift (pixels)": (shifted, (1, 2, 4)),
        "classes swapped (share)": (swapped, (0.05, 0.25, 1.0)),
    }),
    "text": (["data=kjv", "model=autoregressive", "tokenizer=bytes", "data.block=256"], 400, {
        "copies (share)": COPIES, "letters changed (share)": (letters, (0.01, 0.05, 0.2)),
        "words in any order (share of texts)": (out_of_order, (0.1, 0.5, 1.0)),
        "over and over (share of texts)": (again, (0.05, 0.25, 1.0)),
    }),
    "tables": (["data=adult"], 2000, {
        "rarer target never drawn (share)": (one_kind, (0.25, 0.5, 1.0)), "copies (share)": COPIES,
        "noise (sd)": (noise, (0.05, 0.2, 0.5)),
        "columns cut apart (share)": (factorised, (0.1, 0.5, 1.0)),
    }),
    "points": (["data=ring"], 2000, {
        "modes never drawn (share)": (modes, (0.125, 0.25, 0.5)), "copies (share)": COPIES,
        "noise (sd)": (noise, (0.02, 0.05, 0.2)),
    }),
    "sounds": (["data=fsdd"], 250, {
        "digits never drawn (share)": (dropped, (0.1, 0.3, 0.5)), "copies (share)": COPIES,
        "noise (sd)": (noise, (0.05, 0.1, 0.2)), "blur (bands, frames)": (blur, (0.5, 1.0, 2.0)),
        "silence (share)": (silent, (0.01, 0.05, 0.25)), "shift (frames)": (shifted, (2, 8, 16)),
    }),
    "video": (["data=moving_digits"], 250, {
        "digits never drawn (share)": (dropped, (0.1, 0.3, 0.5)), "copies (share)": COPIES,
        "noise (sd)": (noise, (0.05, 0.1, 0.2)),
        "frames in any order (share of clips)": (shuffled, (0.05, 0.25, 1.0)),
        "standing still (share of clips)": (frozen, (0.05, 0.25, 1.0)),
    }),
}  # fmt: skip


def drawn(data: Any, num: int, k: int) -> dict[str, Tensor]:
    """The k-th draw of `num` examples of the pool."""
    if data.endless:
        return each(lambda v: v, data.fresh(1000 + k))
    pool = data.split("pool")
    ids = torch.randperm(len(pool), generator=generator("draw", k))[:num]
    return gather(pool, ids)


def measured(kind: str) -> dict[str, Any]:
    """{number: its values of draws; by defect and size, how many standard deviations away}."""
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

    def values(rows: dict[str, Tensor], conditional: bool = False) -> dict[str, float]:
        model = Hands(rows, data.num_classes if conditional else None)
        return metric(model, data, num=len(rows["x"]) if not conditional else num).metrics

    base = [values(drawn(data, num, k)) for k in range(DRAWS)]
    labelled = [values(drawn(data, num, k), True) for k in range(DRAWS)
                ] if any(d is swapped for d, _ in defects.values()) else base  # fmt: skip
    found: dict[str, Any] = {"base": base, "defects": {}}
    for name, (defect, sizes) in defects.items():
        own = defect is swapped
        for size in sizes:
            # another draw than those of the base
            rows = defect(data, drawn(data, num, DRAWS), size)
            found["defects"].setdefault(name, {})[size] = away(
                values(rows, own), labelled if own else base
            )
            print(kind, name, size, flush=True)
    return found


def away(value: dict[str, float], base: list[dict[str, float]]) -> dict[str, float]:
    """How many standard deviations of the base's draws each number is from their mean."""
    out = {}
    for name in base[0].keys() & value.keys() - LEFT_OUT:
        draws = torch.tensor([b[name] for b in base if name in b], dtype=torch.float64)
        gap = value[name] - float(draws.mean())
        sd = float(draws.std())
        # what never moved by chance is seen by any change, however small
        out[name] = gap / sd if sd > 1e-9 else (0.0 if abs(gap) < 1e-9 else 99.0 * (gap > 0 or -1))
    return out


def table(found: dict[str, Any]) -> str:
    """From which size on each number sees a defect; those that see none are named below."""
    defects = found["defects"]
    names = sorted({n for sizes in defects.values() for seen in sizes.values() for n in seen})
    rows, blind = [], []
    for name in names:
        cells = []
        for sizes in defects.values():
            first = next((s for s, z in sizes.items() if abs(z.get(name, 0.0)) > SEEN), None)
            if first is None:
                cells.append("")
                continue
            most = max((z[name] for z in sizes.values() if name in z), key=abs)
            cells.append(f"{'↑' if most > 0 else '↓'} {first:g}")
        if any(cells):
            rows.append([f"`{name}`", *cells])
        else:
            blind.append(f"`{name}`")
    head = ["number", *defects]
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return text + (f"\n\nNone of these is seen by {', '.join(blind)}." if blind else "")


def picture(kind: str, found: dict[str, Any], path: Path) -> None:
    """A panel for each defect, a line for each number that sees one."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    defects = found["defects"]
    names = sorted({n for sizes in defects.values() for z in sizes.values()
                    for n, v in z.items() if abs(v) > SEEN})  # fmt: skip
    across = min(3, len(defects))
    down = -(-len(defects) // across)
    figure, axes = plt.subplots(down, across, figsize=(4.2 * across, 2.9 * down + 0.8),
                                sharey=True, squeeze=False)  # fmt: skip
    marks = ["o", "s", "^", "v", "D", "x", "+", "*"]
    colours = plt.get_cmap("tab10")
    for ax, (defect, sizes) in zip(axes.flat, defects.items()):
        for i, name in enumerate(names):
            y = [0.0, *(z.get(name, float("nan")) for z in sizes.values())]
            ax.plot(range(len(y)), y, marker=marks[i // 10 % 8], ms=4, lw=1.2,
                    color=colours(i % 10), label=name)  # fmt: skip
        ax.axhspan(-SEEN, SEEN, color="0.9", zorder=0)
        ax.set_yscale("symlog", linthresh=SEEN)
        ax.set_yticks([-1000, -100, -10, 0, 10, 100, 1000])
        ax.set_xticks(range(1 + len(sizes)), ["0", *(f"{s:g}" for s in sizes)])
        ax.set_title(defect, fontsize=10)
        ax.tick_params(labelsize=8)
    for ax in list(axes.flat)[len(defects) :]:
        ax.set_visible(False)
    for row in axes:
        row[0].set_ylabel("standard deviations\nof a perfect model's draws", fontsize=8)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    columns = 3 * across // 2 + 1
    lines = -(-len(labels) // columns)
    figure.suptitle(f"{kind}: what each number sees", fontsize=11)
    figure.legend(handles, labels, loc="lower center", ncol=columns, fontsize=7, frameon=False)
    height = 2.9 * down + 0.8
    figure.tight_layout(rect=(0, (0.18 * lines + 0.1) / height, 1, 1))
    figure.savefig(path, dpi=80)
    plt.close(figure)


def write(kind: str, found: dict[str, Any], made: str) -> None:
    """The table and the picture into docs/, in place of those that stand there."""
    place = ROOT / "docs" / "samples" / f"calibration_{kind}.png"
    picture(kind, found, place)
    path, (words, num, _) = ROOT / "docs" / "metrics.md", CASES[kind]
    start, end = f"<!-- calibration of {kind}: scripts/bench/calibration.py -->", "<!-- end -->"
    said = f"`{' '.join(w for w in words if w.startswith('data'))}`, {num} samples"
    block = f"{start}\n{said}.\n\n{made}\n\n![{kind}](samples/{place.name})\n{end}"
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
        found = measured(kind)
        made = table(found)
        print(made, flush=True)
        if "--write" in sys.argv:
            write(kind, found, made)


if __name__ == "__main__":
    main()
