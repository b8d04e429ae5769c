"""Resuming a run: what may change, what was saved, where its ledger is to end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from genlab.runs.folder.layout import find_run, read_json, read_settings
from genlab.runs.gate.files import read_yaml
from genlab.runs.say.errors import UserError, nearest
from genlab.runs.say.secrets import redact
from genlab.runs.say.terminal import say

CHANGEABLE = ("budget.", "save_every=", "look_every=", "logger", "trainer.threads", "evaluate=",
              "trust=")  # fmt: skip
# keys that conf/ fills from one of these settings
FOLLOWS = {"horizon": "budget.examples", "save_every": "save_every"}


def holds_this_run(run: Path, settings: dict[str, Any]) -> bool:
    """Whether the folder holds this very run, which then continues: the same command, given again.

    So does a cell of a sweep that a queue starts again. Another run's folder is not taken.
    """
    if not (run / "config.yaml").exists():
        return False
    there, wanted = read_settings(find_run(run)), yaml.safe_load(yaml.safe_dump(redact(settings)))
    if differing := list(_differing(there | {"trust": 0}, wanted | {"trust": 0})):
        raise UserError(
            f"{run} holds a run already, with another {', '.join(differing[:5])}: name another"
            f" folder, or go on with that run by resume={run}"
        )
    return True


def _differing(a: Any, b: Any, at: str = "") -> Iterator[str]:
    """The keys at which two settings differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}):
            yield from _differing(a.get(key), b.get(key), f"{at}.{key}".lstrip("."))
    elif a != b:
        yield at


def only_changeable(overrides: list[str]) -> None:
    """Refuse, before anything is composed, what may not change when a run continues."""
    for change in overrides:
        if not change.startswith((*CHANGEABLE, "resume=", "hydra.")):
            raise UserError(
                f"{change}: on resume only {', '.join(c.rstrip('.=') for c in CHANGEABLE)} may"
                " change; to train on with other settings use init_from"
            )


def resumed_settings(run: Path, overrides: list[str], logger: Any) -> dict[str, Any]:
    """The run's own settings, with what may change: how long, how often, where to log.

    `logger` is what the command line composed, for `logger=OPTION`. A longer budget takes the end
    of the learning rate's fall with it, where the two were one.
    """
    only_changeable(overrides)
    before = OmegaConf.create(read_settings(run))
    settings = before.copy()
    for change in (o for o in overrides if not o.startswith("resume=")):
        key, _, _ = change.partition("=")
        if key == "logger":
            settings.logger = OmegaConf.create({"name": before.name, "logger": logger}).logger
            continue
        if key != "trust" and OmegaConf.select(settings, key, default="") == "":
            parent = OmegaConf.select(settings, key.rpartition(".")[0] or "")
            known = list(parent) if parent else []
            raise UserError(f"{key}: this run has no such setting{nearest(key, known)}")
        try:
            settings = OmegaConf.merge(settings, OmegaConf.from_dotlist([change]))
        except Exception as error:
            raise UserError(f"{change}: {error}") from error
    plain = OmegaConf.to_container(settings, resolve=True)
    for key, source in FOLLOWS.items():
        _follow(plain, key, OmegaConf.select(before, source), OmegaConf.select(settings, source))
    return plain  # type: ignore[return-value]


def _follow(node: Any, key: str, old: Any, new: Any) -> None:
    """Where `key` was taken from a setting that has changed, it changes too."""
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            _follow(value, key, old, new)
        elif name == key and value == old:
            node[name] = new


def check_data(run: Path, data: Any) -> None:
    """Refuse to resume with other data than the run began with."""
    began = read_json(run / "provenance.json").get("data_fingerprint")
    if began is not None and began != data.fingerprint():
        raise UserError(
            f"{run}: its data has changed since it began (it was {str(began)[:12]}, it is"
            f" {data.fingerprint()[:12]}): put it back, or begin another run, whose weights may"
            f" come from this one: init_from={run}"
        )


def newest_saved(run: Path) -> tuple[Path | None, dict[str, Any], list[str]]:
    """The newest valid checkpoint of a run, its contents, and what to report of the others.

    None where nothing was saved yet: such a run begins again in its folder, and says so.
    """
    from genlab.runs.folder.checkpoint import (
        check_clock,
        checkpoint_files,
        newest_and_notices,
        read,
    )

    if not checkpoint_files(run):
        return None, {}, [f"{run} has no checkpoint yet: it begins from the start"]
    path, notices = newest_and_notices(run)
    held = read(path, verify=False)
    check_clock(held, path)
    check_saved(held, path)
    return path, held, [f"skipped: {n}; {path.name} is used" for n in notices]


def counted(progress: Any, depth: int = 0) -> bool:
    """Whether Lightning's progress is what it saves: mappings of counts and of yes or no."""
    if isinstance(progress, dict):
        return depth < 10 and all(counted(v, depth + 1) for v in progress.values())
    return progress is None or type(progress) in (int, bool)


def check_saved(held: dict[str, Any], path: Path) -> None:
    """Refuse a checkpoint whose parts are of other types than a run saves."""

    def count(value: Any) -> bool:
        return type(value) is int and 0 <= value < 2**63

    ledger, guard = held.get("ledger", {"rows": 0, "terms": []}), held.get("guard", {"skipped": 0})
    right = {
        "epoch": count(held.get("epoch")),
        "global_step": count(held.get("global_step")),
        "optimizer_states": bool(held.get("optimizer_states"))
        and isinstance(held["optimizer_states"], list)
        and all(isinstance(state, dict) for state in held["optimizer_states"]),
        "ledger": isinstance(ledger, dict)
        and count(ledger.get("rows"))
        and isinstance(ledger.get("terms"), list),
        "loops": isinstance(held.get("loops"), dict) and counted(held["loops"]),
        "guard": isinstance(guard, dict) and count(guard.get("skipped")),
    }
    if odd := [name for name, fits in right.items() if not fits]:
        raise UserError(f"{path}: its {odd[0]} is nothing that a run saves: remove it, and the run"
                        " goes on from the one before")  # fmt: skip


def continue_ledger(run: Path, held: dict[str, Any], notices: list[str]) -> None:
    """Make the ledger end where the checkpoint `held` does, and tell what was found damaged."""
    from genlab.rows import append, mend

    done = held.get("clock", {"batches": -1, "examples": 0})
    ledger = run / "metrics.jsonl"
    notices = notices + mend(ledger, done["batches"], held.get("ledger", {}).get("rows"))
    for notice in notices:
        say(f"genlab: {notice}")
        append(ledger, {"kind": "notice", **done, "notice": redact(notice)})


def read_overrides(run: Path) -> list[str]:
    path = run / "overrides.yaml"
    words = read_yaml(path) if path.is_file() else []
    if not isinstance(words, list | None):
        raise UserError(f"{path} holds no list of overrides: remove it")
    return list(map(str, words or []))


def measured(run: Path) -> bool:
    """Whether evaluation.json is of the run's checkpoint: a finished run, started again."""
    from genlab.runs.folder.best import best

    found = best(run)
    names = [found.name] if found else [p.name for p in (run / "checkpoints").glob("*.ckpt")]
    return read_json(run / "evaluation.json").get("checkpoint") == max(names, default="")


def pruned(run: Path) -> bool:
    """Whether a run of a sweep ended early, behind the others: it is not measured."""
    from genlab.rows import read_rows

    rows = [r for r in read_rows(run / "metrics.jsonl") if r["kind"] in ("train", "end")]
    return bool(rows) and rows[-1].get("state") == "pruned"


def trained(run: Path) -> bool:
    """Whether the run's ledger holds a batch that was trained on."""
    from genlab.rows import read_rows

    return any(r["kind"] == "train" for r in read_rows(run / "metrics.jsonl"))


def ended_at_once(run: Path, callback: Any) -> str:
    """The line about a run that was stopped twice; `callback` saves it, or is None."""
    saved = callback.last_saved if callback is not None else 0
    there = f"`genlab train resume={run}` goes on after {saved:,} examples"
    return f"genlab: ended at once; {there if saved > 0 else f'nothing of {run} was saved'}"
