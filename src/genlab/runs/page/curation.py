"""The page of a curated set: report.html beside it, with examples of what each rule did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genlab.runs.page import write

COUNTED = {"split": "Splits", "licence": "Licences", "language": "Languages", "source": "Sources"}
MOST = 30  # values of a column that are counted on the page


def write_page(path: Path, dataset: dict[str, Any], shown: dict[str, list[dict[str, Any]]]) -> Path:
    """`dataset`: what dataset.json holds; `shown`: a few changes of each rule."""
    rules = [
        {
            "name": name,
            "left_out": left,
            "changed": dataset["changed"][name],
            "share": left / dataset["raws"],
            "shown": [looked(x) for x in shown.get(name, ())],
        }
        for name, left in dataset["left_out"].items()
    ]
    counts = [
        {"title": title, "rows": list(found.items())[:MOST], "more": max(0, len(found) - MOST)}
        for name, title in COUNTED.items()
        if (found := dataset.get(f"by_{name}"))
    ]
    page = {"title": dataset["recipe"]["raw"]["name"], "dataset": dataset, "rules": rules}
    return write.write_page(path, "curation.html", {**page, "counts": counts})


def looked(looks: dict[str, Any]) -> dict[str, Any]:
    """One change, as the template shows it: pictures are data: URIs that genlab made."""
    names = {"before": "before", "after": "after", "twin": "what stays"}
    sides = [(name, looks[n]) for n, name in names.items() if looks.get(n) is not None]
    shown = [
        {"name": name, "picture": text if is_picture(text) else None, "text": text}
        for name, text in sides
    ]
    return {**looks, "sides": shown}


def is_picture(text: str) -> bool:
    return text.startswith("data:image/png;base64,") and text[22:].isascii() and " " not in text
