"""The data card of a curated set: what there is, what was done, under which licences."""

from __future__ import annotations

from typing import Any

import yaml

from genlab.shown import one_line

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))


def card(dataset: dict[str, Any]) -> str:
    """The data card: the YAML head that data hubs read, and what was done in words."""
    head: dict[str, Any] = {
        "license": sorted(dataset.get("by_licence", {})) or ["unknown"],
        "size_categories": [next((w for n, w in SIZES if dataset["kept"] < n), "1M<n<10M")],
        "tags": ["genlab", dataset["kind"]],
    }
    if languages := dataset.get("by_language"):
        head["language"] = sorted(languages)
    noun = dataset["noun"]
    lines = [
        "---", yaml.safe_dump(head, sort_keys=False, allow_unicode=True).rstrip(), "---", "",
        f"# {dataset['recipe']['raw']['name']}, curated", "",
        f"{dataset['kept']:,} of {dataset['raws']:,} {noun} from {dataset['recipe']['raw']['name']}"
        f" ({dataset['recipe']['raw']['files']:,} files) are kept.", "",
        "| rule | left out | changed |", "|---|---:|---:|",
    ]  # fmt: skip
    for rule, left in dataset["left_out"].items():
        lines.append(f"| {rule} | {left:,} | {dataset['changed'][rule]:,} |")
    for name, title in (("split", "Splits"), ("licence", "Licences"), ("source", "Sources")):
        if counts := dataset.get(f"by_{name}"):
            told = ", ".join(f"{one_line(k)} {n:,}" for k, n in list(counts.items())[:20])
            lines += ["", f"{title}: {told}."]
    if tokens := dataset.get("tokens"):
        lines += ["", f"Tokens, in `tokens`: {tokens_told(tokens)}."]
    if notes := dataset.get("notes"):
        lines += ["", *(f"- {one_line(note)}" for note in notes)]
    lines += [
        "", "`ledger.parquet` has a row for everything that was left out or changed: which, by"
        " which rule, why, the value that decided, hashes before and after.",
        "", f"Fingerprint: `{dataset['fingerprint']}`. The recipe stands in `dataset.json`.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def tokens_told(tokens: dict[str, int]) -> str:
    return f"train {tokens['train']:,}, val {tokens['val']:,}, vocabulary {tokens['vocab']:,}"
