"""`genlab board`: what it reads of runs and how it follows them, who may ask, what is saved."""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from genlab.metrics.seeds import t_interval
from genlab.rows import append, line_of, mend
from genlab.runs.board import board_command, parse
from genlab.runs.folder.layout import write_json, write_yaml
from genlab.runs.live import summary
from genlab.runs.live.answers import Board, Unknown
from genlab.runs.live.curves import POINTS, Line
from genlab.runs.live.export import SCRIPTS, asset, export, name_of, refuse_unknown
from genlab.runs.live.follow import Follower
from genlab.runs.live.index import Index, find_runs
from genlab.runs.live.knobs import importance
from genlab.runs.page.record import SIGN, SIGNS
from genlab.runs.say.errors import UserError


def made(
    folder: Path, name: str, *, words: tuple[str, ...] = (), model: str = "VAE", value: float = 1.0,
    state: str = "finished", rows: int = 4, budget: int = 1000,
) -> Path:  # fmt: skip
    """A run as it lies on disk."""
    run = folder / name
    config = {"name": "made", "seed": 0, "budget": {"examples": budget}, "evaluate": True}
    config |= {p: {"_target_": f"a.{model}", "lr": 1} for p in ("model", "objective", "data")}
    config["logger"] = {"wandb": {"tags": ["paper"]}}
    write_yaml(run / "config.yaml", config)
    write_yaml(run / "overrides.yaml", list(words))
    write_json(run / "provenance.json", {"time": "2026-01-02 03:04:05 +0000", "started": 1.7e9})
    for k in range(1, rows + 1):
        append(run / "metrics.jsonl", row(100 * k, value + 1 / k))
    if state == "finished":
        append(run / "metrics.jsonl", {"kind": "end", "examples": 100 * rows, "batches": 1})
        found = {"metrics": {"frechet_distance": value, "loss": value}}
        found |= {"floor": {"frechet_distance": 0.1}, "interval": {"loss": [0.5, 1.5]}}
        write_json(run / "evaluation.json", found)
    if state == "failed":
        append(run / "metrics.jsonl", {"kind": "failed", "examples": 100, "error": "ValueError: x"})
    return run


def row(examples: int, value: float, kind: str = "look") -> dict[str, Any]:
    clock = {"examples": examples, "batches": examples // 10, "seconds": examples / 50}
    return {"kind": kind, **clock, "val/loss": value, "energy/joules": 7.0 * examples}


def read(index: Index, since: int = 0) -> dict[str, Any]:
    return json.loads(index.changes(since, index.boot))


def one(index: Index) -> dict[str, Any]:
    (run,) = read(index)["runs"]
    return run


def looked_again(index: Index, since: int) -> dict[str, Any]:
    index.scan()
    index.tick()
    return read(index, since)


# --- what is read ---------------------------------------------------------------------------------


def test_a_run_in_a_line(tmp_path: Path) -> None:
    made(tmp_path / "s", "0_a", words=("model=vae", "+x=1", "hydra.y=2"), rows=6)
    index = Index(tmp_path)
    index.read_all()
    run = one(index)
    assert run["name"] == "made" and run["where"] == "s/0_a" and run["group"] == "s"
    assert run["state"] == "finished" and run["settings"] == {"model": "vae", "x": "1"}
    assert run["figures"]["frechet_distance"] == [1.0, None, None, 0.1]
    assert run["figures"]["loss"] == [1.0, 0.5, 1.5, None], "with its interval"
    assert run["last"]["val/loss"] == 1 + 1 / 6 and run["examples"] == 600
    assert run["tags"] == ["paper"] and run["headlines"] == ["frechet_distance"]
    assert run["family"] == "a.VAE a.VAE a.VAE" and run["left"] is None


def test_a_failed_run_carries_its_reason_and_a_planned_one_is_there(tmp_path: Path) -> None:
    made(tmp_path / "s", "0_a", state="failed")
    write_yaml(tmp_path / "s" / "1_b" / "overrides.yaml", ["seed=1"])
    index = Index(tmp_path)
    index.read_all()
    planned, failed = sorted(read(index)["runs"], key=lambda r: r["where"], reverse=True)
    assert failed["state"] == "failed" and failed["reason"] == "ValueError: x"
    assert planned["state"] == "not started" and planned["settings"] == {"seed": "1"}


def test_time_left_is_that_of_the_last_rows_pace(tmp_path: Path) -> None:
    run = made(tmp_path, "a", state="runs", rows=4, budget=1000)
    index = Index(tmp_path)
    index.read_all()
    assert one(index)["state"] == "running" and one(index)["left"] == pytest.approx(600 / 50)
    old = time.time() - 2 * summary.SILENT
    os.utime(run / "metrics.jsonl", (old, old))
    looked_again(index, 0)
    assert one(index)["state"] == "silent" and one(index)["left"] is None


def test_a_long_ledger_is_read_at_its_end_and_its_last_look_is_found(tmp_path: Path) -> None:
    run = made(tmp_path, "a", rows=1, state="runs")
    rows = [{"kind": "train", "examples": k, "batches": k, "train/loss": 1.0} for k in range(600)]
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b"".join(map(line_of, rows)))
    assert (run / "metrics.jsonl").stat().st_size > 5 * summary.TAIL
    follower = Follower(run, tail=summary.TAIL)
    _, found = follower.news()
    assert len(found) < 150 and found[0]["val/loss"] == 2.0, "the look before the end, too"
    assert found[-1]["examples"] == 599


def test_what_the_doctor_found_is_named_from_a_ledgers_end(tmp_path: Path) -> None:
    run = made(tmp_path, "a", rows=1, state="runs")
    found = {"kind": "finding", "examples": 100, "sign": "mode_collapse", "cause": "x"}
    append(run / "metrics.jsonl", found)
    index = Index(tmp_path)
    index.read_all()
    assert one(index)["findings"] == ["mode_collapse"], "of its own row"
    later = {"kind": "train", "examples": 200, "train/loss": 1.0, "findings": ["mode_collapse"]}
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(line_of(later) * 600)
    index = Index(tmp_path)
    index.read_all()
    assert one(index)["findings"] == ["mode_collapse"], "of the rows after it"
    append(run / "metrics.jsonl", {**found, "sign": "discriminator"})
    looked_again(index, 0)
    assert one(index)["findings"] == ["mode_collapse", "discriminator"]
    (run / "metrics.jsonl").write_bytes(line_of(row(100, 1.0)))
    looked_again(index, 0)
    assert one(index)["findings"] == [], "a resume that cut it"


def test_findings_of_a_strange_ledger_are_bounded(tmp_path: Path) -> None:
    run = made(tmp_path, "a", rows=1, state="runs")
    odd = ["x" * 500, 3, None, ["y"], *map(str, range(100))]
    append(run / "metrics.jsonl", {"kind": "train", "examples": 1, "findings": odd})
    append(run / "metrics.jsonl", {"kind": "train", "examples": 1, "findings": "mode_collapse"})
    append(run / "metrics.jsonl", {"kind": "finding", "examples": 1, "sign": {"a": 1}})
    index = Index(tmp_path)
    index.read_all()
    found = one(index)["findings"]
    assert len(found) == SIGNS and found[0] == "x" * SIGN and "mode_collapse" not in found
    assert all(isinstance(name, str) for name in found)


def test_runs_are_found_whatever_their_depth_and_links_are_not_followed(tmp_path: Path) -> None:
    made(tmp_path / "root", "2026-01-01_00-00-00_a")
    made(tmp_path / "root" / "x" / "y", "0_b")
    made(tmp_path / "root" / "x" / "y" / "0_b", "inner")
    made(tmp_path / "root" / ".hidden", "c")
    made(tmp_path / "elsewhere", "d")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "round").symlink_to(tmp_path / "root")
    found = set(find_runs(tmp_path / "root", set()))
    assert found == {"2026-01-01_00-00-00_a", "x/y/0_b"}
    assert set(find_runs(tmp_path / "root", found)) == found, "known ones are not looked into"


def test_odd_folders_cost_the_others_nothing(tmp_path: Path) -> None:
    made(tmp_path, "good")
    for name in ("pipe", "folder", "bytes", "link", "huge"):
        made(tmp_path, name)
    (tmp_path / "pipe" / "metrics.jsonl").unlink()
    os.mkfifo(tmp_path / "pipe" / "metrics.jsonl")
    (tmp_path / "folder" / "metrics.jsonl").unlink()
    (tmp_path / "folder" / "metrics.jsonl").mkdir()
    for name in ("config.yaml", "metrics.jsonl", "evaluation.json", "overrides.yaml"):
        (tmp_path / "bytes" / name).write_bytes(b"\xff\x00{[" * 1000)
    secret = tmp_path.parent / "secret.json"
    secret.write_text(json.dumps({"metrics": {"secret": 1.0}}))
    (tmp_path / "link" / "evaluation.json").unlink()
    (tmp_path / "link" / "evaluation.json").symlink_to(secret)
    many = {f"m{i}": float(i) for i in range(5000)} | {"nan": math.nan}
    append(tmp_path / "huge" / "metrics.jsonl", {"kind": "train", "examples": 1e400, **many})
    append(tmp_path / "huge" / "metrics.jsonl", {"kind": "train", "examples": 10**9, **many})
    index = Index(tmp_path)
    index.read_all()
    runs = {r["where"]: r for r in read(index)["runs"]}
    assert len(runs) == 6 and runs["good"]["state"] == "finished"
    assert "secret" not in json.dumps(runs) and len(runs["huge"]["last"]) <= summary.NAMES + 2


# --- how it is followed -----------------------------------------------------------------------


def test_rows_that_are_added_are_seen_and_half_a_row_is_waited_for(tmp_path: Path) -> None:
    run = made(tmp_path, "a", state="runs")
    index = Index(tmp_path)
    index.read_all()
    cursor = read(index)["cursor"]
    assert looked_again(index, cursor)["runs"] == [], "nothing changed"
    line = line_of(row(500, 0.25))
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(line[:30])
        file.flush()
        assert looked_again(index, cursor)["runs"] == []
        file.write(line[30:])
    (changed,) = looked_again(index, cursor)["runs"]
    assert changed["last"]["val/loss"] == 0.25 and changed["examples"] == 500


def test_a_ledger_that_a_resume_cut_is_read_anew(tmp_path: Path) -> None:
    run = made(tmp_path, "a", rows=8)
    board = Board(tmp_path)
    board.index.read_all()
    (key,) = board.index.runs
    assert len(board.answer("curves", {"runs": key})["charts"][0]["lines"][0]["points"]) == 8
    mend(run / "metrics.jsonl", batches=30)  # up to 300 examples; the end is gone
    append(run / "metrics.jsonl", row(350, 9.0))
    looked_again(board.index, 0)
    found = one(board.index)
    assert (found["state"], found["examples"], found["last"]["val/loss"]) == ("running", 350, 9.0)
    points = board.answer("curves", {"runs": key})["charts"][0]["lines"][0]["points"]
    assert [x for x, _ in points] == [100, 200, 300, 350]


def test_a_ledger_cut_in_place_to_the_same_size_is_read_anew(tmp_path: Path) -> None:
    run = made(tmp_path, "a", rows=3, state="runs")
    follower = Follower(run)
    assert len(follower.news()[1]) == 3 and follower.news() == (False, [])
    rows = [row(100 * k, 5.0) for k in (1, 2, 3, 4)]
    (run / "metrics.jsonl").write_bytes(b"".join(map(line_of, rows)))  # the same inode, longer
    anew, found = follower.news()
    assert anew and len(found) == 4


def test_runs_come_and_go_and_a_new_evaluation_counts(tmp_path: Path) -> None:
    first, second = made(tmp_path, "a"), made(tmp_path, "b")
    index = Index(tmp_path)
    index.read_all()
    cursor = read(index)["cursor"]
    shutil.rmtree(first)
    write_json(second / "evaluation.json", {"metrics": {"frechet_distance": 0.5}})
    made(tmp_path, "c")
    index.scan()
    index._read([r for r in index.runs.values() if not r.read_once])
    answer = looked_again(index, cursor)
    assert len(answer["gone"]) == 1 and {r["where"] for r in answer["runs"]} == {"b", "c"}
    figures = {r["where"]: r["figures"]["frechet_distance"][0] for r in answer["runs"]}
    assert figures == {"b": 0.5, "c": 1.0}
    assert json.loads(index.changes(cursor, "another server"))["anew"]


def test_it_works_in_the_background_and_writes_nothing(tmp_path: Path) -> None:
    for i in range(12):
        made(tmp_path / "s", f"{i}_a")
    before = {p: p.lstat().st_mtime_ns for p in tmp_path.rglob("*")}
    board = Board(tmp_path)
    board.index.start()
    end = time.monotonic() + 60
    while read(board.index)["read"] < 12 and time.monotonic() < end:
        time.sleep(0.02)
    board.index.stop()
    keys = ",".join(board.index.runs)
    for question in ("curves", "looks", "differences"):
        board.answer(question, {"runs": keys, "over": "seconds"})
    export(board, "/sweep/s")
    assert read(board.index)["read"] == 12
    assert {p: p.lstat().st_mtime_ns for p in tmp_path.rglob("*")} == before


# --- what may be asked --------------------------------------------------------------------------


@pytest.fixture
def swept(tmp_path: Path) -> Board:
    """A sweep of two widths and three seeds."""
    for i, (width, seed) in enumerate((w, s) for w in (8, 16) for s in (0, 1, 2)):
        words = (f"net.width={width}", f"seed={seed}")
        made(tmp_path / "s", f"{i}_a", words=words, value=width + seed / 10)
    board = Board(tmp_path)
    board.index.read_all()
    return board


def test_seeds_are_a_band_of_mean_and_interval(swept: Board) -> None:
    keys = [r.key for r in swept.index.within("s")]
    (chart,) = swept.answer("curves", {"runs": ",".join(keys), "band": "1"})["charts"]
    first, _ = chart["lines"]
    assert first["keys"] == keys[:3] and first["label"] == "width=8 · 3 seeds"
    mean, (low, high) = t_interval([8 + s / 10 + 0.5 for s in range(3)])
    assert first["band"][1] == pytest.approx([200, mean, low, high], rel=1e-5)
    (apart,) = swept.answer("curves", {"runs": ",".join(keys)})["charts"]
    assert [line["label"] for line in apart["lines"]][:2] == ["width=8, seed=0", "width=8, seed=1"]


@pytest.mark.parametrize(("over", "last"), [("seconds", 8.0), ("energy/joules", 2800.0)])
def test_curves_over_another_clock(swept: Board, over: str, last: float) -> None:
    key = swept.index.within("s")[0].key
    answer = swept.answer("curves", {"runs": key, "over": over, "names": "val/loss"})
    assert answer["charts"][0]["lines"][0]["points"][-1] == [last, 8.25]
    assert answer["clocks"] == ["energy/joules"]


def test_a_line_stays_bounded_and_its_mean_is_kept() -> None:
    line = Line()
    for k in range(10 * POINTS):
        line.add(k, k, k % 2)
    xs, _, ys = line.columns
    assert len(xs) <= 2 * POINTS and line.every > 1
    assert sum(ys) / len(ys) == pytest.approx(0.5) and list(xs) == sorted(xs)
    line.add(3.0, 3.0, 7.0)  # a resumed run's row holds
    assert not xs or xs[-1] < 3.0


def test_losses_of_other_models_have_no_best(tmp_path: Path) -> None:
    for i, model in enumerate(("vae", "gan") * 6):
        made(tmp_path / "s", f"{i}_a", words=(f"model={model}", f"seed={i}"), value=float(i))
    board = Board(tmp_path)
    board.index.read_all()
    found = board.answer("sweep", {"group": "s", "goal": "val/loss", "second": "frechet_distance"})
    assert "another model do not compare" in found["refused"] and found["front"] == []
    assert "another model" in board.answer("importance", {"group": "s", "goal": "loss"})["why"]
    allowed = board.answer("sweep", {"group": "s", "goal": "frechet_distance"})
    assert allowed["refused"] == ""


def test_importance_finds_the_knob_that_matters(tmp_path: Path) -> None:
    for i in range(27):
        words = (f"lr={i % 3}", f"net={'abc'[i // 3 % 3]}", f"seed={i // 9}")
        made(tmp_path / "s", f"{i}_a", words=words, value=10.0 * (i % 3) + (i // 3 % 3))
    board = Board(tmp_path)
    board.index.read_all()
    found = importance(board.index.within("s"), "frechet_distance")
    assert next(k for k, *_ in found["shares"]) == "lr" and found["foretold"] > 0.9
    shares = {k: v for k, v, _ in found["shares"]}
    assert shares["lr"] > 1 > 0.2 > abs(shares["seed"])
    assert "it takes" in importance(board.index.within("s")[:5], "frechet_distance")["why"]


def test_what_differs_is_told_once_and_what_is_the_same_is_counted(tmp_path: Path) -> None:
    for i in (0, 1):
        run = made(tmp_path / "s", f"{i}_a", words=(f"seed={i}",))
        width = {"net": {"width": 8 + i}}
        config = {"name": "made", "seed": i, **width, "model": width, "same": 1}
        write_yaml(run / "config.yaml", config)
        write_json(run / "provenance.json", {"git": {"commit": "abc"[i]}, "time": f"{i}"})
    board = Board(tmp_path)
    board.index.read_all()
    found = board.answer("differences", {"runs": ",".join(r.key for r in board.index.within("s"))})
    assert found["rows"] == [["seed", "0", "1"], ["net.width", "8", "9"], ["git.commit", "a", "b"]]
    assert found["labels"] == ["seed=0", "seed=1"] and found["same"] >= 1


def test_the_front_is_of_runs_that_none_beats(swept: Board) -> None:
    runs = swept.index.within("s")
    for run, (a, b) in zip(runs, [(1, 4), (2, 2), (4, 1), (3, 3), (2, 5), (5, 5)]):
        run.figures = {"frechet_distance": [a, None, None, None], "mode_kl": [b, None, None, None]}
    asked = {"group": "s", "goal": "frechet_distance", "second": "mode_kl"}
    assert swept.answer("sweep", asked)["front"] == [r.key for r in runs[:3]]


def test_runs_are_named_by_keys_and_files_by_what_they_are(swept: Board) -> None:
    run = swept.index.within("s")[0]
    (run.path / "samples").mkdir()
    (run.path / "samples" / "000000000100.txt").write_text("a look")
    asked = {"run": run.key, "what": "look", "at": "100"}
    assert swept.answer("drawn", asked)["value"] == ["a look"]
    for odd in ({"run": "../../etc", "what": "look"}, {"run": run.where}, {}):
        with pytest.raises(Unknown):
            swept.answer("drawn", odd)
    for what in ("../config", "config.yaml", "", "look"):
        assert swept.answer("drawn", {"run": run.key, "what": what})["problem"]
    with pytest.raises(Unknown):
        swept.answer("__init__", {})


def test_every_macro_of_the_report_is_drawn_by_the_page() -> None:
    parts = (ROOT / "src/genlab/runs/page/templates/parts.html").read_text()
    names = re.findall(r'"(\w+)":', re.search(r"by_name = \{(.*?)\}", parts)[1])
    script = asset("board.js")
    assert len(names) >= 5 and all(re.search(rf"^  {name}: \(", script, re.M) for name in names)


# --- who may ask --------------------------------------------------------------------------------


@pytest.fixture
def served(swept: Board) -> Iterator[tuple[str, int]]:
    """(token, port) of a server that runs in this process."""
    uvicorn = pytest.importorskip("uvicorn", reason="the extra `board` is not installed")
    pytest.importorskip("starlette", reason="the extra `board` is not installed")
    from genlab.runs.live.server import application, bind

    bound = bind("127.0.0.1", 0)
    port = bound.getsockname()[1]
    app = application(swept, "the-token", "127.0.0.1", port)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    yield "the-token", port
    server.should_exit = True
    thread.join(10)


def asked(port: int, path: str, method: str = "GET", **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    reply = connection.getresponse()
    reply.text = reply.read().decode()
    connection.close()
    return reply


def test_only_who_has_the_token_may_ask(served: tuple[str, int]) -> None:
    token, port = served
    for path in ("/", "/api/runs", "/static/board.js", "/export", "/?token=", "/?token=the-toke"):
        assert asked(port, path).status == 403, path
    assert asked(port, "/api/runs", Cookie=f"genlab_board_{port}={token}").status == 403
    reply = asked(port, f"/?token={token}")
    cookie = reply.getheader("Set-Cookie")
    assert reply.status == 303 and reply.getheader("Location") == "/"
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and token not in cookie
    held = cookie.partition(";")[0]
    page = asked(port, "/", Cookie=held)
    assert page.status == 200 and "<main" in page.text
    runs = json.loads(asked(port, "/api/runs", Cookie=held).text)
    assert len(runs["runs"]) == 6
    assert asked(port, "/api/run?run=../../etc/passwd", Cookie=held).status == 404
    assert asked(port, "/api/nothing", Cookie=held).status == 404
    assert asked(port, "/static/..%2f..%2fserver.py", Cookie=held).status == 404
    assert asked(port, "/api/runs", "POST", Cookie=held).status == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 303), ("localhost", 303), ("[::1]:8642", 303), ("evil.example", 421),
        ("evil.example:8642", 421), ("127.0.0.1.evil.example", 421), ("10.0.0.7", 421), ("", 421),
    ],
)  # fmt: skip
def test_another_names_page_may_not_read_it(
    served: tuple[str, int], host: str, status: int
) -> None:
    token, port = served
    assert asked(port, f"/?token={token}", Host=host).status == status


def test_every_reply_binds_the_browser(served: tuple[str, int]) -> None:
    token, port = served
    held = asked(port, f"/?token={token}").getheader("Set-Cookie").partition(";")[0]
    for path, cookie in (("/", held), ("/", ""), ("/api/runs", held), ("/none", held)):
        reply = asked(port, path, Cookie=cookie)
        policy = reply.getheader("Content-Security-Policy")
        assert "default-src 'none'" in policy and "unsafe" not in policy, path
        assert "script-src 'self';" in policy and "frame-ancestors 'none'" in policy
        assert reply.getheader("X-Content-Type-Options") == "nosniff"
        assert reply.getheader("Access-Control-Allow-Origin") is None
        assert reply.getheader("Cache-Control") == "no-store"


# --- the command ------------------------------------------------------------------------------


def test_a_saved_view_holds_its_answers_and_ends_no_script(swept: Board) -> None:
    run = swept.index.within("s")[0]
    (run.path / "samples").mkdir()
    (run.path / "samples" / "000000000100.txt").write_text("</script><script>alert(1)</script>")
    (run.path / "samples" / "000000000000.txt").write_text("at first")
    text = export(swept, f"/run/{run.key}?over=seconds")
    assert (
        text.count("</script>") == 2
        and "alert(1)" in text
        and "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    )
    assert "unsafe" not in text and "src=" not in text.partition("<body>")[0].replace("-src", "")
    kept = json.loads(re.search(r'id="kept">(.*?)</script>', text, re.S)[1])
    assert {"/".join(name.split("\n")[:1]) for name in kept["answers"]} == {
        "run", "curves", "looks", "drawn",
    }  # fmt: skip
    names = kept["answers"]
    assert name_of("drawn", {"run": run.key, "what": "look", "at": "0"}) in names
    assert name_of("curves", {"runs": run.key, "over": "seconds", "band": "0"}) in names
    assert kept["runs"]["found"] == 6
    tops = re.findall(r"^(?:async )?(?:function|const|let) (\w+)", asset("board.js"), re.M)
    more = re.findall(r"^(?:const|let) \w+ = [^,({\[]*(, .*)", asset("board.js"), re.M)
    tops += re.findall(r", (\w+) = ", "".join(more))
    assert len(tops) == len(set(tops)), "scripts in one file share their names"
    assert len(SCRIPTS) == len(list((ROOT / "src/genlab/runs/live/page").glob("*.js")))


def test_export_as_a_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    made(tmp_path / "runs", "a")
    board_command([str(tmp_path / "runs"), f"export={tmp_path}/board.html"])
    assert capsys.readouterr().out.strip() == f"{tmp_path}/board.html"
    assert '"where": "a"' in (tmp_path / "board.html").read_text()


@pytest.mark.parametrize(
    ("view", "gone", "near"),
    [
        ("#/unknown", "#/unknown", "#/"),
        ("#/sweeps/s", "#/sweeps/s", "#/sweep/s"),
        ("#/sweep/s%2Fx?goal=loss", "#/sweep/s/x", "#/sweep/s"),
        ("#/run/{a}0", "#/run/{a}0", "#/run/{a}"),
        ("#/run/s%2F0_a", "#/run/s/0_a", "#/run/{a}"),
        ("#/compare?runs={a},{b}x", "#/run/{b}x", "#/compare?runs={a},{b}"),
        ("#/compare", "#/compare?runs=", "#/"),
        ("http://127.0.0.1:8642/#/run/nothing", "#/run/nothing", "#/"),
    ],
)
def test_a_view_that_shows_nothing_is_refused(
    swept: Board, tmp_path: Path, view: str, gone: str, near: str
) -> None:
    a, b = (run.key for run in swept.index.within("s")[:2])
    view, gone, near = (text.format(a=a, b=b) for text in (view, gone, near))
    file = tmp_path / "view.html"
    with pytest.raises(UserError) as told:
        board_command([str(tmp_path), f"export={file}", f"view={view}"])
    said = str(told.value)
    assert said.endswith(f"the board has no {gone}; nearest: {near}") and not file.exists()
    refuse_unknown(swept, near)
    for known in ("", "#", "#/?q=seed", f"#/run/{a}", f"#/compare?runs={a},{b}", "/sweep/s"):
        refuse_unknown(swept, known)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prot=1"], "nearest: port"), (["port=x"], "up to 65535"), (["--open"], "no flags"),
        (["view=#/x"], "export=FILE"), (["nowhere/x"], "no such folder"), (["RUN"], "is one run"),
    ],
)  # fmt: skip
def test_mistakes_are_told(tmp_path: Path, words: list[str], said: str) -> None:
    run = made(tmp_path, "a")
    folder = [] if "/" in words[0] or words == ["RUN"] else [str(tmp_path)]
    words = [str(run)] if words == ["RUN"] else words
    with pytest.raises(UserError, match=said):
        parse([*folder, *words])


def test_without_the_extra_the_line_says_which(tmp_path, monkeypatch) -> None:
    made(tmp_path, "a")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UserError, match=r"pip install 'genlab\[board\]'"):
        board_command([str(tmp_path)])


def test_a_port_that_is_taken_is_told_or_the_next_is_taken() -> None:
    from genlab.runs.live.server import bind

    taken = "port=0 takes a free one"
    with bind("127.0.0.1", 0) as first, pytest.raises(UserError, match=taken):
        bind("127.0.0.1", first.getsockname()[1])


def test_the_style_is_the_reports_as_it_is_rendered() -> None:
    style = asset("board.css")
    assert "{%" not in style and "{{" not in style, "a template's own words are no style"
    outside = re.sub(r"@(media|container)[^{]*\{(?:[^{}]|\{[^{}]*\})*\}", "", style)
    assert "thead { display: none" not in outside, "the head of a wide table is seen"
