"""data=prepared: the words that train on a set that `genlab prepare` made, of whatever kind it is.

The set's dataset.json says its kind; which option of conf/data reads that kind is said here, so
that a stranger's set chooses among those alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from genlab.data.naming import item
from genlab.runs.folder.layout import read_json
from genlab.runs.say.errors import UserError

# of each kind: the option, and files of the set, the first that is there is read (none: the folder)
READERS = {
    "text": ("text_file", ["documents.jsonl"]),
    "image": ("image_folder", []),
    "sound": ("audio_folder", []),
    "music": ("midi_folder", []),
    "video": ("video_folder", []),
    "table": ("table", ["rows.csv", "rows.jsonl"]),
}
# the option where something else is asked of a kind
ASKED = {
    "image": {"conditions=captions": "captioned_folder"},
    "video": {"conditions=captions": "captioned_videos"},
    "table": {"model=autoregressive": "table_tokens"},
}
# what must be said beside the set, where the default is for pictures
TRAIN = dict.fromkeys(("text", "music"), ("model=autoregressive",)) | {"table": ("model=vae",)}
CAPTIONED, LABELLED = ("image", "video"), ("image", "sound", "music", "video")
MOST_CLASSES = 1000
PLAIN = re.compile(r"[\w./-]+", re.A)  # a path that Hydra reads as it is
# what may lie there as tokens, and the tokenizer by its class
TOKENIZED = ("text",)
TOKENIZERS = {f"genlab.data.tokenizers.{k}": k.lower() for k in ("Bytes", "Characters", "BPE")}
# more words of an option, where the user has not said otherwise
SPLIT = {"table": {"data.split": "split"}}


def chosen(words: list[str]) -> list[str]:
    """The words, data=prepared being replaced by the option that reads the set at data.root."""
    if "data=prepared" not in words:
        return words
    roots = [w.partition("=")[2].strip("'\"") for w in words if w.startswith("data.root=")]
    if not roots:
        raise UserError("data=prepared: which set? write data.root=FOLDER, as of `genlab prepare`")
    path = Path(roots[-1]).expanduser() / "dataset.json"
    found = read_json(path)
    if found.get("genlab") != "dataset":
        raise UserError(
            f"data.root={roots[-1]}: no set that `genlab prepare` made: {path.name} is missing or"
            " says otherwise; other folders are data=image_folder, data=text_folder, ..."
        )
    kind = found.get("kind")
    if kind not in READERS:
        raise UserError(f"{path}: kind {kind!s:.40}: there are {', '.join(READERS)}")
    option, files = READERS[kind]
    option = next((o for word, o in ASKED.get(kind, {}).items() if word in words), option)
    file = next((f for f in files if (path.parent / f).is_file()), *files[:1] or [""])
    place = str(path.parent / file)
    named = f"data.path={place}" if PLAIN.fullmatch(place) else f"data.path='{place}'"
    more = dict(SPLIT.get(kind, {}))
    more |= _tokenizer(found) if kind in TOKENIZED else {}
    if SPLIT.get(kind) and dict(found.get("by_split") or {}).get("val"):
        more["data.val_fraction"] = "null"
    words = [f"data={option}" if w == "data=prepared" else w for w in words]
    said = {w.partition("=")[0] for w in words}
    if "tokenizer" in said:
        more = {k: v for k, v in more.items() if not k.startswith("tokenizer")}
    words += [f"{key}={value}" for key, value in more.items() if key not in said]
    return [named if file and w.startswith("data.root=") else w for w in words]


def unused_labels(data: dict[str, Any]) -> str:
    """What to say where a prepared set at data.root has labels, and no class is learnt of them."""
    path = Path(str(data.get("root") or "")) / "dataset.json"
    if data.get("num_classes") is not None or not data.get("root") or not path.is_file():
        return ""
    found = read_json(path)  # anyone's, where the folder is no prepared set
    labels = found.get("by_label") if found.get("genlab") == "dataset" else None
    num = len(labels) if isinstance(labels, dict) else 0
    return f"{num} labels: data.num_classes={num} learns them" if num > 1 else ""


def _tokenizer(found: dict[str, Any]) -> dict[str, Any]:
    """The words for the tokenizer whose tokens a set has."""
    recipe = found.get("recipe")
    node = recipe.get("tokenizer") if isinstance(recipe, dict) else None
    name = TOKENIZERS.get(str(node.get("_target_"))) if isinstance(node, dict) else None
    if name is None:
        return {}
    size = {"tokenizer.size": node["size"]} if type(node.get("size")) is int else {}
    return {"tokenizer": name, **size}


def to_train(dataset: dict[str, Any], to: Path) -> list[str]:
    """The words that train on a set in the folder `to`: by its labels or captions, without its idle
    columns."""
    words = []
    if idle := dataset.get("idle_columns"):
        words.append(f"data.drop=[{','.join(map(item, idle))}]")
    if dataset["kind"] in CAPTIONED and 2 * dataset.get("captions", 0) > dataset["kept"]:
        words.append("conditions=captions")
    elif dataset["kind"] in LABELLED and 2 <= len(dataset.get("by_label", ())) <= MOST_CLASSES:
        words.append(f"data.num_classes={len(dataset['by_label'])}")
    return [*TRAIN.get(dataset["kind"], ()), "data=prepared", f"data.root={to}", *words]
