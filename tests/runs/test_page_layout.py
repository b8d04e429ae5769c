"""The pages in Chromium: nothing is cut at 1,400 and 500 pixels, tables sort, a film stops.

A page's policy lets no script in but its own, so what measures here goes into a copy without it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from test_report import fake_run, remove

from genlab.runs.page.sweep import write_comparison
from genlab.runs.page.write import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the pages in")

FIGURES = (
    "frechet_distance", "kernel_distance", "precision", "recall", "coverage", "near_copies",
    "coverage_worst_class", "class_agreement", "confident_share", "bits_per_dim",
    "frechet_infinity", "two_sample_linear_of_a_long_name",
)  # fmt: skip
REASON = "net.width=64: what is wrong, where: " + "/a/folder" * 30 + "; and the whole remedy" * 9
# what is wider than its place: the page, a table's frame, any box that reaches out of the window
CUT = """
const cut = [];
if (document.documentElement.scrollWidth > innerWidth) cut.push("page");
for (const e of document.querySelectorAll(".wide, td, th, pre, code, dd, dt, figure, p, small, h1"))
  if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth && getComputedStyle(e).display != "inline")
    cut.push(e.tagName + " " + e.textContent.trim().slice(0, 40));
for (const e of document.querySelectorAll("main *"))
  if (e.getBoundingClientRect().right > innerWidth + 1) cut.push("out " + e.tagName);
answer({cut, shown: document.querySelectorAll("tbody tr").length, width: innerWidth});
"""


def asked(page: Path, script: str, *flags: str, width: int = 1400) -> dict:
    """What a script of ours answers in a copy of the page without its policy."""
    text = re.sub(r"<meta http-equiv=[^>]*>", "", page.read_text(), count=1)
    tell = "const answer = x => document.body.setAttribute('data-answer', JSON.stringify(x));"
    copy = page.with_name("copy.html")
    copy.write_text(text.replace("</body>", f"<script>{{{tell}{script}}}</script></body>"))
    html = seen(copy, *flags, width=width)
    found = re.search(r'data-answer="([^"]*)"', html)
    assert found, html[-300:]
    return json.loads(found[1].replace("&quot;", '"').replace("&amp;", "&"))


def seen(page: Path, *flags: str, width: int = 1400) -> str:
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
            "--disable-background-networking", "--no-first-run", "--hide-scrollbars",
            f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},2000",
            "--virtual-time-budget=2000", *flags, page.resolve().as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "<html" in done.stdout, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """Six cells of two families with twelve figures and long names, and one that failed."""
    folder = tmp_path_factory.mktemp("sweep")
    for i in range(6):
        run = fake_run(folder / f"{i}_an_experiment_with_a_very_long_name_of_its_own", seed=i)
        family = "vae.VAE" if i < 3 else "diffusion.Diffusion"
        settings = yaml.safe_load((run / "config.yaml").read_text())
        settings["model"] = {"_target_": f"genlab.models.{family}"}
        (run / "config.yaml").write_text(yaml.safe_dump(settings))
        words = [f"model={family[:3]}", f"data.root=/a/long/{family}/" + "photographs/" * 8,
                 "callbacks.checkpoint.every_so_many=1000000", f"seed={i % 3}"]  # fmt: skip
        (run / "overrides.yaml").write_text(yaml.safe_dump(words))
        values = {name: (i + 1) * 1.2345e-4 * 10**k for k, name in enumerate(FIGURES)}
        (run / "evaluation.json").write_text(
            json.dumps(
                {
                    "metrics": values,
                    "floor": {k: v / 3 for k, v in values.items()},
                    "interval": {k: [0.8 * v, 1.2345 * v] for k, v in values.items()},
                    "remarks": {"near_copies": "of 1,437 training examples"},
                    "notes": {"worst": "American Staffordshire terrier " * 4},
                }
            )
        )
    failed = folder / "6_failed"
    failed.mkdir()
    (failed / "overrides.yaml").write_text("- model=gan\n- seed=0\n")
    row = {"kind": "failed", "examples": 0, "batches": 0, "seconds": 0.0, "error": REASON}
    (failed / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    return folder


@pytest.mark.parametrize("width", [1400, 900, 500])
@pytest.mark.parametrize("which", ["sweep", "run", "text", "rows"])
def test_nothing_is_cut(sweep: Path, tmp_path: Path, width: int, which: str) -> None:
    if which == "sweep":
        page = write_comparison(sweep)
    elif which == "run":
        page = write_report(next(sweep.glob("0_*")))
    elif which == "text":
        page = write_report(fake_run(tmp_path / "run", kind="text"))
    else:  # a table of thirty columns
        run = fake_run(tmp_path / "run")
        remove(run / "evaluation" / "samples.png")
        rows = [",".join(f"{c} column of words {i}" for i in range(30)) for c in ("the", "a", "b")]
        (run / "evaluation" / "samples.csv").write_text("\n".join(rows))
        page = write_report(run)
    found = asked(page, CUT, width=width)
    assert found["width"] == width
    assert found["cut"] == []
    if which == "sweep":
        assert page.read_text().count(REASON) == 2, "whole, and nothing of it is cut"


def test_a_table_that_does_not_fit_is_found(tmp_path: Path) -> None:
    """The control: what measures does see a table that scrolls in its frame."""
    page = tmp_path / "page.html"
    cells = "".join(f"<td>{'wide' * 20}</td>" for _ in range(9))
    frame = f"<div class=wide style='overflow-x: auto'><table><tr>{cells}</tr></table></div>"
    page.write_text(f"<!doctype html><html><body><main>{frame}</main></body></html>")
    assert asked(page, CUT)["cut"]


SORT = """
const table = document.querySelector("table.sort"), head = table.tHead.rows[0].cells[COLUMN];
const order = () => [...table.tBodies[0].rows].map(r => r.cells[0].textContent.trim()[0]).join("");
const heads = [...table.tHead.rows[0].cells];
const states = [[order(), head.getAttribute("aria-sort")]];
for (let i = 0; i < 3; i++) {
  head.querySelector("button").click();
  states.push([order(), heads.filter(h => h.hasAttribute("aria-sort")).length == (i < 2 ? 1 : 0)
    && head.getAttribute("aria-sort")]);
}
const button = head.querySelector("button");
button.focus();
answer({states, focused: document.activeElement === button, type: button.type});
"""


def test_tables_are_sorted_by_number_and_back(tmp_path: Path) -> None:
    for i, value in enumerate((0.5, 300.0, 0.25)):
        run = fake_run(tmp_path / f"{i}_x", seed=i)
        found = json.loads((run / "evaluation.json").read_text())
        found["metrics"]["frechet_distance"] = value
        (run / "evaluation.json").write_text(json.dumps(found))
    remove(fake_run(tmp_path / "3_x", seed=3) / "evaluation.json")
    page = write_comparison(tmp_path)
    found = asked(page, SORT.replace("COLUMN", "1"))
    assert found["states"] == [
        ["0123", None], ["2013", "ascending"], ["1023", "descending"], ["0123", None],
    ]  # fmt: skip
    assert found["focused"] and found["type"] == "button", "a key reaches it"
    assert asked(page, SORT.replace("COLUMN", "0"))["states"][2] == ["3210", "descending"]


def test_the_pages_own_script_runs_under_its_policy(sweep: Path) -> None:
    html = seen(write_comparison(sweep))
    assert html.count('<table class="sort fold some sortable">') >= 2
    assert '<button type="button">' in html
    assert "<button" not in (sweep / "report.html").read_text(), "none that does nothing"


STATES = """
const shown = s => getComputedStyle(document.querySelector(s)).display != "none";
const both = () => [shown(".film .moving"), shown(".film .stands")];
const before = both();
document.querySelector(".film label").click();
answer({before, after: both()});
"""


def test_a_film_stops_and_stands_where_less_motion_is_asked_for(tmp_path: Path) -> None:
    page = write_report(fake_run(tmp_path / "run"))
    assert asked(page, STATES) == {"before": [True, False], "after": [False, True]}
    calm = asked(page, STATES, "--force-prefers-reduced-motion")
    assert calm == {"before": [False, True], "after": [True, False]}
