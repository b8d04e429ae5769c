"""The board in a real browser: clicks, filter, keys, a narrow window, the dark, and nothing runs.

Driven by playwright, which takes the Chromium that is there and fetches none.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from faults.test_browser import CHROMIUM, canary, hostile_run, hostile_sweep, strings  # noqa: F401
from PIL import Image

from genlab.rows import append
from genlab.runs.folder.layout import write_json, write_text, write_yaml
from genlab.runs.live.answers import Board
from genlab.runs.live.export import export
from genlab.runs.page.sweep import write_comparison
from genlab.views.table import Sheet

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("uvicorn", reason="the extra `board` is not installed")
pytest.importorskip("starlette", reason="the extra `board` is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the board in")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def made(folder: Path, i: int, *, state: str = "finished", looks: int = 3) -> Path:
    """The i-th run of a sweep over model, width and seed."""
    draw = random.Random(i)
    run = folder / f"{i}_made"
    knobs = {"model": ("vae", "gan")[i % 2], "net.width": 16 << (i // 2 % 3), "seed": i // 6}
    config = {"name": f"made_{knobs['model']}", "budget": {"examples": 400}}
    config["model"] = {"_target_": f"genlab.models.{knobs['model']}.M"}
    write_yaml(run / "config.yaml", config)
    write_yaml(run / "overrides.yaml", [f"{k}={v}" for k, v in knobs.items()])
    write_json(
        run / "provenance.json", {"time": f"2026-01-02 03:0{i % 10}:00", "command": "genlab"}
    )
    (run / "samples").mkdir()
    for k in range(1, looks + 1):
        value = 0.5 + i / 10 + 1 / k
        clock = {"examples": 100 * k, "batches": k, "seconds": 2.0 * k}
        append(run / "metrics.jsonl", {"kind": "look", **clock, "val/loss": value})
        picture = Image.new("L", (8, 8), 40 * k)
        picture.save(run / "samples" / f"{100 * k:012d}.png")
    if state == "finished":
        append(run / "metrics.jsonl", {"kind": "end", "examples": 100 * looks, "batches": looks})
        found = {
            "metrics": {"frechet_distance": i + draw.random()},
            "floor": {"frechet_distance": 1},
        }
        write_json(run / "evaluation.json", found)
    if state == "failed":
        append(
            run / "metrics.jsonl", {"kind": "failed", "examples": 100, "error": "no memory left"}
        )
    return run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Eleven finished runs and one that failed."""
    for i in range(12):
        made(tmp_path / "runs" / "sweeps" / "s", i, state="failed" if i == 5 else "finished")
    return tmp_path / "runs"


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens the board over a folder; every error of the page fails the test."""
    started, errors = [], []

    def open_board(folder: Path, width: int = 1400, scheme: str = "light") -> Any:
        words = [sys.executable, "-m", "genlab.cli", "board", str(folder), "port=0"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme
        )
        started.append((process, context))
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(process.stdout.readline().strip())
        until(page, "document.getElementById('status').textContent === 'live'")
        return page

    yield open_board
    for process, context in started:
        context.close()
        process.terminate()
        process.wait(20)
    assert errors == []


def until(page: Any, condition: str) -> None:
    """Wait for a condition; playwright's own way is an eval, which the page's policy forbids."""
    end = time.monotonic() + 60
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def names(page: Any) -> list[str]:
    return page.locator("table.runs tbody th.run small").all_inner_texts()


def go(page: Any, view: str) -> None:
    page.evaluate("(view) => { location.hash = view; }", view)


def cells(page: Any, column: str) -> list[str]:
    at = page.locator("table.runs thead th").all_inner_texts().index(column)
    rows = page.locator("table.runs tbody tr[data-i]").all()
    return [r.locator("th, td").nth(at).inner_text().split("\n")[0] for r in rows]


def test_what_the_doctor_found_is_a_column_and_a_filter(runs, opened) -> None:
    page = opened(runs)
    assert "doctor" not in page.locator("table.runs thead th").all_inner_texts()
    found = {
        3: ["mode_collapse", "discriminator"],
        4: ["dead_codes"],
        6: ["<b>x</b>", "mode_collapse"],
    }
    for i, names_of in found.items():
        rest = {"kind": "end", "examples": 300, "batches": 3, "findings": names_of}
        append(runs / "sweeps" / "s" / f"{i}_made" / "metrics.jsonl", rest)
    until(page, "document.querySelector('.count.sign') !== null")
    until(page, "document.querySelectorAll('.sick').length === 3")
    heads = page.locator("table.runs thead th").all_inner_texts()
    assert heads[:4] == ["", "run", "state", "doctor"]
    told = page.locator("tr", has_text="3_made").locator(".sick")
    assert told.locator("b").all_inner_texts() == ["mode collapse", "discriminator"]
    strange = page.locator("tr", has_text="6_made").locator(".sick")
    assert strange.inner_text().startswith("<b>x</b>"), "text, and no element"
    page.fill("#filter", "finding=mode_collapse")
    assert len(names(page)) == 2
    page.fill("#filter", "-finding=*")
    assert len(names(page)) == 9
    page.fill("#filter", "dead_codes")
    assert len(names(page)) == 1
    page.fill("#filter", "")
    assert page.locator(".count.sign").all_inner_texts()[0] == "2 mode collapse"
    assert page.locator(".count.sign").count() == 3, "a name that is no word is no button"
    page.click(".count.sign >> nth=0")
    assert page.input_value("#filter") == "finding=mode_collapse" and len(names(page)) == 2
    page.click(".count:has-text('failed')")
    assert page.input_value("#filter") == "finding=mode_collapse state=failed"
    page.click(".count.sign >> nth=0")
    assert page.input_value("#filter") == "state=failed"


def test_the_table_is_sorted_filtered_and_says_what_does_not_compare(runs, opened) -> None:
    page = opened(runs)
    assert len(names(page)) == 12 and page.title() == "runs · genlab board"
    heads = page.locator("table.runs thead th").all_inner_texts()
    assert heads[:4] == ["", "run", "state", "frechet distance"] and "net.width" in heads
    assert "no memory left" in page.locator("tr", has_text="5_made").inner_text()
    page.click("[data-column='figure:frechet_distance']")
    values = [float(v) for v in cells(page, "frechet distance ↑") if v != "–"]
    assert values == sorted(values) and len(values) == 11
    assert cells(page, "frechet distance ↑")[-1] == "–", "what is missing comes last"
    assert page.locator("td.strong").all_inner_texts()[0] == str(values[0])
    page.click("[data-column='last:val/loss']")
    assert "losses of different models do not compare" in page.inner_text(".line")
    assert page.locator("td.strong").count() == 1, "and none of them is called the best"
    page.fill("#filter", "model=vae val/loss<1.3")
    assert set(cells(page, "run")) == {"made_vae"} and len(names(page)) == 3
    assert "do not compare" not in page.inner_text(".line")
    assert "model=vae" in page.evaluate("decodeURIComponent(location.hash)").replace("+", " ")
    page.fill("#filter", "-model=vae net.width>16 state!=failed")
    assert set(cells(page, "run")) == {"made_gan"}
    page.fill("#filter", "")
    page.click("button.count.bad")
    assert names(page) == ["5_made · s"] and page.input_value("#filter") == "state=failed"
    page.reload()
    until(page, "document.querySelectorAll('table.runs tbody th.run').length === 1")


def test_a_key_that_no_run_has_is_told_with_the_nearest(runs, opened) -> None:
    page = opened(runs)
    for asked, said in [
        ("vla/loss<1.3", "0 of 12 runs. No run has vla/loss: val/loss?"),
        ("-modle=vae seed=1", "6 of 12 runs. No run has modle: model?"),
        ("stat=failed", "No run has stat: state?"),
        ("net.widht=16", "No run has net.widht: net.width?"),
        ("zzzzzz=1", "0 of 12 runs. No run has zzzzzz."),
    ]:  # fmt: skip
        page.fill("#filter", asked)
        assert said in page.inner_text(".line"), asked
    for asked in ("val/loss<1.3", "loss<9 width=16", "state=none", "seed=7", "modle", "tag=x"):
        page.fill("#filter", asked)
        assert "No run has" not in page.inner_text(".line"), asked


@pytest.mark.parametrize("tags", [[], ["paper", "first try"]])
def test_the_table_fits_into_an_ordinary_window(opened, tmp_path: Path, tags: list[str]) -> None:
    knobs = ("optim.optimizer.lr=3e-4,1e-3", "net.channel_multipliers=[1;2],[1;2;2]",
             "callbacks.ema.half_life=20000,50000", "data.batch_size=64,512")  # fmt: skip
    for i in range(8):
        run = made(tmp_path / "runs" / "2026-11-29_19-00-01_digits", i, state="failed" * (i == 3))
        words = [
            f"{k}={v.split(',')[i % 2]}" for k, _, v in (knob.partition("=") for knob in knobs)
        ]
        write_yaml(
            run / "overrides.yaml", [f"model={('diffusion', 'vae')[i % 2]}", *words, f"seed={i}"]
        )
        config = {"name": f"digits_{('diffusion', 'vae')[i % 2]}", "budget": {"examples": 300}}
        write_yaml(run / "config.yaml", {**config, "logger": {"wandb": {"tags": tags}}})
        found = {
            "frechet_distance": 12.31,
            "kernel_distance": 0.01312,
            "coverage": 0.9012,
            "recall": 0.8,
        }
        ends = {k: [0.9123 * v, 1.0456 * v] for k, v in found.items()}
        write_json(run / "evaluation.json", {"metrics": found, "floor": found, "interval": ends})
    page = opened(tmp_path / "runs")
    heads = page.locator("table.runs thead th").all_inner_texts()
    assert (
        heads[2:5] == ["state", "frechet distance", "kernel distance"]
        and "validation loss" in heads
    )
    size = page.evaluate("[grid.scrollWidth, grid.clientWidth]")
    assert size[0] <= size[1] > 1250, f"{size}: {heads}"
    for button in page.locator("table.runs thead button").all():
        assert button.get_attribute("title"), "a head that is cut has its whole name"


def test_figures_stand_side_by_side_and_the_best_is_marked_where_it_may_be(
    runs, opened, chromium, tmp_path: Path
) -> None:
    found = {"metrics": {"frechet_distance": 0.5}, "floor": {"frechet_distance": 1}}
    found["interval"] = {"frechet_distance": [-0.25, 1.25]}
    write_json(runs / "sweeps" / "s" / "0_made" / "evaluation.json", found)
    other = made(runs / "sweeps" / "s", 12)
    write_json(other / "provenance.json", {"data_fingerprint": "sha256:other"})
    page = opened(runs)
    keys = {a.get_attribute("title").split("/")[-1]: a.get_attribute("href").split("/")[-1]
            for a in page.locator("th.run a").all()}  # fmt: skip

    def shown(page: Any) -> tuple[dict[str, list[str]], list[str], str]:
        page.wait_for_selector("table.beside tbody td")
        rows = [
            r.locator("th, td").all_inner_texts() for r in page.locator(".beside tbody tr").all()
        ]
        bold = page.locator(".beside td.strong").all_inner_texts()
        return {name: values for name, *values in rows}, bold, page.inner_text(".wide + .aside")

    def compare(page: Any, *numbers: int) -> Any:
        go(page, "#/compare?runs=" + ",".join(keys[f"{i}_made"] for i in numbers))
        until(page, f"document.querySelectorAll('.beside thead th').length === {len(numbers) + 1}")
        return shown(page)

    rows, bold, said = compare(page, 0, 2, 4)
    assert list(rows) == ["frechet distance", "validation loss"]
    first = rows["frechet distance"][0].split("\n")
    assert first == ["0.5", "-0.25 to 1.25", "floor 1"] == bold[0].split("\n")
    assert len(bold) == 2 and "compare" not in said, "of one model the losses have a best too"
    _, bold, said = compare(page, 0, 1)
    assert len(bold) == 1 and "losses of different models do not compare" in said
    _, bold, said = compare(page, 0, 12)
    assert bold == [] and "figures on different data do not compare" in said
    assert compare(page, 0, 5)[0]["frechet distance"][1] == "–", "one that failed"
    compare(page, 0, 2, 4)
    with page.expect_download() as saved:
        page.click("#save")
    (tmp_path / "saved.html").write_bytes(Path(saved.value.path()).read_bytes())
    alone = chromium.new_page(viewport={"width": 500, "height": 800})
    alone.goto((tmp_path / "saved.html").as_uri())
    assert len(shown(alone)[1]) == 2
    assert alone.evaluate("document.documentElement.scrollWidth") <= 500
    alone.close()


def test_by_folder_columns_and_keys_alone(runs, opened) -> None:
    page = opened(runs)
    page.get_by_label("by folder").check()
    assert "12 runs, 11 finished" in page.inner_text("tr.folder")
    page.click("tr.folder button")
    assert page.locator("tr[data-i]").count() == 1
    page.click("tr.folder button")
    page.get_by_label("by folder").uncheck()
    page.click("summary:has-text('Columns')")
    page.get_by_label("seed", exact=True).uncheck()
    page.get_by_label("parameters").check()
    assert "parameters" in page.locator("table.runs thead th").all_inner_texts()
    page.click("summary:has-text('Columns')")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    page.keyboard.type("gan")
    assert len(names(page)) == 6
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.id") == "grid"
    for key in ("Space", "ArrowDown", "ArrowDown", "x"):
        page.keyboard.press(key)
    assert page.inner_text("#compare") == "Compare 2"
    page.keyboard.press("c")
    page.wait_for_selector("h1:has-text('2 runs side by side')")
    page.go_back()
    page.wait_for_selector("table.runs tbody th.run a")
    page.focus("#grid")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('made_')")


def test_runs_are_compared_over_their_seeds_and_looks(runs, opened) -> None:
    page = opened(runs)
    page.fill("#filter", "model=vae net.width=16")
    page.locator("td.pick input").nth(0).check()
    page.locator("td.pick input").nth(1).check()
    page.click("#compare")
    page.wait_for_selector("ul.legend, figure.curve svg path")
    assert page.locator("svg path[opacity='0.16']").count() == 1, "one band"
    page.get_by_label("seeds as a band").uncheck()
    until(page, "document.querySelectorAll(\"svg path[opacity='0.16']\").length === 0")
    page.locator("label.choice:has-text('over') select").select_option("seconds")
    until(page, "document.querySelector('figure.curve svg')?.getAttribute('aria-label')"
                ".includes('over seconds')")  # fmt: skip
    page.hover("figure.curve svg")
    assert "seed=0" in page.inner_text(".readout") and "seed=1" in page.inner_text(".readout")
    assert page.locator(".looks img").count() == 2
    first = page.locator(".looks img").first.get_attribute("src")
    page.get_by_label("examples seen").fill("0")
    until(page, "document.querySelector('.slide output').textContent === '100 examples'")
    until(page, f"document.querySelector('.looks img').src !== {first!r}")
    rows = page.locator("table.rows tbody tr").all_inner_texts()
    assert not any("net.width" in r for r in rows), "what is the same is not listed"
    with page.expect_download() as saved:
        page.click("figure.curve .saves button:has-text('SVG')")
    assert "<path" in Path(saved.value.path()).read_text()
    with page.expect_download() as saved:
        page.click("figure.curve .saves button:has-text('PNG')")
    assert Image.open(saved.value.path()).format == "PNG"


@pytest.mark.parametrize("where", ["the comparison", "the board"])
def test_a_thumbnail_of_a_table_can_be_read(chromium, tmp_path: Path, where: str) -> None:
    folder = tmp_path / "runs" / "s"
    rows = [{f"column_{k}": i * k for k in range(12)} for i in range(20)]
    for i in (0, 1):
        run = made(folder, i, looks=0)
        path = Sheet().save(rows, run / "samples" / "000000000300")
        assert path.suffix == ".png" and path.with_suffix(".csv").is_file()
    if where == "the comparison":
        file = write_comparison(folder)
    else:
        board = Board(tmp_path / "runs")
        board.index.read_all()
        view = f"/compare?runs={','.join(board.index.runs)}"
        file = tmp_path / "view.html"
        write_text(file, export(board, view))
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    page.goto(file.as_uri())
    page.wait_for_selector(".looks img")
    pictures = page.locator(".looks img")
    assert pictures.count() == 2, "the picture, and not the rows"
    assert all(img.bounding_box()["width"] >= 320 for img in pictures.all())
    page.close()


def test_a_sweep_shows_knobs_importance_and_the_front(runs, opened) -> None:
    page = opened(runs)
    go(page, "#/sweep/" + quote("sweeps/s", safe=""))
    page.wait_for_selector(".barline")
    assert "foretells" in page.inner_text(".bars") and page.locator(".barline").count() == 3
    assert page.locator(".parallel path").count() == 11
    axis = page.locator(".parallel rect.axis").last
    axis.scroll_into_view_if_needed()
    box = axis.bounding_box()
    page.mouse.move(box["x"] + 16, box["y"] + box["height"] * 0.7)
    page.mouse.down()
    page.mouse.move(box["x"] + 16, box["y"] + box["height"])
    page.mouse.up()
    assert " of 11 runs chosen" in page.inner_text("figure.whole")
    page.get_by_label("figure").first.select_option("val/loss")
    page.wait_for_selector("text=losses of another model do not compare")
    assert page.locator("section td.strong").count() == 0


def test_a_row_that_is_written_is_seen(runs, opened) -> None:
    page = opened(runs)
    run = made(runs / "sweeps" / "s", 12, state="runs")
    until(page, "document.querySelectorAll('table.runs tbody th.run').length === 13")
    append(
        run / "metrics.jsonl", {"kind": "look", "examples": 350, "batches": 4, "val/loss": 7.125}
    )
    until(page, "document.querySelector('table.runs').textContent.includes('7.125')")
    assert page.locator("button.count.run").inner_text() == "1 running"
    for k, value in enumerate((1.25e15, -1.5e15, 1e12)):  # a run that leaves all bounds
        row = {"kind": "look", "examples": 360 + k, "batches": 5 + k, "val/loss": value}
        append(run / "metrics.jsonl", row)
    until(page, "document.querySelector('table.runs').textContent.includes('1e+12')")
    go(page, page.locator("tr", has_text="12_made").locator("a").get_attribute("href"))
    page.wait_for_selector(".curve svg text")
    assert page.evaluate(OUTSIDE) == []


# what is written outside a curve's picture
OUTSIDE = """() => [...document.querySelectorAll(".curve svg")].flatMap((svg) => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter((text) => {
    const own = text.getBoundingClientRect();
    return own.left < box.left || own.right > box.right;
  }).map((text) => text.textContent);
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_and_both_grounds(runs, opened, scheme: str) -> None:
    page = opened(runs, width=500, scheme=scheme)
    key = page.locator("th.run a").first.get_attribute("href").split("/")[-1]
    for view in ("#/", f"#/run/{key}", f"#/compare?runs={key}", "#/sweep/sweeps%2Fs"):
        go(page, view)
        page.wait_for_selector("table.runs tbody a" if view == "#/" else "figure.curve svg")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 500, f"{view} is {wide} wide"
        low = page.evaluate(CONTRAST)
        assert low == [], view


# texts whose contrast with the ground is below 4.5
CONTRAST = """() => {
  const parse = (text) => { const c = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    c.fillStyle = text; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3); };
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = parse(getComputedStyle(document.body).backgroundColor);
  const found = [];
  for (const el of document.querySelectorAll("main *, header *")) {
    const own = [...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !el.checkVisibility() || el.closest("svg, select, .button, .looks")) continue;
    const a = light(parse(getComputedStyle(el).color)), b = light(ground);
    if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5) found.push(el.textContent.slice(0, 40));
  }
  return found;
}"""  # noqa: E501


@pytest.mark.parametrize("view", ["/", "/compare?runs={a},{b}", "/run/{a}", "/sweep/sweeps%2Fs"])
def test_a_saved_view_opens_from_a_disk(runs, opened, chromium, tmp_path: Path, view: str) -> None:
    page = opened(runs)
    keys = [a.get_attribute("href").split("/")[-1] for a in page.locator("th.run a").all()[:2]]
    go(page, "#" + view.format(a=keys[0], b=keys[1]))
    page.wait_for_selector("table.runs tbody a" if view == "/" else "figure.curve svg")
    with page.expect_download() as saved:
        page.click("#save")
    file = tmp_path / "saved.html"
    file.write_bytes(Path(saved.value.path()).read_bytes())
    alone, errors, asked = chromium.new_page(), [], []
    alone.on("pageerror", lambda error: errors.append(str(error)))
    alone.on("request", lambda r: asked.append(r.url) if r.url.startswith("http") else None)
    alone.goto(file.as_uri())
    alone.wait_for_selector("table.runs tbody a" if view == "/" else "figure.curve svg")
    assert alone.inner_text("#status") == "a saved view" and errors == [] == asked
    if "runs=" in view:
        assert alone.locator(".looks img").count() == 2
    if "sweep" in view:
        alone.wait_for_selector(".barline")
    alone.close()


def test_nothing_that_a_run_says_runs(opened, chromium, tmp_path: Path, canary) -> None:  # noqa: F811
    url, hits = canary
    said = strings(url)
    folder = tmp_path / "runs"
    hostile_run(folder / "one", said)
    hostile_sweep(folder / "s", said)
    page = opened(folder)
    keys = page.evaluate(
        "fetch('/api/runs').then((r) => r.json()).then((a) => a.runs.map((r) => [r.key, r.where]))"
    )
    one = next(key for key, where in keys if where == "one")
    cells = [key for key, where in keys if where != "one"]
    assert len(cells) == len(said)
    views = [
        "#/", "#/?by=folder", "#/?q=" + quote(" ".join(said[:3])), f"#/run/{one}",
        "#/sweep/s", f"#/compare?runs={','.join([one, *cells[:20]])}",
        "#/?cols=" + quote("\n".join(f"last:val/{s}" for s in said)),
        "#/" + quote(said[0]), "#/sweep/" + quote(said[2], safe=""), "#" + said[7],
        *(f"#/run/{key}" for key in cells[::9]),
    ]  # fmt: skip
    for view in views:
        go(page, view)
        page.wait_for_timeout(400)
        assert "data-hit" not in page.content().partition(">")[2].partition(">")[0], view
    assert page.locator("main script, main iframe, main object, main style").count() == 0
    with page.expect_download() as saved:
        go(page, f"#/run/{one}")
        page.click("#save")
    (tmp_path / "saved.html").write_bytes(Path(saved.value.path()).read_bytes())
    alone = chromium.new_page()
    alone.goto((tmp_path / "saved.html").as_uri())
    alone.wait_for_timeout(600)
    for there in (page, alone):
        assert there.evaluate(
            "[...document.documentElement.attributes].every((a) => a.name === 'lang')"
        )
    alone.close()
    assert hits == [], "something was asked for"
