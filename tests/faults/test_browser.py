"""The report in a real browser: nothing that a run says runs, and nothing is asked of anybody.

The page has one script of its own, which sorts tables; its policy names it by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from faults.record import record

from genlab.runs.page.sweep import write_comparison
from genlab.runs.page.write import TEMPLATES, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the report in")

# JS is what marks the page; @ is an address of ours that nobody may ask for
STRINGS = [
    "<script>JS</script>", "</script><script>JS</script>", '"><script>JS</script>',
    "'><script>JS</script>", "<ScRiPt>JS</sCrIpT>", "<script src=@></script>",
    "<script type=module src=@></script>", "</title><script>JS</script>",
    "</style><script>JS</script>", "</pre></details><script>JS</script>",
    "--><script>JS</script>", "]]><script>JS</script>", "<img src=@>", "<img src=x onerror=JS>",
    '"><img src=x onerror=JS>', "'><img src=x onerror='JS'>", '"><img srcset=@>',
    "<picture><source srcset=@><img></picture>", "<svg onload=JS>", "<svg/onload=JS>",
    "<svg><image href=@></svg>", "<svg><script>JS</script></svg>",
    "<math><mtext></mtext><mglyph><style></math><img src=x onerror=JS>",
    "<body onload=JS>", "<iframe src=@></iframe>", "<iframe src='javascript:parent.JS'></iframe>",
    "<iframe srcdoc='<script>parent.JS</script>'></iframe>", "<object data=@></object>",
    "<embed src=@>", "<video src=@ autoplay></video>", "<audio src=@ autoplay></audio>",
    "<video><source onerror=JS></video>", "<link rel=stylesheet href=@>",
    "<link rel=preload as=image href=@>", "<link rel=icon href=@>", "<link rel=prefetch href=@>",
    "<style>@import url(@);</style>", "<style>body{background:url(@)}</style>",
    "<p style='background:url(@)'>x</p>", '" autofocus onfocus=JS x="',
    "<input autofocus onfocus=JS>", "<details open ontoggle=JS>x</details>",
    "<marquee onstart=JS>x</marquee>", "<style>@keyframes x{}</style><p style='animation:x 1s'"
    " onanimationstart=JS>", "<meta http-equiv=refresh content='0;url=@'>",
    "<form id=f action=@></form><script>f.submit()</script>", "<base href=@>",
    "javascript:JS", "data:text/html,<script>JS</script>", "{{7*7}}{% raw %}${7*7}<%=7*7%>",
    "\x1b]0;JS\x07\x1b[2J<b onclick=JS>",
]  # fmt: skip
LEAVING = ("meta http-equiv", "submit()", "<base")  # these would end the control page itself
HIT = "document.documentElement.setAttribute(`data-hit-{i}`,1)"


@pytest.fixture
def canary() -> Iterator[tuple[str, list[str]]]:
    """A local server, and what was asked of it."""
    hits: list[str] = []

    class Note(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Note)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}", hits
    httpd.shutdown()


def strings(url: str) -> list[str]:
    return [
        s.replace("@import", "\0").replace("@keyframes", "\1").replace("@", f"{url}/{i}")
        .replace("\0", "@import").replace("\1", "@keyframes").replace("JS", HIT.format(i=i))
        for i, s in enumerate(STRINGS)
    ]  # fmt: skip


def seen(page: Path, profile: Path) -> str:
    """The page as Chromium has it once everything in it has had its chance (5 virtual seconds)."""
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
            "--disable-background-networking", "--no-first-run", f"--user-data-dir={profile}",
            "--virtual-time-budget=5000", page.resolve().as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "<html" in done.stdout, done.stderr[-2000:]
    return done.stdout


def hostile_run(run: Path, said: list[str]) -> Path:
    """A run folder that says all of it in every field that a report shows."""
    one, every = " ".join(said), {s: s for s in said}
    for folder in (run / "samples", run / "evaluation"):
        folder.mkdir(parents=True)
    config = {"name": one, "settings": every, **every, "budget": {"examples": one}}
    (run / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (run / "overrides.yaml").write_text(json.dumps([*said, *(f"{s}={s}" for s in said)]))
    told = {"command": one, "time": one}
    gone_on = [{**told, "examples": one, "git": every, "machine": one}] * 2
    gone_on.append({"command": "genlab train resume=x " + shlex.quote(one), "time": every})
    (run / "provenance.json").write_text(
        json.dumps({**told, "git": every, "versions": every, **every, "resumed": gone_on})
    )
    row = {"kind": "train", "batches": 1, "seconds": 1.0, **{f"train/{s}": 1.0 for s in said}}
    rows = [{**row, "examples": n, **{f"val/{s}": 2.0 for s in said}} for n in (64, 128)]
    rows += [
        {"kind": "finding", "examples": 128, "sign": s, "cause": s, "evidence": s, "try": [s]}
        for s in said
    ]
    rows.append({"kind": "end", "examples": 128, "state": one, "error": f"ValueError: {one}"})
    rows[-1]["findings"] = said
    (run / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    evaluation = {"metrics": {s: 1.5 for s in said}, "floor": {s: 1.0 for s in said}}
    evaluation |= {"notes": every, "examples": one, "checkpoint": one}
    evaluation["code"] = {"values": 4, "in_use": 2, "nats": 1.5, "of": one, "most": said}
    evaluation["classes"] = [{"class": s, "real": 0.5, "share": 0.1, "ratio": s} for s in said]
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    (run / "samples" / "000000000000.txt").write_text(one)
    (run / "evaluation" / "samples.txt").write_text("\n\n-----\n\n".join(said))
    pairs = "\n\n-----\n\n".join(f"sample:  {s}\nnearest: {s}" for s in said)
    for name in ("neighbours", "reconstructions", "between", "traversal_1"):
        (run / "evaluation" / f"{name}.txt").write_text(pairs)
    return run


def hostile_sweep(folder: Path, said: list[str]) -> Path:
    """Cells whose folders are called after the strings, too."""
    names = [s.replace("/", "∕").replace("\x00", "")[:80] for s in said]
    for i, (name, s) in enumerate(zip(names, said)):
        cell = folder / f"{i}_{name}"
        (cell / "samples").mkdir(parents=True)
        (cell / "overrides.yaml").write_text(json.dumps([f"{s}={s}", f"a={s}", f"same={said[0]}"]))
        row = {"kind": "train", "examples": i, "train/loss": 1.0, f"val/{s}": 1.0, "error": s}
        row["findings"] = [s]
        (cell / "metrics.jsonl").write_text(json.dumps(row) + "\n")
        found = {"metrics": {s: 1.0}, "floor": {s: 1.0}, "notes": {}}
        (cell / "evaluation.json").write_text(json.dumps(found))
        (cell / "samples" / "000000000000.txt").write_text(s)
    return folder


def assert_inert(html: str, hits: list[str]) -> None:
    head = html[: html.index("<body")]
    assert "data-hit" not in html[: html.index(">", html.index("<html"))], "a script ran"
    assert hits == [], "something was asked for"
    own = (TEMPLATES / "sort.js").read_text()
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert html.count("<script") == 1 and f"<script>{own}</script>" in html, "ours alone"
    policy = head[head.index("Content-Security-Policy") :].split(">")[0]
    assert "default-src 'none'" in policy
    assert re.findall(r"script-src[^;\"]*", policy) == [f"script-src 'sha256-{digest}'"]


def test_all_strings_in_all_fields_at_once(tmp_path: Path, canary) -> None:
    url, hits = canary
    page = write_report(hostile_run(tmp_path / "run", strings(url)))
    assert_inert(seen(page, tmp_path / "profile"), hits)


@pytest.mark.faults
def test_without_escaping_they_do_run(tmp_path: Path, canary) -> None:
    """The control: the same strings as HTML, without the policy; then with the policy alone."""
    url, hits = canary
    page = write_report(hostile_run(tmp_path / "run", ["x"])).read_text()
    policy = page[page.index('<meta http-equiv="Content') : page.index('<meta name="viewport"')]
    fired = set()
    for i, s in enumerate(strings(url)):
        bare = f"<!doctype html><html><head><title>t</title></head><body><div title=''>{s}</div>"
        control = tmp_path / "control.html"
        control.write_text(bare)
        html = seen(control, tmp_path / "profile")
        if f"data-hit-{i}=" in html or any(h.startswith(f"/{i}") for h in hits):
            fired.add(i)
    assert len(fired) >= 30, [STRINGS[i] for i in range(len(STRINGS)) if i not in fired]
    hits.clear()
    stay = [s for s, raw in zip(strings(url), STRINGS) if not any(x in raw for x in LEAVING)]
    control.write_text(f"<!doctype html><html><head>{policy}</head><body>{' '.join(stay)}")
    html = seen(control, tmp_path / "profile")
    assert "data-hit" not in html[: html.index("<body")] and hits == [], "the policy alone holds"
    record("strings in a page without escaping", len(STRINGS), len(fired),
           "they run a script or load something", control=True)  # fmt: skip


@pytest.mark.faults
def test_each_string_alone_and_a_sweep_of_them(tmp_path: Path, canary) -> None:
    url, hits = canary
    said = strings(url)
    assert len(said) >= 40
    for i, s in enumerate(said):
        page = write_report(hostile_run(tmp_path / f"run{i}", [s]))
        assert_inert(seen(page, tmp_path / "profile"), hits)
    sweep = hostile_sweep(tmp_path / "sweep", said)
    assert_inert(seen(write_comparison(sweep), tmp_path / "profile"), hits)
    for cell in sorted(os.listdir(sweep))[::10]:
        if (report := sweep / cell / "report.html").is_file():
            assert_inert(seen(report, tmp_path / "profile"), hits)
    record("report in a browser: strings in every field", len(said), len(said),
           "no script ran, no request left")  # fmt: skip
