"""`genlab sample`: draw from a trained model, rebuilt from its checkpoint alone."""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from genlab import machine
from genlab.callbacks.meter import Meter
from genlab.runs.say.errors import UserError
from genlab.runs.say.terminal import say
from genlab.runs.settings.overrides import Change, changed, device_of, drawer, parse, writable
from genlab.shown import duration, visible

ASKED = ("cond", "prompt", "given", "mask")  # what `data.asked` makes conditions of
TOLD = (*ASKED, "level", "between", "ema", "weaker")  # what else the samples depend on


def sample_command(overrides: list[str]) -> None:
    asked, changes = parse("sample", overrides)
    if asked["to"] and Path(asked["to"]).suffix in (".png", ".csv", ".txt", ".safetensors"):
        raise UserError(f"to={asked['to']}: name a folder; a picture and the numbers go into it")
    folder = writable(Path(asked["to"]) if asked["to"] else home(asked["run"]) / "samples")
    device = device_of(asked["device"])
    from genlab.runs.devices.memory import ORDINARY_NUMBERS, check_drawing
    from genlab.runs.folder.load import load_data, load_model, read_run
    from genlab.runs.folder.trained_on import kept, licences, write_beside
    from genlab.runs.settings.plan import Plan

    loaded = read_run(asked["run"])
    settings = changed(loaded["genlab"]["settings"], changes, asked["trust"])
    data = load_data(asked["run"], trust=asked["trust"])
    num = asked["num"]
    check_memory(num, data.shape)
    cond, given = data.asked(num, *(asked[key] for key in ASKED))
    if asked["prompt"] is not None and given:
        check_prompt(given, drawer(settings["model"]).get("sampler") or {}, data.shape)
    at_once = (min(num, asked["batch_size"]), *data.shape)
    if math.prod(at_once) > ORDINARY_NUMBERS:  # the count need not be waited for by all
        plan = Plan({"model": {**settings["model"], "optim": None}}, asked["trust"])
        check_drawing(plan, at_once, tokens=data.vocab is not None)
    model = load_model(
        asked["run"], trust=asked["trust"], model=settings["model"], ema=asked["ema"]
    )
    if asked["cond"] is None:
        cond = model.conditions.heard(cond)  # the data's classes in turn
    stem = folder / name(asked, changes, model, drawer(settings["model"]).get("sampler"))
    model = model.to(device)
    way = drawn_by(model, asked, given)
    began = time.perf_counter()
    many = {"seed": asked["seed"], "first": asked["first"], "size": asked["batch_size"]}
    with Meter("drawing") as meter:
        x = draw(model, num, cond, given, **many, progress=meter, way=way)
    seconds = time.perf_counter() - began
    if asked["between"] is None:
        items = data.decode(x[: data.view.most])
        picture = data.view.save(items, stem, data.captions(cond))
    else:
        items = data.decode(x[: -(-data.view.most // asked["between"])].flatten(0, 1))
        picture = stem.with_name(f"{stem.name}{data.view.suffix}")
        picture.parent.mkdir(parents=True, exist_ok=True)
        if not data.view.rows(items, asked["between"], picture):
            raise UserError(f"between={asked['between']}: rows of {data.noun} have no picture")
    numbers = stem.with_name(stem.name + ".safetensors")
    from safetensors.torch import save_file

    save_file({"x": x.contiguous(), **named("cond", cond)}, numbers)
    files = [picture, *(picture.with_suffix(s) for s in data.view.beside), numbers]
    told = {key: asked[key] for key in (*TOLD, "num", "seed", "first") if asked[key] is not None}
    origin = write_beside(stem, files, loaded["genlab"], asked=told)
    part = f" (the first {len(items):,} of {num:,})" if num > len(items) else ""
    beside = {word: picture.with_suffix(suffix) for suffix, word in data.view.beside.items()}
    say(
        f"genlab: {num} {'sample' if num == 1 else 'samples'} in {duration(seconds)}\n"
        f"  to look at  {picture}{part}\n"
        + "".join(f"  {word:11} {file}{part}\n" for word, file in beside.items())
        + f"  as numbers  {numbers}\n"
        + f"  its data    {origin}: {licences(kept(loaded['genlab']))}"
    )
    if spoken := data.view.spoken(items):
        print(visible(spoken))


def drawn_by(model: Any, asked: dict[str, Any], given: Any) -> Callable[..., Any]:
    """How samples are drawn: way(num, cond, given, seed=, first=); from another run too, if asked.

    UserError where the model's family cannot.
    """
    kind = type(model).__name__
    if (weaker := asked["weaker"]) is not None:
        from genlab.runs.folder.load import load_model

        if not hasattr(model, "guide_by"):
            raise UserError(f"weaker={weaker}: a {kind} is not guided; a diffusion model is")
        model.guide_by(load_model(weaker, trust=asked["trust"]))
    if (level := asked["level"]) is not None:
        if not hasattr(model, "vary") or asked["between"] is not None:
            raise UserError(f"level={level}: it is of a diffusion model's samples, without between")
        if given is None or not given["mask"].all():
            raise UserError(f"level={level}: it begins from a whole example: given=FILE mask=all")
        return lambda num, cond, given, **of: model.vary(given["x"], level, cond, **of)
    if (steps := asked["between"]) is not None:
        if given is not None:
            raise UserError(f"between={steps}: samples with a known part have no ways between them")

        def ways(num: int, cond: Any, given: None, **of: int) -> Any:
            if (found := model.between(num, steps, cond, **of)) is None:
                raise UserError(f"between={steps}: a {kind} has no latent to go along")
            return found

        return ways
    return model.sample


def check_memory(num: int, shape: tuple[int, ...]) -> None:
    """Refuse more samples than the machine's memory can hold."""
    needed = 4 * num * math.prod(shape)
    there = machine.memory()
    if needed > there:
        raise UserError(
            f"num={num}: they take {needed / 2**30:,.0f} GiB of memory, here are"
            f" {there / 2**30:,.0f}: draw them in parts, with first=0, first=NUM and so on"
        )


def check_prompt(given: Any, sampler: dict[str, Any], shape: tuple[int, ...]) -> None:
    """Refuse a prompt that is longer than what is drawn."""
    length, known = sampler.get("length") or shape[0], given["x"].shape[1]
    if known > length:
        raise UserError(
            f"sampler.length={length}: the prompt alone has {known} tokens; write more than {known}"
        )


def name(asked: dict[str, Any], changes: list[Change], model: Any, sampler: Any) -> str:
    """What the files are called: what was asked for, to read, and a hash that tells all apart.

    Two names are the same only where weights, sampler, conditions and seeds are: then so are the
    samples.
    """
    import torch

    words = [f"seed{asked['seed']}", f"first{asked['first']}", f"num{asked['num']}"]
    own = [(key, asked[key]) for key in TOLD if asked[key] is not None]
    more = [f"{key.rsplit('.', 1)[-1]}{value}" for key, value in (*own, *changes)]
    words += [re.sub(r"[^A-Za-z0-9.]+", "-", word).strip("-.")[:24] for word in more]
    words += [f"at{model.clock.examples}"]
    digest = hashlib.sha256(repr([own, sampler]).encode(errors="surrogateescape"))
    for key in ("given", "mask"):  # the picture itself, whatever its file is called
        digest.update(_contents(asked[key]))
    for key, value in model.state_dict().items():
        digest.update(key.encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return f"{'_'.join(words)[:160]}_{digest.hexdigest()[:8]}"


def named(key: str, cond: Any) -> dict[str, Any]:
    """Conditions as tensors by name; several stand as cond.NAME."""
    if cond is None:
        return {}
    if not isinstance(cond, dict):
        return {key: cond}
    return {f"{key}.{name}": value for name, value in cond.items()}


def _contents(name: str | None) -> bytes:
    path = Path(name or "").expanduser()
    return path.read_bytes() if name and path.is_file() else b""


def home(run: str) -> Path:
    """The folder that belongs to a run or a checkpoint; an export, to hand on, is not added to."""
    from genlab.runs.folder.layout import find_run, outputs

    if (Path(run) / "model.safetensors").is_file():
        return outputs() / Path(run).resolve().name
    if Path(run).is_file() and not (Path(run).parent.parent / "config.yaml").is_file():
        raise UserError(f"run={run}: it lies in no run folder: say where to write with to=FOLDER")
    return find_run(run)


def draw(
    model,
    num: int,
    cond,
    given,
    *,
    seed: int,
    first: int = 0,
    size: int = 256,
    progress=None,
    way: Callable[..., Any] | None = None,
):
    """num samples on the CPU, `size` at a time; they do not depend on `size`."""
    import torch

    from genlab.batch import each

    parts = []
    for low in range(0, num, size):
        high = min(num, low + size)
        part = slice(low, high)
        part_cond, part_given = (each(partial(rows, part, model.device), t) for t in (cond, given))
        x = (way or model.sample)(high - low, part_cond, part_given, seed=seed, first=first + low)
        parts.append(x.cpu())
        if progress is not None:
            progress("", high / num)
    return torch.cat(parts)


def rows(part: slice, device: Any, value: Any) -> Any:
    """Some rows of a condition, on the device."""
    return value[part].to(device)
