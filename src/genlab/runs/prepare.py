"""`genlab prepare kind=KIND from=RAW to=FOLDER`: raw files become a curated set.

Read: `prepare_command`. The recipe is composed and passes the same gate as a run's settings; then
curation/shards.py carries it out in FOLDER/.work, and what is kept is put beside a ledger of what
was done (ledger.parquet), a card (README.md), a page (report.html) and dataset.json, which `data=
prepared` reads.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from genlab.callbacks.meter import Meter
from genlab.curation.base import Kind, Rule
from genlab.curation.card import card, tokens_told
from genlab.curation.pool import check_processes
from genlab.curation.shards import (
    SHOWN,
    UNREAD,
    Curation,
    advice_of_all,
    read_lines,
    split_of,
)
from genlab.curation.tables import write_ledger
from genlab.data import archives
from genlab.runs.folder.layout import write_json, write_text
from genlab.runs.say.errors import UserError, nearest
from genlab.runs.say.terminal import say
from genlab.runs.settings.conf import options
from genlab.runs.settings.plan import Plan
from genlab.runs.settings.prepared import to_train
from genlab.shown import duration, one_line

WORK, RECIPE = ".work", "recipe.json"


def prepare_command(words: list[str]) -> None:
    began = time.monotonic()
    plan = plan_of(words)
    source, to = Path(plan["from"]).expanduser(), Path(plan["to"]).expanduser()
    kind, rules = plan.build("kind"), plan.all("rules")
    check(plan, source, to, kind, rules)
    tokenizer = plan.build("tokenizer") if plan.get("tokenizer") else None
    work = begin(to, recipe_of(plan, source, kind))
    try:
        with (
            Meter("preparing") as meter,
            Curation(kind, rules, source, work, plan.build("pool"), Told(meter)) as curation,
        ):
            found = finish(curation, curation.run(), to, tokenizer)
    except ValueError as error:  # of the recipe or the data: the next try is another one
        shutil.rmtree(work, ignore_errors=True)
        with contextlib.suppress(OSError):
            to.rmdir()  # where nothing else lies in it
        raise UserError(str(error)) from error
    told(found, to, time.monotonic() - began)


def plan_of(words: Sequence[str]) -> Plan:
    """The recipe and the command's own settings, through the gate."""
    from hydra.errors import HydraException
    from omegaconf import open_dict

    from genlab.runs.settings.compose import composed, resolved
    from genlab.runs.settings.flags import own_folder, read_words
    from genlab.runs.settings.mistakes import wrong_key

    chosen = {f"{key}=": "prepare=" for key in ("kind", "recipe")}
    renamed = [chosen.get(f"{w.partition('=')[0]}=", "") + w.partition("=")[2]
               if w.partition("=")[0] in ("kind", "recipe") else w for w in words]  # fmt: skip
    _, asked = read_words(renamed, ("--config-dir", "-cd"))
    own = own_folder(asked)
    recipes = options("prepare", *own)
    for value in (w.partition("=")[2] for w in asked.overrides if w.startswith("prepare=")):
        if value not in recipes:
            raise UserError(
                f"kind={value}: there is no such recipe{nearest(value, recipes)};"
                f" there are {', '.join(recipes)}"
            )
    try:
        cfg = composed(asked.overrides, *own, name="prepare")
    except HydraException as error:
        raise UserError(_wrong(asked.overrides, own, wrong_key, error)) from error
    choices = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    settings = resolved(cfg, choices)
    return Plan(settings, settings.get("trust") or ())


def _wrong(words: Sequence[str], own: list[Path], wrong_key: Any, error: Exception) -> str:
    """One line for words that no recipe is composed of."""
    there = options("rule", *own)
    for word in words:
        key, _, option = word.partition("=")
        if key.startswith("+rule@") and option not in there:
            return f"{word}: there is no rule {option!r}{nearest(option, there)}"
    added = [w for w in words if w.startswith("+rule@")]
    base = [w for w in words if w.startswith(("prepare=", "pool="))] + added
    left = [w for w in words if w not in base and not w.startswith(("~", "+"))]
    if line := wrong_key(left, *own, name="prepare", base=base):
        name = line.partition(".")[2].partition(".")[0]
        if line.startswith("rules.") and name in there and f"no key {name!r} in rules" in line:
            return f"{line}; to add it: +rule@rules.{name}={name}"
        return line
    if gone := [w for w in words if w.startswith("~")]:
        return f"{' '.join(gone)}: the recipe has no such rule, so none is to be left out"
    return " ".join(str(error).split())


def check(plan: Plan, source: Path, to: Path, kind: Any, rules: dict[str, Any]) -> None:
    """Refuse what cannot come out well, before anything is read."""
    if not isinstance(kind, Kind):
        raise UserError(f"kind: {type(kind).__name__} is no kind of data: see conf/prepare")
    if not source.exists():
        raise UserError(f"from={plan['from']}: there is no such file or folder")
    if source.is_file() and source.name.lower().endswith(archives.ENDINGS):
        raise UserError(f"from={plan['from']}: an archive: unpack it, and name the folder")
    if source.resolve() == to.resolve() or source.resolve() in to.resolve().parents:
        raise UserError(f"to={plan['to']} lies in from={plan['from']}: write another folder")
    if plan.get("tokenizer") and kind.name != "text":
        raise UserError(f"tokenizer: {kind.noun} are no texts: leave it out")
    if not rules:
        raise UserError("rules: there is none, so nothing would be done; see genlab list rule")
    for name, rule in rules.items():
        if not isinstance(rule, Rule):
            raise UserError(f"rules.{name}: {type(rule).__name__} is no rule; see genlab list rule")
        if rule.kinds and kind.name not in rule.kinds:
            raise UserError(
                f"rules.{name}: it is for {' and '.join(rule.kinds)}, and this is {kind.name}:"
                f" leave it out by ~rules.{name}"
            )
    try:
        check_processes(plan["processes"])
    except ValueError as error:
        raise UserError(str(error)) from None


def recipe_of(plan: Plan, source: Path, kind: Kind) -> dict[str, Any]:
    """What the result depends on: the recipe, and which raw files there are."""
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    names = "".join(f"{p.relative_to(source.parent)} {p.stat().st_size}\n" for p in files)
    tokens = {"tokenizer": node} if (node := plan.get("tokenizer")) else {}
    return {
        "kind": plan["kind"], "rules": plan["rules"], "shard": kind.shard, **tokens,
        "raw": {
            "name": source.name, "files": len(files),
            "digest": blake2b(names.encode(), digest_size=16).hexdigest(),
        },
    }  # fmt: skip


def begin(to: Path, recipe: dict[str, Any]) -> Path:
    """The folder to work in: a new one, or that of the same work, stopped."""
    work = to / WORK
    if (to / "dataset.json").is_file():
        raise UserError(f"to={to}: it holds a prepared set: name another folder, or remove it")
    if (work / RECIPE).is_file():
        before = json.loads((work / RECIPE).read_text())
        if before == recipe:
            say(f"genlab: going on in {work}")
            return work
        if any(work.glob("0/0*")):  # a shard is done: it is not thrown away unasked
            what = next(k for k in recipe if before.get(k) != recipe[k])
            other = {"raw": "other raw files", "rules": "other rules"}.get(what, f"another {what}")
            raise UserError(
                f"to={to}: an unfinished set with {other} lies there: go on with those, or remove"
                f" {work}"
            )
        shutil.rmtree(work)
    if to.exists() and any(to.iterdir()):
        raise UserError(f"to={to}: the folder is not empty: name a new one")
    work.mkdir(parents=True, exist_ok=True)
    write_json(work / RECIPE, recipe)
    return work


def finish(curation: Curation, shards: int, to: Path, tokenizer: Any = None) -> dict[str, Any]:
    """Write the set, its ledger, card and page; what there is to tell."""
    from genlab.runs.page.curation import write_page

    found = counted(curation, shards)
    if not found["raws"]:
        none = curation.kind.none_in(curation.source)
        raise ValueError(f"from={curation.source}: there are no {curation.kind.noun} in it{none}")
    if not found["kept"]:
        most = max(found["left_out"], key=lambda k: found["left_out"][k], default="nothing")
        raise ValueError(
            f"nothing is left of {found['raws']:,} {curation.kind.noun}: {most} left out"
            f" {found['left_out'].get(most, 0):,}; look at the rule's limits"
        )
    out = curation.work / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    curation.write(shards, out)
    if tokenizer is not None:
        from genlab.curation.tokens import write_tokens  # and torch, which nothing else here needs

        curation.told("writing tokens", 0, 1)
        found["tokens"] = write_tokens(out, tokenizer)
    write_ledger(out / "ledger.parquet", ledger_of(curation, shards))
    advice = advice_of_all(curation)
    if notes := [*(a.says for a in advice), *said_of_splits(curation, found)]:
        found["notes"] = notes
    if idle := [a.drop for a in advice if a.drop is not None]:
        found["idle_columns"] = idle
    found |= {"kind": curation.kind.name, "noun": curation.kind.noun, "fingerprint": hashed(out)}
    recipe = json.loads((curation.work / RECIPE).read_text())
    dataset = {"genlab": "dataset", **found, "option": curation.kind.option, "recipe": recipe}
    write_json(out / "dataset.json", dataset)
    write_text(out / "README.md", card(dataset))
    write_page(out / "report.html", dataset, shown_of(curation, shards))
    for path in sorted(out.iterdir(), key=lambda p: p.name == "dataset.json"):  # it comes last
        os.replace(path, to / path.name)
    shutil.rmtree(curation.work)
    return dataset


def counted(curation: Curation, shards: int) -> dict[str, Any]:
    """How many there were, stay, were left out and changed, by rule; and what is known of them."""
    raws, last = 0, len(curation.stages) - 1
    left, changed = Counter(), Counter()
    counted = ("split", "licence", "source", "language", "label")
    facts: dict[str, Counter] = {k: Counter() for k in counted}
    kept = captions = 0
    for shard in range(shards):
        raws += next(read_lines(curation.folder(0, shard) / "counted.jsonl"))["raws"]
        for stage in range(last + 1):
            for row in read_lines(curation.folder(stage, shard) / "ledger.jsonl"):
                (left if row["action"] == "left out" else changed)[row["rule"]] += 1
        for row in curation.rows(last, shard):
            kept += 1
            captions += bool(row.facts.get("text"))
            for name, counter in facts.items():
                value = split_of(row.facts) if name == "split" else row.facts.get(name)
                if value not in (None, ""):
                    counter[str(value)] += 1
    if raws != kept + sum(left.values()):
        raise AssertionError(f"{raws} raw, {kept} kept, {sum(left.values())} left out")
    rules = [*({UNREAD} & left.keys()), *curation.rules]
    return {
        "raws": raws, "kept": kept, **({"captions": captions} if captions else {}),
        "left_out": {r: left[r] for r in rules}, "changed": {r: changed[r] for r in rules},
        **{f"by_{k}": dict(c.most_common()) for k, c in facts.items() if c},
    }  # fmt: skip


def said_of_splits(curation: Curation, found: dict[str, Any]) -> list[str]:
    """What training would refuse: no example in train, or none held out where some were to be."""
    splits = found["by_split"]
    if not splits.get("train"):
        return [
            f"train is empty: {found['kept']:,} {curation.kind.noun} are too few for the split;"
            " more raw files, or rules.split.val=0 and data.val_fraction"
        ]
    return []


def ledger_of(curation: Curation, shards: int) -> Iterator[list[dict[str, Any]]]:
    """All rows of the ledger, shard by shard; a twin's place becomes its id."""
    ids = cached_ids(curation)
    for shard in range(shards):
        rows = []
        for stage in range(len(curation.stages)):
            rows += read_lines(curation.folder(stage, shard) / "ledger.jsonl")
        for row in rows:
            if isinstance(row["value"], str) and row["value"].startswith("#"):
                row["value"] = ids(int(row["value"][1:]))
        yield sorted(rows, key=lambda r: r["place"])


def cached_ids(curation: Curation) -> Callable[[int], str]:
    """The id of the example at a place, as the first pass has it."""

    @functools.lru_cache(maxsize=64)
    def of_shard(shard: int) -> dict[int, str]:
        return {row.place: row.id for row in curation.rows(0, shard)}

    return lambda place: of_shard(place // curation.kind.shard)[place]


def shown_of(curation: Curation, shards: int) -> dict[str, list[dict[str, Any]]]:
    """A few examples of what each rule did, the same whatever the processes."""
    found: dict[str, list[dict[str, Any]]] = {}
    ids = cached_ids(curation)
    for shard in range(shards):
        for stage in range(len(curation.stages)):
            for looks in read_lines(curation.folder(stage, shard) / "shown.jsonl"):
                few = found.setdefault(looks["rule"], [])
                few.append(looks)
                few.sort(key=lambda x: x["order"])
                del few[SHOWN:]
    for looks in (x for few in found.values() for x in few):
        if isinstance(looks["value"], str) and looks["value"].startswith("#"):
            place = int(looks["value"][1:])
            looks["value"], looks["twin"] = ids(place), twin(curation, place)
    return found


def twin(curation: Curation, place: int) -> str:
    """What stays of two alike, as the first pass left it."""
    row = next(r for r in curation.rows(0, place // curation.kind.shard) if r.place == place)
    return curation.kind.shown(curation.data(row))


def hashed(folder: Path) -> str:
    """The hash of all files below a folder, by name and contents."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\n".encode())
        with path.open("rb") as f:
            whole.update(hashlib.file_digest(f, "sha256").digest())
    return whole.hexdigest()


class Told:
    """How far it is, on the terminal."""

    def __init__(self, meter: Any) -> None:
        self.meter = meter

    def __call__(self, what: str, done: int, of: int | None) -> None:
        self.meter(what if of else f"{what}: {done:,} shards", done / of if of else 0.0)


def told(dataset: dict[str, Any], to: Path, seconds: float) -> None:
    noun, raws = dataset["noun"], dataset["raws"]
    say(
        f"genlab: {dataset['kept']:,} of {raws:,} {noun} are kept; {duration(seconds)},"
        f" {raws / seconds:,.0f} {noun} a second"
    )
    for rule, left in dataset["left_out"].items():
        if left or dataset["changed"][rule]:
            changed = dataset["changed"][rule]
            say(f"  {rule:12} {left:>9,} left out" + (f", {changed:,} changed" if changed else ""))
    for line in dataset.get("notes", ()):
        say(f"  note         {one_line(line)}")
    split = ", ".join(f"{k} {n:,}" for k, n in dataset["by_split"].items())
    say(f"  split        {split}")
    if tokens := dataset.get("tokens"):
        say(f"  tokens       {tokens_told(tokens)}")
    places = {"set": to, "page": to / "report.html", "ledger": to / "ledger.parquet"}
    for name, place in places.items():
        say(f"  {name:12} {place}")
    for rule, left in dataset["left_out"].items():
        if 5 * left > raws and rule != UNREAD:
            say(
                f"  note         {rule} took {left / raws:.0%}: the page shows what; its limits are"
                f" rules.{rule}, and ~rules.{rule} leaves it out"
            )
    say(f"  train        {shlex.join(['genlab', 'train', *to_train(dataset, to)])}")
