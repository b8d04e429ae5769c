"""Numbers and texts as people read them: on a page, on a curve, in a terminal."""

from __future__ import annotations

import math
import re
from typing import Any

# controls; marks that reorder, hide or break text; lone surrogates; noncharacters; tag characters
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """`text` with control characters shown as pictures (ESC as ␛), other hidden ones by number."""

    def show(found: re.Match[str]) -> str:
        code = ord(found[0])
        return chr(0x2400 + code) if code < 32 else "␡" if code == 127 else f"⟨U+{code:04X}⟩"

    return HIDDEN.sub(show, text)


def one_line(text: object) -> str:
    """`text` visible, and in one line: what stands in a line of a terminal begins none."""
    return visible(" ".join(str(text).split()))


def number(value: Any) -> float | None:
    """A float, not finite perhaps; None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def short(value: float) -> str:
    """A number for a label: 4 figures, 1.2M for millions."""
    if not math.isfinite(value):
        return "not finite"
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size <= abs(value) < 1000 * size:
            return f"{value / (1e3 if letter == 'k' else size):.4g}{letter}"
    return f"{value:.4g}"


def figure(value: Any) -> str:
    """A number for people: 4 figures, thousands apart."""
    value = value if isinstance(value, int) and not isinstance(value, bool) else number(value)
    if value is None:
        return "none"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**15 else f"{number(value):.4g}"
    if not math.isfinite(value):
        return "not finite"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def duration(seconds: float | None) -> str:
    if seconds is None or not math.isfinite(seconds):
        return "none"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 100:
        return f"{int(minutes)} min {int(seconds % 60)} s"
    if hours < 48:
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{int(hours // 24):,} d {int(hours % 24)} h"


def spaced(name: str) -> str:
    return name.replace("_", " ")


def described(node: dict[str, Any] | None) -> str:
    """A constructor's node in YAML as a call: Heun(num_steps=18)."""
    if not node:
        return "none"
    knobs = [f"{k}={v}" for k, v in node.items() if not k.startswith("_") and v is not None]
    return f"{node.get('_target_', '?').rsplit('.', 1)[-1]}({', '.join(knobs)})"


def cut(text: str, most: int) -> str:
    rest = len(text) - most
    return text if rest <= 0 else f"{text[:most]} … {rest:,} more characters"
