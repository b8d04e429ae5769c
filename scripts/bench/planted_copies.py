"""What `exact` and `near` find of copies of texts and pictures: rows for scripts/bench/curation.py.

`near_text`'s least share was chosen on made documents, Shakespeare's speeches, kjv's chapters,
wikitext's paragraphs and pages; dialogues and problems (SGD, GSM8K) were first looked at after it.
Of documents that nobody changed those are said to be taken wrongly that have under 0.6 of their
runs of five words in common with the one that they are said to repeat.
"""

from __future__ import annotations

import gzip
import html
import io
import json
import os
import random
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from made import documents

from genlab.curation.base import Example
from genlab.curation.kinds.texts import Texts
from genlab.curation.rules.duplicates import Exact, Near, Words, runs
from genlab.curation.rules.parts import Parts
from genlab.curation.rules.pictures import Look
from genlab.data.decode import whole

DATA = Path(os.environ.get("GENLAB_DATA", "data"))
PICTURES = {
    "openclipart": "openclipart/openclipart-64.zip", "Noto": "emoji-google/emoji-google-64.zip",
    "openmoji": "openmoji/openmoji-64.zip", "Twemoji": "emoji-twitter/emoji-twitter-64.zip",
}  # fmt: skip
TAGS = re.compile(r"<(script|style|head)\b.*?</\1>|<[^>]*>", re.S)
Row = tuple[str, str, str, str, str]  # rule, what was planted, right, precision, wrongly found


def row(rule: str, what: str, planted: int, found: int, clean: int, wrong: int) -> Row:
    recall = f"{found} of {planted} ({found / planted:.3f})"
    precision = found / max(1, found + wrong)
    return rule, what, recall, f"{precision:.3f}", f"{wrong} of {clean}"


def decided(rule, items, kind=None) -> dict[int, int]:
    said = rule.decide([rule.sketch(Example(str(i), x), kind) for i, x in enumerate(items)])
    return {i: s.value.place for i, s in said.items()}


# --- texts ------------------------------------------------------------------------------------


def packed(name: str) -> str:
    with gzip.open(DATA / name, "rt") as f:
        return f.read()


def texts_of() -> Iterator[tuple[str, list[str]]]:
    """Documents of 200 letters and more, by what they are."""
    yield "made documents", documents(2000)
    chapters = [json.loads(x)["text"] for x in packed("kjv/kjv.jsonl.gz").splitlines()]
    yield "the Bible's chapters", chapters
    wiki = [packed(f"wikitext2-small/{name}.txt.gz").split("\n") for name in ("valid", "test")]
    yield "wikitext-2's paragraphs", [t for part in wiki for t in part]
    plays = (DATA / "tinyshakespeare" / "input.txt").read_text()
    yield "Shakespeare's speeches", plays.split("\n\n")
    with tarfile.open(DATA / "html-pages" / "html-pages.tar.xz") as tar:
        pages = [tar.extractfile(m).read().decode("utf-8", "replace")
                 for m in tar if m.isfile() and m.name.endswith("html")]  # fmt: skip
    yield "pages in eight languages", [html.unescape(TAGS.sub(" ", p)) for p in pages]
    said = [json.loads(x)["messages"] for x in packed("sgd-dialogues/dev.jsonl.gz").splitlines()]
    yield "dialogues (SGD)", ["\n".join(m["content"] for m in told) for told in said]
    asked = [json.loads(x) for x in packed("gsm8k/test.jsonl.gz").splitlines()]
    yield "problems (GSM8K)", [f"{x['question']}\n{x['answer']}" for x in asked]


def copies_of_texts() -> Iterator[Row]:
    draw, texts = random.Random(0), documents(2000)
    copies = [draw.randrange(2000) for _ in range(500)]
    found = decided(Exact(), [*texts, *(texts[i] for i in copies)], Texts())
    right = sum(found.get(2000 + i) == at for i, at in enumerate(copies))
    wrong = sum(i < 2000 for i in found)
    yield row("exact (text)", "500 copies among 2,000 documents", 500, right, 2000, wrong)


def near_copies_of_texts() -> Iterator[Row]:
    for name, held in texts_of():
        texts = [t for t in held if len(t) >= 200]
        alone = decided(Near(Words()), texts)
        unlike = sum(jaccard(texts[i], texts[at]) < 0.6 for i, at in alone.items())
        what = f"{name} as they are: {len(alone)} taken; wrongly, of under 0.6 of runs in both"
        yield "near_text", what, "", "", f"{unlike} of {len(texts)}"
        clean = [t for i, t in enumerate(texts) if i not in alone]
        draw = random.Random(0)
        for what, share in (("1 word in 100 another", 0.01), ("1 word in 50 another", 0.02)):
            some = draw.sample(range(len(clean)), min(500, len(clean)))
            again = [changed(clean[i], share, draw) for i in some]
            found, n = decided(Near(Words()), [*clean, *again]), len(clean)
            right = sum(found.get(n + k) == i for k, i in enumerate(some))
            wrong = sum(i < n or found[i] != some[i - n] for i in found)
            likeness = np.mean([jaccard(clean[i], t) for i, t in zip(some, again)])
            what = f"{name}: {len(some)} again, {what} (mean likeness {likeness:.2f})"
            yield row("near_text", what, len(some), right, n, wrong)
    texts, draw = documents(500, seed=9), random.Random(9)
    far = [changed(t, 0.12, draw) for t in texts]
    found = decided(Near(Words()), [*texts, *far])
    unlike = [i for i in range(500) if jaccard(texts[i], far[i]) < 0.5]
    wrong = sum(500 + i in found for i in unlike)
    what = f"{len(unlike)} documents again, of a likeness under 0.5, which are none"
    yield "near_text", what, "", "", f"{wrong} of {len(unlike)}"


def changed(text: str, share: float, draw: random.Random) -> str:
    words = re.split(r"(\s+)", text)
    return "".join("other" if w.strip() and draw.random() < share else w for w in words)


def jaccard(a: str, b: str) -> float:
    x, y = set(runs(a, 5)), set(runs(b, 5))
    return len(x & y) / len(x | y)


# --- pictures ---------------------------------------------------------------------------------


def pictures(archive: str, num: int) -> list:
    """`num` of an archive by lot, but those of nearly one colour."""
    from PIL import Image

    with zipfile.ZipFile(DATA / archive) as z:
        names = sorted(n for n in z.namelist() if n.endswith(".png"))
        random.Random(0).shuffle(names)
        found = [Image.fromarray(whole(z.read(n))) for n in names[:num]]
    return [im for im in found if np.asarray(im).std() > 8]


def parts_of_pictures() -> Iterator[Row]:
    """Limits were chosen looking at some of all four sets."""
    cuts = {
        "3 % cut off each side": (2, 2, 62, 62), "10 % cut off each side": (6, 6, 58, 58),
        "10 % cut off the left": (6, 0, 64, 64), "15 % off the left and the top": (10, 10, 64, 64),
    }  # fmt: skip
    for name, archive in PICTURES.items():
        base = pictures(archive, 500)
        arrays = [np.asarray(im) for im in base]
        alone = decided(Parts(), arrays)
        told = f"{name}: of {len(base)} pictures so many are taken for a part of another"
        yield "parts", told, "", "", f"{len(alone)} of {len(base)}"
        planted = [i for i in range(len(base)) if i not in alone][:200]
        for what, box in cuts.items():
            again = [np.asarray(base[i].crop(box)) for i in planted]
            found = decided(Parts(), [*arrays, *again])
            places = {len(base) + k: i for k, i in enumerate(planted)}
            right = sum(found.get(k) == i for k, i in places.items())
            wrong = sum(places.get(k) != i for k, i in found.items())
            yield row(
                "parts", f"{name}: {len(again)} again, {what}", len(again), right, len(base), wrong
            )


def near_copies_of_pictures() -> Iterator[Row]:
    """`least` was chosen on openclipart, `patch` on that and Noto; others were not looked at."""
    from PIL import Image, ImageEnhance

    def jpeg(image: Image.Image, quality: int) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(io.BytesIO(file.getvalue())).convert("RGB")

    def noisy(image: Image.Image) -> Image.Image:
        noise = np.random.default_rng(0).normal(0, 8, (image.height, image.width, 3))
        return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))

    plants: dict[str, Callable] = {
        "JPEG of quality 75": lambda im: jpeg(im, 75),
        "JPEG of quality 30": lambda im: jpeg(im, 30),
        "half the size": lambda im: im.resize((32, 32), Image.Resampling.LANCZOS),
        "half again the size": lambda im: im.resize((96, 96), Image.Resampling.LANCZOS),
        "darker by 15 %": lambda im: ImageEnhance.Brightness(im).enhance(0.85),
        "noise of 8 levels": noisy,
        "3 % cut off each side": lambda im: im.crop((2, 2, 62, 62)),
    }
    for name, archive in PICTURES.items():
        base = pictures(archive, 1000)
        arrays = [np.asarray(im) for im in base]
        alone = decided(Near(Look()), arrays)
        told = f"{name}: of {len(base)} pictures so many are taken for another one's copy"
        yield "near_image", told, "", "", f"{len(alone)} of {len(base)}"
        planted = [i for i in range(len(base)) if i not in alone][:400]
        for what, plant in plants.items():
            found = decided(Near(Look()), [*arrays, *(np.asarray(plant(base[i])) for i in planted)])
            places = {len(base) + k: i for k, i in enumerate(planted)}
            right = sum(found.get(k) == i for k, i in places.items())
            wrong = sum(places.get(k) != i for k, i in found.items())  # of all, copies or not
            what = f"{name}: {len(planted)} again, {what}"
            yield row("near_image", what, len(planted), right, len(arrays), wrong)
