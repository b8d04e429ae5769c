"""`genlab check`: compose and build without training; what would run, how large, how long.

The model is built on torch's meta device and one batch of shapes flows through its networks, so no
memory is taken; of the data only what its settings leave to be found is read (a table's columns).
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genlab.clock import steps
from genlab.runs.devices.memory import weights
from genlab.runs.say.errors import UserError
from genlab.runs.settings.compose import plan_of
from genlab.runs.settings.flags import own_folder, read_words
from genlab.runs.settings.plan import Plan
from genlab.runs.settings.prepared import unused_labels
from genlab.shown import duration, one_line

if TYPE_CHECKING:
    from genlab.runs.preflight import Forecast

ROUNDS, CLOSE = 2, 0.15  # times that what fits is measured again; near enough to the minutes


def check_command(words: list[str]) -> None:
    fit_to = [w.partition("=")[2] for w in words if w.startswith("fit_to=")]
    asked_to = [w.partition("=")[2] for w in words if w.startswith("measure=")]
    if odd := [w for w in asked_to if w not in ("true", "false")]:
        raise UserError(f"measure={odd[0]}: true or false")
    for word, value in (("measure", "true"), ("fit_to", '"2 cores, 20 min"')):
        if word in words:
            raise UserError(f"{word} needs a value: {word}={value}")
    measured = "true" in asked_to or bool(fit_to)
    words = [w for w in words if w.partition("=")[0] not in ("measure", "fit_to")]
    if fit_to:
        threads, minutes = parse_budget(fit_to[-1])
        words += [f"trainer.threads={threads}"] if threads else []
    _, asked = read_words(words, ("--config-dir", "-cd", "--multirun", "-m"))
    if asked.multirun:
        raise UserError("genlab check composes one run: leave out -m, and give one value")
    plan, choices = plan_of(asked.overrides, *own_folder(asked))
    print_check(plan, choices, measured=measured)
    found = print_forecast(plan) if measured else None
    if fit_to:
        more = fit(plan, found, minutes, lambda own: plan_of(replaced(asked.overrides, own))[0])
        typed = shlex.join(["genlab", "train", *replaced(asked.overrides, more)])
        print(f"  fits {fit_to[-1]}{' as it is' if not more else ''}: {typed}")


def fit(
    plan: Plan, found: Forecast, minutes: float, planned: Callable[[list[str]], Plan]
) -> list[str]:
    """The words that make a plan fit the minutes; what they make of it is measured, and mended.

    A narrower net is not as much quicker as its weights are fewer, where a step is mostly overhead.
    """
    from genlab.runs.preflight import Preflight, fitted, shortened

    more = fitted(plan, found, minutes)
    for _ in range(ROUNDS if more else 0):
        plan, start = planned(more), found.parts["start"]
        found = Preflight(plan, time.time()).measure()
        parts = {**found.parts, "start": start}  # of a process that does nothing else before
        found = dataclasses.replace(found, parts=parts)
        if abs(found.seconds / (60 * minutes) - 1) < CLOSE:
            break
        more = replaced(more, shortened(plan, found, minutes))
    return more


def replaced(words: list[str], new: list[str]) -> list[str]:
    """Overrides, those whose keys are given anew left out, then the new ones."""
    keys = {w.partition("=")[0] for w in new}
    return [*(w for w in words if w.partition("=")[0] not in keys), *new]


def parse_budget(text: str) -> tuple[int | None, float]:
    """ "2 cores, 20 min" -> (2, 20.0): threads (None: all) and minutes; hours too."""
    found = re.fullmatch(
        r"\s*(?:(\d+)\s*cores?\s*,?)?\s*([\d.]+)\s*(min|minutes?|h|hours?)\s*", text, re.I
    )
    if not found or not float(found[2]) > 0:
        raise UserError(f'fit_to={text}: write it as fit_to="2 cores, 20 min"')
    hours = found[3].lower().startswith("h")
    return int(found[1]) if found[1] else None, float(found[2]) * (60 if hours else 1)


def print_forecast(plan: Plan) -> Forecast:
    """What a run of the plan takes here, from a few of its steps."""
    from genlab.runs.preflight import Preflight, process_began
    from genlab.runs.say.terminal import say

    say("genlab: measuring some steps, a look and the metric ...")
    found = Preflight(plan, process_began()).measure()
    minutes = plan["budget"].get("minutes")
    parts = ", ".join(f"{name} {duration(s)}" for name, s in found.parts.items())
    ends = minutes and found.seconds > 60 * minutes
    limit = f"; budget.minutes={minutes} ends it before" if ends else ""
    print(f"  about {duration(found.seconds)} here: {parts}{limit}")
    energy = "unknown (no RAPL)" if found.energy is None else f"{found.energy / 3600:.3g} Wh"
    print(
        f"  {found.examples_per_second:,.0f} examples/s; peak memory of the process"
        f" {found.memory / 2**20:,.0f} MiB; disk {found.disk / 2**20:,.0f} MiB; energy {energy}"
    )
    return found


def print_check(plan: Plan, choices: dict[str, Any], *, measured: bool = False) -> None:
    from rich.console import Console
    from rich.table import Table

    from genlab.models.flow import flow

    plan.metrics()
    plan.all("callbacks")
    model = plan.model_of_shapes()
    data, batch = plan["data"], plan["data"]["batch_size"]
    flows, activations = flow(model, (batch, *data["shape"]), tokens=data["vocab"] is not None)
    parameters = sum(p.numel() for p in model.parameters())
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = steps(plan["budget"]["examples"], batch)
    console = Console(width=None if sys.stdout.isatty() else 120)
    groups = ("data", "conditions", "net", "model", "objective", "sampler", "optim", "trainer")
    console.print("  ".join(f"[bold]{g}[/bold]={choices.get(g)}" for g in groups), highlight=False)
    table = Table(box=None, padding=(0, 2))
    for heading in ("network", "parameters", "in", "out"):
        table.add_column(heading)
    for name, num, shapes, out in flows:
        table.add_row(name, f"{num:,}", shapes, out)
    console.print(table)
    memory = weights(model) + parameters * 4 + activations * 4  # an average of the weights too
    fixed = f" ({parameters - learnt:,} of them fixed)" if learnt < parameters else ""
    precision = plan["trainer"]["precision"]
    if precision == "auto":
        precision = "auto (the quicker of bf16-mixed and 32-true, tried at the start)"
    looks = plan["look_every"]
    looks = f"a look every {steps(looks, batch):,} steps" if looks else "no looks"
    console.print(
        f"  {parameters:,} parameters{fixed};"
        f" about {memory / 2**20:,.0f} MiB to train at batch {batch}"
        f" ({activations * 4 / 2**20:,.0f} MiB of it activations, before bf16 halves them)\n"
        f"  {total:,} steps of {batch} examples = {plan['budget']['examples']:,} examples;"
        f" {looks}; precision {precision}\n"
        f"  shape {tuple(data['shape'])}, classes {data['num_classes']},"
        f" vocabulary {data['vocab']}",
        highlight=False,
    )
    if line := unused_labels(data):
        print(f"  {line}")
    module = plan.data()
    for line in module.told() if module.read_early else ():
        print(f"  {one_line(line)}")
    if measured:
        return
    console.print(
        "  nothing was trained, and pictures and texts were not read; `genlab train` with the same"
        " words does both",
        highlight=False,
    )
