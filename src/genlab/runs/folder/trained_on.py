"""What a model has learnt from: sets of examples, each with its licences, as a run keeps them.

Read: `trained_on` (made once, when a run begins; what the weights it starts from had learnt is
added), `kept` (read back, from a file that may be foreign), then what is asked of it: `licences`,
`check_policy`, `beside` (the words that lie beside what the model makes). The counts are those of
data/origins.py. They stand in provenance.json and, since a model is handed on without its folder,
in every checkpoint and export.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genlab.curation.licences import POLICIES, allowed
from genlab.data.origins import LONG, MOST, UNKNOWN, text_of
from genlab.runs.folder.layout import write_json
from genlab.runs.say.errors import UserError, nearest
from genlab.runs.say.secrets import redact
from genlab.shown import one_line

SETS = 100  # that one model has learnt from, through those that it began from
TEXTS = ("licence", "source", "consent", "example")
Sets = list[dict[str, Any]]


def trained_on(data: Any, before: Sequence[dict[str, Any]]) -> Sets:
    """The set of `data`, what edits add to it, and what its first weights have learnt from."""
    added = (edit.adds() for edit in data.edits)
    own = [_set_of(d) for d in (data, *(d for d in added if d is not None))]
    return redact(merged([*own, *before]))


def _set_of(data: Any) -> dict[str, Any]:
    found = data.origins()
    return {
        "fingerprint": data.fingerprint(),
        "data": type(getattr(data, "source", data)).__name__,
        "noun": found.noun,
        "groups": found.plain(),
    }


def merged(sets: Sequence[dict[str, Any]]) -> Sets:
    """Each set once, in their order; of no more than SETS the rest is unknown."""
    found: dict[tuple, dict[str, Any]] = {}
    for one in sets:
        found.setdefault((one["fingerprint"], repr(one["groups"])), one)
    few = list(found.values())
    return few if len(few) <= SETS else [*few[: SETS - 1], not_told("more sets")]


def not_told(what: str = "not recorded") -> dict[str, Any]:
    """The set of a model that says nothing of it."""
    group = {"licence": UNKNOWN, "source": "", "consent": "", "examples": 0, "example": ""}
    return {"fingerprint": UNKNOWN, "data": what, "noun": "examples", "groups": [group]}


def kept(own: dict[str, Any]) -> Sets:
    """What a checkpoint, an export or provenance.json says under trained_on."""
    sets = own.get("trained_on")
    if not isinstance(sets, list) or not sets:
        return [not_told()]
    return merged([_set(one) for one in sets[: SETS + 1]])


def _set(one: Any) -> dict[str, Any]:
    """A set as it must be; what is something else in it is not known."""
    groups = one.get("groups") if isinstance(one, dict) else None
    if not isinstance(groups, list) or not groups or not all(isinstance(g, dict) for g in groups):
        return not_told()
    told = {k: text_of(one.get(k))[:LONG] for k in ("fingerprint", "data", "noun")}
    return {**told, "groups": [_group(g) for g in groups[: 3 * MOST]]}


def _group(group: dict[str, Any]) -> dict[str, Any]:
    num = group.get("examples")
    texts = {k: text_of(group.get(k)) for k in TEXTS}
    texts["licence"] = texts["licence"] or UNKNOWN
    return {**texts, "examples": num if type(num) is int and num > 0 else 0}


# --- what is asked of it --------------------------------------------------------------------------


def groups(sets: Sets) -> list[dict[str, Any]]:
    return [group for one in sets for group in one["groups"]]


def counted(sets: Sets, key: str) -> dict[str, int]:
    """How many examples have each value of licence, source or consent, the most frequent first."""
    found: dict[str, int] = {}
    for group in groups(sets):
        if group[key]:
            found[group[key]] = found.get(group[key], 0) + group["examples"]
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def licences(sets: Sets) -> str:
    """The union of the licences in words, with how many examples are of each."""
    found = counted(sets, "licence")
    return ", ".join(f"{one_line(k)} ({n:,})" if n else one_line(k) for k, n in found.items())


def fingerprints(sets: Sets) -> list[str]:
    return [one["fingerprint"] for one in sets]


def check_policy(sets: Sets, policy: str | None, unknown: str) -> None:
    """Refuse a model with a training example that a policy forbids, naming one and how many.

    An example whose licence is not known is refused too, unless `unknown` is "allow".
    """
    if unknown not in ("refuse", "allow"):
        raise UserError(f"unknown={unknown}: allowed are refuse and allow")
    if policy is None:
        return
    if policy not in POLICIES:
        raise UserError(
            f"policy={policy}: there is no such policy{nearest(policy, POLICIES)}; there are"
            f" {', '.join(POLICIES)}"
        )
    fits = [(g, allowed(g["licence"], policy)) for g in groups(sets)]
    key = f"policy={policy}"
    if forbidden := [g for g, fit in fits if fit is False]:
        raise UserError(
            f"{key} forbids {_told(forbidden, sets)}: leave such out and train anew (genlab prepare"
            f" ... +rule@rules.licence=licence rules.licence.policy={policy})"
        )
    if unknown == "refuse" and (open_ := [g for g, fit in fits if fit is None]):
        raise UserError(
            f"{key}: the licence is not known of {_told(open_, sets)}: write unknown=allow if you"
            " may use them so"
        )


def _told(found: list[dict[str, Any]], sets: Sets) -> str:
    """How many are not allowed, and the first of them."""
    first, num = found[0], sum(g["examples"] for g in found)
    if not first["examples"]:
        return "what the model, or one that it began from, has learnt from (not recorded)"
    total = sum(g["examples"] for g in groups(sets))
    more = f", from {one_line(first['source'])}" if first["source"] else ""
    return (
        f"{num:,} of {total:,} training examples, as {one_line(first['example'])}"
        f" ({one_line(first['licence'])}{more})"
    )


def beside(sets: Sets) -> dict[str, Any]:
    """What lies beside a file that the model has made."""
    return {
        "licences": counted(sets, "licence"),
        "sources": counted(sets, "source"),
        "consent": counted(sets, "consent"),
        "data_fingerprints": fingerprints(sets),
    }


def write_beside(stem: Path, files: Sequence[Path], own: dict[str, Any], **more: Any) -> Path:
    """stem.json: which files it is beside, what was asked, and what the model has learnt from."""
    from genlab import __version__

    told = {
        "made_by": f"genlab {__version__}, a model trained on the data below; no person",
        "model": text_of(own["settings"].get("name")),
        "files": [file.name for file in files],
        **more,
        "trained_on": beside(kept(own)),
    }
    path = stem.with_name(f"{stem.name}.json")
    write_json(path, redact(told))
    return path
