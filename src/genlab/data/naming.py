"""Names of columns as they are typed: what a shell or Hydra's grammar would not read is quoted."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

PLAIN = re.compile(r"(?!(?:null|true|false|nan|inf)\Z)[a-z_][\w-]*", re.A | re.I)
MOST = 20  # names in a message


def item(text: str) -> str:
    """A text as it stands in a list, and as a value: zip, "a, b"."""
    return text if PLAIN.fullmatch(text) else '"' + re.sub(r'(\\*)("|\Z)', _escaped, text) + '"'


def _escaped(found: re.Match[str]) -> str:
    """A quote, or the end, and the backslashes before it, as they stand within quotes."""
    return found[1] * 2 + ("\\" + found[2] if found[2] else "")


def typed(word: str) -> str:
    """An override as it is typed in a shell."""
    return "'" + word.replace("'", r"'\''") + "'"


def drop(*names: str) -> str:
    """The override that leaves columns out."""
    return typed(f"data.drop=[{','.join(map(item, names))}]")


def kind(name: str, kind: str) -> str:
    """The override that says what a column holds; an odd name stands in a list."""
    if PLAIN.fullmatch(name):
        return f"+data.columns.{name}={kind}"
    return typed(f"data.columns=[{item(f'{name}={kind}')}]")


def how(key: str, names: Sequence[str]) -> str:
    """How an odd one of the names is typed for data.KEY, where there is one."""
    odd = next((name for name in names if not PLAIN.fullmatch(name)), None)
    if odd is None:
        return ""
    ways = {"target": typed(f"data.target={item(odd)}"), "drop": drop(odd)}
    return f"; odd names are quoted: {ways.get(key) or kind(odd, 'category')}"


def kinds(stated: object) -> dict[str, str]:
    """{name: kind} of data.columns: a mapping, or a list of texts NAME=KIND."""
    if isinstance(stated, dict):
        return _flat(stated)
    texts = list(stated) if isinstance(stated, list | tuple) else [stated]
    if wrong := next((t for t in texts if not isinstance(t, str) or "=" not in t), None):
        raise ValueError(f"data.columns={wrong}: write NAME=KIND, {kind('a, b', 'category')}")
    return dict(t.rpartition("=")[::2] for t in texts)


def _flat(stated: dict, before: str = "") -> dict[str, str]:
    """A name with dots, typed without quotes, comes as mappings in one another."""
    found: dict[str, str] = {}
    for name, value in stated.items():
        deep = isinstance(value, dict)
        found |= _flat(value, f"{before}{name}.") if deep else {f"{before}{name}": value}
    return found


def listed(names: Sequence[str]) -> str:
    """Names in a message, the odd ones quoted; of many the first."""
    more = [f"and {len(names) - MOST:,} more"] if len(names) > MOST else []
    return ", ".join([*map(item, names[:MOST]), *more])


def nearest(word: str, names: Sequence[str]) -> str:
    """What a message adds where a name is a slip of another: "; nearest: age"."""
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(word.casefold(), folded, n=3, cutoff=0.6)
    return f"; nearest: {', '.join(item(folded[c]) for c in close)}" if close else ""
