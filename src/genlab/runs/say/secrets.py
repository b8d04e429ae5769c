"""Secrets: blotted out of everything that a run writes or prints, by name, by shape and by value.

A secret is what stands under a secret-looking key, before the @ of a URL, or after `token=`; any
value that such a name has in the environment or in .netrc, wherever it turns up; and what looks
like a key by itself: a known prefix, or letters and digits in no order. What came from
the environment is written as [redacted:$NAME] and read back from there (`restore`), so that a run
can be resumed; every other secret is written as [redacted] and must be given again.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from genlab.runs.say.errors import UserError

BLOT = "[redacted]"
MARK = re.compile(r"\[redacted:\$(\w+)\]")
# of a config, which no secret is
WORDS = ("integer", "continuous", "category", "auto", "none", "null", "true", "false")
LEAST = 8  # characters: a shorter value turns up by chance
# whatever stands under these is secret; under the weaker words only what is no number (num_tokens)
KEYS = (
    "api|access|private|auth|ssh|signing|master|account|encryption|session|storage|deploy|root"
    "|wandb|sas|hf|aws|gcp"
)
STRONG = (
    rf"passw(?:or)?d|passphrase|passcode|(?:pg|ssh)pass|secret|credential|authorization|webhook"
    rf"|(?:{KEYS})[_-]?key|pin_?code|(?<![a-z])t?otp(?![a-z])|conn(?:ection)?_?str(?:ing)?"
    rf"|seed_?phrase|mnemonic"
)
WEAK = "key|pwd|pw|pass|pat|dsn|jwt|cookies?|sas|creds?|auth|bearer|sig|signature|pem"
NAME = re.compile(
    rf"{STRONG}|token(?!s?izer)|(?<![a-z])(?:{WEAK})(?![a-z])"
    r"|(?-i:(?<=[a-z])(?:Key|Pass|Pat|Dsn|Jwt|Cookie)(?![a-z]))|(?:db|user|smtp|ftp)pass(?![a-z])",
    re.I,
)
ALWAYS = re.compile(STRONG, re.I)
NUMBER = re.compile(r"[-+]?[\d_.]+(e[-+]?\d+)?|true|false|null|none", re.I)
STOPS = ":."  # behind a value in a sentence: "data.start_token=99: ..."
QUOTED = r"\"[^\"]*\"|'[^']*'"
# user:password@ of a URL; a password may hold an @ itself
URL = re.compile(r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]*+://)([^\s/?#'\"]+)@", re.I)
BEARER = re.compile(
    r"\b(bearer\s+|basic\s+(?=[\w.~+/=-]*[\d+/=]))([\w.~+/=-]{8,})", re.I
)  # "basic training" is none
# each name is begun once and never taken back: a long text must not cost its square
GIVEN = re.compile(rf"(?<![\w.-])([\w.-]++)(\\?['\"]?=)({QUOTED}|[^\s,;&'\")}}\]]++)")
TOLD = re.compile(
    rf"(?<![\w.-])([\w.-]++)(\\?['\"]?:\s*+)({QUOTED}|[^\s,;&'\")}}\]]++)(?=\\?['\"]?\s*+([,}}\]\n]|$))"
)
FLAG = re.compile(r"(?<!\S)(--[\w-]++|-u)(\s++)(?=[^\s-])(\S++)")
HEADER = re.compile(r"\b((?:set-)?cookie|(?:proxy-)?authorization)(\s*+:\s*+)([^\n]++)", re.I)
SHAPE = re.compile(
    r"\b(?:hf_|gh[pousr]_|github_pat_|gl(?:pat|rt)-|[sr]k[-_]|xox[abpr]-|xapp-|npm_|pypi-|A[KS]IA|AIza)"
    r"[\w-]{12,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+|(?<=hooks\.slack\.com/services/)[\w/]+"
)
# a key without a name: long, of all three kinds of characters in no order, no word in it. Hashes,
# which genlab writes itself, have no capitals
LONG = re.compile(r"(?<![\w+=-])[\w+=-]{24,}(?![\w+=-])", re.ASCII)
CHANGES, PIECE, WORD = 8, 18, re.compile("[a-z]{8}")

_met: set[str] = set()  # secrets blotted out once by name: from then on by value too


def redact(data: Any) -> Any:
    """The same plain data without its secrets."""
    _meet(data)
    return _walk(data, _known())


def _walk(data: Any, known: list[tuple[str, str]]) -> Any:
    if isinstance(data, dict):
        return {
            _text(k, known) if isinstance(k, str) else k: (
                _blot(v, known, bool(ALWAYS.search(str(k))))
                if NAME.search(str(k))
                else _walk(v, known)
            )
            for k, v in data.items()
        }
    if isinstance(data, list | tuple):
        return [_walk(v, known) for v in data]
    if isinstance(data, str):
        return _text(data, known)
    return data


def _blot(value: Any, known: list[tuple[str, str]], strong: bool) -> Any:
    """What a secret-looking key holds."""
    if isinstance(value, dict):
        return (
            {k: _blot(v, known, strong) for k, v in value.items()}
            if strong
            else _walk(value, known)
        )
    if isinstance(value, list | tuple):
        return [_blot(v, known, strong) for v in value]
    if value is None or isinstance(value, bool) or value == "" or value in WORDS:
        return value
    if not isinstance(value, str):
        return BLOT if strong else value
    if not strong and NUMBER.fullmatch(value):
        return value
    shown = _text(value, known)
    return shown if MARK.fullmatch(shown) else BLOT


def _text(text: str, known: list[tuple[str, str]]) -> str:
    for value, mark in known:
        if value in text:
            text = text.replace(value, mark)
    if "=" in text or ":" in text:
        text = URL.sub(_in_url, text)
        text = GIVEN.sub(_after_name, text)
        text = TOLD.sub(_told, HEADER.sub(rf"\1\2{BLOT}", text))
    if "-" in text:
        text = FLAG.sub(_after_flag, text)
    text = BEARER.sub(rf"\1{BLOT}", text)
    return LONG.sub(_in_disorder, SHAPE.sub(BLOT, text))


def _told(found: re.Match[str]) -> str:
    """After a colon: strong names, and others where they are quoted or the value is like a key."""
    name, between, value = found.groups()[:3]
    bare = value.strip("'\"\\")
    like = len(bare) >= LEAST and any(map(str.isdigit, bare)) and any(map(str.isalpha, bare))
    if ALWAYS.search(name) or (between[0] in "'\"\\") or like:
        return _after_name(found)
    return found[0]


def _after_flag(found: re.Match[str]) -> str:
    flag, between, value = found.groups()
    secret = NAME.search(flag) if flag != "-u" else ":" in value
    number = not ALWAYS.search(flag) and NUMBER.fullmatch(value)
    return f"{flag}{between}{BLOT}" if secret and not number else found[0]


def _in_disorder(found: re.Match[str]) -> str:
    """A blot for letters and digits that no word or name would have in this order."""
    piece = max(re.split("[-_]", found[0]), key=len)  # names are put together of short ones
    kinds = ["Aa1"[2 * c.isdigit() or c.islower()] for c in piece if c.isalnum()]
    changes = sum(a != b for a, b in pairwise(kinds))
    plain = changes < CHANGES or kinds.count("1") < 2 or set(kinds) != set("Aa1")
    return found[0] if plain or len(piece) < PIECE or WORD.search(piece) else BLOT


def _in_url(found: re.Match[str]) -> str:
    return found[0] if MARK.search(found[2]) else f"{found[1]}{BLOT}@"


def _after_name(found: re.Match[str]) -> str:
    name, between, value = found.groups()[:3]
    bare = value.strip("'\"\\")
    if not NAME.search(name) or not bare or bare in WORDS or bare.startswith("$"):
        return found[0]
    if bare[0] in "[{" and not ALWAYS.search(name):
        return found[0]
    if not ALWAYS.search(name) and NUMBER.fullmatch(bare.rstrip(STOPS)):
        return found[0]
    return f"{name}{between}{BLOT}"


def _meet(data: Any, name: str = "") -> None:
    """Note the secrets that data holds under secret-looking names."""
    if isinstance(data, dict):
        for k, v in data.items():
            _meet(v, str(k) if NAME.search(str(k)) else name)
    elif isinstance(data, list | tuple):
        for v in data:
            _meet(v, name)
    elif isinstance(data, str):
        _note(name, data)
        for found in (*GIVEN.finditer(data), *TOLD.finditer(data)):
            _note(found[1], found[3].strip("'\""))
        for found in URL.finditer(data):
            _note("password", found[2].partition(":")[2])


def _note(name: str, value: str) -> None:
    if not NAME.search(name) or not _is_secret(value) or value[0] in "[{$" or value in WORDS:
        return
    # under `key` or `token` may stand a plain word, which would be blotted out everywhere
    if ALWAYS.search(name) or any(c.isdigit() for c in value):
        _met.add(value)


def _is_secret(value: str) -> bool:
    """Long enough, no number or word of a config, and no path that is there."""
    if len(value) < LEAST or NUMBER.fullmatch(value.rstrip(STOPS)) or "redacted" in value:
        return False
    try:
        return not Path(value).exists()
    except (OSError, ValueError):
        return True


def _known() -> list[tuple[str, str]]:
    """(value, what is written instead), the longest first; as they stand and as in a URL."""
    found = {value: BLOT for value in _met | _netrc()}
    for name, value in os.environ.items():
        if NAME.search(name) and _is_secret(value):
            found[value] = f"[redacted:${name}]"
    for value, mark in list(found.items()):  # as URLs, JSON, shells and Python write them
        forms = {quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1]}
        forms |= {shlex.quote(value)[1:-1], *value.splitlines()} - {""}
        found |= {f: mark for f in forms if len(f) >= LEAST and f not in found}
    return sorted(found.items(), key=lambda pair: -len(pair[0]))


def _netrc() -> set[str]:
    import netrc

    try:
        hosts = netrc.netrc(os.environ.get("NETRC") or None).hosts
    except (OSError, ValueError, netrc.NetrcParseError):
        return set()
    return {entry[2] for entry in hosts.values() if entry[2] and len(entry[2]) >= LEAST}


def restore(data: Any, where: str = "") -> Any:
    """Plain data with what came from the environment put back; a secret that is lost is named."""
    if isinstance(data, dict):
        return {k: restore(v, f"{where}.{k}".lstrip(".")) for k, v in data.items()}
    if isinstance(data, list):
        return [restore(v, f"{where}.{i}") for i, v in enumerate(data)]
    if not isinstance(data, str):
        return data
    data = MARK.sub(partial(_from_environment, where), data)
    if BLOT in data:
        raise UserError(
            f"{where}: a run's folder keeps no secret: name an environment variable for it"
            " (${oc.env:NAME}) when the run is started"
        )
    return data


def _from_environment(where: str, found: re.Match[str]) -> str:
    if not NAME.search(found[1]):
        raise UserError(f"{where}: {found[0]} is no mark that genlab writes")
    if found[1] not in os.environ:
        raise UserError(f"{where}: its value came from ${found[1]}: set it in the environment")
    return os.environ[found[1]]
