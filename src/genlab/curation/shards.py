"""A recipe, carried out shard by shard: in any number of processes the same bytes, after any kill.

Read: `Curation.run`. Raw examples are taken in one order and cut into shards of a fixed number.
Rules are cut into stages: rules of the sort `Each` until the next of the sort `Whole`. In a stage
every shard is worked on by itself and written whole, by renaming its folder, or not at all; then
`Whole` rules decide in one place. What was written is not made again.

    work/STAGE/SHARD/   kept.arrow (what goes on), ledger.jsonl, shown.jsonl, sketches.arrow
    work/STAGE/decisions.jsonl
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from genlab.curation.base import (
    Advice,
    Change,
    Each,
    Example,
    Kind,
    Leave,
    Note,
    Raw,
    Rule,
    Twin,
    Unread,
    Whole,
    hash_of,
)  # fmt: skip
from genlab.curation.pool import Pool, Task
from genlab.curation.tables import read_table, write_table

SHOWN = 6  # changes that the page shows of a rule
SPLITS = ("train", "val", "test")
UNREAD = "readable"  # the rule that leaves out what cannot be opened


@dataclass
class Stage:
    """Rules that are applied in one pass, then those that decide."""

    each: dict[str, Each] = field(default_factory=dict)
    whole: dict[str, Whole] = field(default_factory=dict)


def stages_of(rules: Mapping[str, Rule]) -> list[Stage]:
    """The rules, in their order, as passes; the last decides nothing."""
    stages = [Stage()]
    for name, rule in rules.items():
        if isinstance(rule, Whole):
            stages[-1].whole[name] = rule
        else:
            if stages[-1].whole:
                stages.append(Stage())
            stages[-1].each[name] = rule  # type: ignore[assignment]
    return [*stages, Stage()] if stages[-1].whole else stages


@dataclass
class Row:
    """An example on its way: its place among the raw ones, and its data where they are other."""

    place: int
    id: str
    data: bytes | None  # None: as in the raw file
    facts: dict[str, Any]


@dataclass
class Curation:
    """A recipe and where it works."""

    kind: Kind
    rules: Mapping[str, Rule]
    source: Path
    work: Path
    pool: Any = None  # of pool.py or ray_pool.py; none: this process
    told: Callable[[str, int, int | None], None] | None = None  # what, how many are done, of all

    def __post_init__(self) -> None:
        self.stages, self.told = stages_of(self.rules), self.told or silent
        self.pool = self.pool or Pool(processes=1)
        self.pool.begin(self)

    def __getstate__(self) -> dict[str, Any]:
        """As other processes have it, wherever they run."""
        places = {"source": self.source.resolve(), "work": self.work.resolve()}
        return {**self.__dict__, **places, "told": silent, "pool": None}

    def __enter__(self) -> Curation:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.close()

    def run(self) -> int:
        """Carry out what is missing; the number of shards."""
        shards = 0
        for number, stage in enumerate(self.stages):
            shards = self._map(number, shards)
            if stage.whole and not (self.folder(number) / "decisions.jsonl").is_file():
                self._decide(number, stage, shards)
        return shards

    def folder(self, stage: int, shard: int | None = None) -> Path:
        folder = self.work / f"{stage}"
        return folder if shard is None else folder / f"{shard:06d}"

    # --- a pass over all shards -----------------------------------------------------------------

    def _map(self, number: int, shards: int) -> int:
        self.folder(number).mkdir(parents=True, exist_ok=True)
        done = 0
        for done, _ in enumerate(self.pool.map(self._tasks(number, shards)), 1):
            self.told(f"pass {number + 1} of {len(self.stages)}", done, shards or None)
        return done

    def _tasks(self, number: int, shards: int) -> Iterator[Task | None]:
        """What is to be done for each shard; None where it is there."""
        if number == 0:
            for shard, raws in enumerate(batched(self.kind.raws(self.source), self.kind.shard)):
                there = self.folder(0, shard).is_dir()
                yield None if there else (first_pass, (shard, raws))
            return
        decisions = self.decisions(number - 1)
        for shard in range(shards):
            if self.folder(number, shard).is_dir():
                yield None
                continue
            places = range(shard * self.kind.shard, (shard + 1) * self.kind.shard)
            own = {p: decisions[p] for p in places if p in decisions}
            yield later_pass, (number, shard, own)

    def write(self, shards: int, folder: Path) -> None:
        """Write what is kept into folder/train, val and test, in place of what is there."""
        tasks = ((write_kept, (shard, folder)) for shard in range(shards))
        for done, _ in enumerate(self.pool.map(tasks), 1):
            self.told("writing", done, shards)
        self.kind.finish(folder)

    # --- one shard ------------------------------------------------------------------------------

    def work_on(self, number: int, shard: int, rows: Sequence[Row], before: Ledger) -> None:
        """Apply a stage's rules to a shard's rows, and write what came of it."""
        stage, kept, ledger = self.stages[number], [], before
        sketches: dict[str, list[bytes]] = {name: [] for name in stage.whole}
        for row in rows:
            data = None
            if stage.each or stage.whole or number == 0:
                try:
                    data = self.data(row)
                except ValueError as error:
                    ledger.add(row, UNREAD, Leave(one_line(error)))
                    continue
            example = Example(row.id, data, row.facts)
            changed = self._applied(stage, row, example, ledger)
            if changed is None:
                continue
            held = self.kind.dump(example.data) if changed else row.data
            kept.append(Row(row.place, row.id, held, example.facts))
            for name, rule in stage.whole.items():
                sketches[name].append(rule.sketch(example, self.kind))
        self._write(number, shard, kept, sketches, ledger)

    def _applied(self, stage: Stage, row: Row, example: Example, ledger: Ledger) -> bool | None:
        """Whether the rules changed its data; None: one left it out."""
        changed = False
        for name, rule in stage.each.items():
            said = rule(example)
            if said is None:
                continue
            if not isinstance(said, Note):
                ledger.add(row, name, said, self.kind, example)
            if isinstance(said, Leave):
                return None
            if isinstance(said, Change):
                example.data, changed = said.data, True
            example.facts = {**example.facts, **(said.facts or {})}
        return changed

    def data(self, row: Row) -> Any:
        if row.data is not None:
            return self.kind.parse(row.data)
        root = self.source if self.source.is_dir() else self.source.parent
        return self.kind.open(Raw(row.id, root / row.id, row.facts))

    def _write(
        self, number: int, shard: int, kept: Sequence[Row], sketches: Mapping[str, list[bytes]],
        ledger: Ledger,
    ) -> None:  # fmt: skip
        folder = self.folder(number, shard)
        temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:12]}")
        temporary.mkdir(parents=True)
        columns = {
            "place": [r.place for r in kept], "id": [r.id for r in kept],
            "data": [r.data for r in kept],
            "facts": [json.dumps(r.facts, ensure_ascii=False) for r in kept],
        }  # fmt: skip
        write_table(temporary / "kept.arrow", columns)
        write_table(
            temporary / "sketches.arrow",
            {"place": columns["place"], **{f"sketch {k}": v for k, v in sketches.items()}},
        )
        write_lines(temporary / "ledger.jsonl", ledger.rows)
        if number == 0:
            write_lines(temporary / "counted.jsonl", [{"raws": ledger.raws}])
        write_lines(temporary / "shown.jsonl", ledger.shown())
        try:
            os.replace(temporary, folder)
        except OSError:  # another process was quicker: it wrote the same
            shutil.rmtree(temporary, ignore_errors=True)

    def rows(self, number: int, shard: int) -> list[Row]:
        """What a stage kept of a shard."""
        found = read_table(self.folder(number, shard) / "kept.arrow")
        columns = (found[k] for k in ("place", "id", "data", "facts"))
        return [Row(p, i, d, json.loads(f)) for p, i, d, f in zip(*columns)]

    # --- decisions ------------------------------------------------------------------------------

    def _decide(self, number: int, stage: Stage, shards: int) -> None:
        """Ask the rules that must know all examples, one after another, each of what is left."""
        places: list[int] = []
        sketches: dict[str, list[bytes]] = {name: [] for name in stage.whole}
        for shard in range(shards):
            found = read_table(self.folder(number, shard) / "sketches.arrow")
            places += found["place"]
            for name in stage.whole:
                sketches[name] += found[f"sketch {name}"]
        rows = []
        left = list(range(len(places)))
        for name, rule in stage.whole.items():
            self.told(f"deciding: {name}", 0, None)
            said = rule.decide([sketches[name][i] for i in left])
            for at, what in sorted(said.items()):
                rows.append(decision(places[left[at]], name, what, [places[i] for i in left]))
            gone = {at for at, what in said.items() if isinstance(what, Leave)}
            left = [i for at, i in enumerate(left) if at not in gone]
            told = rule.tells([sketches[name][i] for i in left])
            rows += ({"place": -1, "rule": name, **asdict(advice)} for advice in told)
        temporary = self.folder(number) / ".decisions.tmp"
        write_lines(temporary, rows)
        os.replace(temporary, self.folder(number) / "decisions.jsonl")

    def decisions(self, number: int) -> dict[int, list[dict[str, Any]]]:
        """What was decided after a stage, by place."""
        found: dict[int, list[dict[str, Any]]] = {}
        for row in read_lines(self.folder(number) / "decisions.jsonl"):
            found.setdefault(row["place"], []).append(row)
        return found


def advice_of_all(curation: Curation) -> list[Advice]:
    """What rules say of all that stay."""
    stages = [n for n, stage in enumerate(curation.stages) if stage.whole]
    rows = (row for n in stages for row in curation.decisions(n).get(-1, ()))
    return [Advice(row["says"], row["drop"]) for row in rows]


def decision(place: int, rule: str, what: Leave | Note, places: Sequence[int]) -> dict[str, Any]:
    told: dict[str, Any] = {"place": place, "rule": rule}
    if isinstance(what, Note):
        return {**told, "facts": what.facts}
    if isinstance(what.value, Twin):
        return {**told, "why": what.why, "twin": places[what.value.place]}
    return {**told, "why": what.why, "value": what.value}


# --- what a process is asked for: functions of a module, sent to others by name --------------


def first_pass(curation: Curation, shard: int, raws: Sequence[Raw]) -> None:
    rows, ledger = [], Ledger()
    ledger.raws = len(raws)
    for i, raw in enumerate(raws):
        row = Row(shard * curation.kind.shard + i, raw.id, None, raw.facts)
        if isinstance(raw.source, Unread):
            ledger.add(row, UNREAD, Leave(one_line(raw.source.why)))
            continue
        if isinstance(raw.source, bytes):
            row.data = raw.source
        rows.append(row)
    curation.work_on(0, shard, rows, ledger)


def later_pass(
    curation: Curation, number: int, shard: int, decisions: Mapping[int, list[dict[str, Any]]]
) -> None:
    rows, ledger = [], Ledger()
    for row in curation.rows(number - 1, shard):
        gone = False
        for said in decisions.get(row.place, ()):
            row.facts = {**row.facts, **(said.get("facts") or {})}
            if "why" in said:
                gone, value = True, said.get("value")
                value = f"#{said['twin']}" if "twin" in said else value
                ledger.add(
                    row, said["rule"], Leave(said["why"], value), curation.kind, curation.data
                )
        if not gone:
            rows.append(row)
    curation.work_on(number, shard, rows, ledger)


def write_kept(curation: Curation, shard: int, folder: Path) -> None:
    by_split: dict[str, list[Example]] = {}
    for row in curation.rows(len(curation.stages) - 1, shard):
        example = Example(row.id, curation.data(row), row.facts)
        by_split.setdefault(split_of(row.facts), []).append(example)
    for split, examples in by_split.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        curation.kind.write(examples, folder / split, shard)


def split_of(facts: Mapping[str, Any]) -> str:
    """Which split an example is of; what says nothing, or what no data module knows: train."""
    said = str(facts.get("split") or "train")
    return {"valid": "val", "validation": "val"}.get(said, said if said in SPLITS else "train")


class Ledger:
    """What was done with the examples of a shard, and a few of them to look at."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.raws = 0
        self._shown: dict[str, list[tuple[int, dict[str, Any]]]] = {}

    def add(
        self, row: Row, rule: str, said: Leave | Change, kind: Kind | None = None,
        example: Example | Callable[[Row], Any] | None = None,
    ) -> None:  # fmt: skip
        """`example`: as it was before; or what makes its data, where only a few are looked at."""
        left = isinstance(said, Leave)
        data = None if left else said.data
        told = {
            "place": row.place, "id": row.id, "rule": rule,
            "action": "left out" if left else "changed", "why": said.why, "value": said.value,
        }  # fmt: skip
        before = example.data if isinstance(example, Example) else None
        if kind is not None and isinstance(example, Example):
            told["before"] = kind.hash(before)
            told["after"] = None if data is None else kind.hash(data)
        self.rows.append(told)
        if kind is None or example is None or (not left and data is None):
            return  # nothing to see
        few, number = self._shown.setdefault(rule, []), hash_of("shown", rule, row.id)
        if len(few) < SHOWN or number < few[-1][0]:
            if not isinstance(example, Example):
                before = example(row)
            looks = {
                "order": number, "rule": rule, "id": row.id, "why": said.why,
                "value": said.value, "before": kind.shown(before, data),
                "after": None if data is None else kind.shown(data, before),
            }  # fmt: skip
            few.append((number, looks))
            few.sort(key=lambda pair: pair[0])
            del few[SHOWN:]

    def shown(self) -> list[dict[str, Any]]:
        return [looks for few in self._shown.values() for _, looks in few]


# --- small things ---------------------------------------------------------------------------


def one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]


def silent(what: str, done: int, of: int | None) -> None:
    pass


def batched(items: Iterator[Raw], num: int) -> Iterator[list[Raw]]:
    while batch := list(islice(items, num)):
        yield batch


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as f:
        for line in f:
            yield json.loads(line)
