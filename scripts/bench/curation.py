"""What the rules of `genlab prepare` find of planted defects, and how quick they are.

    python scripts/bench/curation.py rules [PART ...] [--write]    precision and recall, into docs
    python scripts/bench/curation.py speed              documents a second beside datatrove's
    python scripts/bench/curation.py kinds              pictures, sounds and rows a second
    python scripts/bench/curation.py scale              1, 10 and 100 thousand made documents

Pictures and languages need $GENLAB_DATA. For speed `pip install "datatrove[io,processing]" spacy`
in an environment of its own, whose Python DATATROVE_PYTHON names.
"""

from __future__ import annotations

import base64
import gzip
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

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import extraction  # noqa: E402
import planted_copies  # noqa: E402
import planted_marks  # noqa: E402
import planted_music  # noqa: E402
import planted_sounds  # noqa: E402
import planted_tables  # noqa: E402
from made import documents, write_jsonl  # noqa: E402
from planted_copies import row  # noqa: E402

from genlab.curation.base import Example  # noqa: E402
from genlab.curation.rules.personal import Personal  # noqa: E402
from genlab.curation.rules.texts import Language, Prose, Ratio, Repetition  # noqa: E402
from genlab.data.archives import unpack  # noqa: E402

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


# --- rules ------------------------------------------------------------------------------------


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
    rule, draw = Ratio(), random.Random(4)
    letters = "abcdefghijklmnopqrstuvwxyz "
    for what, text in (
        ("base64", lambda: base64.b64encode(draw.randbytes(1100)).decode()),
        ("letters drawn alike often", lambda: "".join(draw.choice(letters) for _ in range(1500))),
    ):
        found = sum(rule(Example("", text())) is not None for _ in range(300))
        yield "ratio", f"300 documents: {what}", f"{found} of 300", "", ""
    for what, texts in real_texts().items():
        wrong = sum(rule(Example("", t)) is not None for t in texts)
        yield (
            "ratio",
            f"taken of {what}, of 200 letters and more",
            "",
            "",
            f"{wrong} of {len(texts)}",
        )


def real_texts() -> dict[str, list[str]]:
    """Texts that the limits of `ratio` were not chosen on."""
    paragraphs = (DATA / "tinyshakespeare" / "input.txt").read_text().split("\n\n")
    with gzip.open(DATA / "kjv" / "kjv.jsonl.gz", "rt") as f:
        chapters = [json.loads(line)["text"] for line in f]
    with gzip.open(DATA / "wikitext2-small" / "valid.txt.gz", "rt") as f:
        wiki = f.read().split("\n")
    found = {"the Bible's chapters": chapters, "Shakespeare's speeches": paragraphs,
             "wikitext-2's paragraphs": wiki}  # fmt: skip
    return {name: [t for t in texts if len(t) >= 200] for name, texts in found.items()}


PARTS: dict[str, tuple[Callable[[], Iterator[Row]], ...]] = {
    "copies": (planted_copies.copies_of_texts, planted_copies.near_copies_of_texts),
    "texts": (quality, personal, languages),
    "pictures": (planted_copies.near_copies_of_pictures,),
    "parts": (planted_copies.parts_of_pictures,),
    "marks": planted_marks.parts(),
    "pages": extraction.parts(),
    "music": planted_music.parts(),
    "sounds": planted_sounds.parts(),
    "tables": planted_tables.parts(),
}


def rules(asked: list[str]) -> None:
    """All parts, or those that are named; with --write what they say goes into the page."""
    lines, names = [], [n for n in asked if n != "--write"]
    if wrong := [n for n in names if n not in PARTS]:
        raise SystemExit(f"{wrong[0]}: there are {', '.join(PARTS)}, and --write")
    for name in names or PARTS:
        for found in (found for part in PARTS[name] for found in part()):
            lines.append(f"| {' | '.join(found)} |")
            print(lines[-1], flush=True)
    if "--write" in asked:
        write_rows(lines)


def write_rows(lines: list[str]) -> None:
    """Rows into the page's table, in place of those of the same rules."""
    path = ROOT / "docs" / "curation.md"
    before, _, after = path.read_text().partition(MARK)
    table, _, after = after.partition(MARK)
    new = {line.split("|")[1] for line in lines}
    head, *old = table.strip().splitlines()
    kept = [line for line in old[1:] if line.split("|")[1] not in new]
    text = "\n".join([head, old[0], *kept, *lines])
    path.write_text(before + MARK + "\n" + text + "\n" + MARK + after)


# --- speed ------------------------------------------------------------------------------------


# ru_maxrss of a child counts what its parent held when it was started
MEASURED = """
import atexit, re
peak = lambda: re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
atexit.register(lambda: print(peak()))
from genlab.cli import main
main()
"""


def prepare(raw: Path, to: Path, processes: int = 1) -> tuple[float, float]:
    """Seconds of the processor and MiB of `genlab prepare` with texts' recipe, without markup."""
    words = [f"from={raw}", f"to={to}", f"processes={processes}", "kind=text", "~rules.markup"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run([sys.executable, "-c", MEASURED, "prepare", *words], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, int(told.stdout.split()[-1]) / 1024


def scale() -> None:
    for num in (1_000, 10_000, 100_000):
        with tempfile.TemporaryDirectory() as place:
            raw = write_jsonl(Path(place) / "raw.jsonl", documents(num))
            seconds, mib = prepare(raw, Path(place) / "set")
            print(f"{num:7,} documents: {seconds:7.1f} s of the processor,"
                  f" {num / seconds:.0f} a second, {mib:.0f} MiB at most", flush=True)  # fmt: skip


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


def kinds() -> None:
    """The default recipes of pictures, sounds and rows, in one process and its start."""
    for name, kind, archive in (("openclipart", "image", "openclipart/openclipart-64.zip"),
                                ("esc10", "sound", "esc10/esc10-16k.zip"),
                                ("fsdd", "sound", "fsdd/fsdd.zip"),
                                ("adult", "table", "adult/train.csv.gz")):  # fmt: skip
        with tempfile.TemporaryDirectory() as place:
            raw = DATA / archive
            if archive.endswith(".zip"):
                raw = Path(place) / "raw"
                unpack(DATA / archive, raw)
            words = [f"from={raw}", f"to={place}/set", "processes=1", f"kind={kind}"]
            began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-m", "genlab.cli", "prepare", *words], check=True,
                           stderr=subprocess.DEVNULL)  # fmt: skip
            seconds = time.perf_counter() - began
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
            dataset = json.loads((Path(place) / "set" / "dataset.json").read_text())
            sound = {"esc10": 2000, "fsdd": 1313}.get(name, 0)  # seconds
            told = f", {sound / cpu:.0f} seconds of sound" if sound else ""
            print(
                f"{name}: {dataset['raws']:,} {dataset['noun']} in {seconds:.1f} s, {cpu:.1f} s of"
                f" the processor: {dataset['raws'] / cpu:.0f}{told} in a second of it",
                flush=True,
            )


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "rules"
    how = {"rules": lambda: rules(sys.argv[2:]), "speed": speed, "scale": scale, "kinds": kinds}
    how[what]()
