"""`genlab play` but for its page: knobs, draws that are watched, history, blind pairs, the gate."""

from __future__ import annotations

import asyncio
import json
import math
import os
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image
from running import fit, genlab_here
from safetensors.torch import load_file

from genlab.data.preferences import read_preferences
from genlab.rows import append
from genlab.runs.play import runs_of
from genlab.runs.playground import history, prefer
from genlab.runs.playground.drawing import Asked, Drawn, Stopped, watched
from genlab.runs.playground.knobs import changes, knobs_of, typed
from genlab.runs.playground.seats import OWN, Seat, open_seat
from genlab.runs.playground.server import CLOSED, Gate, hashes_of
from genlab.runs.say.answer import explain
from genlab.runs.say.errors import UserError
from genlab.samplers.tokens import Sample

SMALL = ["net=mlp", "net.width=16", "sampler.num_steps=4"]


# --- knobs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Odd:
    steps: int = 3
    share: float = 0.5
    scale: int | float = 1
    on: bool = True
    how: Literal["a", "b"] | None = None
    far: float = math.inf
    names: tuple[str, ...] = ()
    top: int | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.share <= 1:
            raise ValueError("refused")


def accepts(name: str, value: Any) -> bool:
    try:
        Odd(**{name: value})
    except ValueError:
        return False
    return True


def test_knobs_follow_from_types_and_bounds_from_refusals() -> None:
    knobs = {k.name: k for k in knobs_of(Odd, {"steps": 7}, accepts)}
    assert {n: k.form for n, k in knobs.items()} == {
        "steps": "int", "share": "float", "scale": "float", "on": "bool", "how": "choice",
        "far": "text", "names": "text", "top": "int",
    }  # fmt: skip
    assert (knobs["steps"].value, knobs["steps"].least, knobs["steps"].most) == (7, 1, None)
    assert (knobs["share"].least, knobs["share"].most) == (0, 1)
    assert knobs["scale"].least is None and knobs["top"].null and not knobs["steps"].null
    assert knobs["how"].options == ("a", "b") and knobs["how"].null


def test_only_what_was_changed_is_said() -> None:
    knobs = knobs_of(Odd, {}, accepts)
    same = {k.name: k.value for k in knobs}
    assert changes(knobs, same) == []
    more = {**same, "steps": 4.0, "on": False, "top": 5, "how": "b"}
    assert changes(knobs, more) == [
        ("sampler.steps", "4"), ("sampler.on", "false"), ("sampler.how", "b"), ("sampler.top", "5")
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"sampler\.steps: it is empty"):
        changes(knobs, {**same, "steps": None})
    assert changes(knobs, {**same, "top": " 7 ", "how": "none"}) == [("sampler.top", "7")]
    assert changes(knobs, {**same, "top": "x"}) == [("sampler.top", "x")], "the gate refuses it"
    assert typed(None) == "null"


# --- intervals and counts ------------------------------------------------------------------------


def row(verdict: str, side: str = "left", *, condition: str = "7", first: str = "a") -> dict:
    samples = {
        name: {"run": name, "name": name, "checkpoint": name, "seed": 0, "index": 0, "sampler": {}}
        for name in "ab"
    }
    second = "b" if first == "a" else "a"
    told = {"kind": "preference", "condition": condition, "asked": {}, "who": "", "time": ""}
    if verdict != "chosen":
        return {**told, "verdict": verdict, "left": samples[first], "right": samples[second]}
    both = {"chosen": samples[first], "rejected": samples[second]}
    return {**told, "verdict": verdict, "side": side, **both}


def test_counts_by_contender_and_condition_with_ties_apart() -> None:
    rows = [row("chosen")] * 7 + [row("chosen", "right", first="b", condition="3")] * 2
    rows += [row("tie")] * 3 + [row("bad", condition="3")]
    found = {t.condition: (t.wins, t.losses, t.ties, t.bad) for t in prefer.tally(rows)}
    assert found == {"all": (7, 2, 3, 1), "3": (0, 2, 0, 1), "7": (7, 0, 3, 0)}
    assert next(t for t in prefer.tally(rows)).condition == "all"
    assert "13 judged: 9 decided, 3 tied, 1 both bad; left won 7 of 9" in prefer.summary(rows)


@pytest.mark.parametrize(("hits", "num"), [(0, 4), (7, 9), (5, 5), (50, 100)])
def test_the_interval_is_where_the_normal_test_ends(hits: int, num: int) -> None:
    """Wilson's ends solve (p - q)^2 = z^2 q (1 - q) / n for q."""
    p, z2 = hits / num, 1.959964**2
    a, b, c = 1 + z2 / num, -(2 * p + z2 / num), p * p
    ends = [(-b + s * math.sqrt(b * b - 4 * a * c)) / (2 * a) for s in (-1, 1)]
    assert prefer.share_said(hits, num) == f"{p:.0%} ({max(0, ends[0]):.0%} to {ends[1]:.0%})"
    assert prefer.share_said(0, 0) == "–"


def test_a_side_that_is_liked_for_its_place_is_told() -> None:
    even = [row("chosen", side) for side in ("left", "right") * 10]
    assert "the side matters" not in prefer.order_bias(even)
    assert "the side matters" in prefer.order_bias([row("chosen")] * 20)
    assert prefer.order_bias([]) == "no pair is decided yet"


def test_pairs_are_shuffled_evenly_and_say_the_same_again() -> None:
    pairs = [prefer.pair_of(2, 0, n) for n in range(400)]
    assert pairs == [prefer.pair_of(2, 0, n) for n in range(400)]
    left = sum(p[0].contender == 0 for p in pairs)
    assert 150 < left < 250, "either side is as likely"
    assert all(a.index == b.index == n for n, (a, b) in enumerate(pairs)), "the same seed"
    alone = [prefer.pair_of(1, 0, n) for n in range(50)]
    assert len({place.index for p in alone for place in p}) == 100, "no sample twice"
    three = {frozenset(p.contender for p in prefer.pair_of(3, 0, n)) for n in range(60)}
    assert len(three) == 3


def test_the_next_pair_is_after_all_that_were_judged() -> None:
    assert prefer.number_of([], 0, 2) == 0
    rows = [row("tie"), row("chosen")]
    rows[0]["left"] = {**rows[0]["left"], "index": 5}
    assert prefer.number_of(rows, 0, 2) == 6 and prefer.number_of(rows, 0, 1) == 3
    assert prefer.number_of(rows, 1, 2) == 0


# --- the gate ------------------------------------------------------------------------------------

PAGE = b"<html><script>let a = 1;</script><script src='/x.js'></script></html>"


async def inner(scope: dict, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/html; charset=utf-8")]})  # fmt: skip
    await send({"type": "http.response.body", "body": PAGE[:20], "more_body": True})
    await send({"type": "http.response.body", "body": PAGE[20:]})


def asked(path: str = "/", query: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """What the gate answers: status, headers, body."""
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    headers = {"host": "127.0.0.1:80", **{k.replace("_", "-"): v for k, v in headers.items()}}
    raw = [(k.encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "path": path, "query_string": query.encode(), "headers": raw}
    asyncio.run(Gate(inner, port=80, token="secret")(scope, None, send))
    told = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], told, b"".join(m.get("body", b"") for m in sent[1:])


KNOWN = {"cookie": "genlab_play_80=secret"}


@pytest.mark.parametrize(
    ("status", "path", "query", "headers"),
    [
        (403, "/", "", {}),
        (403, "/", "token=other", {}),
        (303, "/", "token=secret", {}),
        (403, "/gradio_api/queue/join", "token=secret", {}),
        (200, "/", "", KNOWN),
        (403, "/", "", {"cookie": "genlab_play_80=secreT"}),
        (403, "/", "", {"cookie": "genlab_play_81=secret"}),
        (403, "/", "", {"cookie": "genlab_play_80=secret\u00e9"}),
        (421, "/", "", {**KNOWN, "host": "evil.example"}),
        (421, "/", "", {**KNOWN, "host": "127.0.0.1:81"}),
        (200, "/", "", {**KNOWN, "host": "localhost:80"}),
        (200, "/x", "", {**KNOWN, "origin": "http://127.0.0.1:80"}),
        (403, "/x", "", {**KNOWN, "origin": "http://127.0.0.1:81"}),
        (403, "/x", "", {**KNOWN, "origin": "null"}),
        (403, "/x", "", {**KNOWN, "sec_fetch_site": "same-site"}),
        (404, "/gradio_api/proxy=http://x", "", KNOWN),
        (404, "/gradio_api/file=http://169.254.169.254/", "", KNOWN),
        (413, "/x", "", {**KNOWN, "content_length": str(10**9)}),
    ],
)
def test_nobody_comes_in_but_the_browser_with_the_token(
    status: int, path: str, query: str, headers: dict[str, str]
) -> None:
    found, told, body = asked(path, query, **headers)
    assert found == status
    assert "default-src 'none'" in told["content-security-policy"]
    assert (PAGE in body) == (status == 200)
    if status == 303:
        assert "HttpOnly; SameSite=Strict" in told["set-cookie"] and told["location"] == "/"


def test_a_page_runs_the_scripts_that_it_was_served_with_and_no_others() -> None:
    policy = asked(**KNOWN)[1]["content-security-policy"]
    assert hashes_of(PAGE) in policy and hashes_of(PAGE).count("sha256-") == 1
    script = next(p for p in policy.split(";") if "script-src" in p)
    assert "unsafe-inline" not in script and hashes_of(b"<script>other</script>") not in policy
    assert CLOSED.match("/proxy=x") and not CLOSED.match("/gradio_api/file=/tmp/x.png")


# --- with runs -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("played")
    (folder / "book.txt").write_text("To be, or not to be, that is the question. " * 80)
    text = ["data=text_file", f"data.path={folder / 'book.txt'}", "data.block=16",
            "model=autoregressive", "net=gru", "net.width=16", "data.default_prompt=To",
            ]  # fmt: skip
    return {
        "digits": fit(["data=digits", *SMALL, "name=digits"], folder / "digits"),
        "text": fit([*text, "name=text"], folder / "text"),
    }


@pytest.fixture
def seats(runs: dict[str, Path], tmp_path: Path) -> dict[str, Seat]:
    found = {n: open_seat(str(p), device="cpu", trust=[]) for n, p in runs.items()}
    for name, seat in found.items():
        seat.home = tmp_path / name
    return found


def drawn(seat: Seat, asked: Asked) -> Drawn:
    *_, last = watched(seat, asked, threading.Event())
    assert isinstance(last, Drawn)
    return last


@pytest.mark.whole
def test_a_run_is_asked_what_its_model_hears(seats: dict[str, Seat]) -> None:
    digits, text = seats["digits"], seats["text"]
    assert [a.key for a in digits.asks] == ["cond", "given"]
    assert [a.key for a in text.asks] == ["prompt"]
    assert next(iter(digits.samplers)) == OWN and "ddim" in digits.samplers
    assert "ddim" not in text.samplers and "greedy" in text.samplers
    text.model.knows = "nothing"  # as a model says that cannot be given a part
    assert not [a for a in text.data.asks() if text.model.knows in (a.known, "any")]


@pytest.mark.whole
def test_another_sampler_draws_as_on_the_command_line(seats, runs, tmp_path: Path) -> None:
    seat = seats["digits"]
    words = [("sampler", "ddim"), ("sampler.num_steps", "3")]
    seat.take(words)
    ours = drawn(seat, Asked({"cond": "7"}, num=3, seed=5, first=2)).x
    more = ["cond=7", "num=3", "seed=5", "first=2", "sampler=ddim", "sampler.num_steps=3"]
    done = genlab_here("sample", f"run={runs['digits']}", f"to={tmp_path / 'out'}", *more)
    assert done.returncode == 0, done.stderr
    (numbers,) = (tmp_path / "out").glob("*.safetensors")
    assert torch.equal(load_file(numbers)["x"], ours)
    with pytest.raises(Exception, match="num_steps") as caught:
        seat.take([("sampler.num_steps", "0")])
    assert explain(caught.value, []) == ("sampler.num_steps=0: must be at least 1", 2)
    with pytest.raises(UserError, match="nearest"):
        seat.take([("sampler.num_stesp", "3")])


@pytest.mark.whole
@pytest.mark.parametrize("stop", [None, 111])
def test_what_streams_is_what_is_sampled_bit_for_bit(seats, stop: int | None) -> None:
    model, data = seats["text"].model, seats["text"].data
    model.sampler = Sample(length=40, stop=stop, top_k=5)  # longer than the net's memory
    _, given = data.asked(3, prompt="To be")
    whole = model.sample(3, None, given, seed=4, first=2)
    parts = list(model.stream(3, None, given, seed=4, first=2))
    assert torch.equal(parts[-1], whole) and len(parts) > 1
    for part in parts:
        assert torch.equal(part, whole[:, : part.shape[1]]), "what was shown stays"
    sizes = [p.shape[1] for p in parts]
    assert sizes[0] == 5 and sizes == sorted(sizes)
    assert torch.is_grad_enabled()
    steps = model.stream(3, None, given)
    next(steps)
    assert torch.is_grad_enabled(), "a stream that is looked at leaves everything as it was"


@pytest.mark.whole
def test_a_watched_draw_shows_more_and_more_and_ends_when_told(seats) -> None:
    seat = seats["text"]
    seat.take([("sampler.length", "2000")])
    stop, seen = threading.Event(), []
    with pytest.raises(Stopped):
        for glance in watched(seat, Asked({"prompt": "To"}, num=1), stop):
            seen.append(glance)
            if getattr(glance, "items", None) and len(seen) > 1:
                stop.set()
    assert any(g.items and g.items[0].startswith("To") for g in seen)
    assert threading.active_count() < 20 and not any(
        t.name == "drawing" for t in threading.enumerate()
    )


@pytest.mark.whole
def test_mistakes_are_the_command_lines(seats) -> None:
    with pytest.raises(ValueError, match=r"cond=eleven: there is no such class"):
        drawn(seats["digits"], Asked({"cond": "eleven"}))
    with pytest.raises(UserError, match="the prompt alone has"):
        drawn(seats["text"], Asked({"prompt": "x" * 50}))
    with pytest.raises(UserError, match="at most 256 can be looked at"):
        drawn(seats["digits"], Asked({}, num=1000))


@pytest.mark.whole
def test_history_is_kept_and_asks_the_same_again(seats) -> None:
    seat, words = seats["digits"], [("sampler.num_steps", "3")]
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(seat.home.parent / "a.png")
    given = history.keep_picture(seat.home, seat.home.parent / "a.png", (1, 8, 8))
    kept = np.zeros((8, 8), bool)
    kept[:4] = True
    mask = history.keep_mask(seat.home, kept)
    asks = Asked({"cond": "3", "given": str(given), "mask": str(mask)}, num=2, seed=9)
    sampler = seat.take(words)
    first = drawn(seat, asks)
    path = history.keep(seat, asks, words, sampler, first, seconds=1.0)
    assert path.is_file() and path.parent.name == "play"
    (found,) = history.read_history(seat.home)
    assert found["asked"] == asks.words and found["sampler"] == [["sampler.num_steps", "3"]]
    again = drawn(seat, Asked(found["asked"], found["num"], found["seed"], found["first"]))
    assert torch.equal(again.x, first.x)
    assert torch.equal(first.x[:, :, :4], first.given["x"][:, :, :4]), "what was kept is kept"
    numbers = load_file(path.with_suffix(".safetensors"))
    assert torch.equal(numbers["x"], first.x)
    moved = seat.home.parent / "moved"
    seat.home.rename(moved)
    assert Path(history.read_history(moved)[0]["asked"]["given"]).is_file()


def test_a_foreign_history_is_read_without_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "play").mkdir()
    path = tmp_path / "play" / "history.jsonl"
    good = {"kind": "draw", "time": "t", "asked": {"cond": "<b>"}, "num": 1, "seed": 0, "first": 0,
            "sampler": [], "checkpoint": "c", "file": "f"}  # fmt: skip
    for bad in ({"num": "1"}, {"asked": []}, {"asked": {"to": "x"}}, {"sampler": [["a"]]},
                {"seed": -1}, {"asked": {"cond": {"a": 1}}}, {"kind": "x"}, {"file": 3},
                ):  # fmt: skip
        append(path, {**good, **bad})
    with path.open("ab") as f:
        f.write(b"\xff torn \n{}\n[]\n")
    append(path, good)
    assert [r["asked"] for r in history.read_history(tmp_path)] == [{"cond": "<b>"}]
    path.unlink()
    os.symlink("/etc/passwd", path)
    assert history.read_history(tmp_path) == []
    with pytest.raises(UserError, match="is a link"):
        history.folder_of(tmp_path)


def test_a_picture_comes_in_through_the_gate_of_all_pictures(tmp_path: Path) -> None:
    (tmp_path / "evil.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    with pytest.raises(ValueError, match=r"^given: .*allowed are PNG"):
        history.keep_picture(tmp_path / "run", tmp_path / "evil.png", (1, 8, 8))
    assert not list(tmp_path.glob("run/play/*"))


@pytest.mark.whole
def test_a_judgement_is_kept_with_its_samples(seats, tmp_path: Path) -> None:
    seat = seats["text"]
    contenders = [
        prefer.Contender(seat, seat.take([("sampler.temperature", t)])) for t in ("1.0", "0.5")
    ]
    path = prefer.file_of(seat.home)
    for number, verdict in enumerate(("left", "right", "tie")):
        places = prefer.pair_of(2, 3, number)
        both = [drawn(seat, prefer.asked_of(p, number, {"prompt": "To"}, 3)) for p in places]
        pair = prefer.Pair(places, (both[0], both[1]), {"prompt": "To"}, 3, number)
        prefer.judge(path, pair, contenders, verdict, "ada\x1b[31m\n")
        if verdict == "right":
            last = both
    found = read_preferences(path)
    assert [r["verdict"] for r in found.rows] == ["chosen", "chosen", "tie"]
    batch = found.batch(torch.tensor([1]))
    assert torch.equal(batch["x"][0], last[1].x[0])
    assert torch.equal(batch["rejected"][0], last[0].x[0])
    assert batch["mask"][0].tolist() == [False, False, *[True] * 14], "the prompt counts for none"
    assert found.rows[0]["who"] == "ada␛[31m" and found.rows[0]["condition"] == "To"
    (counted, *_) = prefer.tally(found.rows)
    assert {counted.first, counted.second} == {"text temperature=0.5", "text temperature=1.0"}
    assert counted.decided == 2 and counted.ties == 1
    json.dumps(found.rows)


@pytest.mark.whole
def test_where_nothing_is_asked_both_sides_are_of_one_class(seats) -> None:
    for number in (0, 3):
        for place in prefer.pair_of(1, 0, number):
            found = drawn(seats["digits"], prefer.asked_of(place, number, {}, 0))
            assert found.cond.tolist() == [number] and found.captions == [str(number)]


# --- the command ---------------------------------------------------------------------------------


def test_several_runs_are_named_with_commas(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert runs_of("a,b") == runs_of("[a,b]") == runs_of("[a, b]") == ["a", "b"]
    (tmp_path / "a,b").mkdir()
    assert runs_of("a,b") == ["a,b"]
    with pytest.raises(UserError, match="a name is empty"):
        runs_of("a,,c")
    with pytest.raises(UserError, match="at most 8"):
        runs_of("x," * 9 + "x")


def test_a_run_without_weights_is_told_before_gradio_is_imported(monkeypatch, tmp_path) -> None:
    """`last` may not have come to its first checkpoint; one that is named neither."""
    monkeypatch.setenv("GENLAB_OUTPUTS", str(tmp_path))
    monkeypatch.setattr("genlab.runs.play.opened", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    done = genlab_here("play")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "start one with `genlab train`" in done.stderr
    run = tmp_path / "x" / "c"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text("name: x\n")
    for words in ([], [f"run={run}"], ["run=last,last"]):
        done = genlab_here("play", *words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert f"{run} has no" in done.stderr and "wait for its first (save_every)" in done.stderr


def test_what_gradio_warns_of_is_not_said() -> None:
    from genlab.runs.playground.server import alone

    def warn(module: str) -> None:
        exec("import warnings; warnings.warn(module)", {"__name__": module, "module": module})

    names = [
        "gradio",
        "gradio.blocks",
        "genlab.runs.playground.page",
        "genlab.runs.folder",
        "torch",
    ]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with alone():
            for name in names:
                warn(name)
        warn("gradio")
    assert [str(w.message) for w in seen] == ["genlab.runs.folder", "torch", "gradio"]


@pytest.mark.whole
def test_in_a_blind_pair_a_mark_stands_where_a_text_goes_on(seats, tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="gradio is not installed: make browser")
    from genlab.runs.playground.blind import Ballots
    from genlab.runs.playground.page import Draws

    class Asks:
        """A form with one run and a prompt."""

        def __init__(self, seat: Seat) -> None:
            self.seats, self.seed = [seat], 3

        def changes(self, number: int) -> list:
            return []

        def words(self, seat: Seat) -> dict[str, str]:
            return {"prompt": "To be"}

    form = Asks(seats["text"])
    *_, files = Ballots(form, Draws(tmp_path)).next(form, "")
    assert len(files) == 2 and all(f.read_text().startswith("To be▸") for f in files)


def test_without_gradio_it_says_what_to_install(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = genlab_here("play", f"run={tmp_path}")
    assert done.returncode == 2 and "pip install 'genlab[play]'" in done.stderr
    done = genlab_here("play", "prot=3")
    assert done.returncode == 2 and "nearest: port" in done.stderr
