"""`genlab sample`: draw from a trained model, rebuilt from its checkpoint alone."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from genlab.runs.errors import UserError
from genlab.runs.options import changed, device_of, parse
from genlab.runs.shown import visible


def sample_command(overrides: list[str]) -> None:
    asked, changes = parse("sample", overrides)
    from genlab.callbacks.pictures import save_samples
    from genlab.runs.checkpoint import load_data, load_model, read_run

    settings = changed(read_run(asked["run"])["genlab"]["settings"], changes)
    model = load_model(asked["run"], trust=asked["trust"], model=settings["model"])
    model = model.to(device_of(asked["device"]))
    data = load_data(asked["run"], trust=asked["trust"])
    num = asked["num"]
    cond, given = conditions(data, num, asked)
    began = time.perf_counter()
    x = draw(
        model, num, cond, given, seed=asked["seed"], first=asked["first"], size=asked["batch_size"]
    )
    seconds = time.perf_counter() - began
    folder = Path(asked["to"]) if asked["to"] else home(asked["run"]) / "samples"
    stem = folder / f"seed{asked['seed']}_first{asked['first']}_num{num}"
    picture = save_samples(data, x[:256], stem, cond)
    numbers = stem.with_name(stem.name + ".safetensors")
    from safetensors.torch import save_file

    save_file({"x": x.contiguous(), **({"cond": cond} if cond is not None else {})}, numbers)
    print(
        f"genlab: {num} samples in {seconds:.1f} s ({num / seconds:,.0f}/s)\n"
        f"  to look at  {picture}\n  as numbers  {numbers}",
        file=sys.stderr,
    )
    if data.kind == "text":
        print(visible(data.decode(x[:1])[0]))


def home(run: str) -> Path:
    """The folder that belongs to a run, a checkpoint or an exported folder."""
    from genlab.runs.folder import find_run

    return Path(run) if (Path(run) / "model.safetensors").is_file() else find_run(run)


def conditions(data: Any, num: int, asked: dict[str, Any]) -> tuple[Any, Any]:
    """What to condition on: the classes asked for, or all in turn; the prompt, for text."""
    import torch

    cond, given = data.looks(num)
    if asked["cond"] is not None:
        if not data.num_classes:
            raise UserError("cond: this model was trained without classes")
        wanted = asked["cond"] if isinstance(asked["cond"], list) else [asked["cond"]]
        if any(not 0 <= int(c) < data.num_classes for c in wanted):
            raise UserError(f"cond={wanted}: classes go from 0 to {data.num_classes - 1}")
        cond = torch.tensor([int(wanted[i % len(wanted)]) for i in range(num)])
    if asked["prompt"] is not None:
        if data.kind != "text":
            raise UserError("prompt: only a model of text takes one; use cond for classes")
        x = data.encode_prompt(str(asked["prompt"])).repeat(num, 1)
        given = {"x": x, "mask": torch.ones_like(x, dtype=torch.bool)}
    return cond, given


def draw(model, num: int, cond, given, *, seed: int, first: int = 0, size: int = 256):
    """num samples on the CPU, `size` at a time; they do not depend on `size`."""
    import torch

    parts = []
    for low in range(0, num, size):
        high = min(num, low + size)
        part_cond = cond[low:high].to(model.device) if cond is not None else None
        part_given = {k: v[low:high].to(model.device) for k, v in given.items()} if given else None
        x = model.sample(high - low, part_cond, part_given, seed=seed, first=first + low)
        parts.append(x.cpu())
    return torch.cat(parts)
