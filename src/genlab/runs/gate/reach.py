"""What reaches beyond the run folder: where else is written, and what is sent over a network.

Only the command line and the environment may say so. A file (a stranger's run folder, a folder of
configs) may hold it, literally or by an interpolation: it is judged on the settled value and left
out, with a notice. A new key that names a place to write belongs in `PLACES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from genlab.runs.say.errors import UserError
from genlab.runs.say.terminal import say
from genlab.shown import one_line

PLACES = ("cache", "save_dir", "tracking_uri", "artifact_location")
OFFLINE = ("offline", "dryrun", "disabled")  # of a logger's mode: all else may send


def keep_inside(settings: dict[str, Any], said: Iterable[str]) -> dict[str, Any]:
    """The same settings without what reaches beyond; `said`: the keys of the command line."""
    said = set(said)

    def kept(node: Any, at: str) -> Any:
        if isinstance(node, list | tuple):
            return [kept(value, f"{at}.{i}") for i, value in enumerate(node)]
        if not isinstance(node, dict):
            return node
        return {key: held(key, value, f"{at}.{key}".lstrip(".")) for key, value in node.items()}

    def held(key: Any, value: Any, at: str) -> Any:
        if value is None or at in said:
            return value
        shown = one_line(f"{at}={value!s:.80}")
        if key in PLACES:
            say(f"genlab: {shown} is left out: only the command line says where to write")
            return None
        if at.startswith("logger.") and key == "mode" and value not in OFFLINE:
            say(f"genlab: {shown} is taken as offline: only the command line"
                " and WANDB_MODE may send to an account")  # fmt: skip
            return "offline"
        if at.startswith("logger.") and key in ("entity", "id"):
            say(f"genlab: {shown} is left out: only the command line"
                " and WANDB_ENTITY, WANDB_RUN_ID may name where it is sent to")  # fmt: skip
            return None
        return kept(value, at)

    return kept(settings, "")


def said_by(words: Sequence[str]) -> set[str]:
    """The keys that a command line gives a value, also within `logger={wandb: {mode: online}}`."""
    from genlab.runs.settings.mistakes import read

    keys: set[str] = set()

    def note(value: Any, at: str) -> None:
        keys.add(at)
        for key, inner in value.items() if isinstance(value, dict) else ():
            note(inner, f"{at}.{key}")

    for word in words:
        try:
            override = read(word)
        except UserError:  # its value came from the environment, and is no word of a command line
            keys.add(word.lstrip("+").partition("=")[0])
            continue
        key = override.key_or_group
        if override.is_sweep_override():
            keys.add(key)
        else:
            note(override.value(), key)
    return keys
