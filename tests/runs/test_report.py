"""The report: what stands in it; nothing in it runs or loads; it can be written of any folder."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from PIL import Image

from genlab.metrics.figures import measured
from genlab.runs.page.record import find_cells, read_record
from genlab.runs.page.sweep import differences, mean_curve, write_comparison
from genlab.runs.page.write import TEMPLATES, write_report
from genlab.runs.report import report
from genlab.runs.say.errors import UserError
from genlab.shown import duration, figure, visible
from genlab.views.curves import Line, chart
from genlab.views.page import SHOWN

ATTACKS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "'><script>alert(1)</script>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<script src=//evil.example/x.js></script>",
    "<script\x00>alert(1)</script>",
    "<<script>script>alert(1)<</script>/script>",
    '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror='alert(1)'>",
    "<img src=http://evil.example/pixel.png>",
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)' autofocus='",
    "` onclick=`alert(1)",
    "<svg onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<math><mtext></mtext><mglyph><style></math><img src onerror=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=data:text/html;base64,PHNjcmlwdD4=></object>",
    "<embed src=//evil.example>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=http://evil.example>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<form action=//evil.example><input type=submit>",
    "<a href=javascript:alert(1)>x</a>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea></pre></details><b>out",
    "--><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "{{ 7*7 }}{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#x3c;script&#x3e;",
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200b\ufeff",
    "a\x00b\x07\x08\x7f\x85\r\nc\td $x^2$ \\frac{",
    "\ud800 \uffff \U000e0041 \u2028 very " + "long" * 200,
)
HIDDEN = "\x00\x07\x08\x0b\x1b\x7f\x85\u200b\u202e\u2066\ufeff\ud800\uffff\U000e0041"


def digits(path: Path, *, seed: int, noise: float, columns: int = 8, scale: int = 1) -> None:
    """A grid of 8x8 blobs that grow out of noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:8, 0:8]
    sheet = np.full((columns * 9 - 1, columns * 9 - 1), 128, np.uint8)
    for i in range(columns * columns):
        radius = np.hypot(x - 3.5 - math.sin(i), y - 3.5 - math.cos(2 * i))
        image = 255 * np.exp(-((radius - 2.2) ** 2))
        image = (1 - noise) * image + noise * rng.uniform(0, 255, (8, 8))
        top, left = i // columns * 9, i % columns * 9
        sheet[top : top + 8, left : left + 8] = image.clip(0, 255)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.kron(sheet, np.ones((scale, scale), np.uint8))).save(path)


def fake_run(
    run: Path, *, seed: int = 0, speed: float = 1.0, kind: str = "image", width: int = 64
) -> Path:
    """What training leaves, as if a small diffusion model or language model had been trained."""
    rng = np.random.default_rng(seed)
    run.mkdir(parents=True)
    settings = {
        "name": "digits_diffusion" if kind == "image" else "shakespeare_gpt",
        "seed": seed,
        "budget": {"examples": 200_000, "minutes": None},
        "net": {"_target_": "genlab.nn.unet.UNet", "shape": [1, 8, 8], "width": width},
    }
    overrides = [f"experiment={settings['name']}", f"net.width={width}", f"seed={seed}"]
    (run / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (run / "overrides.yaml").write_text(yaml.safe_dump(overrides))
    provenance = {
        "command": "genlab train " + " ".join(overrides),
        "started": 1760000000.0,
        "time": "2025-10-09 08:53:20 +0000",
        "git": {"commit": "8ed6ec0f2a7c9d0b1e4a", "dirty": True},
        "versions": {"torch": "2.11.0", "pytorch-lightning": "2.6.6", "genlab": "0.1.0"},
        "machine": {"system": "Linux x86_64", "cpu": "Some CPU", "cores": 2, "threads": 2},
        "python": "3.11.14",
        "parameters": 1_234_567,
        "data_fingerprint": "sha256:" + "0123456789abcdef" * 4,
    }
    (run / "provenance.json").write_text(json.dumps(provenance))
    rows: list[dict[str, Any]] = []
    for batches in range(0, 3126, 25):
        examples, done = 64 * batches, batches / 3125
        row = {"examples": examples, "batches": batches, "seconds": 90 * done / speed}
        fall = 0.14 + 2.56 / width + 0.8 * math.exp(-speed * examples / 18_000)
        if batches:
            rate = 2e-3 * min(1, batches / 200) * (0.5 + 0.5 * math.cos(math.pi * done))
            values = {
                "train/loss": fall * (1 + 0.08 * rng.normal()),
                "train/grad_norm": 0.4 + 0.1 * rng.normal(),
                "train/lr": rate,
                "speed/examples_per_second": 2200 * speed + 90 * rng.normal(),
            }
            rows.append({"kind": "train", **row, **values})
        if batches % 625 == 0:
            rows.append({"kind": "look", **row, "val/loss": 1.06 * fall + 0.01 * done})
            stem = run / "samples" / f"{examples:012d}"
            if kind == "image":
                digits(stem.with_suffix(".png"), seed=seed, noise=math.exp(-4 * done), scale=5)
            else:
                stem.parent.mkdir(exist_ok=True)
                text = "ROMEO:\nWhat light through yonder window breaks?\n" * (1 + batches // 625)
                stem.with_suffix(".txt").write_text(f"{text}\n\n-----\n\nsecond")
    rows.append({"kind": "end", "examples": 200_000, "batches": 3125, "seconds": 90 / speed})
    rows.append({"kind": "evaluate", "examples": 200_000, "batches": 3125, "evaluate/kid": 0.013})
    (run / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    evaluation = {
        "metrics": {"frechet_distance": 12.31 / speed, "kid": 0.0131, "memorised_share": 0.004},
        "floor": {"frechet_distance": 4.02, "kid": 0.0},
        "notes": {"num_samples": 1000, "sampler": "Heun(num_steps=18)"},
        "examples": 200_000,
        "checkpoint": "000000200000.ckpt",
    }
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    folder = run / "evaluation"
    if kind == "image":
        digits(folder / "samples.png", seed=seed, noise=0.03, columns=10)
        digits(folder / "neighbours.png", seed=seed, noise=0.05, scale=5)
    else:
        folder.mkdir()
        (folder / "samples.txt").write_text("To be, or not\n\n-----\n\nto sing")
        (folder / "neighbours.txt").write_text("sample:  To be, or not\nnearest: To be, or not to")
    return run


class Page(HTMLParser):
    """Tags, attributes and shown text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._style = False
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))
        self._style = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._style else data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


PLAIN = {
    "html", "head", "meta", "title", "style", "body", "main", "footer", "header", "section", "div",
    "h1", "h2", "p", "b", "span", "small", "time", "dl", "dt", "dd", "ul", "ol", "li", "figure",
    "figcaption", "img", "table", "thead", "tbody", "tr", "th", "td", "pre",
    "code", "details", "summary", "a", "audio", "script", "input", "label",
}  # fmt: skip


def assert_inert(page: Page) -> None:
    """Our one script alone, no handler, nothing to load, whatever the folder held."""
    script = (TEMPLATES / "sort.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert page.of("script") == [{}] and page.source.lower().count("<script") == 1
    assert f"<script>{script}</script>" in page.source, "the one that the policy names"
    assert {name for name, _ in page.tags} <= PLAIN
    for name, attrs in page.tags:
        assert not [a for a in attrs if a.startswith("on")], (name, attrs)
        for key in ("src", "srcset"):
            kinds = ("data:audio/wav;", "data:image/") if name == "audio" else "data:image/"
            assert attrs.get(key, "data:image/").startswith(kinds)
        if "download" in attrs and attrs["href"].startswith("data:audio/midi"):
            # a file to be saved, of a kind that no browser runs
            assert re.fullmatch(r"data:audio/midi;base64,[A-Za-z0-9+/]*=*", attrs["href"])
        elif "download" in attrs and attrs["href"].startswith("data:"):
            assert_saved(attrs)
        else:
            assert attrs.get("href", "./").startswith("./")
        if "style" in attrs:
            assert re.fullmatch(r"background: #[0-9a-f]{6}", attrs["style"])
        assert not {"action", "srcdoc", "formaction", "background", "data"} & set(attrs)
    assert len(page.of("style")) == 1
    style = re.search(r"<style>(.*?)</style>", page.source, re.S)
    assert style and not re.search(r"url\(|@import|http", style[1])
    policy = page.of("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    rules = policy["content"].split("; ")
    assert rules[:3] == ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"]
    assert [r for r in rules if "script" in r] == [f"script-src 'sha256-{digest}'"]
    assert not [c for c in page.source if c in HIDDEN]


def assert_saved(attrs: dict[str, str]) -> None:
    """A curve to be saved: a name of ours, and a picture that runs and loads nothing either."""
    kind, _, data = attrs["href"].partition(";base64,")
    assert kind == "data:image/svg+xml" and re.fullmatch(r"[a-z0-9-]+\.svg", attrs["download"])
    tree = ElementTree.fromstring(base64.b64decode(data))
    for node in tree.iter():
        assert node.tag.rpartition("}")[2] not in ("script", "a", "image", "foreignObject")
        for name, value in node.attrib.items():
            assert not name.startswith("on") and ("href" not in name or value.startswith("#"))


def test_a_whole_run(tmp_path: Path) -> None:
    path = write_report(fake_run(tmp_path / "2025-10-09_08-53-20_ab12"))
    page = Page(path)
    assert path == tmp_path / "2025-10-09_08-53-20_ab12" / "report.html"
    assert_inert(page)
    for shown in (
        "digits_diffusion", "finished", "2025-10-09 08:53:20", "200,000", "1.235M", "120,000",
        "frechet distance", "12.31", "4.02", "3.062 ×", "Heun(num_steps=18)", "sha256:0123",
        "000000200000.ckpt",
        "genlab train experiment=digits_diffusion net.width=64 seed=0", "git.commit", "8ed6ec0f",
        "_target_: genlab.nn.unet.UNet", "Learning rate", "Speed", "grad norm", "90 s",
    ):  # fmt: skip
        assert shown in page.text, shown
    assert "is missing" not in page.text and "Not measured" not in page.text
    curves = [i for i in page.of("img") if i["src"].startswith("data:image/svg+xml")]
    pictures = [i for i in page.of("img") if i["src"].startswith("data:image/png")]
    assert len(curves) == 2 * 4  # by day and by night
    # the baseline and five looks, the final draw, the neighbours, and where the film holds still
    assert len(pictures) == 6 + 2 + 1
    assert "train" in curves[0]["alt"] and "validation" in curves[0]["alt"]
    assert all(i["alt"] for i in page.of("img"))
    assert not [p for p in path.parent.iterdir() if p.name.endswith(".tmp")]


def test_small_pixels_are_enlarged_by_whole_numbers(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run")
    page = Page(write_report(run))
    final = next(i for i in page.of("img") if i["alt"] == "samples of the trained model")
    assert final["width"] == str(89 * 6) and "enlarged" in final["class"]
    assert re.search(r"\.enlarged \{[^}]*image-rendering: pixelated", page.source)


def test_text_is_shown_as_text(tmp_path: Path) -> None:
    page = Page(write_report(fake_run(tmp_path / "run", kind="text")))
    assert_inert(page)
    assert "yonder window" in page.text and "To be, or not to" in page.text
    assert "nearest:" not in page.text and "-----" not in page.text


def write_wav(path: Path) -> None:
    import wave

    with wave.open(str(path), "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(8000)
        f.writeframes(bytes(800))


def test_a_page_shows_whatever_a_view_writes(tmp_path: Path) -> None:
    """One row of SHOWN each: the reader's macro is there, and its tag is in the page."""
    run = fake_run(tmp_path / "run")
    made = {
        ".png": lambda p: digits(p, seed=0, noise=0.1),
        ".gif": lambda p: Image.new("L", (4, 4)).save(p),
        ".txt": lambda p: p.write_text("a text"),
        ".csv": lambda p: p.write_text("age,job\n" + "39,clerk\n" * 40),
        ".wav": write_wav,
        ".html": lambda p: p.write_text("<script>alert(1)</script>"),
        ".mid": lambda p: p.write_bytes(b"MThd"),
        ".mp4": lambda p: p.write_bytes(b"film"),
    }
    shows = {
        ".png": 'src="data:image/png', ".gif": 'src="data:image/gif', ".txt": "a text",
        ".csv": '<td data-label="job">clerk</td>', ".wav": '<audio class="drawn" controls',
        ".html": "samples.html",
        ".mid": '<a href="data:audio/midi;base64,TVRoZA==" download="samples.mid">',
    }  # fmt: skip
    assert set(shows) == set(SHOWN) and set(made) > set(shows)
    (run / "evaluation" / "samples.png").unlink()
    for suffix, text in shows.items():
        path = run / "evaluation" / f"samples{suffix}"
        made[suffix](path)
        page = Page(write_report(run))
        assert_inert(page)
        section = page.source.split("<h2>Samples</h2>")[1].split("</section>")[0]
        assert text in section, suffix
        path.unlink()


def test_real_data_stands_beside_the_samples(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run")
    digits(run / "samples" / "real.png", seed=7, noise=0)
    page = Page(write_report(run))
    section = page.source.split("<h2>Samples</h2>")[1].split("</section>")[0]
    assert "<h2>Real data</h2>" in section and section.count("data:image/png") == 2
    assert len(read_record(run).looks) == 6, "it is no look"


def test_nothing_stands_where_nothing_was_looked_for(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run")
    (run / "evaluation" / "neighbours.png").unlink()
    assert "nearest neighbours" not in Page(write_report(run)).text


def test_rows_between_samples_are_shown_where_there_are_some(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run")
    assert "From one sample to another" not in Page(write_report(run)).text
    digits(run / "evaluation" / "between.png", seed=0, noise=0.05, scale=5)
    page = Page(write_report(run))
    assert "From one sample to another" in page.text
    assert "rows of samples from one to another" in [i["alt"] for i in page.of("img")]


def test_metrics_come_before_curves_and_settings(tmp_path: Path) -> None:
    page = Page(write_report(fake_run(tmp_path / "run")))
    places = [page.source.index(f"<h2>{h}") for h in ("Samples", "Metrics", "Curves", "To repeat")]
    assert places == sorted(places)


def test_a_text_leads_with_its_likelihood(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", kind="text")
    found = {"loss": 1.1, "bits_per_byte": 1.587, "known_words": 0.9}
    more = {"floor": {"known_words": 0.95}, "interval": {"bits_per_byte": [1.5, 1.7]}}
    (run / "evaluation.json").write_text(json.dumps({"metrics": found, **more}))
    page = Page(write_report(run))
    first = page.source.split('<dl class="figures">')[1].split("</div>")[0]
    assert "bits per byte" in first and "1.587" in first
    assert "1.5 to 1.7" in page.text and "95 % interval" in page.text


def test_odd_intervals_and_remarks_are_left_out() -> None:
    odd = {"a": [1], "b": [1, "x"], "c": {"x": 1}, "d": [math.nan, 1], "e": [0, 1]}
    found = measured({"metrics": dict.fromkeys(odd, 1.0), "interval": odd, "remarks": [1]})
    assert [m.interval for m in found] == [None, None, None, None, (0.0, 1.0)]
    assert measured({"metrics": [1], "floor": 2}) == []


@pytest.mark.parametrize("values", [(1e-7, 1.5e-7), (-12_250_000, -12_100_000), (0.5, 0.50001)])
def test_numbers_beside_an_axis_are_not_cut_off(values: tuple[float, float]) -> None:
    low, high = values
    points = [(1000.0 * i, low + (high - low) * i / 9) for i in range(10)]
    svg = base64.b64decode(chart([Line("", points)]).light.split(",", 1)[1]).decode()
    pattern = r'text-anchor: end;[^>]*? x="([-\d.]+)"[^>]*>([^<]+)<'
    found = [(float(x), text) for x, text in re.findall(pattern, svg)]
    assert len(found) >= 2, "the numbers beside the axis"
    for x, text in found:
        assert x > sum(3.3 if c in ".-−" else 5.75 for c in text), (x, text)  # widths at 9 px


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("validation 1T", True), ("validation 1.234T", True), ("8" * 13, True),
        ("validation -987.6T", False), ("train -1.234e+300", False), ("8" * 14, False),
        ("validation 1.235e+15", False), ("W" * 12, False),
    ],
)  # fmt: skip
def test_a_name_at_a_lines_end_is_not_cut_off(name: str, beside: bool) -> None:
    drawn = chart([Line(name, [(0, 1e12), (1, 2e12)])])
    assert (drawn.height == 250) == beside, "where it does not fit it stands below"
    svg = base64.b64decode(drawn.light.split(",", 1)[1]).decode()
    x, right = re.search(rf' x="([\d.]+)"[^>]*>(?:— )?{re.escape(name)}<', svg), 302.4
    digit = 0.636 * 9  # of the widest font that it asks for
    assert float(x[1]) + digit * sum(c.isdigit() for c in name) < right


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_a_run_says_is_more_than_text(tmp_path: Path, attack: str) -> None:
    run = fake_run(tmp_path / "run", kind="text")
    config = {"name": attack, attack: attack, "budget": {"examples": attack}}
    (run / "config.yaml").write_bytes(yaml.safe_dump(config).encode("utf-8", "replace"))
    (run / "overrides.yaml").write_text(json.dumps([attack, f"{attack}={attack}"]))
    said = {"command": attack, "time": attack, "git": {attack: attack}, attack: [attack]}
    (run / "provenance.json").write_text(json.dumps(said))
    row = {"kind": "train", "examples": 64, "batches": 1, "seconds": 1.0, f"train/{attack}": 1.0}
    rows = [row, {**row, "examples": 128, attack: 2.0, "val/loss": 2.0}]
    rows.append({"kind": "end", "examples": 128, "error": f"ValueError: {attack}"})
    (run / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = {attack: 1.5, "kid": attack}
    evaluation = {"metrics": found, "floor": {attack: 1.0}, "notes": {attack: attack}}
    evaluation |= {"examples": attack, "checkpoint": attack}
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    raw = attack.encode("utf-8", "replace")
    (run / "samples" / "000000000000.txt").write_bytes(raw)
    (run / "evaluation" / "samples.txt").write_bytes(raw)
    (run / "evaluation" / "neighbours.txt").write_bytes(b"sample:  " + raw + b"\nnearest: " + raw)

    page = Page(write_report(run))
    assert_inert(page)
    told = attack.replace("\r\n", "\n") if "\r\n" in attack else attack
    start = visible(told)[:12].strip()
    assert page.text.count(start) >= 8, "it is shown, as it is"
    assert "failed" in page.text


def test_folder_names_in_a_comparison_are_only_text(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    names = [a.replace("/", "_").replace("\x00", "")[:60] for a in ATTACKS]
    names = [n.encode("utf-8", "replace").decode() for n in names]
    for i, name in enumerate(dict.fromkeys(names)):
        cell = sweep / name
        cell.mkdir(parents=True)
        (cell / "overrides.yaml").write_text(json.dumps([f"{ATTACKS[i]}={ATTACKS[i]}"]))
        row = {"kind": "train", "examples": 64 * i, "train/loss": 1.0 + i, "error": ATTACKS[i]}
        (cell / "metrics.jsonl").write_text(json.dumps(row) + "\n")
        (cell / "report.html").write_text("old")
        os.utime(cell / "report.html", (4e9, 4e9))
    page = Page(write_comparison(sweep))
    assert_inert(page)
    links = {a["href"] for a in page.of("a") if "download" not in a}
    assert len(links) == len(set(names))
    assert all(re.fullmatch(r"\./[\w.%~-]+/report\.html", href) for href in links)


PIECES = (
    "config.yaml", "overrides.yaml", "provenance.json", "metrics.jsonl", "samples",
    "evaluation.json", "evaluation",
)  # fmt: skip


def remove(path: Path) -> None:
    if path.is_dir():
        for inner in path.iterdir():
            inner.unlink()
        path.rmdir()
    else:
        path.unlink()


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_may_be_missing(tmp_path: Path, piece: str) -> None:
    run = fake_run(tmp_path / "run")
    remove(run / piece)
    page = Page(write_report(run))
    assert_inert(page)
    says = {
        "samples": "No samples were drawn during training",
        "evaluation": "What the trained model draws",  # of the last look
        "evaluation.json": "Not measured yet",
        "metrics.jsonl": "Nothing has been logged yet",
    }
    assert says.get(piece, f"{piece} is missing") in page.text


def test_an_empty_folder_has_a_report(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path))
    assert_inert(page)
    assert "not started" in page.text


WRONG = (
    b"", b"{", b"[1, 2]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b"a: [", b"7",
    b'{"metrics": 3}',
    b'{"metrics": {"a": NaN, "b": 1e999, "c": null}, "floor": [1]}', b"!!python/object:os.system x",
)  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_a_damaged_file_is_told_not_fatal(tmp_path: Path, wrong: bytes) -> None:
    run = fake_run(tmp_path / "run")
    for piece in PIECES:
        for path in sorted((run / piece).iterdir()) if (run / piece).is_dir() else [run / piece]:
            path.write_bytes(wrong)
    page = Page(write_report(run))
    assert_inert(page)
    assert "could not be shown" in page.text


def test_a_torn_line_and_odd_numbers(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run")
    rows = (run / "metrics.jsonl").read_text()
    odd = {"kind": "train", "examples": 190_000, "train/loss": math.nan, "train/x": 10**400}
    odd |= {"train/y": True, "train/z": "1", "train/w": None}
    extreme = [
        {"kind": "train", "examples": e, "train/huge": v, "train/tiny": 5e-324}
        for e, v in ((1, 1e308), (2, -1e308), (3, 1e308))
    ]
    more = "".join(
        json.dumps(r) + "\n" for r in (odd, *extreme, {"kind": "train", "examples": "x"})
    )
    kept = "".join(line + "\n" for line in rows.splitlines() if '"end"' not in line)
    (run / "metrics.jsonl").write_text(kept + more + '{"kind": "train", "exam')
    record = read_record(run)
    assert record.state == "unfinished" and record.not_finite == 2
    assert set(record.series) >= {"train/loss", "train/huge"}
    assert not {"train/x", "train/y", "train/z", "train/w"} & set(record.series)
    page = Page(write_report(run))
    assert_inert(page)
    assert "1 torn line left out" in page.text and "2 logged values are not finite" in page.text
    assert "still running, or was interrupted" in page.text


def test_names_that_meet_share_a_chart(tmp_path: Path) -> None:
    row = {
        "kind": "train",
        "examples": 1,
        "x": 1.0,
        "train/x": 2.0,
        "val/x": 3.0,
        "val/": 4.0,
        "": 5.0,
    }
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row))
    page = Page(write_report(tmp_path))
    assert len(page.of("img")) == 2 * 3 and "could not be drawn" not in page.text


def test_a_resumed_run_counts_the_later_row(tmp_path: Path) -> None:
    rows = [(64, 3.0), (128, 2.0), (192, 9.0), (128, 1.0)]
    lines = [json.dumps({"kind": "train", "examples": e, "train/loss": v}) for e, v in rows]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert read_record(tmp_path).series["train/loss"] == [(64, 3.0), (128, 1.0), (192, 9.0)]


def test_no_link_leads_out_of_the_run(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("canary-4711")
    run = fake_run(tmp_path / "run", kind="text")
    for name in ("samples/000000000000.txt", "evaluation/samples.txt", "config.yaml"):
        (run / name).unlink()
        (run / name).symlink_to(secret)
    (run / "samples" / "000000000001.png").symlink_to(run / "samples" / "000000000001.png")
    assert "canary-4711" not in write_report(run).read_text()


def test_a_comparison(tmp_path: Path) -> None:
    sweep = tmp_path / "2025-10-09_10-00-00_cd34"
    for i, width in enumerate((32, 64, 96)):
        fake_run(sweep / f"{i}_digits", speed=1 + i / 4, width=width)
    fake_run(sweep / "10_digits", width=128)
    remove(sweep / "10_digits" / "evaluation.json")
    (sweep / "2_digits" / "wandb").mkdir()
    (sweep / "2_digits" / "wandb" / "config.yaml").write_text("a: 1")
    assert [c.name for c in find_cells(sweep)] == ["0_digits", "1_digits", "2_digits", "10_digits"]
    path = report(sweep)
    page = Page(path)
    assert path == sweep / "report.html"
    assert_inert(page)
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", page.source.split("</thead>")[0])
    assert heads[:2] == ["run", "frechet distance"], "figures come before settings"
    settings = page.source.split("<h2>Settings")[1]
    assert re.findall(r"<th[^>]*>([^<]*)</th>", settings)[:3] == ["run", "net.width", "state"]
    assert "experiment=digits_diffusion" in page.text and "4 of 4 finished" in page.text
    assert "floor 4.02" in page.text and "9.848" in page.text
    assert page.source.count("n strong") == 3, "the lowest loss of each kind, and distance"
    assert page.of("a")[0]["href"] == "./0_digits/report.html"
    for cell in find_cells(sweep):
        assert (cell / "report.html").is_file(), "every link leads somewhere"
    assert len([i for i in page.of("img") if i["src"].startswith("data:image/svg")]) == 2 * 2


@pytest.mark.parametrize("num", [100, 5000])
def test_many_names_in_a_ledger_cost_no_more_than_what_is_drawn(num: int, tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run")
    rows = [{"kind": "train", "examples": e, **{f"train/x{i:04}": i + e for i in range(num)}}
            for e in range(1, 4)]  # fmt: skip
    with (run / "metrics.jsonl").open("a") as f:
        f.write("".join(json.dumps(r) + "\n" for r in rows))
    began = time.process_time()
    page = Page(write_report(run))
    assert time.process_time() - began < 8
    assert_inert(page)
    assert f"{num + 1 - 24:,} more are in metrics.jsonl" in page.text  # and grad_norm


def test_many_cells(tmp_path: Path) -> None:
    for i in range(30):
        cell = tmp_path / str(i)
        cell.mkdir()
        (cell / "overrides.yaml").write_text(f"- seed={i}")
        rows = [{"kind": "look", "examples": e, "val/loss": 1 + i / (e + 1)} for e in (0, 10, 20)]
        (cell / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        (cell / "report.html").touch()
    page = Page(write_comparison(tmp_path))
    assert_inert(page)
    assert len({a["href"] for a in page.of("a") if "download" not in a}) == 30


def test_report_tells_a_run_from_a_sweep(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "sweep" / "0")
    assert report(run) == run / "report.html"
    assert report(tmp_path / "sweep") == tmp_path / "sweep" / "report.html"
    for nowhere in (tmp_path / "missing", run / "samples"):
        with pytest.raises(UserError) as caught:
            report(nowhere)
        assert "\n" not in str(caught.value) and str(nowhere) in str(caught.value)


def test_the_same_folder_gives_the_same_page(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run")
    assert write_report(run).read_bytes() == write_report(run).read_bytes()


def test_control_characters_are_made_visible() -> None:
    assert visible("\x1b[31m\x00\x7f") == "␛[31m␀␡"
    assert visible("a\n\tb é 漢 👩‍🔬") == "a\n\tb é 漢 👩‍🔬"
    assert visible("\u202e") == "⟨U+202E⟩"


def test_figures_for_people() -> None:
    assert [figure(v) for v in (1234567, 0.000123456, 12345.6, math.nan, None, "x", 10**400)] == [
        "1,234,567", "0.0001235", "12,346", "not finite", "none", "none", "inf",
    ]  # fmt: skip
    assert [duration(s) for s in (1.234, 125, 8000, 400_000)] == [
        "1.23 s", "2 min 5 s", "2 h 13 min", "4 d 15 h",
    ]  # fmt: skip
    assert differences([["a=1", "b=2"], ["+a=1", "b=3", "c=4"]]) == (["b", "c"], ["a=1"])


def test_importing_it_is_cheap() -> None:
    code = "import sys, genlab.runs.report; print(*(m for m in ('torch', 'matplotlib', 'jinja2',"
    code += " 'PIL', 'hydra') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_comparison_averages_seeds_and_keeps_every_value(tmp_path: Path) -> None:
    for i, (width, seed) in enumerate([(32, 1), (32, 2), (64, 1), (64, 2)]):
        run = fake_run(tmp_path / f"{i}_digits", width=width)
        words = yaml.safe_load((run / "overrides.yaml").read_text())
        words = [w for w in words if not w.startswith("seed=")] + [f"seed={seed}"]
        (run / "overrides.yaml").write_text(yaml.safe_dump(words))
        found = json.loads((run / "evaluation.json").read_text())
        found["metrics"]["frechet_distance"] = 2.0 + i
        (run / "evaluation.json").write_text(json.dumps(found))
    page = Page(write_comparison(tmp_path))
    assert_inert(page)
    assert "Over seeds" in page.text
    half = 12.706 * 0.5  # of two values that are 1 apart
    assert f"{2.5 - half:.4g} to {2.5 + half:.4g}" in page.text
    assert re.search(r"2,\s+3", page.text) and re.search(r"4,\s+5", page.text)


def test_losses_of_different_models_have_no_best(tmp_path: Path) -> None:
    for i, model in enumerate(("genlab.models.vae.VAE", "genlab.models.gan.GAN")):
        run = fake_run(tmp_path / f"{i}_digits", speed=1 + i)
        settings = yaml.safe_load((run / "config.yaml").read_text())
        settings["model"] = {"_target_": model}
        (run / "config.yaml").write_text(yaml.safe_dump(settings))
        (run / "evaluation.json").write_text(json.dumps({"metrics": {"loss": 1.0 + i}}))
    page = Page(write_comparison(tmp_path))
    assert "n strong" not in page.source and "losses of different models do not" in page.text


def family(run: Path, model: str, beta: float, *, seed: int) -> None:
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["model"] = {"_target_": model}
    settings["objective"] = {"_target_": "genlab.objectives.x.ELBO", "beta": beta}
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    (run / "overrides.yaml").write_text(
        yaml.safe_dump([f"model={model}", f"beta={beta}", f"seed={seed}"])
    )


def test_losses_of_different_models_never_share_a_chart(tmp_path: Path) -> None:
    kinds = [("genlab.models.vae.VAE", 1.0), ("genlab.models.vae.VAE", 2.5), ("m.GAN", 1.0)]
    for i, (model, beta) in enumerate(kinds):
        family(fake_run(tmp_path / f"{i}_x", seed=i), model, beta, seed=i)
    page = Page(write_comparison(tmp_path))
    assert_inert(page)
    titles = re.findall(r"<figcaption>([^<]*?) *<", page.source)
    assert titles == [
        f"{loss}: {kind}"
        for kind in ("VAE, beta=1.0", "VAE, beta=2.5", "GAN, beta=1.0")
        for loss in ("Validation loss", "Training loss")
    ]
    days = [i["alt"] for i in page.of("img") if "by-day" in i.get("class", "")]
    assert len(days) == 6 and all(alt.count(" from ") == 1 for alt in days), "a run each"


def test_runs_of_other_seeds_stand_as_a_mean_with_its_interval(tmp_path: Path) -> None:
    for i in range(4):
        name = ("genlab.models.vae.VAE", "m.GAN")[i // 2]
        family(fake_run(tmp_path / f"{i}_x", seed=i), name, 1.0, seed=i % 2)
    page = Page(write_comparison(tmp_path))
    section = page.source.split("<h2>Over seeds</h2>")[1].split("</section>")[0]
    titles = re.findall(r"<figcaption>([^<]*?) *<", section)
    assert titles[:2] == [f"{n} loss, mean over seeds: VAE" for n in ("Validation", "Training")]
    assert titles[2:] == [f"{n} loss, mean over seeds: GAN" for n in ("Validation", "Training")]


def test_a_mean_over_seeds_is_taken_where_all_have_a_point() -> None:
    mean, band = mean_curve([[(0, 1.0), (1, 2.0), (2, 9.0)], [(0, 3.0), (1, 2.0)]])
    assert mean == [(0, 2.0), (1, 2.0)]
    assert band == [(0, pytest.approx(2 - 12.706), pytest.approx(2 + 12.706)), (1, 2.0, 2.0)]
    assert mean_curve([]) == ([], [])


def test_a_band_does_not_set_the_frame_and_a_long_name_is_whole() -> None:
    line = Line("x" * 30, [(0, 1.0), (1, 2.0)], band=[(0, -90.0, 90.0), (1, 1.9, 2.1)])
    drawn = chart([line])
    assert drawn.note == "an interval leaves the frame" and drawn.height > 250
    svg = base64.b64decode(drawn.light.split(",", 1)[1]).decode()
    assert "x" * 30 in svg and "90" not in re.findall(r">([-\d.]+)</text>", svg)
    assert chart([Line("short", line.points)]).height == 250
