"""`genlab COMMAND --help`: its form, options and examples, from the comments in conf."""

from __future__ import annotations

import re

from genlab.runs.settings.conf import conf_dir, groups, options

FORMS = {
    "train": "genlab train [GROUP=OPTION ...] [KEY=VALUE ...] [FLAGS]",
    "check": "genlab check [GROUP=OPTION ...] [KEY=VALUE ...] [--config-dir FOLDER]",
    "sample": "genlab sample run=RUN [KEY=VALUE ...]",
    "evaluate": "genlab evaluate run=RUN [KEY=VALUE ...]",
    "report": "genlab report RUN",
    "compare": "genlab compare A B [KEY=VALUE ...]",
    "reproduce": "genlab reproduce [ROW ...] [KEY=VALUE ...]",
    "board": "genlab board [FOLDER] [KEY=VALUE ...]",
    "export": "genlab export run=RUN to=FOLDER",
    "prepare": "genlab prepare kind=KIND from=RAW to=FOLDER [RECIPE'S KEY=VALUE ...]",
    "play": "genlab play [run=RUN,RUN] [KEY=VALUE ...]",
    "list": "genlab list [GROUP ... | runs] [--config-dir FOLDER]",
}
OWN = {  # commands without a file in conf/: what they do, examples
    "check": (
        "Compose and build without training: parameters, shapes, memory, steps.",
        [
            "genlab check model=gan data=mnist",
            "genlab check net.width=96 data.batch_size=64",
            "genlab check experiment=shakespeare_gpt measure=true   # minutes, memory, disk",
        ],
    ),
    "list": (
        "The groups, their options and the experiments, with a line each.",
        [
            "genlab list",
            "genlab list experiment net",
            "genlab list runs   # below outputs/: date, state, first figure, folder",
        ],
    ),
}
HOME = {"check": "train", "list": "train"}
FLAGS = {
    "-m, --multirun": "a sweep: KEY=A,B runs all combinations",
    "--config-dir FOLDER": "YAML files of your own beside genlab's",
    "--cfg job": "print what is composed, and run nothing",
    "--hydra-help": "Hydra's own flags",
}
LINE = re.compile(r"( *)(\w+):\s*([^#]*?)\s*(?:#\s*(.*))?")


def print_help(command: str) -> None:
    lines = (conf_dir() / f"{HOME.get(command, command)}.yaml").read_text().splitlines()
    head = [line[1:].strip() for line in lines if line.startswith("#")]
    what = head[0].partition(": ")[2].partition(";")[0].rstrip(".") + "."
    examples = [line for line in head if line.startswith("genlab")]
    notes = [line for line in head[1:] if line and line not in examples]
    if command in OWN:
        (what, examples), notes = OWN[command], []
    parts = [f"{FORMS[command]}\n\n{what[:1].upper()}{what[1:]}"]
    parts += ["\n".join(notes)] if notes else []
    if command in ("train", "check"):
        parts.append(
            _table(
                "groups (`genlab list GROUP` shows the options)",
                {group: ", ".join(options(group)) for group in groups()},
            )
        )
    if command != "list":
        parts.append(_table("keys, with what they are if not given", dict(_keys(lines))))
    if command == "train":
        parts.append(_table("flags, at any position", FLAGS))
    if command in ("check", "list"):
        parts.append(_table("flags", {k: v for k, v in FLAGS.items() if "config-dir" in k}))
    parts.append("examples\n" + "\n".join(f"  {line}" for line in examples))
    print("\n\n".join(parts))


def _keys(lines: list[str]):
    """(key=value, its comment) of every setting in a command's YAML, but Hydra's own."""
    above = ""
    for line in lines:
        found = LINE.fullmatch(line)
        if not found or (found[1] and above in ("defaults", "hydra", "")):
            continue
        indent, key, value, comment = found.groups()
        if not indent:
            above = key if not value else ""
            if above:
                continue
        name = f"{above}.{key}" if indent else key
        yield name if value == "???" or "${" in value else f"{name}={value}", comment or ""


def _table(title: str, rows: dict[str, str]) -> str:
    width = min(28, max(map(len, rows)))
    cut = ((left, right if len(right) < 90 else right[:87] + "...") for left, right in rows.items())
    return "\n".join([title, *(f"  {left:{width}}  {right}".rstrip() for left, right in cut)])
