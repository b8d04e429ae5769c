"""Sweeps: the space in Hydra's syntax, what a search asks for, what a grid runs, what is pruned."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import TINY, genlab_here

from genlab.rows import append, read_rows
from genlab.runs.folder.layout import write_json, write_yaml
from genlab.runs.page.sweep import write_comparison
from genlab.runs.say.errors import UserError
from genlab.runs.sweeps import end, grid
from genlab.runs.sweeps.blind import Random, Sobol
from genlab.runs.sweeps.cells import (
    Cell,
    note_failure,
    own_words,
    read_cell,
    read_cells,
    settings_of,
)
from genlab.runs.sweeps.cma import CMA
from genlab.runs.sweeps.goals import front, read_goals
from genlab.runs.sweeps.search import Search, check_cells, check_space, corners
from genlab.runs.sweeps.space import Choice, Interval, Steps, read_space
from genlab.runs.sweeps.tpe import TPE

KNOBS = ["lr=interval(1e-5,1e-1)", "width=range(16,257,8)", "dropout=interval(0.0,0.8)"]


# --- the space -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "knob"),
    [
        ("a=interval(1e-4,1e-2)", Interval(1e-4, 1e-2, log=True, whole=False)),
        ("a=interval(0.5,2)", Interval(0.5, 2.0, log=False, whole=False)),
        ("a=interval(1,64)", Interval(1.0, 64.0, log=True, whole=False)),
        ("a=int(interval(1,64))", Interval(1, 64, log=True, whole=True)),
        ("a=tag(linear,int(interval(1,64)))", Interval(1, 64, log=False, whole=True)),
        ("a=tag(log,interval(1,2))", Interval(1.0, 2.0, log=True, whole=False)),
        ("a=interval(-1,1)", Interval(-1.0, 1.0, log=False, whole=False)),
        ("a=range(2,8,2)", Steps(("2", "4", "6"))),
        ("a=range(0.0,0.5,0.25)", Steps(("0.0", "0.25"))),
        ("model=vae,gan", Choice(("vae", "gan"))),
        ("model=choice(vae,gan)", Choice(("vae", "gan"))),
    ],
)
def test_a_knob_is_read_from_hydras_own_syntax(word: str, knob: object) -> None:
    fixed, space = read_space([word, "seed=3"])
    assert fixed == ["seed=3"] and list(space.values()) == [knob]


@pytest.mark.parametrize(
    "word",
    ["a=interval(2,1)", "a=tag(log,interval(0,1))", "a=tag(warm,interval(1,2))",
     "a=interval(0.0,inf)"],
)  # fmt: skip
def test_a_space_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(UserError, match="a="):
        read_space([word])


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))


@given(low=NUMBERS, width=st.floats(1e-3, 1e6), log=st.booleans(), share=st.floats(0, 1 - 1e-9))
@settings(max_examples=200, deadline=None)
def test_every_share_is_a_value_of_the_interval_and_the_way_back_is_the_same(
    low: float, width: float, log: bool, share: float
) -> None:
    low = abs(low) + 0.001 if log else low
    knob = Interval(low, low + width, log=log, whole=False)
    text = knob.at(share)
    assert low <= knob.value(text) <= low + width
    assert knob.text(knob.value(text)) == text
    assert math.isclose(knob.share(text), share, abs_tol=1e-4)


@given(low=st.integers(1, 50), width=st.integers(1, 300), log=st.booleans())
@settings(max_examples=100, deadline=None)
def test_whole_numbers_have_equal_shares_and_both_ends(low: int, width: int, log: bool) -> None:
    knob = Interval(low, low + width, log=log, whole=True)
    shares = (np.arange(20_000) + 0.5) / 20_000
    found = [int(knob.at(float(u))) for u in shares]
    assert (min(found), max(found)) == (low, low + width)
    if not log:
        counts = np.bincount(found)[low:]
        assert counts.max() - counts.min() <= 2


# --- what a search asks for ------------------------------------------------------------------


def response(point: dict[str, str]) -> float:
    lr, width, dropout = float(point["lr"]), int(point["width"]), float(point["dropout"])
    return 1 + 0.3 * (
        (math.log10(lr) + 2.7) ** 2 + ((width - 176) / 60) ** 2 + ((dropout - 0.15) / 0.2) ** 2
    )


def tried(search: Search, num: int, knobs: list[str] = KNOBS) -> list[Cell]:
    _, space = read_space(knobs)
    cells: list[Cell] = []
    for number in range(num):
        point = search.ask(space, read_goals("val/loss", ()), cells, number)
        words = [f"{k}={v}" for k, v in point.items()]
        figures = {"val/loss": response(point)}
        cells.append(Cell(Path(str(number)), words, "finished", figures=figures))
    return cells


def trials_needed(search: Search, most: int = 150) -> int:
    for i, cell in enumerate(tried(search, most)):
        if cell.figures["val/loss"] < 1.05:
            return i + 1
    return most


@pytest.mark.parametrize("method", [TPE, CMA])
def test_a_search_finds_a_planted_optimum_in_half_of_random_searchs_trials(method) -> None:
    mine = np.median([trials_needed(method(seed=s)) for s in range(7)])
    theirs = np.median([trials_needed(Random(seed=s)) for s in range(7)])
    assert mine <= theirs / 2, (mine, theirs)


@pytest.mark.parametrize("method", [TPE, CMA, Random, Sobol])
def test_a_point_follows_from_the_seed_its_number_and_the_cells_that_are_there(method) -> None:
    whole = [c.words for c in tried(method(seed=3), 14)]
    _, space = read_space(KNOBS)
    again = method(seed=3)  # another process, which knows the folder alone
    cells = tried(method(seed=3), 10)
    point = again.ask(space, read_goals("val/loss", ()), cells, 10)
    assert [f"{k}={v}" for k, v in point.items()] == whole[10]
    assert [c.words for c in tried(method(seed=4), 3)] != whole[:3]
    assert len({tuple(w) for w in whole}) == 14


def test_sobol_is_the_sequence_of_scipy_and_fills_the_space() -> None:
    from scipy.stats import qmc

    _, space = read_space(["a=interval(0.0,1.0)", "b=interval(0.0,1.0)"])
    asked = [Sobol(seed=5).ask(space, [], [], n) for n in range(16)]
    found = np.array([[float(p["a"]), float(p["b"])] for p in asked])
    np.testing.assert_allclose(
        found, qmc.Sobol(2, rng=np.random.default_rng(5)).random(16), atol=1e-5
    )
    for axis in found.T:
        assert sorted(np.floor(axis * 16)) == list(range(16))


def test_random_points_are_even_over_the_space() -> None:
    from scipy.stats import kstest

    _, space = read_space(["a=interval(0.0,1.0)", "m=x,y"])
    points = [Random(seed=1).ask(space, [], [], n) for n in range(500)]
    assert kstest([float(p["a"]) for p in points], "uniform").pvalue > 1e-3
    assert 200 < sum(p["m"] == "x" for p in points) < 300


def test_several_goals_spread_along_the_front() -> None:
    _, space = read_space(["a=interval(0.0,1.0)", "b=interval(0.0,1.0)"])
    goals = read_goals({"loss": "min", "precision": "max"}, ())
    cells: list[Cell] = []
    for n in range(40):
        point = TPE(seed=0).ask(space, goals, cells, n)
        a, b = float(point["a"]), float(point["b"])
        figures = {"loss": a**2 + b, "precision": -((a - 1) ** 2) - b}
        words = [f"{k}={v}" for k, v in point.items()]
        cells.append(Cell(Path(str(n)), words, "finished", figures=figures))
    best = front(cells, goals)
    assert len(best) >= 4  # b = 0 and any a is the front
    assert np.mean([float(c.asked["b"]) for c in best]) < 0.15
    losses = [c.figures["loss"] for c in best]
    assert losses == sorted(losses)
    assert [c.figures["precision"] for c in best] == sorted(c.figures["precision"] for c in best)


@pytest.mark.parametrize(
    ("goal", "knobs", "said"),
    [
        ("val/loss", ["model"], "losses of another model do not compare"),
        ("brightness", [], "say which way is better"),
        ({"brightness": "more"}, [], "min or max"),
        ([], [], "name a figure"),
    ],
)
def test_a_goal_that_says_nothing_is_refused(goal, knobs, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_goals(goal, knobs)


def test_the_directions_of_figures() -> None:
    def signs(*names: str) -> list[int]:
        return [g.sign for g in read_goals(names, ())]

    assert signs("frechet_distance", "bits_per_dim_bound", "seconds", "val/loss") == [1, 1, 1, 1]
    assert signs("precision", "right_two_held_out", "two_sample") == [-1, -1, -1]
    cell = Cell(Path("0"), figures={"loss": 1.0})
    with pytest.raises(UserError, match="no such figure; there are loss"):
        read_goals("precision", ())[0].of(cell)


def test_what_a_search_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs a knob"):
        check_space({})
    with pytest.raises(UserError, match="the luckiest"):
        check_space({"seed": Choice(("1", "2"))})
    goals = read_goals("loss", ())
    for knobs, said in (
        (["m=x,y", "a=interval(0.0,1.0)"], "is no number"),
        (["a=interval(0.0,1.0)"], "at least two knobs"),
    ):
        with pytest.raises(UserError, match=said):
            CMA().ask(read_space(knobs)[1], goals, [], 0)
    fixed, space = read_space(["net.width=range(8,33,8)", "seed=1"])
    check_cells([Cell(tmp_path / "0", ["seed=1", "net.width=16"])], fixed, space)
    for words in (["seed=1", "net.width=20"], ["seed=2", "net.width=16"], ["seed=1"]):
        with pytest.raises(UserError, match="a trial of another search"):
            check_cells([Cell(tmp_path / "0", words)], fixed, space)


def test_a_trial_outside_the_interval_is_of_another_search(tmp_path: Path) -> None:
    fixed, space = read_space(["lr=interval(1e-4,1e-2)"])
    check_cells([Cell(tmp_path / "0", ["lr=0.01"])], fixed, space)
    with pytest.raises(UserError, match=r"lr=0.02, which is not in the space now"):
        check_cells([Cell(tmp_path / "0", ["lr=0.02"])], fixed, space)


def test_every_choice_is_composed_before_anything_runs() -> None:
    fixed, space = read_space(["seed=1", "model=vae,gan", "net.width=int(interval(8,16))"])
    assert corners(fixed, space) == [
        ["seed=1", "model=vae", "net.width=8"],
        ["seed=1", "model=gan", "net.width=8"],
    ]


# --- the cells of a folder -------------------------------------------------------------------


def made(sweep: Path, number: int, words: list[str], state: str, **values: float) -> Path:
    """A cell's folder, as a run leaves it."""
    folder = sweep / f"{number}_x"
    write_yaml(folder / "overrides.yaml", words)
    clock = {"examples": 100, "batches": 10, "seconds": 2.5}
    if state != "not started":
        append(folder / "metrics.jsonl", {"kind": "look", **clock, **values})
    if state in ("finished", "pruned"):
        more = {"state": "pruned"} if state == "pruned" else {}
        append(folder / "metrics.jsonl", {"kind": "end", **clock, **more})
    if state == "failed":
        note_failure(folder, words, "out of memory")
    return folder


def test_a_cells_folder_says_what_became_of_it(tmp_path: Path) -> None:
    states = ["finished", "pruned", "failed", "unfinished", "not started"]
    for i, state in enumerate(states):
        made(tmp_path, i, [f"seed={i}"], state, **{"val/loss": 1.0 + i})
    (tmp_path / "7_${oc.env:HOME}").mkdir()  # a name becomes a word of a command line
    (tmp_path / ".submitit").mkdir()
    cells = read_cells(tmp_path)
    assert [c.state for c in cells] == states and [c.number for c in cells] == list(range(5))
    assert cells[2].reason == "out of memory"
    assert cells[0].figures == {"val/loss": 1.0, "examples": 100.0, "seconds": 2.5}
    write_yaml(cells[0].folder / "config.yaml", {"evaluate": True, "metric": {"num": 3}})
    assert read_cell(cells[0].folder).state == "unfinished", "killed before it was measured"
    write_json(cells[0].folder / "evaluation.json", {"metrics": {"precision": 0.5}})
    assert read_cell(cells[0].folder).figures["precision"] == 0.5


def test_a_cell_that_goes_on_has_failed_no_more(tmp_path: Path) -> None:
    from genlab.rows import mend

    folder = made(tmp_path, 0, ["seed=1"], "failed")
    mend(folder / "metrics.jsonl", 10)
    assert [r["kind"] for r in read_rows(folder / "metrics.jsonl")] == ["look"]
    append(folder / "metrics.jsonl", {"kind": "train", "examples": 110, "batches": 11})
    assert read_cell(folder).state == "unfinished"


def test_a_grid_runs_what_is_missing_and_tells_of_what_it_does_not_ask_for(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    wanted = [["seed=1", f"net.width={w}"] for w in (8, 16, 32)]
    fresh = grid.planned(tmp_path, wanted)
    assert [w[:-1] for w in fresh] == wanted
    assert [w[-1].partition("=")[2] for w in fresh] == [
        f"'{i}_${{genlab.folder:${{name}}}}'" for i in range(3)
    ]
    made(tmp_path, 0, ["seed=1", "net.width=64"], "finished")  # of another space
    made(tmp_path, 1, ["seed=1", "net.width=16"], "finished")
    made(tmp_path, 5, ["net.width=32", "seed=1"], "failed")  # in another order
    planned = grid.planned(tmp_path, wanted)
    assert [w[:-1] for w in planned] == [wanted[0], wanted[2]]
    assert planned[1][-1] == "hydra.sweep.subdir='5_x'"
    assert planned[0][-1].startswith("hydra.sweep.subdir='3_"), "its own number is taken"
    said = capsys.readouterr().err
    assert "1 of 3 cells are over; to run: 2" in said
    assert "1 cells that this command does not ask for" in said and "net.width=64" in said


def test_what_a_cell_is_called(tmp_path: Path) -> None:
    task = ["model=vae", "net.width=8,16", "seed=range(3)"]
    write_yaml(tmp_path / "multirun.yaml", {"hydra": {"overrides": {"task": task}}})
    words = ["model=vae", "net.width=16", "seed=2"]
    assert own_words(tmp_path / "3_x", words) == "net.width=16 seed=2"
    assert own_words(tmp_path / "elsewhere" / "3_x", words) == " ".join(words)


def test_the_table_names_cells_by_settings_and_averages_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for i, (width, seed, loss) in enumerate([(8, 1, 2.0), (8, 2, 2.2), (16, 1, 1.0), (16, 2, 1.2)]):
        words = ["model=vae", f"net.width={width}", f"seed={seed}"]
        made(tmp_path, i, words, "finished", **{"val/loss": loss})
    made(tmp_path, 4, ["model=vae", "net.width=0", "seed=1"], "failed")
    end.print_cells(read_cells(tmp_path), read_goals("val/loss", ()))
    said = capsys.readouterr().err
    assert "model" not in said  # the same in all
    assert "out of memory" in said
    mean, half = 2.1, 12.706 * 0.1 * math.sqrt(2) / math.sqrt(2)
    assert f"{mean:.4g} ({mean - half:.4g} to {mean + half:.4g})" in said
    assert "best  net.width=16 seed=1  val/loss 1" in said


REASON = (
    "net.width=64: the net needs 3.1 GiB for a batch of 512 and this machine has 2.0 GiB left;"
    " data.batch_size=128 fits, and trainer.accumulate_grad_batches=4 has the same batch"
)


def test_the_reason_of_a_failed_cell_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, 0, ["seed=1"], "finished", **{"val/loss": 2.0})
    note_failure(made(tmp_path, 1, ["seed=2"], "unfinished"), ["seed=2"], REASON)
    end.print_cells(read_cells(tmp_path), [])
    lines = capsys.readouterr().err.splitlines()
    at = lines.index(f"      {REASON}")  # in a file it can be searched for
    assert lines[at - 1].split()[:3] == ["1", "2", "failed"]
    assert end.wrapped(REASON, 1000) == [REASON] and end.wrapped("") == []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    end.print_cells(read_cells(tmp_path), [])
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith(" " * 6)]
    assert " ".join(line.strip() for line in told) == REASON and len(told) >= 3
    assert max(map(len, told)) <= 60
    page = html.unescape(write_comparison(tmp_path).read_text())
    assert page.count(REASON) == 2, "in the list of what is not finished, and beside the settings"


def test_pruned_cells_are_counted_and_no_fault(tmp_path: Path) -> None:
    for i, state in enumerate(["finished", "pruned", "finished", "pruned"]):
        made(tmp_path, i, [f"seed={i}"], state)
    assert end.counted(read_cells(tmp_path)) == "2 finished, 2 pruned"
    page = write_comparison(tmp_path).read_text()
    assert '<span class="state good">2 of 4 finished</span> 2 pruned,' in page
    assert '<span class="state soft">pruned</span>' in (tmp_path / "1_x/report.html").read_text()
    made(tmp_path, 4, ["seed=4"], "failed")
    made(tmp_path, 5, ["seed=5"], "not started")
    assert end.counted(read_cells(tmp_path)) == "2 finished, 2 pruned, 1 failed, 1 not started"
    page = write_comparison(tmp_path).read_text()
    assert '<span class="state open">2 of 6 finished</span> 2 pruned,' in page


# --- pruning ---------------------------------------------------------------------------------


def curves(num: int) -> list[dict[int, float]]:
    """Losses that fall to where their cell ends, at 100, 200, ... 900 examples."""
    draws = np.random.default_rng(0)
    ends, rates = draws.uniform(1, 3, num), draws.uniform(0.3, 1.0, num)
    return [
        {100 * k: float(e + 2 * math.exp(-r * k)) for k in range(1, 10)}
        for e, r in zip(ends, rates)
    ]


@pytest.mark.parametrize("name", ["Halving", "Hyperband", "Median"])
def test_from_ledgers_a_rule_says_what_it_says_of_a_study_that_it_saw_itself(name: str) -> None:
    """One cell after the other, the verdicts are those of Optuna's own loop."""
    import optuna

    from genlab.callbacks import prune

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rule: Callable = getattr(prune, name)().rule
    study = optuna.create_study(study_name="sweep", pruner=rule(100, 900))
    seen: dict[int, dict[int, float]] = {}
    whole: set[int] = set()
    num_pruned = 0
    for n, curve in enumerate(curves(24)):
        trial, mine, pruned = study.ask(), {}, False
        for examples, value in curve.items():
            trial.report(value, examples)
            mine[examples] = value
            pruned = trial.should_prune()
            assert prune.would_prune(rule(100, 900), n, mine, seen, whole) == pruned
            if pruned:
                break
        seen[n] = mine
        num_pruned += pruned
        if pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            whole.add(n)
            study.tell(trial, value)
    assert 5 < num_pruned < 24


# --- whole sweeps, in small ------------------------------------------------------------------

SMALL = [*TINY, "data=ring", "model=flow_matching", "net=mlp", "net.width=8", "net.depth=1",
         "budget.examples=1_152", "look_every=128", "callbacks.look.num=0"]  # fmt: skip


def swept(sweep: Path, *words: str) -> tuple[int, str]:
    done = genlab_here("train", "-m", *SMALL, *words, f"hydra.sweep.dir={sweep}")
    return done.returncode, done.stderr


@pytest.mark.whole
def test_a_search_goes_on_and_takes_more_trials(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    sweep = tmp_path / "s"
    words = ["hydra/sweeper=tpe", "hydra.sweeper.startup=2",
             "optim.optimizer.lr=interval(1e-5,1e-1)", "net.width=int(interval(4,16))"]  # fmt: skip
    code, said = swept(sweep, *words, "hydra.sweeper.trials=3")
    assert code == 0, said
    first = read_cells(sweep)
    assert [c.state for c in first] == ["finished"] * 3
    best = min(first, key=lambda c: c.figures["val/loss"])
    (line,) = [x for x in said.splitlines() if x.startswith("  best  ")]
    for key in ("optim.optimizer.lr", "net.width"):
        assert f"{key}={best.settings[key]}" in line
    ledgers = [(c.folder / "metrics.jsonl").read_bytes() for c in first]
    code, said = swept(sweep, *words, "hydra.sweeper.trials=4")
    assert code == 0 and "3 of 4 trials are over; to run: 1" in said
    again = read_cells(sweep)
    assert [(c.folder / "metrics.jsonl").read_bytes() for c in again[:3]] == ledgers
    assert (sweep / "report.html").is_file() and len(again) == 4
    code, said = swept(sweep, *words, "hydra.sweeper.trials=4", "data.law.modes=5")
    assert code == 2 and "a trial of another search: it has no data.law.modes" in said


@pytest.mark.whole
def test_a_cell_that_fails_is_told_with_its_reason_and_run_again(tmp_path: Path) -> None:
    sweep = tmp_path / "s"
    words = ["net.width=8,0", "seed=1,2"]
    code, said = swept(sweep, *words)
    assert code == 2 and said.count("net.width=0: it must be a whole number") >= 4
    assert "cell net.width=0 seed=1: net.width=0" in said
    assert "over seeds, mean and 95 % interval" in said
    assert f"what is not finished (2): genlab train -m {SMALL[0]}" in said
    assert [c.state for c in read_cells(sweep)] == ["finished", "finished", "failed", "failed"]
    code, said = swept(sweep, *words)
    assert code == 2 and "2 of 4 cells are over; to run: 2" in said
    page = (sweep / "report.html").read_text()
    assert "it must be a whole number" in page, "the page has the reason too"


@pytest.mark.whole
def test_the_cell_that_cannot_take_a_key_is_named_before_anything_runs(tmp_path: Path) -> None:
    words = [
        "model=vae,flow_matching",
        "data=digits",
        "net.blocks=1",
        f"hydra.sweep.dir={tmp_path}",
    ]
    done = genlab_here("train", "-m", *TINY, *words)
    assert done.returncode == 2 and "the cell model=vae" in done.stderr, done.stderr
    assert "'blocks'" in done.stderr and not list(tmp_path.glob("*/metrics.jsonl"))


@pytest.mark.whole
def test_cells_that_are_behind_are_pruned_and_stay_so(tmp_path: Path) -> None:
    sweep, plain = tmp_path / "s", tmp_path / "p"
    rates = "optim.optimizer.lr=1e-2,1e-7,1e-6,3e-3,1e-5"
    code, said = swept(sweep, rates, "callbacks=halving", *SMALL[7:11])
    assert code == 0, said
    cells = read_cells(sweep)
    states = [c.state for c in cells]
    assert states[0] == "finished" and states.count("pruned") >= 2, states
    assert said.count("is too far behind the other cells' then") == states.count("pruned")
    assert swept(plain, rates)[0] == 0
    best = {
        s: min(read_cells(s), key=lambda c: c.figures["val/loss"]).words for s in (sweep, plain)
    }
    assert (
        settings_of(best[sweep])["optim.optimizer.lr"]
        == (settings_of(best[plain])["optim.optimizer.lr"])
    )
    spent = {s: sum(c.figures["examples"] for c in read_cells(s)) for s in (sweep, plain)}
    assert spent[sweep] < 0.7 * spent[plain]
    ledgers = [(c.folder / "metrics.jsonl").read_bytes() for c in cells]
    code, said = swept(sweep, rates, "callbacks=halving", *SMALL[7:11])
    assert code == 0 and "5 of 5 cells are over; to run: 0" in said
    assert [(c.folder / "metrics.jsonl").read_bytes() for c in cells] == ledgers


@pytest.mark.whole
def test_a_knob_of_whole_numbers_asks_for_whole_ones(tmp_path: Path) -> None:
    code, said = swept(tmp_path / "s", "hydra/sweeper=random", "net.width=interval(4,16)")
    assert code == 2 and "write net.width='int(interval(4,16))'" in said, said
    code, said = swept(tmp_path / "s", "hydra/sweeper=random", "net.wdith=interval(4,16)")
    assert code == 2 and "nearest: width" in said, said


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("hydra.sweeper.trails=3", "hydra.sweeper.trails: there is no such key; nearest: trials"),
        ("hydra.sweeper.trials=0", "it must be a whole number, at least 1"),
        ("hydra.sweeper.seed=-1", "it must be a whole number, at least 0"),
        ("hydra.sweeper.goal=frechet", "nearest of genlab's: frechet_infinity, frechet_distance"),
        ("hydra/sweeper=tep", "nearest: tpe"),
    ],
)
def test_slips_of_a_search_are_one_line(word: str, said: str, tmp_path: Path) -> None:
    words = ["hydra/sweeper=tpe", "net.depth=range(1,5)", word][word.startswith("hydra/") :]
    done = genlab_here("train", "-m", *SMALL, *words, f"hydra.sweep.dir={tmp_path / 's'}")
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "s").exists()


@pytest.mark.parametrize("method", [TPE, CMA])
def test_without_the_extra_it_says_what_to_install(method, monkeypatch) -> None:
    for name in ("optuna", "cmaes"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    _, space = read_space(KNOBS)
    with pytest.raises(UserError, match=r"pip install 'genlab\[sweep\]'"):
        method().ask(space, read_goals("val/loss", ()), [], 0)


@pytest.mark.whole
def test_pruning_by_losses_that_do_not_compare_or_of_no_sweep(tmp_path: Path) -> None:
    words = ["model=vae,flow_matching", "data=digits", "callbacks=halving"]
    done = genlab_here("train", "-m", *TINY[:4], *words, f"hydra.sweep.dir={tmp_path / 's'}")
    assert done.returncode == 2 and "losses of another model do not compare" in done.stderr
    alone = genlab_here("train", *SMALL[:4], *SMALL[12:], "callbacks=halving", "evaluate=false")
    assert alone.returncode == 0 and "has no effect: this run is no cell" in alone.stderr
