"""Does curation pay? The same recipe and budget on raw and on curated data, three seeds each.

    python scripts/bench/curation_pays.py [text] [images] [tables] [--write]

Both are measured on the same clean held-out examples, which neither saw. Needs $GENLAB_DATA; an
hour on two cores. Finished runs are kept in $GENLAB_OUTPUTS/pays. --write replaces the rows of the
kinds that are named in docs/curation.md, and leaves the others.
"""

from __future__ import annotations

import csv
import gzip
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from genlab.metrics.seeds import t_interval

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("GENLAB_DATA", "data"))
PLACE = Path(os.environ.get("GENLAB_OUTPUTS", ROOT / "outputs")) / "pays"
SEEDS = (1, 2, 3)
HEAD = ["data", "on the same clean held-out examples", "raw", "curated", "curated less raw"]
SHORT = ["look_every=1_000_000", "save_every=1_000_000_000", "logger=none", "trainer.threads=1"]
NAIVE = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.S | re.I)


def genlab(*words: str) -> None:
    line = [sys.executable, "-m", "genlab.cli", *words]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr[-3000:]}")


def figures(name: str, words: list[str]) -> dict[str, float]:
    """What a run of these words measures; made where it is not there."""
    run = PLACE / name
    if not (run / "evaluation.json").is_file():
        shutil.rmtree(run, ignore_errors=True)
        genlab("train", *SHORT, *words, f"hydra.run.dir={run}")
    return json.loads((run / "evaluation.json").read_text())["metrics"]


def once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills, whole or not at all."""
    folder = PLACE / name
    if not folder.is_dir():
        part = folder.with_name(f"{name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        make(part)
        part.rename(folder)
    return folder


# --- text -----------------------------------------------------------------------------------------


def pages(to: Path) -> None:
    with tarfile.open(DATA / "html-pages" / "html-pages.tar.xz") as tar:
        tar.extractall(to, filter="data")
    for path in to.rglob("*"):
        if path.is_file() and path.suffix != ".html":
            path.unlink()  # the list of pages, which is no page


def text() -> list[list[str]]:
    """The pages of manuals and a handbook in eight languages; what is wanted is English prose."""
    raw = once("pages", pages)
    clean = PLACE / "clean"
    if not (clean / "dataset.json").is_file():
        genlab("prepare", "kind=text", f"from={raw}", f"to={clean}", "rules.language.keep=[en]")
    kept = [json.loads(x) for x in (clean / "documents.jsonl").read_text().splitlines()]
    held = {r["id"]: r["text"] for r in kept if r["split"] == "val"}

    def joined(to: Path) -> None:
        """Raw pages but those held out, tags taken away; what is held out is the curated text."""
        with (to / "raw.jsonl").open("w") as f:
            for page in sorted(raw.rglob("*.html")):
                if page.relative_to(raw).as_posix() not in held:
                    plain = html.unescape(NAIVE.sub(" ", page.read_text("utf-8", "replace")))
                    f.write(json.dumps({"text": plain, "split": "train"}) + "\n")
            for document in held.values():
                f.write(json.dumps({"text": document, "split": "val"}) + "\n")

    sets = {"raw": once("raw_pages", joined) / "raw.jsonl", "curated": clean / "documents.jsonl"}
    recipe = ["model=autoregressive", "net=gru", "net.width=128", "tokenizer=bytes"]
    recipe += ["data=text_file", "data.block=128", "data.batch_size=32", "budget.examples=60_000"]
    recipe += ["optim.optimizer.lr=4e-3", "optim.warmup=2_000", "trainer.clip=1"]
    recipe += ["metric=likelihood"]
    return compared("text", sets, lambda path: [*recipe, f"data.path={path}"], ["bits_per_byte"])


# --- pictures -------------------------------------------------------------------------------------


def fashion(split: str) -> tuple[np.ndarray, np.ndarray]:
    prefix = {"train": "train", "test": "t10k"}[split]
    folder = DATA / "fashion-mnist"
    found = []
    for kind, skip in (("images-idx3", 16), ("labels-idx1", 8)):
        contents = gzip.decompress((folder / f"{prefix}-{kind}-ubyte.gz").read_bytes())
        found.append(np.frombuffer(contents, np.uint8, offset=skip))
    return found[0].reshape(-1, 28, 28), found[1]


def pictures(to: Path) -> None:
    """7,000 of Fashion-MNIST, and 3,000 that are junk: copies, noise, blank or blurred ones."""
    draws = np.random.default_rng(0)
    x, _ = fashion("train")
    order = draws.permutation(len(x))[:10_000]
    (to / "train").mkdir()
    for n, i in enumerate(order):
        picture = Image.fromarray(x[i])
        if n >= 9500:
            picture = picture.filter(ImageFilter.GaussianBlur(3))
        elif n >= 9000:
            picture = Image.new("L", (28, 28), int(draws.integers(256)))
        elif n >= 8000:
            picture = Image.fromarray(draws.integers(0, 256, (28, 28), dtype=np.uint8))
        elif n >= 7000:
            picture = Image.fromarray(x[order[n % 20]])
        picture.save(to / "train" / f"{draws.integers(10**12):012d}.png")
    held_out(to)


def held_out(to: Path) -> None:
    (to / "val").mkdir()
    for i, picture in enumerate(fashion("test")[0][:2000]):
        Image.fromarray(picture).save(to / "val" / f"{i:04d}.png")


def images() -> list[list[str]]:
    raw = once("junk", pictures)
    clean = PLACE / "tidy"
    if not (clean / "dataset.json").is_file():
        limits = ["rules.size.least=8", "~rules.borders", "~rules.split"]
        genlab("prepare", "kind=image", f"from={raw / 'train'}", f"to={clean}", *limits)

    def beside(to: Path) -> None:
        (to / "train").mkdir()
        for path in sorted((clean / "train").rglob("*.png")):
            shutil.copy(path, to / "train" / path.name)
        held_out(to)

    sets = {"raw": raw, "curated": once("curated", beside)}
    recipe = ["data=image_folder", "data.shape=[1,28,28]", "data.num_classes=null", "model=vae"]
    recipe += ["net=mlp_vae", "budget.examples=100_000", "metric=image"]
    recipe += ["metric.num_samples=2000"]
    names = ["bits_per_dim_bound", "frechet_infinity", "precision", "recall"]
    return compared("images", sets, lambda path: [*recipe, f"data.root={path}"], names)


# --- tables ---------------------------------------------------------------------------------------

# of a row: another unit, what cannot be, hardly a cell, cells of two columns in each other's place
SWAPS = (("longitude", "latitude"), ("total_rooms", "population"))
# what one who knows the columns says of them
LIMITS = "{longitude:[-125,-114],latitude:[32,43],housing_median_age:[0,100],median_income:[0,20]}"


def spoilt(row: dict[str, str], how: int, draws: np.random.Generator) -> dict[str, str]:
    """The row with one defect of four: see above."""
    if how == 0:
        return {**row, "median_income": repr(float(row["median_income"]) * 10_000)}
    if how == 1:
        name = ("latitude", "housing_median_age")[draws.integers(2)]
        return {**row, name: ("-999", "9999")[draws.integers(2)]}
    if how == 2:
        return {name: cell if draws.random() < 0.3 else "" for name, cell in row.items()}
    a, b = SWAPS[draws.integers(2)]
    return {**row, a: row[b], b: row[a]}


def homes() -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """7,000 of California's districts with 3,000 rows that are junk, and 4,000 held out.

    A third of the junk are copies; of the rest one in eight, rooms and people in each other's
    place, no rule sees.
    """
    with gzip.open(DATA / "california-housing" / "housing.csv.gz", "rt", newline="") as f:
        rows = list(csv.DictReader(f))
    draws = np.random.default_rng(0)
    rows = [rows[i] for i in draws.permutation(len(rows))]
    held, good, others = rows[:4000], rows[4000:11_000], rows[11_000:13_000]
    junk = [good[n % 20] for n in range(1000)]
    junk += [spoilt(row, n % 4, draws) for n, row in enumerate(others)]
    train = good + junk
    return [train[i] for i in draws.permutation(len(train))], held


def rows_to(path: Path, rows: list[dict[str, str]], names: Sequence[str]) -> None:
    with path.open("w", newline="") as f:
        out = csv.DictWriter(f, names, extrasaction="ignore")
        out.writeheader()
        out.writerows(rows)


def tables() -> list[list[str]]:
    train, held = homes()
    names = list(held[0])

    def split(to: Path, rows: list[dict[str, str]]) -> None:
        said = [("train", row) for row in rows] + [("val", row) for row in held]
        rows_to(to / "rows.csv", [{**row, "split": s} for s, row in said], [*names, "split"])

    mixed = once("homes", lambda to: rows_to(to / "rows.csv", train, names)) / "rows.csv"
    clean = PLACE / "homes_clean"
    if not (clean / "dataset.json").is_file():
        limits = ["+rule@rules.limits=out_of_range", f"rules.limits.limits={LIMITS}"]
        genlab("prepare", "kind=table", f"from={mixed}", f"to={clean}", *limits, "~rules.split")
    with (clean / "rows.csv").open(newline="") as f:
        kept = list(csv.DictReader(f))
    sets = {
        "raw": once("homes_raw", lambda to: split(to, train)) / "rows.csv",
        "curated": once("homes_curated", lambda to: split(to, kept)) / "rows.csv",
    }
    recipe = ["data=table", "data.split=split", "data.val_fraction=null", "model=vae"]
    recipe += ["data.target=median_house_value", "budget.examples=400_000", "metric=table"]
    told = ["shape", "trend", "two_sample", "two_sample_linear", "taught_r2"]
    return compared("tables", sets, lambda path: [*recipe, f"data.path={path}"], told)


# --- what came out --------------------------------------------------------------------------------


def compared(
    kind: str, sets: dict[str, Path], recipe: Callable[[Path], list[str]], names: list[str]
) -> list[list[str]]:
    """A row for each figure: raw, curated, and the difference by pairs of seeds."""
    found = {
        name: [figures(f"{kind}_{name}_{seed}", [*recipe(path), f"seed={seed}"]) for seed in SEEDS]
        for name, path in sets.items()
    }
    rows = []
    for figure in (n for n in names if n in found["raw"][0]):
        raw, curated = ([f[figure] for f in found[name]] for name in ("raw", "curated"))
        gap = spread([c - r for c, r in zip(curated, raw)], sign=True)
        rows.append([kind, f"`{figure}`", spread(raw), spread(curated), gap])
        print(rows[-1], flush=True)
    return rows


def spread(values: list[float], *, sign: bool = False) -> str:
    """The mean over seeds with Student's interval."""
    centre, (low, high) = t_interval(values)
    plus = "+" if sign else ""
    return f"{centre:{plus}.4f} ({low:{plus}.4f} to {high:{plus}.4f})"


def merged(block: str, rows: list[list[str]], kinds: Sequence[str]) -> str:
    """The block's table with these rows in the place of those of the same kinds, in their order."""
    found = [[w.strip() for w in line.strip("|").split(" | ")] for line in block.splitlines()[2:]]
    new = {row[0] for row in rows}
    rows = [r for r in found if r[0] not in new] + rows
    rows.sort(key=lambda r: list(kinds).index(r[0]))
    lines = [HEAD, ["---"] * len(HEAD), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    kinds = {"text": text, "images": images, "tables": tables}
    asked = [w for w in sys.argv[1:] if w in kinds] or list(kinds)
    rows = [row for name in asked for row in kinds[name]()]
    if "--write" in sys.argv:
        path = ROOT / "docs" / "curation.md"
        start, end = "<!-- pays -->\n", "\n<!-- end of pays -->"
        before, rest = path.read_text().split(start)
        block, after = rest.split(end)
        path.write_text(before + start + merged(block, rows, list(kinds)) + end + after)


if __name__ == "__main__":
    main()
