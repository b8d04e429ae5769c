"""`genlab check`: compose and build without training; what would run, how large, how long.

The model is built on torch's meta device and one batch of shapes flows through its networks, so no
memory is taken; of the data only what its settings leave to be found is read (a table's columns).
"""

from __future__ import annotations

import sys
from typing import Any

from genlab.clock import steps
from genlab.runs.devices.memory import weights
from genlab.runs.say.errors import UserError
from genlab.runs.settings.compose import plan_of
from genlab.runs.settings.flags import own_folder, read_words
from genlab.runs.settings.plan import Plan


def check_command(words: list[str]) -> None:
    _, asked = read_words(words, ("--config-dir", "-cd", "--multirun", "-m"))
    if asked.multirun:
        raise UserError("genlab check composes one run: leave out -m, and give one value")
    print_check(*plan_of(asked.overrides, *own_folder(asked)))


def print_check(plan: Plan, choices: dict[str, Any]) -> None:
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
    console.print(
        "  nothing was trained, and pictures and texts were not read; `genlab train` with the same"
        " words does both",
        highlight=False,
    )
