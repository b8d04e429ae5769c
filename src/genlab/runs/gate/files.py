"""What a foreign file may say: plain data of bounded size, no resolvers, nothing of Hydra's own.

Read: `parse` (YAML, its size known before anything unfolds it), `check_plain` (settings that are
data and nothing else: from checkpoints, run folders, exports), `check_command_line` (--config-dir).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from genlab.runs.gate.reach import PLACES
from genlab.runs.say.errors import UserError

BYTES = 2**20  # of a YAML file
NODES = 50_000  # that it may unfold into, aliases counted as what they stand for
DEPTH = 50
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
UNFOLDED = 1_000_000  # entries that interpolations may unfold into
FILES = 10_000  # in a folder of configs
# what libyaml and PyYAML raise of a text: `!!int ''`, `!!bool x` and `!!timestamp x` the last two
NOT_YAML = (
    yaml.YAMLError, ValueError, RecursionError, OverflowError, LookupError, AttributeError,
)  # fmt: skip
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# what only the command line may set, never a file brought with --config-dir: Hydra's own settings
# (callbacks, launcher, logging, folders: they run before genlab's gate), and what reaches beyond
# the run folder
RESERVED = re.compile("|".join(("hydra", "trust", "resume", *PLACES)))
HYDRA = re.compile(r"(?<![\w-])hydra(?![\w-])", re.I)
PARTS = re.compile(r"[.\[\]@/:,\s'\"]+")  # of a package, as Hydra and OmegaConf take it apart
# keys may be interpolated, resolvers not: ${oc.env:...} reads the environment
REFERENCE = re.compile(r"\$\{(?:oc\.select: *+)?(\.*+)([\w\[][\w.\[\]]*+)(?:,[^${}]*)?\}", re.ASCII)
HARMLESS = re.compile(
    r"\$\{(?:\.*+[\w\[][\w.\[\]]*+|hydra:runtime\.choices\.[\w/@]+|now:[^${}]*"
    r"|oc\.select: *+\.*+[\w\[][\w.\[\]]*+(?:,[^${}'\"]*)?)\}",
    re.ASCII,
)


def read_text(path: Path, *, limit: int = BYTES) -> str:
    try:
        with path.open("rb") as f:
            raw = f.read(limit + 1)
        if len(raw) > limit:
            raise UserError(f"{path} is larger than a config can be ({limit:,} bytes)")
        return raw.decode("utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error.reason}") from None


def read_yaml(path: Path, *, limit: int = BYTES) -> Any:
    return parse(read_text(path, limit=limit), str(path))


def parse(text: str, where: str) -> Any:
    """YAML as plain data; a bomb or a tag is refused before anything is built of it."""
    if re.search(r"^%", text, re.M):  # %TAG: each is compared with all before it
        raise UserError(f"{where}: a line that begins with % is no part of a config")
    try:
        bounded(text, where)
        loader = LOADER(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except UserError:
        raise
    except NOT_YAML as error:
        raise UserError(f"{where} is not YAML: {' '.join(str(error).split())[:200]}") from None


def bounded(text: str, where: str) -> None:
    """Refuse YAML that is too deep, unfolds into too much, or names types."""
    sizes: dict[str, int] = {}
    inside: list[tuple[str | None, int]] = []  # anchor and size so far of what is open
    for event in yaml.parse(text, Loader=LOADER):
        if not isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            continue
        line = event.start_mark.line + 1
        tag = getattr(event, "tag", None)
        if tag is not None and (not tag.startswith("tag:yaml.org,2002:") or "python" in tag):
            raise UserError(f"{where}, line {line}: the tag {tag} is not allowed in a config")
        if isinstance(event, yaml.CollectionStartEvent):
            inside.append((event.anchor, 1))
            if len(inside) > DEPTH:
                raise UserError(f"{where}, line {line}: nested deeper than {DEPTH}")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = inside.pop()
        elif isinstance(event, yaml.AliasEvent):
            anchor, size = None, sizes.get(event.anchor, NODES + 1)  # of itself: no end
        else:
            anchor, size = event.anchor, 1 + len(event.value) // 1000
            digits = not event.style and event.value[:1] in tuple("0123456789+-.")
            # a number's digits cost their square
            if (digits or tag in NUMBERS) and len(event.value) > 1000:
                raise UserError(f"{where}, line {line}: a number of {len(event.value):,} digits")
        if anchor is not None:
            sizes[anchor] = size
        if inside:
            inside[-1] = (inside[-1][0], size := inside[-1][1] + size)
        if size > NODES:
            raise UserError(f"{where}, line {line}: unfolds into more than {NODES:,} entries")


def walk(data: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every (place, key or value) at any depth; what is too deep or too much is refused."""
    left, stack = NODES, [(where, data, 0)]
    while stack:
        place, value, depth = stack.pop()
        left -= 1
        if left < 0 or depth > DEPTH:
            raise UserError(f"{place or 'the settings'}: nested too deep, or too many entries")
        yield place, value
        if isinstance(value, dict):
            for key, inner in reversed(value.items()):
                here = f"{place}.{key}" if place else str(key)
                yield here, key
                stack.append((here, inner, depth + 1))
        elif isinstance(value, list | tuple):
            stack += [(f"{place}[{i}]", v, depth + 1) for i, v in enumerate(value)][::-1]


def check_plain(data: Any, where: str = "", *, texts: bool = True) -> None:
    """Refuse what is not plain data; with `texts` also texts that a resolver would act on.

    Hydra resolves `${...}` a second time when it builds: what stands in a text then would name
    classes that no gate has seen.
    """
    for place, value in walk(data, where):
        if value is not None and type(value) not in (bool, int, float, str, dict, list, tuple):
            raise UserError(f"{place}: {type(value).__name__} is not plain data")
        if texts and isinstance(value, str) and "${" in value:
            raise UserError(f"{place}={value[:60]!r}: '${{' is not allowed in a settled value")


def check_unfolding(data: Any, where: str) -> None:
    """Refuse what interpolations (`${a.b}`, `${.b}`) would unfold into too much, before they do."""
    sizes: dict[tuple, int] = {}

    def found(path: tuple) -> Any:
        node = data
        for part in path:
            if isinstance(node, list) and part.isdigit() and int(part) < len(node):
                node = node[int(part)]
            elif isinstance(node, dict) and part in node:
                node = node[part]
            else:
                return None
        return node

    def size(node: Any, path: tuple) -> int:
        if path in sizes:
            return sizes[path]
        sizes[path] = 0  # while it is counted: a circle is refused by OmegaConf
        if isinstance(node, dict):
            num = sum(1 + size(value, (*path, str(key))) for key, value in node.items())
        elif isinstance(node, list):
            num = sum(1 + size(value, (*path, str(i))) for i, value in enumerate(node))
        else:
            num = 1 + len(str(node)) // 100
            for dots, keys in REFERENCE.findall(node) if isinstance(node, str) else ():
                inner = tuple(re.findall(r"[^.\[\]]+", keys))
                target = (*path[: len(path) - len(dots)], *inner) if dots else inner
                num += size(found(target), target)
        if num > UNFOLDED:
            raise UserError(
                f"{where}: {'.'.join(path)[:80]} unfolds into more than {UNFOLDED:,} entries"
            )
        sizes[path] = num
        return num

    try:
        size(data, ())
    except RecursionError:
        raise UserError(f"{where}: interpolations of interpolations, without end") from None


def folder_name(name: Any) -> str:
    """A name that becomes a folder: one part of a path, which prints as it is."""
    text = str(name)
    if not text.isprintable() or not text.strip() or re.search(r'[/\\:*?"<>|]', text):
        raise UserError(
            f"name={text[:60]!r} becomes a folder: no separators, control characters or any of"
            ' : * ? " < > |'
        )
    if text.startswith((".", "-", "~")) or len(text.encode()) > 120:
        raise UserError(f"name={text[:60]!r} becomes a folder: at most 120 bytes, first a letter")
    return text


def check_command_line(words: list[str]) -> None:
    """Refuse, before Hydra acts on them, options and folders that would bring in code."""
    from hydra._internal.utils import get_args

    asked = get_args(words)
    if asked.experimental_rerun:
        raise UserError("--experimental-rerun reads a pickle, which can run code: use resume=RUN")
    if asked.config_path:
        raise UserError("--config-path would leave out genlab's own files: use --config-dir FOLDER")
    for override in asked.overrides:
        if override.lstrip("+~").startswith("hydra.searchpath"):
            raise UserError(f"{override[:60]}: use --config-dir FOLDER, whose files are checked")
    if asked.config_dir:
        if not Path(asked.config_dir).is_dir():
            raise UserError(f"--config-dir {asked.config_dir}: there is no such folder")
        check_folder(Path(asked.config_dir))


def check_folder(folder: Path) -> None:
    """Refuse a folder of configs of which any file sets what only the command line may."""
    seen: set[str] = set()
    num = 0
    for at, names, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(at)) in seen:  # a link back
            names.clear()
            continue
        seen.add(real)
        if "hydra" in names and Path(at) == folder:
            raise UserError(f"{folder}/hydra: Hydra's own settings come from the command line only")
        for file in sorted(f for f in files if f.endswith((".yaml", ".yml"))):
            num += 1
            if num > FILES:
                raise UserError(f"{folder} holds more than {FILES:,} YAML files")
            if (Path(at) / file).is_file():
                check_config(Path(at) / file)


def check_config(path: Path) -> None:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    text = read_text(path)
    parse(text, str(path))
    try:
        data = OmegaConf.to_container(OmegaConf.create(text), resolve=False)  # as Hydra will see it
    # of a text that is no mapping OmegaConf asserts that it is one
    except (OmegaConfBaseException, AssertionError, *NOT_YAML) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())[:200]}") from None
    check_unfolding(data, str(path))
    for line in text.splitlines():
        if line.lstrip().startswith("#") and "@package" in line:
            if HYDRA.search(line):
                raise UserError(
                    f"{path}: {line.strip()[:80]!r}: hydra is for the command line only"
                )
            _check_package(path, line.partition("@package")[2])
    for place, value in walk(data):
        word = re.split(r"[.@/\[]", place)[-1] if isinstance(value, str) else ""
        if place and any(RESERVED.fullmatch(part) for part in re.split(r"[.\[\]]", place)):
            raise UserError(f"{path}: {place[:80]} may be set on the command line only, by no file")
        if word == "mode" and value == "online":
            raise UserError(f"{path}: {place}=online may be set on the command line only")
        if isinstance(value, str) and "${" in HARMLESS.sub("", value):
            raise UserError(
                f"{path}: {place}={value[:60]!r}: in a file only ${{key}} is allowed, no resolver"
            )
    defaults = walk(data.get("defaults") if isinstance(data, dict) else None)
    for word in (str(v) for _, v in defaults if v is not None and not isinstance(v, dict | list)):
        odd = not word.strip() or not word.isprintable()
        if odd or HYDRA.search(word) or ".." in word or "//" in word or "$" in word:
            raise UserError(f"{path}: defaults may not name {word[:80]!r}")
    for word in (str(k) for _, k in walk(data.get("defaults") if isinstance(data, dict) else None)):
        _check_package(path, word.partition("@")[2])


def _check_package(path: Path, package: str) -> None:
    """Refuse a place to put settings that only the command line may set."""
    if any(RESERVED.fullmatch(part) for part in PARTS.split(package)):
        raise UserError(f"{path}: the package {package[:80]!r} is for the command line only")
