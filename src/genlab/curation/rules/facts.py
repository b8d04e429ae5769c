"""Rules of what is known of an example, whatever its kind: licences, columns, balance, splits."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from genlab.curation.base import Each, Example, Kind, Leave, Note, Whole, hash_of
from genlab.curation.licences import POLICIES, allowed


class Licence(Each):
    """Its licence must be one that the policy allows; unknown ones are refused unless allowed."""

    def __init__(
        self, *, policy: str = "open", column: str = "licence", default: str | None = None,
        unknown: Literal["leave", "keep"] = "leave",
    ) -> None:  # fmt: skip
        """`policy`: open, commercial or public_domain (curation/licences.py); `default`: of what
        has none in the column `column` (or `license`)."""
        if policy not in POLICIES:
            raise ValueError(f"policy={policy}: there are {', '.join(POLICIES)}")
        self.policy, self.column, self.default, self.unknown = policy, column, default, unknown

    def __call__(self, example: Example) -> Leave | Note | None:
        given = example.facts.get(self.column) or example.facts.get("license") or self.default
        if not given:
            return Leave("no licence", None) if self.unknown == "leave" else None
        fits = allowed(str(given), self.policy)
        if fits is None and self.unknown == "leave":
            return Leave("a licence that is not known", str(given))
        if fits is False:
            return Leave(f"not allowed by policy={self.policy}", str(given))
        return Note({"licence": str(given)})


class Where(Each):
    """A column's value must be among some, or between two numbers."""

    def __init__(
        self, *, column: str, among: Sequence[Any] | None = None, least: float | None = None,
        most: float | None = None, missing: Literal["leave", "keep"] = "leave",
    ) -> None:  # fmt: skip
        if (among is None) == (least is None and most is None):
            raise ValueError("write among=[VALUE, ...], or least= and most=")
        self.column, self.among, self.missing = column, among, missing
        self.least, self.most = least, most

    def __call__(self, example: Example) -> Leave | None:
        value = example.facts.get(self.column)
        if value in (None, ""):
            return Leave(f"no {self.column}") if self.missing == "leave" else None
        if self.among is not None:
            right = value in self.among or str(value) in map(str, self.among)
            return None if right else Leave(self.column, str(value))
        try:
            number = float(value)
        except (TypeError, ValueError):
            return Leave(f"{self.column} is no number", str(value))
        low, high = self.least, self.most
        if math.isnan(number) or (low is not None and number < low):
            return Leave(f"{self.column} under {low}", number)
        return Leave(f"{self.column} over {high}", number) if high and number > high else None


class Forget(Each):
    """Those whose owners want them out: by their ids, here or in a curated set that is read."""

    def __init__(self, *, ids: Sequence[str | int] | str) -> None:
        """`ids`: a list, or a text file with one a line; of raw files FILE, or FILE:LINE."""
        if isinstance(ids, str):
            if not Path(ids).expanduser().is_file():
                raise ValueError(f"ids={ids}: a list, or a file with one id a line")
            ids = Path(ids).expanduser().read_text().split("\n")
        self.ids = {str(i).strip() for i in ids} - {""}
        if not self.ids:
            raise ValueError("ids: there is none, so nothing would be forgotten")

    def __call__(self, example: Example) -> Leave | None:
        names = {example.id, str(example.facts.get("id", ""))}
        found = sorted(names & self.ids)
        return Leave("to be forgotten", found[0]) if found else None


class Split(Whole):
    """Which are held out: by a hash of what they are called, or of their group, a share of all.

    All of one group are on one side: one speaker, one tune, one page.
    """

    def __init__(
        self, *, val: float = 0.1, test: float = 0.0, group: str | None = None, seed: int = 0
    ) -> None:
        """`val`, `test`: shares of the groups' hashes; `group`: a column, null: each by itself."""
        if not 0 <= val < 1 or not 0 <= test < 1 or not val + test < 1:
            raise ValueError(f"val={val} test={test}: shares whose sum is under 1")
        self.val, self.test, self.group, self.seed = val, test, group, seed

    def sketch(self, example: Example, kind: Kind) -> bytes:
        name = example.id
        if self.group is not None:
            if example.facts.get(self.group) in (None, ""):
                raise ValueError(f"it has no {self.group!r}, by which the split goes")
            name = str(example.facts[self.group])
        return hash_of("split", self.seed, name).to_bytes(8, "little", signed=False)

    def decide(self, sketches: Sequence[bytes]) -> dict[int, Leave | Note]:
        """val are the groups of the lowest hashes, so many as hold the share; test those after."""
        num = Counter(sketches)
        total, split, before = len(sketches), {}, 0
        ends = {"val": self.val * total, "test": (self.val + self.test) * total}
        for key in sorted(num):
            name = next((n for n, end in ends.items() if before < end - 1e-9), "train")
            split[key], before = name, before + num[key]
        return {i: Note({"split": split[s]}) for i, s in enumerate(sketches) if split[s] != "train"}


class Balance(Whole):
    """How often each value of a column is there: by a weight, or by leaving some out."""

    def __init__(
        self, *, column: str, to: Mapping[str, float] | None = None,
        by: Literal["weight", "leave"] = "weight", seed: int = 0,
    ) -> None:  # fmt: skip
        """`to`: the wanted share of each value, null: all alike; `by`: weight writes `weight`
        beside each, whose mean is 1; leave takes the share that is there, by a hash."""
        self.column, self.to, self.by, self.seed = column, dict(to) if to else None, by, seed

    def sketch(self, example: Example, kind: Kind) -> bytes:
        value = example.facts.get(self.column)
        return json.dumps([str(value), hash_of("balance", self.seed, example.id)]).encode()

    def decide(self, sketches: Sequence[bytes]) -> dict[int, Leave | Note]:
        read = [json.loads(s) for s in sketches]
        num = Counter(value for value, _ in read)
        if self.to is not None and (missing := set(num) - set(self.to)):
            raise ValueError(f"to: it has no share for {self.column}={sorted(missing)[0]}")
        share = {v: (self.to[v] if self.to else 1 / len(num)) for v in num}
        whole = sum(share.values())
        weight = {v: share[v] / whole * len(read) / num[v] for v in num}
        if self.by == "weight":
            return {i: Note({"weight": round(weight[v], 6)}) for i, (v, _) in enumerate(read)}
        most = max(weight.values())  # of the value that is rarest beside what is wanted: all stay
        kept = {v: round(num[v] * weight[v] / most) for v in num}
        found: dict[int, Leave | Note] = {}
        for value in num:
            own = sorted((h, i) for i, (v, h) in enumerate(read) if v == value)
            for _, i in own[kept[value] :]:
                found[i] = Leave(f"{self.column}={value} is more often than wanted", num[value])
        return found
