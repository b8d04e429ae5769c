"""The page of `genlab play` in a real browser: it is driven, and what data say runs no script.

Skips where gradio, playwright or Chromium are missing; `make browser` installs the first two.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faults.test_browser import CHROMIUM, canary, strings  # noqa: F401 (canary: a fixture)
from PIL import Image
from running import fit

from genlab.data.asks import Choice, Line
from genlab.data.preferences import read_preferences
from genlab.rows import append
from genlab.runs import play
from genlab.runs.folder.load import load_model
from genlab.runs.playground import history

pytest.importorskip("gradio", reason="gradio is not installed: make browser")
sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page in"),
]
WAIT = 60_000  # milliseconds for anything to appear, on a busy machine
ARGS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
ASKED = {"device": "cpu", "to": None, "port": 0, "trust": [], "who": "ada"}


@dataclass
class Open:
    """A page that is served and looked at."""

    page: Any
    address: str
    asked_for: list[str] = field(default_factory=list)  # addresses
    said: list[str] = field(default_factory=list)  # to the console, of errors

    def text(self, selector: str) -> str:
        """What a line or a text says, whichever element gradio makes of it."""
        return self.page.eval_on_selector_all(
            f"{selector} textarea, {selector} input", "all => all.map(e => e.value).join('\\n')"
        )

    def until(self, selector: str, part: str) -> str:
        """Wait until a text holds `part`; gives it."""
        end = time.monotonic() + WAIT / 1000
        while part not in (found := self.text(selector)):
            assert time.monotonic() < end, f"{selector} says {found!r}, not {part!r}"
            self.page.wait_for_timeout(100)
        return found


@pytest.fixture
def browser() -> Iterator[Any]:
    with sync.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield one
        one.close()


class Served:
    """`genlab play` in a thread of this process, until it is let go."""

    def __init__(self, browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.browser, self.monkeypatch, self.ends = browser, monkeypatch, []

    def __call__(self, *runs: Path, change: Any = lambda seats: None) -> Open:
        seated = play.seated

        def changed(*given: Any, **more: Any) -> list[Any]:
            seats = seated(*given, **more)
            change(seats)
            return seats

        self.monkeypatch.setattr(play, "seated", changed)
        opened = play.opened([str(run) for run in runs], ASKED)
        app, server, token = opened.__enter__()
        port = server.getsockname()[1]
        import uvicorn

        from genlab.runs.playground.server import Gate

        gate = Gate(app, port=port, token=token)
        config = uvicorn.Config(gate, log_level="critical", timeout_graceful_shutdown=1, ws="none")
        served = uvicorn.Server(config)
        thread = threading.Thread(target=served.run, kwargs={"sockets": [server]}, daemon=True)
        thread.start()
        self.ends.append((served, thread, opened))
        context = self.browser.new_context(viewport={"width": 1200, "height": 900})
        found = Open(context.new_page(), f"http://127.0.0.1:{port}/")
        context.on("request", lambda request: found.asked_for.append(request.url))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        found.page.goto(f"{found.address}?token={token}", wait_until="domcontentloaded")
        found.page.wait_for_selector("#draw", timeout=WAIT)
        return found

    def end(self) -> None:
        for served, thread, opened in self.ends:
            served.should_exit = True
            thread.join(10)
            opened.__exit__(None, None, None)


@pytest.fixture
def serve(browser, monkeypatch) -> Iterator[Served]:
    served = Served(browser, monkeypatch)
    yield served
    served.end()


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("paged")
    (folder / "book.txt").write_text("To be, or not to be, that is the question. " * 80)
    small = ["data=digits", "net=mlp", "net.width=16", "sampler.num_steps=4"]
    return {
        "one": fit([*small, "name=one"], folder / "one"),
        "two": fit([*small, "name=two", "seed=1"], folder / "two"),
        "text": fit(
            ["data=text_file", f"data.path={folder / 'book.txt'}", "data.block=64", "net=gru",
             "model=autoregressive", "net.width=16", "name=text"], folder / "text",
        ),
    }  # fmt: skip


def test_two_runs_are_asked_and_judged_by_keys(runs, serve, tmp_path: Path) -> None:
    found = serve(runs["one"], runs["two"])
    page = found.page
    page.fill("#form .numbers input >> nth=0", "4")
    page.fill("#form .numbers input >> nth=1", "7")
    page.click("#draw")
    found.until("#tabs", "kept as play/")
    page.wait_for_function("document.querySelectorAll('.drawn img').length >= 2", timeout=WAIT)
    page.wait_for_selector("#draw:not([disabled])", timeout=WAIT)
    for name in ("one", "two"):
        (row,) = history.read_history(runs[name])
        assert (row["num"], row["seed"], row["asked"]) == (4, 7, {})
    # a picture, a part of which is painted over
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(tmp_path / "picture.png")
    page.set_input_files("input[type=file]", str(tmp_path / "picture.png"))
    page.wait_for_selector("#form canvas", timeout=WAIT)
    page.click("#draw")
    found.until("#tabs", "nothing is painted")
    box = page.query_selector("#form canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 40, y)
    page.mouse.down()
    for step in range(9):
        page.mouse.move(x - 40 + 10 * step, y)
    page.mouse.up()
    page.wait_for_timeout(500)
    page.click("#draw")
    for _ in range(300):  # the button is grey for less than a look at it takes
        if len(history.read_history(runs["one"])) == 2:
            break
        page.wait_for_timeout(200)
    page.wait_for_selector("#draw:not([disabled])", timeout=WAIT)
    row = history.read_history(runs["one"])[0]
    mask = np.asarray(Image.open(row["asked"]["mask"]))
    assert 0 < (mask == 0).sum() < 40 and mask[0].all(), "black where it was painted over"
    page.click("text=Without it")
    # pairs, by the keys
    page.get_by_role("tab", name="Blind A/B").click()
    page.click("#pair")
    found.until("#status", "which is better?")
    seen = "[...document.querySelectorAll('.drawn img')].filter((e) => e.offsetParent).length >= 2"
    page.wait_for_function(seen, timeout=WAIT)  # the words come before the pictures
    shown = page.locator(".drawn img:visible").evaluate_all("all => all.map(e => e.src)")
    assert len(set(shown)) == 2, "each side shows its own sample"
    page.evaluate("document.activeElement.blur()")
    for judged, key in enumerate(("ArrowLeft", "t", "ArrowRight", "b", "s"), 1):
        page.wait_for_selector("#vote-left:not([disabled])", timeout=WAIT)
        page.keyboard.press(key)
        found.until("#status", f"which is better? {min(judged, 4)} judged")
    judged = read_preferences(runs["one"] / "play" / "preferences.jsonl")
    assert [r["verdict"] for r in judged.rows] == ["chosen", "tie", "chosen", "bad"]
    assert [r["side"] for r in judged.decided] == ["left", "right"]
    assert {r["who"] for r in judged.rows} == {"ada"}
    batch, told = judged.batch(torch.tensor([0])), judged.decided[0]
    for key, name in (("x", "chosen"), ("rejected", "rejected")):
        run = Path(told[name]["run"])
        model = load_model(run)
        again = model.sample(1, int(batch["cond"][0]), seed=7, first=told[name]["index"])
        assert torch.equal(again[0], batch[key][0]), "it can be drawn again from its line"
    # what was kept in history is asked again
    page.get_by_role("tab", name="History").click()
    page.fill("#form .numbers input >> nth=1", "1")
    page.locator("#rows [data-row='0']:visible").first.click()
    page.wait_for_function(
        "document.querySelectorAll('#form .numbers input')[1].value == '7'", timeout=WAIT
    )
    assert not found.said, found.said
    away = [u for u in found.asked_for if not u.startswith((found.address, "data:", "blob:"))]
    assert not away, "nothing is asked of anybody else"


def test_a_text_is_seen_while_it_grows_and_can_be_stopped(runs, serve) -> None:
    found = serve(runs["text"], change=lambda seats: seats[0].take([("sampler.length", "64")]))
    page = found.page
    page.fill("#form textarea >> nth=0", "To be")
    page.click("#draw")
    found.until("#tabs", "kept as play/")
    assert "To be▸" in found.text(".drawn")
    page.click("text=sampler of text")
    page.get_by_label("length").fill("20000")
    page.click("#draw")
    found.until("#tabs", "drawing ·")
    page.wait_for_timeout(700)
    grown = len(found.text(".drawn"))
    page.click("#stop")
    found.until("#tabs", "stopped")
    assert 0 < grown < 20_000 and len(history.read_history(runs["text"])) == 1
    page.get_by_label("temperature").fill("0")
    page.click("#draw")
    found.until("#tabs", "sampler.temperature=0")
    assert "must be above 0; sampler=greedy takes the likeliest token" in found.text("#tabs")


def test_nothing_that_data_say_runs(runs, serve, tmp_path: Path, canary) -> None:  # noqa: F811
    url, hits = canary
    said = strings(url)
    one = " ".join(said)
    run = shutil.copytree(runs["text"], tmp_path / "hostile", ignore=lambda *_: ["play"])
    row = {"kind": "draw", "time": said[0], "num": 1, "seed": 0, "first": 0, "checkpoint": one,
           "file": one}  # fmt: skip
    (run / "play").mkdir()
    for s in said:
        row |= {"asked": {"prompt": s}, "sampler": [[s, s]]}
        append(run / "play" / "history.jsonl", row)
        told = {"run": s, "name": s, "checkpoint": s, "seed": 0, "index": 0, "sampler": {s: s}}
        judged = {"kind": "preference", "verdict": "tie", "condition": s, "asked": {s: s}}
        judged |= {"who": s, "time": s, "left": told, "right": {**told, "name": f"{s} 2"}}
        append(run / "play" / "preferences.jsonl", judged)

    def hostile(seats: list[Any]) -> None:
        (seat,) = seats
        seat.name = one
        seat.data.decode = lambda x: [one] * len(x)
        seat.data.captions = lambda cond, known=None: [one]
        choice = Choice(key="cond", label=one, options=tuple(said))
        line = Line(key="prompt", label=one, value=one, example=one, blank=True)
        seat.asks = (line, choice)
        seat.samplers = {**seat.samplers, one: seat.samplers["greedy"]}

    found = serve(run, change=hostile)
    page = found.page
    page.click("#draw")  # the prompt is longer than what is drawn: refused, in a line that says it
    found.until("#tabs", "the prompt alone has")
    page.fill("#form textarea >> nth=0", "To")
    page.click("#draw")
    found.until("#tabs", "kept as play/")
    assert "<script>" in found.text(".drawn"), "it is shown, as text"
    page.click("#form [role=listbox], #form input[role=combobox] >> nth=0")
    page.wait_for_timeout(300)
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Blind A/B").click()
    page.click("#pair")
    page.wait_for_timeout(1500)
    page.click("text=Counts (they name")
    page.wait_for_timeout(1000)
    page.get_by_role("tab", name="History").click()
    page.wait_for_timeout(1000)
    assert "<script>" in page.inner_text("#rows")
    page.locator("#rows [data-row='0']:visible").first.click()
    page.wait_for_timeout(1000)
    marks = page.evaluate("document.documentElement.getAttributeNames().join(' ')")
    assert "data-hit" not in marks, "a script ran"
    assert hits == [], "something was asked for"
    away = [u for u in found.asked_for if not u.startswith((found.address, "data:", "blob:"))]
    assert not away, away


def test_the_address_without_its_token_shows_nothing(runs, serve, browser) -> None:
    found = serve(runs["one"])
    other = browser.new_context().new_page()
    answer = other.goto(found.address)
    assert answer.status == 403 and "open the address that the terminal shows" in other.content()
    for path in ("gradio_api/info", "config", "gradio_api/file=/etc/passwd"):
        assert other.request.get(f"{found.address}{path}").status == 403
    inside = found.page.request
    assert inside.get(f"{found.address}gradio_api/file=/etc/passwd").status in (403, 404)
    own = Path(__file__).resolve()
    assert inside.get(f"{found.address}gradio_api/file={own}").status in (403, 404)
