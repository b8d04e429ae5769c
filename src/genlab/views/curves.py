"""Curves over examples seen, as SVG in data: URIs: for light paper, for dark, and to be saved.

Read: `chart` draws lines with their names at their ends; names too long for that stand below. No
pyplot: nothing global.
"""

from __future__ import annotations

import base64
import math
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO

from genlab.shown import cut, short, visible

# middle tones: each has a contrast of at least 3 on the light and on the dark ground
PALETTE = ("#3d7cc9", "#d0702a", "#2f9470", "#b8569c", "#8a7a2e", "#6f6bd1", "#c4524e", "#4f8a99")
RAMP = ("#6f6bd1", "#3d7cc9", "#2f9470", "#8a9a2e", "#d0902a", "#c4524e")
INK = {"light": ("#5d6470", "#d9d9d3"), "dark": ("#a3abb8", "#3a3f48")}  # text, rules
LEFT, RIGHT = 0.12, 0.715  # edges of the axes, as shares of the width; names stand to the right
APART = 0.025  # of the axes' width, from their edge to the names
WIDTH, HEIGHT = 4.2, 2.5  # inches; a key below adds to the height
MOST = 500  # points kept of a line
SIZE, FONT = 9, "DejaVu Sans"  # points of letters; a font that is everywhere, and few are wider
KEY_LETTERS, KEY_LINE = 62, 0.16  # of a line of the key; its height in inches
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """`points` are (examples seen, value); `marked` shows each one; `label` stands at the end.

    A `noisy` line is drawn faint, with its running mean over it; a `faint` one is faint alone.
    `band`: (examples seen, low, high) of an interval about the line; it does not set the frame.
    """

    label: str
    points: Points
    color: str = PALETTE[0]
    marked: bool = False
    noisy: bool = False
    faint: bool = False
    band: Sequence[tuple[float, float, float]] = ()

    @property
    def trend(self) -> Points:
        return smooth(self.points) if self.noisy and len(self.points) >= 60 else self.points


@dataclass(frozen=True)
class Chart:
    """`save` is `light` on white ground, for a file; `height` in pixels, of 420 of the width."""

    light: str
    dark: str
    save: str
    alt: str
    note: str
    height: int = 250


def color_of(index: int, count: int) -> str:
    """Distinct colours for a few, a ramp in order for many."""
    if count <= len(PALETTE):
        return PALETTE[index]
    place = index / (count - 1) * (len(RAMP) - 1)
    low, share = min(int(place), len(RAMP) - 2), place - min(int(place), len(RAMP) - 2)
    a, b = (bytes.fromhex(RAMP[i][1:]) for i in (low, low + 1))
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in zip(a, b))


def chart(
    lines: Sequence[Line],
    *,
    log: bool | None = None,
    zero: bool = False,
    over: str = "examples seen",
    ticks: Sequence[tuple[float, str]] = (),
) -> Chart:
    """`log` scale: None takes one where values span 5-fold. `zero`: the axis begins at 0.

    `over`: what the values stand over, and `ticks` (where, text), where that begins not at 0.
    """
    lines = [replace(x, label=visible(x.label), points=thin(x.points)) for x in lines if x.points]
    values = [y for line in lines for _, y in line.points]
    if log is None:
        log = min(values) > 0 and max(values) > 5 * min(values)
    limits, note = (None, "") if log or zero else frame(lines)
    if limits is None and not zero and (bands := [b for line in lines for b in line.band]):
        limits, note = around(values, bands, log=log)
    told = [
        f"{line.label} from {short(line.points[0][1])} to {short(line.points[-1][1])}".lstrip()
        for line in [line for line in lines if line.label or not line.faint][:8]
    ]
    key = _key(lines)
    light = _draw(lines, log=log, zero=zero, limits=limits, key=key, ticks=ticks)
    dark = light
    for a, b in zip(INK["light"], INK["dark"]):  # drawn once: nothing else differs
        dark = dark.replace(a, b)
    head, mark, rest = light.partition(" <defs>")
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>\n'
    return Chart(
        *(
            "data:image/svg+xml;base64," + base64.b64encode(x.encode()).decode()
            for x in (light, dark, head + ground + mark + rest)
        ),
        alt=f"Curves over {over}: {'; '.join(told)}",
        note=", ".join(filter(None, ["logarithmic scale" if log else "", note])),
        height=round(100 * _height(key)),
    )


def around(
    values: Sequence[float], bands: Sequence[tuple[float, float, float]], *, log: bool
) -> tuple[tuple[float, float] | None, str]:
    """Limits that show the lines and, about them, as much of the bands as the lines take up."""
    there, back = (math.log, math.exp) if log else (float, float)
    low, high = there(min(values)), there(max(values))
    room = (high - low) or abs(high) or 1.0
    lows = [there(b) if b > 0 or not log else -math.inf for _, b, _ in bands]
    highs = [there(b) if b > 0 or not log else high for _, _, b in bands]
    least, most = min(low, *lows), max(high, *highs)
    kept = max(least, low - room / 2), min(most, high + room / 2)
    margin = 0.05 * (kept[1] - kept[0])
    note = "" if kept == (least, most) else "an interval leaves the frame"
    limits = back(kept[0] - margin), back(kept[1] + margin)
    return limits if all(map(math.isfinite, limits)) else None, note


def thin(points: Points) -> Points:
    """At most `MOST` points, each the mean of its neighbours."""
    size = math.ceil(len(points) / MOST)
    if size <= 1:
        return points
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in p) / len(p), sum(y for _, y in p) / len(p)) for p in parts]


def smooth(points: Points) -> Points:
    """The running mean over a twentieth of the line, centred."""
    half = max(1, len(points) // 40)
    parts = [points[max(0, i - half) : i + half + 1] for i in range(len(points))]
    return [(x, sum(y for _, y in p) / len(p)) for (x, _), p in zip(points, parts)]


def frame(lines: Sequence[Line]) -> tuple[tuple[float, float] | None, str]:
    """Vertical limits that leave out a start far off the rest, and a sentence that says so."""
    end = max(x for line in lines for x, _ in line.points)
    values = [y for line in lines for _, y in line.points]
    late = [y for line in lines for x, y in line.points if x >= 0.05 * end]
    span = max(late) - min(late)
    if span == 0 or max(values) - min(values) < 5 * span:
        return None, ""
    far = max(values) if max(values) - max(late) > min(late) - min(values) else min(values)
    return (
        min(late) - 0.1 * span,
        max(late) + 0.25 * span,
    ), f"starts at {short(far)}, off the frame"


def _tick(value: float, _: int = 0) -> str:
    if value == 0:
        return "0"
    return f"{value / 1000:g}k" if 1e3 <= abs(value) < 1e6 else short(value)


def _draw(
    lines: Sequence[Line],
    *,
    log: bool,
    zero: bool,
    limits: tuple[float, float] | None,
    key: Sequence[tuple[str, str]] = (),
    ticks: Sequence[tuple[float, str]] = (),
) -> str:
    """The SVG for light paper."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    ink, rule = INK["light"]
    settings = {
        "svg.fonttype": "none",  # the reader's own fonts, and small files
        "svg.hashsalt": "genlab",  # the same curves give the same bytes
        "font.sans-serif": ["Segoe UI", "Helvetica Neue", "Arial", FONT],
        "font.size": SIZE,
        "text.parse_math": False,  # a name may hold $
        "path.simplify": True,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of glyphs that the measuring font lacks
        height, right = _height(key), 0.97 if key else RIGHT
        figure = Figure(figsize=(WIDTH, height))
        box = (1 - 0.86 * HEIGHT / height, 0.8 * HEIGHT / height)  # bottom and height of the axes
        axes = figure.add_axes((LEFT, box[0], right - LEFT, box[1]))
        canvas = FigureCanvasAgg(figure)
        for i, line in enumerate(lines):
            _line(axes, line, order=3 + i / len(lines))
        if log:
            axes.set_yscale("log")
        if zero:
            axes.set_ylim(0, 1.15 * max(y for line in lines for _, y in line.points) or 1)
        elif limits:
            axes.set_ylim(*limits)
        end = max(x for line in lines for x, _ in line.points) or 1
        axes.set_xlim(-0.01 * end, 1.01 * end)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        if log:
            low, high = axes.get_ylim()
            narrow = high < 100 * low
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=8))
        else:
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_minor_locator(NullLocator())
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(_tick))
        if ticks:
            start = min(x for line in lines for x, _ in line.points)
            axes.set_xlim(start - 0.02 * (end - start), end + 0.02 * (end - start))
            axes.set_xticks(*zip(*ticks))
        axes.tick_params(length=0, colors=ink, pad=5)
        axes.grid(axis="y", color=rule, linewidth=0.6)
        axes.set_axisbelow(True)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(rule)
        _widen(axes, canvas.get_renderer(), right, box)
        for i, (text, color) in enumerate(key):
            y = (len(key) - i - 0.5) * KEY_LINE / height
            figure.text(0.02, y, text, color=color, va="center")
        if not key:
            _names(axes, lines)
        out = BytesIO()
        figure.savefig(
            out, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    return out.getvalue().decode()


def _height(key: Sequence[tuple[str, str]]) -> float:
    return HEIGHT + KEY_LINE * len(key)


def _key(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """The lines of a key below, with their colours; none where all names fit beside the axes."""
    room = 72 * WIDTH * (1 - RIGHT - APART * (RIGHT - LEFT)) - 2
    if all(_width(line.label) <= room for line in lines):
        return []
    shown = []
    for line in lines:
        wrapped = textwrap.wrap(cut(line.label, 400), KEY_LETTERS) if line.label else []
        shown += [(("   " if i else "— ") + text, line.color) for i, text in enumerate(wrapped)]
    return shown


def _width(text: str) -> float:
    """In points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(FONT, size=SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that it lacks
        return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


def _widen(axes, renderer, right: float, at: tuple[float, float]) -> None:
    """Move the left edge to where the longest number beside the axis is not cut off."""
    box = axes.yaxis.get_tightbbox(renderer)
    width = axes.figure.bbox.width
    left = max(LEFT, LEFT - box.x0 / width + 0.01) if box is not None else LEFT
    axes.set_position((left, at[0], right - left, at[1]))


def _line(axes, line: Line, *, order: float) -> None:
    xs, ys = zip(*line.points)
    style = {"color": line.color, "solid_capstyle": "round", "zorder": order}
    if len(line.band) == 1:
        axes.vlines(*zip(*line.band), color=line.color, alpha=0.3, linewidth=3, zorder=2)
    elif line.band:
        axes.fill_between(*zip(*line.band), color=line.color, alpha=0.16, linewidth=0, zorder=2)
    if line.faint:
        axes.plot(xs, ys, linewidth=0.8, alpha=0.45, **style)
    elif line.marked or len(xs) < 3:
        axes.plot(xs, ys, linewidth=1.4, marker="o", markersize=3.4, clip_on=True, **style)
    else:
        if line.trend is not line.points:
            axes.plot(xs, ys, linewidth=0.8, alpha=0.38, **style)
        axes.plot(*zip(*line.trend), linewidth=1.6, **style)


def _names(axes, lines: Sequence[Line]) -> None:
    """Each line's name at its end, pushed apart where two would touch."""
    named = [line for line in lines if line.label]
    into = axes.transData + axes.transAxes.inverted()
    ends = []
    for line in named:
        y = into.transform(line.trend[-1])[1]
        ends.append([min(1.0, max(0.0, y)) if math.isfinite(y) else 0.5, line])
    ends.sort(key=lambda e: e[0])
    gap = min(0.085, 1.0 / max(1, len(ends) - 1))
    for i in range(1, len(ends)):
        ends[i][0] = max(ends[i][0], ends[i - 1][0] + gap)
    for i in range(len(ends) - 1, -1, -1):
        ends[i][0] = min(ends[i][0], ends[i + 1][0] - gap if i + 1 < len(ends) else 1.0)
    for y, line in ends:
        label = line.label.replace("\n", "␊").replace("\t", "␉")
        axes.text(1 + APART, y, label, color=line.color, va="center", transform=axes.transAxes)
