"""What the rules of `genlab prepare` find of planted defects, and how quick they are.

    python scripts/bench/curation.py rules [--write]    precision and recall; into docs/curation.md
    python scripts/bench/curation.py speed              documents a second beside datatrove's
    python scripts/bench/curation.py scale              1, 10 and 100 thousand made documents

Pictures and languages need $GENLAB_DATA. For speed `pip install "datatrove[io,processing]" spacy`
in an environment of its own, whose Python DATATROVE_PYTHON names.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from made import documents, write_jsonl  # noqa: E402

from genlab.curation.base import Example  # noqa: E402
from genlab.curation.kinds.texts import Texts  # noqa: E402
from genlab.curation.rules.duplicates import Exact, Near, Words, runs  # noqa: E402
from genlab.curation.rules.personal import Personal  # noqa: E402
from genlab.curation.rules.pictures import Look  # noqa: E402
from genlab.curation.rules.texts import Language, Prose, Ratio, Repetition  # noqa: E402

DATA = Path(os.environ.get("GENLAB_DATA", "data"))
MARK = "<!-- measured by scripts/bench/curation.py -->"
LANGUAGES = {
    "eng": "en", "deu_1901": "de", "fra": "fr", "spa": "es", "ita": "it", "por_PT": "pt",
    "nld": "nl", "swe": "sv", "dan": "da", "nob": "nb", "fin": "fi", "pol": "pl", "ces": "cs",
    "slk": "sk", "hun": "hu", "bul": "bg", "rus": "ru", "ukr": "uk", "ell_monotonic": "el",
    "tur": "tr", "arb": "ar", "heb": "he", "hin": "hi", "jpn": "ja", "kor": "ko",
    "cmn_hans": "zh", "vie": "vi", "ind": "id", "tha": "th", "est": "et", "lit": "lt",
    "slv": "sl", "hrv": "hr", "cat": "ca", "eus": "eu", "isl": "is", "cym": "cy", "gle": "ga",
    "swh": "sw", "afr": "af", "ben": "bn", "tam": "ta", "kat": "ka", "hye": "hy", "pes_1": "fa",
    "urd": "ur",
}  # fmt: skip
Row = tuple[str, str, str, str, str]  # rule, what was planted, right, found, wrongly found


def row(rule: str, what: str, planted: int, found: int, clean: int, wrong: int) -> Row:
    recall = f"{found} of {planted} ({found / planted:.3f})"
    precision = found / max(1, found + wrong)
    return rule, what, recall, f"{precision:.3f}", f"{wrong} of {clean}"


def decided(rule, items, kind=None) -> dict[int, int]:
    said = rule.decide([rule.sketch(Example(str(i), x), kind) for i, x in enumerate(items)])
    return {i: s.value.place for i, s in said.items()}


# --- rules ------------------------------------------------------------------------------------


def duplicates_of_texts() -> Iterator[Row]:
    draw, texts = random.Random(0), documents(2000)
    copies = [draw.randrange(2000) for _ in range(500)]
    found = decided(Exact(), [*texts, *(texts[i] for i in copies)], Texts())
    right = sum(found.get(2000 + i) == at for i, at in enumerate(copies))
    wrong = sum(i < 2000 for i in found)
    yield row("exact", "500 copies among 2,000 documents", 500, right, 2000, wrong)
    for what, share in (("1 word in 100 another", 0.01), ("1 word in 50 another", 0.02)):
        near = [changed(t, share, draw) for t in texts[:500]]
        found = decided(Near(Words()), [*texts, *near])
        alike = [i for i in range(500) if jaccard(texts[i], near[i]) >= 0.8]
        right = sum(found.get(2000 + i) == i for i in alike)
        wrong = sum(i < 2000 for i in found)
        what = f"{len(alike)} documents again, {what}, of a likeness of 0.8 or more"
        yield row("near_text", what, len(alike), right, 2000, wrong)
    texts = documents(500, seed=9)
    far = [changed(t, 0.12, draw) for t in texts]
    found = decided(Near(Words()), [*texts, *far])
    unlike = [i for i in range(500) if jaccard(texts[i], far[i]) < 0.5]
    wrong = sum(500 + i in found for i in unlike)
    what = f"{len(unlike)} documents again, of a likeness under 0.5, which are none"
    yield "near_text", what, "", "", f"{wrong} of {len(unlike)}"


def changed(text: str, share: float, draw: random.Random) -> str:
    words = text.split(" ")
    return " ".join("other" if draw.random() < share else w for w in words)


def jaccard(a: str, b: str) -> float:
    x, y = set(runs(a, 5)), set(runs(b, 5))
    return len(x & y) / len(x | y)


def duplicates_of_pictures() -> Iterator[Row]:
    from PIL import Image, ImageEnhance

    draw = random.Random(0)
    with zipfile.ZipFile(DATA / "openclipart" / "openclipart-64.zip") as z:
        names = sorted(n for n in z.namelist() if n.endswith(".png"))
        draw.shuffle(names)
        base = [Image.open(io.BytesIO(z.read(n))).convert("RGB") for n in names[:1000]]
    base = [im for im in base if np.asarray(im).std() > 8]

    def packed(image: Image.Image, quality: int) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(io.BytesIO(file.getvalue())).convert("RGB")

    def noisy(image: Image.Image) -> Image.Image:
        noise = np.random.default_rng(0).normal(0, 8, (image.height, image.width, 3))
        return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))

    plants: dict[str, Callable] = {
        "JPEG of quality 75": lambda im: packed(im, 75),
        "JPEG of quality 30": lambda im: packed(im, 30),
        "half the size": lambda im: im.resize((32, 32), Image.Resampling.LANCZOS),
        "half again the size": lambda im: im.resize((96, 96), Image.Resampling.LANCZOS),
        "darker by 15 %": lambda im: ImageEnhance.Brightness(im).enhance(0.85),
        "noise of 8 levels": noisy,
        "3 % cut off each side": lambda im: im.crop((2, 2, 62, 62)),
    }
    arrays = [np.asarray(im) for im in base]
    alone = decided(Near(Look()), arrays)
    for what, plant in plants.items():
        planted = [i for i in range(len(base)) if i not in alone][:400]
        found = decided(Near(Look()), [*arrays, *(np.asarray(plant(base[i])) for i in planted)])
        right = sum(found.get(len(base) + k) in (i, None) and len(base) + k in found
                    for k, i in enumerate(planted))  # fmt: skip
        wrong = sum(len(base) + k in found and found[len(base) + k] != i
                    for k, i in enumerate(planted))  # fmt: skip
        yield row("near_image", f"400 cliparts again, {what}", len(planted), right, 400, wrong)


def languages() -> Iterator[Row]:
    with zipfile.ZipFile(DATA / "udhr" / "udhr2.zip") as z:
        texts = {
            iso: re.sub(r"\s+", " ", z.read(f"udhr2/{name}.txt").decode())
            for name, iso in LANGUAGES.items()
            if f"udhr2/{name}.txt" in z.namelist()
        }
    for by in ("py3langid", "fasttext"):
        rule, num, right = Language(keep=[], by=by), 0, 0
        for iso, text in texts.items():
            for part in [text[i : i + 200] for i in range(200, len(text) - 200, 200)][:40]:
                num, right = (
                    num + 1,
                    right + (rule.classify(part)[0] in (iso, {"nb": "no"}.get(iso))),
                )
        what = f"paragraphs of 200 characters in {len(texts)} languages, by {by}"
        yield "language", what, f"{right} of {num} ({right / num:.3f})", "", ""


ITEMS = {
    "email": lambda d: f"{d.choice('abcdef')}{d.randrange(1000)}@{d.choice('xyz')}.example.org",
    "card": lambda d: card(d),
    "iban": lambda d: iban(d),
    "ip": lambda d: ".".join(str(d.randrange(1, 255)) for _ in range(4)),
    "phone": lambda d: d.choice(["+49 30 {:03d}4{:03d}", "({:03d}) 555-0{:03d}"]).format(
        d.randrange(200, 999), d.randrange(1000)
    ),
}  # fmt: skip


def card(draw: random.Random) -> str:
    digits = "4" + "".join(draw.choice("0123456789") for _ in range(14))
    total = sum(
        2 * int(c) - 9 * (int(c) > 4) if i % 2 == 0 else int(c) for i, c in enumerate(digits)
    )
    digits += str(-total % 10)
    return draw.choice(["", " ", "-"]).join(digits[i : i + 4] for i in range(0, 16, 4))


def iban(draw: random.Random) -> str:
    account = "".join(draw.choice("0123456789") for _ in range(18))
    digits = 98 - int(account + "131400") % 97
    return f"DE{digits:02d}{account}"


def personal() -> Iterator[Row]:
    rule, clean = Personal(), documents(1000, seed=1)
    prose = clean + list(pages())
    false = sum(len(rule.masked(text)[1]) for text in prose)
    for kind, item in ITEMS.items():
        draw, found = random.Random(kind), 0
        for text in documents(400, seed=2):
            words = text.split(" ")
            words.insert(draw.randrange(len(words)), item(draw))
            found += kind in rule.masked(" ".join(words))[1]
        yield row("personal", f"400 documents with one {kind}", 400, found, 1000,
                  sum(kind in rule.masked(t)[1] for t in clean))  # fmt: skip
    yield "personal", f"found in {len(prose):,} texts without, Shakespeare and kjv among them", \
        "", "", f"{false} items"  # fmt: skip


def pages() -> Iterator[str]:
    import gzip

    path = DATA / "kjv" / "kjv.jsonl.gz"
    if path.is_file():
        with gzip.open(path, "rt") as f:
            yield from (json.loads(line)["text"] for line in f)
    path = DATA / "tinyshakespeare" / "input.txt"
    if path.is_file():
        yield from path.read_text().split("\n\n")


def quality() -> Iterator[Row]:
    clean, draw = documents(1000, seed=3), random.Random(3)
    lines = [t.splitlines() for t in clean[:300]]
    planted = {
        "repetition": ("one line 12 times", Repetition(), ["\n".join([x[0]] * 12) for x in lines]),
        "prose": ("lists of numbers", Prose(), [
            " ".join(str(draw.randrange(10**4)) for _ in range(150)) for _ in range(300)]),
        "ratio": ("noise", Ratio(), [
            "".join(chr(draw.randrange(33, 127)) for _ in range(1500)) for _ in range(300)]),
    }  # fmt: skip
    for name, (what, rule, texts) in planted.items():
        found = sum(rule(Example("", t)) is not None for t in texts)
        wrong = sum(rule(Example("", t)) is not None for t in clean)
        yield row(name, f"300 documents: {what}", 300, found, 1000, wrong)


def rules(write: bool) -> None:
    lines = ["| rule | planted | found | precision | taken wrongly |", "|---|---|---|---|---|"]
    for part in (duplicates_of_texts, quality, personal, languages, duplicates_of_pictures):
        for found in part():
            lines.append(f"| {' | '.join(found)} |")
            print(lines[-1], flush=True)
    if write:
        path = ROOT / "docs" / "curation.md"
        before, _, after = path.read_text().partition(MARK)
        _, _, after = after.partition(MARK)
        path.write_text(before + MARK + "\n" + "\n".join(lines) + "\n" + MARK + after)


# --- speed ------------------------------------------------------------------------------------


def prepare(raw: Path, to: Path, processes: int = 1) -> tuple[float, float]:
    """Seconds and MiB of `genlab prepare` with the recipe of texts, without markup."""
    words = [f"from={raw}", f"to={to}", f"processes={processes}", "kind=text", "~rules.markup"]
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "genlab.cli", "prepare", *words], check=True,
                   stderr=subprocess.DEVNULL)  # fmt: skip
    mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return time.perf_counter() - began, mib


def scale() -> None:
    for num in (1_000, 10_000, 100_000):
        with tempfile.TemporaryDirectory() as place:
            raw = write_jsonl(Path(place) / "raw.jsonl", documents(num))
            seconds, mib = prepare(raw, Path(place) / "set")
            print(f"{num:7,} documents: {seconds:7.1f} s, {num / seconds:6.0f} a second,"
                  f" {mib:.0f} MiB at its most", flush=True)  # fmt: skip


THEIRS = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter, LambdaFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
raw, to = sys.argv[1:]
LocalPipelineExecutor([
    JsonlReader(raw), LambdaFilter(lambda d: len(d.text) >= 200), GopherRepetitionFilter(),
    GopherQualityFilter(), JsonlWriter(to, compression=None),
], tasks=1, logging_dir=to + "/logs").run()
"""


def speed(num: int = 5_000, rounds: int = 3) -> None:
    """The rules that both have: length, Gopher's repetition and quality; one process each."""
    ours = ["~rules.markup", "~rules.characters", "~rules.language", "~rules.ratio", "~rules.exact",
            "~rules.near", "~rules.personal", "~rules.split"]  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "raw").mkdir()
        raw = write_jsonl(Path(place) / "raw" / "raw.jsonl", documents(num))
        for i in range(rounds):
            began = time.perf_counter()
            words = [f"from={raw}", f"to={place}/ours{i}", "processes=1", "kind=text", *ours]
            subprocess.run([sys.executable, "-m", "genlab.cli", "prepare", *words], check=True,
                           stderr=subprocess.DEVNULL)  # fmt: skip
            mine, began = time.perf_counter() - began, time.perf_counter()
            line = [
                os.environ.get("DATATROVE_PYTHON", sys.executable),
                "-c",
                THEIRS,
                str(raw.parent),
            ]
            subprocess.run([*line, f"{place}/theirs{i}"], check=True, stderr=subprocess.DEVNULL)
            theirs = time.perf_counter() - began
            print(f"genlab {num / mine:.0f} documents/s, datatrove {num / theirs:.0f},"
                  f" ratio {theirs / mine:.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "rules"
    {"rules": lambda: rules("--write" in sys.argv), "speed": speed, "scale": scale}[what]()
