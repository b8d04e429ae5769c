"""`genlab evaluate`: measure a trained model with the metric that its data names.

Writes evaluation.json (metrics, the same numbers for held-out real data as the floor, notes),
evaluation/samples.png, evaluation/neighbours.png and, of a family with a latent,
evaluation/between.png, of one with a code reconstructions.png and traversal_1.png (codes.py), and a
row in the ledger.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from genlab.data.files import no_downloads
from genlab.metrics.figures import plain
from genlab.own import own_folder
from genlab.runs.folder.layout import find_run, read_settings, write_json
from genlab.runs.gate.reach import keep_inside
from genlab.runs.leaked import leaked, measured_clean, told_of_leakage
from genlab.runs.say.errors import UserError
from genlab.runs.say.secrets import redact
from genlab.runs.say.terminal import quiet, say
from genlab.runs.settings.bounds import check_bounds
from genlab.runs.settings.checks import other_kinds
from genlab.runs.settings.conf import options_that
from genlab.runs.settings.overrides import Change, changed, device_of, drawer, parse, writable
from genlab.runs.settings.plan import Plan
from genlab.shown import described, one_line

FIGURES = ("figure", "value", "low", "high", "floor")  # of the table that dashboards are given


def evaluate_command(overrides: list[str]) -> None:
    found = evaluate_asked(overrides)
    for name, value in found["metrics"].items():
        floor, ends = found["floor"].get(name), found["interval"].get(name)
        line = f"{one_line(name):24} {value:11.5g}"
        line += f"  {f'{ends[0]:.4g} to {ends[1]:.4g}' if ends else '':22}"
        line += f"  real data {floor:.5g}" if floor is not None else ""
        said = found["remarks"].get(name)
        print(line.rstrip() + (f"  ({one_line(said)})" if said else ""))
    for line in told_of_leakage(found):
        print(line)


def evaluate_asked(overrides: list[str]) -> dict[str, Any]:
    """Measure what the words ask for."""
    asked, changes = parse("evaluate", overrides)
    limit = asked["leak_limit"]
    if limit is not None and (type(limit) not in (int, float) or not 0 <= limit <= 1):
        raise UserError(f"leak_limit={limit}: write a share from 0 to 1, or null: not asked for")
    run = Path(asked["run"]) if asked["run"] != "last" else find_run("last")
    if (run / "model.safetensors").is_file():
        raise UserError(
            f"run={run}: an export holds no settings to measure with: name the run folder it is of"
        )
    if which := asked["checkpoint"]:
        run = _chosen(run, which)
    return evaluate_run(
        run,
        changes=changes,
        seed=asked["seed"],
        device=asked["device"],
        to=writable(Path(asked["to"])) if asked["to"] else None,
        split=asked["split"],
        trusted=asked["trust"],
        leak_limit=limit,
        ema=asked["ema"],
    )


def _chosen(run: Path, which: str) -> Path:
    """The checkpoint of a run that checkpoint=best or newest stands for."""
    if which not in ("best", "newest"):
        raise UserError(f"checkpoint={which}: allowed are best and newest; a file is run=FILE")
    if run.is_file():
        raise UserError(f"checkpoint={which}: run={run} is one checkpoint already: leave it out")
    from genlab.runs.folder.best import chosen

    return chosen(find_run(run), which)


def evaluate_run(
    run: Path,
    *,
    changes: list[Change] | None = None,
    seed: int = 0,
    device: str = "auto",
    to: Path | None = None,
    trusted: list[str] | None = None,
    settings: dict[str, Any] | None = None,
    logs: list | None = None,
    split: str = "val",
    leak_limit: float | None = 0.01,
    ema: float | None = None,
) -> dict[str, Any]:
    """Measure a run's checkpoint (the best where it keeps that, or one file); write the figures.

    settings: of a run that has just been trained, as its command line has them; None reads them.
    logs: the loggers of a run that has just been trained; None opens the run's own again.
    split: the examples it is measured on; test is the official one, where the set has one.
    leak_limit: the share of held-out examples with a near copy in train above which figures are
    given without those too; None: they are not looked for.
    ema: the length of the weights' average, of a run that stored snapshots (post_hoc.py).
    """
    if split not in ("val", "test"):
        raise UserError(f"split={split}: allowed are val (held out of train) and test (official)")
    folder = find_run(run)  # a wrong name is refused before torch is imported
    from genlab.callbacks.meter import Meter
    from genlab.metrics.several import measure
    from genlab.runs.codes import save_codes
    from genlab.runs.folder.load import find_checkpoint, load_model
    from genlab.runs.say.dashboard import reopened

    quiet()
    device = device_of(device)
    if to is None:
        writable(folder)
    began = time.perf_counter()
    checkpoint = find_checkpoint(run)
    trusted = trusted or []  # what the run's own file trusts counts for nothing
    before = settings or keep_inside(read_settings(folder), ())
    settings = changed(before, changes or [], trusted)
    check_bounds(settings)
    parts = {k: settings.get(k) for k in ("data", "edits", "model", "metric")}
    plan = Plan(parts, trusted, secrets=True)
    if changes:
        _check_fit(before, plan, changes)
    if not plan["metric"]:
        raise UserError(
            f"run={run}: metric=none: nothing to measure with; write metric="
            + " or ".join(_fitting(plan))
        )
    model = load_model(checkpoint, trust=trusted, model=plan.restored("model"), ema=ema).to(device)
    data, metrics = plan.data(), plan.metrics()
    named = any(key.partition(".")[0] == "data" for key, _ in changes or [])
    with contextlib.nullcontext() if named else no_downloads():
        data.prepare()
    data.hold_out(split)
    # a figure that was taken otherwise than the run asks for says so wherever it is shown
    asked = redact({"changed": ", ".join(f"{k}={v}" for k, v in changes)}) if changes else {}
    asked |= {"seed": seed} if seed else {}
    asked |= {"split": split} if split != "val" else {}
    asked |= {"ema": ema} if ema is not None else {}
    say("genlab: measuring ...")
    with Meter("measuring") as meter:
        leak = leaked(metrics, data, leak_limit, plan.trust, meter)
        found = measure(metrics, model, data, seed=seed, progress=meter)
        leak |= measured_clean(leak, metrics, model, data, seed=seed, progress=meter)
    sampler = described(drawer(plan["model"]).get("sampler"))
    result = {
        **plain(found),
        **{key: value for key, value in leak.items() if key != "ids"},
        "notes": {**found.notes, "sampler": sampler, **asked},
        "examples": model.clock.examples,
        "checkpoint": checkpoint.name,
        "seconds": round(time.perf_counter() - began, 1),
    }
    beside = {"classes": found.classes, "noise_levels": found.noise_levels}
    result |= {name: rows for name, rows in beside.items() if rows}
    place = to or folder
    pictures = own_folder(place / "evaluation")
    shown = save_pictures(found.pictures, data, pictures)
    save_between(model, data, pictures)
    result |= {"code": code} if (code := save_codes(model, data, pictures)) else {}
    write_json(place / "evaluation.json", result)
    if to is None:
        row = _note(folder, model, result)
        logs = logs if logs is not None else reopened(settings, folder)
        log_evaluation(logs, row, plain(found), data, shown)
    return result


def evaluate_at_end(run: Path, plan: Plan, *, logs: list | None = None) -> None:
    """Measure a run that has just been trained; stopped there, it keeps all but the figures."""
    try:
        evaluate_run(run, trusted=plan.trust, settings=plan.settings, logs=logs)
    except (KeyboardInterrupt, SystemExit):
        from genlab.runs.page.write import write_report

        say(
            f"genlab: stopped while measuring; the weights are kept and the report is"
            f" {write_report(run)}\n  measure later: genlab evaluate run={run}"
        )
        raise


def _check_fit(before: dict[str, Any], plan: Plan, changes: list[Change]) -> None:
    """Refuse other data than the model was trained for, and a metric of another kind of data."""
    from genlab.data.stated import written

    given = {key: f"{key}={text}" for key, text in changes}
    named = next((given[k] for k in given if k.partition(".")[0] == "data"), "data")
    for key in ("shape", "num_classes", "vocab"):
        mine, theirs = before["data"].get(key), plan["data"].get(key)
        if mine != theirs and not (key == "num_classes" and mine is None):
            raise UserError(
                f"{named}: its {key} is {written(theirs)}, the model was trained with"
                f" {written(mine)}; choose data that is like the run's, or leave it out"
            )
    for place in other_kinds(plan.settings, plan.trust):
        name = place.partition(".")[2]
        named = given.get("metric", f"{named} needs another metric{name and f' than {name}'}")
        raise UserError(f"{named}: the data is measured by metric=" + " or ".join(_fitting(plan)))


def _fitting(plan: Plan) -> list[str]:
    """The options of metric that measure this data."""

    def right(node: dict[str, Any]) -> bool:
        return not other_kinds({"data": plan["data"], "metric": node}, plan.trust)

    return options_that("metric", right)


def _note(folder: Path, model: Any, result: dict[str, Any]) -> dict[str, Any]:
    from genlab.rows import append

    row = {"kind": "evaluate", "examples": model.clock.examples, "batches": model.clock.batches}
    row |= {f"evaluate/{k}": v for k, v in result["metrics"].items()}
    append(folder / "metrics.jsonl", row)
    return row


def save_pictures(pictures: dict[str, Any], data: Any, folder: Path) -> dict[str, tuple]:
    """Samples, real held-out examples, and pairs of a sample and its nearest training example.

    Gives what was drawn: name -> (items, path).
    """
    from genlab.batch import each
    from genlab.callbacks.look import real_examples

    view, shown = data.view, {}

    def save(name: str, x: Any, cond: Any, known: Any = None) -> None:
        x = x[: view.measured]
        captions = data.captions(*(each(lambda rows: rows[: len(x)], c) for c in (cond, known)))
        items = data.decode(x)
        shown[name] = items, view.save(items, folder / name, captions)

    if (x := pictures.get("samples")) is not None:
        save("samples", x, pictures.get("samples_cond"), pictures.get("samples_known"))
        save("real", *real_examples(data, min(len(x), view.measured)))
    mine, theirs = pictures.get("neighbour_samples"), pictures.get("neighbours")
    if mine is not None and theirs is not None:
        view.pairs(data.decode(mine), data.decode(theirs), folder / f"neighbours{view.suffix}")
    return shown


def save_between(model: Any, data: Any, folder: Path) -> None:
    """Rows of what lies between two samples, where the family has a latent: a picture of it."""
    view = data.view
    rows, steps = view.lines
    x = model.between(rows, steps)
    if x is not None:
        view.rows(data.decode(x.flatten(0, 1).cpu()), steps, folder / f"between{view.suffix}")


def log_evaluation(
    logs: list,
    row: dict[str, Any],
    found: dict[str, dict[str, Any]],
    data: Any,
    shown: dict[str, tuple[Any, Path]],
) -> None:
    """The figures, a table of them with intervals, and what was drawn, to the run's loggers.

    The loggers are closed then.
    """
    from genlab.views.base import log_rows

    step = row["batches"]
    table = [
        [name, value, *found["interval"].get(name, (None, None)), found["floor"].get(name)]
        for name, value in found["metrics"].items()
    ]
    for logger in logs:
        logger.log_metrics(
            {k: v for k, v in row.items() if k not in ("kind", "batches")}, step=step
        )
        log_rows(logger, "evaluate/figures", FIGURES, table, step=step)
        for name, (items, path) in shown.items():
            data.view.log(logger, f"evaluate/{name}", items, path, step=step)
        logger.close()
